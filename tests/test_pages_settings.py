"""Settings in a real browser, a real site behind: what an admin changes holds without a restart."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from browser import PHONE, WIDE, Visit, chromium, visit
from cameras import CameraServer, rtsp, write_film
from jikimi.passwords import Passwords
from jikimi.store import UserRecord
from mosquitto_server import free_port
from sites import Receiver, RunningSite, shop_floor, wait_for

__all__ = ["chromium", "rtsp"]

PASSWORD = "안전제일 2026 프레스"
FPS = 15


@dataclass
class Plant:
    """A running site with an accident every twelve seconds; `hook` is in jikimi.toml, `added` is not yet."""

    site: RunningSite
    hook: Receiver
    added: Receiver
    base: str


@pytest.fixture(scope="module", autouse=True)
def patient() -> Iterator[None]:
    """A whole site and a browser on a machine with other work: what is waited for may take its time."""
    expect.set_options(timeout=30_000)
    yield
    expect.set_options(timeout=5_000)


@pytest.fixture(scope="module")
def plant(rtsp: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    folder = tmp_path_factory.mktemp("plant")
    film = write_film(folder / "a.h264", seconds=12, fps=FPS, draw=shop_floor(4 * FPS, 6 * FPS))
    with CameraServer({"a": film}) as server, Receiver() as hook, Receiver() as added:
        port = free_port()
        serve = f"port = {port}\nlocal_targets = true"
        site = RunningSite(
            folder, {"프레스 3": server.address("a")}, hook, serve=serve, evidence="keep_days = 30"
        )
        with site:
            wait_for(site.watching, within_s=90)
            wait_for(lambda: "serving on port" in site.log(), within_s=90)
            kept, now = Passwords(passes=1, memory_kib=8).hash(PASSWORD), datetime.now(UTC)
            store = site.store()
            store.shelve("프레스 3", until=now + timedelta(hours=1), by="test")
            store.add_user(UserRecord("김안전", kept, "admin", now, now))
            store.add_user(UserRecord("hand", kept, "operator", now, now))
            store.add_user(UserRecord("eye", kept, "viewer", now, now))
            store.close()
            yield Plant(site, hook, added, f"http://127.0.0.1:{port}")


@pytest.fixture(scope="module")
def admin(plant: Plant, chromium: Browser) -> Iterator[Visit]:
    with visit(chromium, plant.base) as found:
        found.log_in("김안전", PASSWORD)
        quiet(found)
        yield found


def quiet(found: Visit) -> None:
    """The alarm would lie over what is pressed."""
    found.context.add_init_script(
        "addEventListener('DOMContentLoaded', () => document.head.append(Object.assign("
        "document.createElement('style'), {textContent: '.j-alarm { display: none !important; }'})))"
    )


@contextmanager
def accidents(plant: Plant) -> Iterator[None]:
    """The camera rests while forms are filled in, so that no alarm comes; in here it does not.

    What was raised is acknowledged in the end: an alarm takes keys and screen for itself.
    """
    store, later = plant.site.store(), datetime.now(UTC) + timedelta(hours=1)
    store.shelve("프레스 3", until=None, by="test")
    yield
    store.shelve("프레스 3", until=later, by="test")
    time.sleep(3.0)  # until it is
    for incident in store.incidents(limit=100):
        if incident.acknowledged_at is None:
            store.acknowledge(incident.uid, at=datetime.now(UTC), by="test")
    store.close()


def part(page: Page, name: str) -> Locator:
    return page.locator(f"#{name}")


def dialog(page: Page) -> Locator:
    return page.locator(".q-dialog .j-dialog")


def holds(plant: Plant) -> dict[str, Any]:
    store = plant.site.store()
    try:
        return {one.key: one.value for one in store.setting_values()}
    finally:
        store.close()


def test_webhook_is_added_tested_saved_and_told_of_the_next_incident(plant: Plant, admin: Visit) -> None:
    pids = plant.site.pids()
    page = admin.open("/settings")
    page.get_by_role("button", name="알림 대상 추가").click()
    form = dialog(page)
    form.get_by_label("이름", exact=True).fill("경광등")
    form.get_by_label("주소(URL)").fill("http://169.254.169.254/latest/meta-data")
    form.get_by_label("서명 비밀 값").fill("shared hmac s3cr3t")
    form.get_by_role("button", name="저장").click()
    expect(form).to_contain_text("이 네트워크의 한 컴퓨터를 가리키지 않습니다.")
    form.get_by_label("주소(URL)").fill(f"http://127.0.0.1:{plant.added.port}/p4th")
    form.get_by_role("button", name="시험").click()
    expect(form).to_contain_text("만에 도착했습니다.", timeout=30_000)
    assert [body["event"] for _, _, body in plant.added.told] == ["test"]
    form.get_by_role("button", name="저장").click()
    expect(part(page, "targets")).to_contain_text("경광등")
    expect(part(page, "targets")).to_contain_text("jikimi.toml")  # hook's, which cannot be changed here
    expect(part(page, "targets").get_by_role("button", name="경광등 바꾸기")).to_have_count(1)
    expect(part(page, "targets").get_by_role("button", name="hook 바꾸기")).to_have_count(0)
    with accidents(plant):
        wait_for(plant.added.incidents, within_s=60)
    assert plant.site.pids() == pids
    shown = page.content() + plant.site.log()
    assert "s3cr3t" not in shown and "p4th" not in shown


def test_target_is_changed_by_keyboard_without_entering_its_secrets_again(plant: Plant, admin: Visit) -> None:
    page = admin.open("/settings")
    change = page.get_by_role("button", name="경광등 바꾸기")
    change.focus()
    page.keyboard.press("Enter")
    form = dialog(page)
    assert form.get_by_label("주소(URL)").input_value() == ""
    form.get_by_role("switch", name="고장도 알림").focus()
    page.keyboard.press("Space")
    form.get_by_role("button", name="저장").focus()
    page.keyboard.press("Enter")
    expect(part(page, "targets")).to_contain_text("사고만")
    store = plant.site.store()
    (stored,) = store.targets()
    store.close()
    assert stored.settings is not None and not stored.settings.faults
    assert stored.settings.url.get_secret_value().endswith("/p4th")


def test_lists_say_who_is_told_first_and_hold_at_once(plant: Plant, admin: Visit) -> None:
    page = admin.open("/settings")
    lists = part(page, "lists")
    lists.get_by_role("button", name="줄 추가").click()
    lists.get_by_role("button", name="저장").click()
    expect(page.locator(".q-notification")).to_contain_text("빈 줄이 있습니다.")
    lists.get_by_role("combobox", name="1번째로 알릴 곳").click()
    page.get_by_role("option", name="경광등").click()
    page.keyboard.press("Escape")
    lists.get_by_label("확인이 없으면 다음으로(초)").fill("45")
    lists.get_by_role("button", name="저장").click()
    wait_for(lambda: holds(plant) == {"alerts.lists": [["경광등"]], "alerts.escalate_after_s": 45.0})
    page.wait_for_timeout(3000)  # what holds is looked at each second
    told, added = len(plant.hook.incidents()), len(plant.added.incidents())
    with accidents(plant):
        wait_for(lambda: len(plant.added.incidents()) > added, within_s=60)
    assert len(plant.hook.incidents()) == told
    lists = part(admin.open("/settings"), "lists")
    lists.get_by_role("button", name="기본값으로 되돌리기: 알리는 순서").click()
    wait_for(lambda: "alerts.lists" not in holds(plant))
    with accidents(plant):
        wait_for(lambda: len(plant.hook.incidents()) > told, within_s=60)


def test_days_are_changed_said_where_from_and_given_back(plant: Plant, admin: Visit) -> None:
    page = admin.open("/settings")
    retention = part(page, "retention")
    days = retention.get_by_label("증거 보존(일)")
    days.fill("0")
    retention.get_by_role("button", name="저장").click()
    expect(retention).to_contain_text("0보다 크고 36,500 이하여야 합니다.")
    days.fill("90")
    retention.get_by_role("button", name="저장").click()
    expect(part(page, "retention")).to_contain_text("jikimi.toml: 30")
    expect(part(page, "retention")).to_contain_text("김안전이(가)")
    assert holds(plant)["evidence.keep_days"] == 90
    expect(page.locator("body")).to_contain_text("evidence.keep_days: 30 → 90")  # the audit trail
    part(page, "retention").get_by_role("spinbutton", name="증거 보존(일)").fill("5")
    part(page, "retention").get_by_role("button", name="저장").click()
    sure = page.locator(".q-dialog")
    expect(sure).to_contain_text("바로, 영영 지워집니다.")
    sure.get_by_role("button", name="취소").click()
    assert holds(plant)["evidence.keep_days"] == 90
    page = admin.open("/settings")
    part(page, "retention").get_by_role("button", name="jikimi.toml 값으로 되돌리기: 증거 보존(일)").click()
    page.locator(".q-dialog").get_by_role("button", name="저장").click()  # 30 days are fewer
    wait_for(lambda: "evidence.keep_days" not in holds(plant))


def test_name_of_the_site_and_shifts_are_changed(plant: Plant, admin: Visit) -> None:
    page = admin.open("/settings")
    part(page, "site").get_by_label("현장 이름").fill("안산 제1공장")
    part(page, "site").get_by_role("button", name="저장").click()
    expect(page.locator(".j-brand")).to_contain_text("안산 제1공장")
    wait_for(lambda: plant.site.status().name == "안산 제1공장")
    shifts = part(page, "shifts")
    shifts.get_by_role("button", name="근무조 추가").click()
    shifts.get_by_label("이름", exact=True).fill("주간")
    shifts.get_by_label("까지").fill("00:00")
    shifts.get_by_role("button", name="저장").click()
    wait_for(lambda: "shift" in holds(plant))
    (shift,) = holds(plant)["shift"]
    assert shift["name"] == "주간" and shift["hours"]["end"] == "24:00"
    expect(part(page, "shifts").get_by_label("까지")).to_have_value("00:00")


_ASK = """([method, path, csrf]) => fetch(`/api/v1/${path}`, {
  method, body: '{"value": 1}', headers: {'X-CSRF-Token': csrf, 'Content-Type': 'application/json'},
}).then((answer) => answer.status)"""


def test_camera_health_opens_cameras_anew_and_nothing_else(plant: Plant, admin: Visit) -> None:
    before, page = plant.site.status().pids, admin.open("/settings")
    health = part(page, "camera-health")
    expect(health).to_contain_text("저장하면 모든 카메라를 다시 엽니다.")
    health.get_by_label("화면이 멈추면 고장(초)").fill("25")
    health.get_by_role("button", name="저장").click()
    camera = "camera '프레스 3'"
    wait_for(lambda: plant.site.status().pids.get(camera) not in (None, before[camera]), within_s=30)
    wait_for(plant.site.watching, within_s=30)
    after = plant.site.status().pids
    assert {name: pid for name, pid in after.items() if name != camera} == {
        name: pid for name, pid in before.items() if name != camera
    }


@pytest.mark.parametrize("who", ["hand", "eye"])
def test_others_see_what_holds_and_change_nothing(plant: Plant, chromium: Browser, who: str) -> None:
    before = holds(plant)
    with visit(chromium, plant.base) as found:
        found.log_in(who, PASSWORD)
        page = found.open("/settings")
        expect(part(page, "targets")).to_contain_text("경광등")
        expect(page.locator("body")).to_contain_text("증거 보존(일)")
        for name in ("알림 대상 추가", "경광등 바꾸기", "줄 추가", "근무조 추가"):
            expect(page.get_by_role("button", name=name)).to_have_count(0)
        for name in ("lists", "retention", "site", "shifts"):
            expect(part(page, name)).to_have_count(0)
        tests = part(page, "targets").get_by_role("button", name="시험 경광등")
        expect(tests).to_have_count(1 if who == "hand" else 0)
        csrf = page.evaluate("window.jikimi.csrf")
        for method, path in (("PUT", "settings/evidence.keep_days"), ("DELETE", "targets/경광등")):
            answer = page.evaluate(_ASK, [method, path, csrf])
            assert answer == 403
    assert holds(plant) == before


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_page_and_form_fit_the_window(
    plant: Plant, chromium: Browser, size: tuple[int, int], dark: bool
) -> None:
    with visit(chromium, plant.base, language="en-GB", size=size, dark=dark) as found:
        found.log_in("김안전", PASSWORD)
        quiet(found)
        page = found.open("/settings")
        page.wait_for_timeout(400)
        assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
        page.get_by_role("button", name="Add a target").click()
        box = dialog(page).bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= size[0]
        assert found.problems == []
