"""The dashboard as its users have it: a real site behind it, a real browser in front."""

import os
import re
import signal
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, expect

from browser import PHONE, WIDE, Visit, chromium, visit
from cameras import rtsp
from pages_site import PASSWORD, Plant, admin, plant, shelve
from sites import wait_for

__all__ = ["admin", "chromium", "plant", "rtsp"]

HANGUL = re.compile("[가-힣]+")
# Names are the plant's own and stay as they are in any language.
NAMES = ("시험 공장", "프레스 3", "한국어", "지킴이", "김안전")


def test_incident_takes_over_the_screen_and_sounds_until_acknowledged(plant: Plant, admin: Visit) -> None:
    page = admin.open("/live")
    alarm = page.locator(".j-alarm:not([hidden])")
    alarm.wait_for(timeout=40_000)
    expect(alarm).to_contain_text("넘어짐")
    expect(alarm).to_contain_text("프레스 3")
    page.wait_for_function("document.documentElement.dataset.sounded")
    shelve(plant, 30)
    buttons = page.locator(".j-alarm:not([hidden]) button.alarm")
    for _ in range(20):
        if buttons.count() == 0:
            break
        buttons.first.click()
        page.wait_for_timeout(400)
    expect(page.locator("#bell")).to_be_hidden()
    store = plant.site.store()
    assert all(one.acknowledged_by == "김안전" for one in store.incidents())
    store.close()


def test_live_shows_moving_pictures_states_and_scores(plant: Plant, admin: Visit) -> None:
    page = admin.open("/live")
    tile = page.locator(".j-tile", has_text="belt")
    expect(tile).to_contain_text("감시 중")
    expect(tile.locator(".j-scores")).to_contain_text("넘어짐")
    page.wait_for_function(
        "[...document.querySelectorAll('.j-tile')].every((tile) => Number(tile.dataset.pictures) > 10)"
    )
    pixels = "document.querySelector('.j-tile canvas').getContext('2d').getImageData(0, 0, 96, 64).data"
    colours = page.evaluate(f"new Set({pixels}).size")
    assert colours > 10


def test_evidence_plays_and_is_answered(plant: Plant, admin: Visit) -> None:
    store = plant.site.store()
    uid = store.incidents()[-1].uid
    wait_for(lambda: len(store.evidence(uid)) >= 2, within_s=30)
    page = admin.open(f"/incidents/{uid}")
    film = page.locator("video.j-film").first
    film.wait_for()
    film.evaluate("(film) => { film.muted = true; return film.play(); }")
    page.wait_for_function("document.querySelector('video.j-film').currentTime > 0.3")
    page.get_by_text("오경보", exact=True).click()
    page.get_by_label("메모").fill("정비 중이었음")
    page.get_by_role("button", name="저장").click()
    expect(page.get_by_text("판정 · 오경보")).to_be_visible()  # among what happened, on the page shown anew
    wait_for(lambda: store.incident(uid).answer == "false-alarm")
    assert store.incident(uid).answer_note == "정비 중이었음"
    assert store.incident(uid).answered_by == "김안전"
    store.close()


def test_list_is_filtered_and_the_address_holds_the_filter(plant: Plant, admin: Visit) -> None:
    page = admin.open("/incidents?answer=false-alarm")
    rows = page.locator(".j-list tbody tr")
    expect(rows).to_have_count(1)
    page = admin.open("/incidents?camera=belt")
    expect(page.get_by_text("찾은 것이 없습니다.")).to_be_visible()
    page = admin.open("/incidents")
    page.get_by_label("판정").click()
    page.get_by_role("option", name="오경보").click()
    expect(rows).to_have_count(1)
    assert "answer=false-alarm" in page.url
    rows.first.locator("a").click()
    page.wait_for_url(re.compile("/incidents/[0-9a-f]{32}"))


def test_camera_is_tried_and_added(plant: Plant, admin: Visit) -> None:
    page = admin.open("/cameras/+")
    page.get_by_label("이름", exact=True).fill("새 카메라")
    page.get_by_label("메인 스트림 주소").fill(plant.server.address("b"))
    page.get_by_role("button", name="시험").click()
    expect(page.locator("dl.j-facts")).to_contain_text("h264", timeout=30_000)
    page.get_by_role("button", name="저장").click()
    page.wait_for_url(f"**/cameras/{quote('새 카메라')}")
    wait_for(lambda: any(c.settings.name == "새 카메라" for c in plant.site.store().cameras()))
    page = admin.open("/live")
    tile = page.locator(".j-tile", has_text="새 카메라")
    expect(tile).to_contain_text("감시 중", timeout=30_000)


def test_zone_is_drawn_on_the_picture(plant: Plant, admin: Visit) -> None:
    page = admin.open(f"/cameras/{quote('새 카메라')}")
    page.get_by_role("button", name="+ 감시 구역").click()
    picture = page.locator("#regions svg")
    page.wait_for_function("document.querySelector('#regions img').naturalWidth > 0")
    box = picture.bounding_box()
    assert box is not None
    for x, y in ((0.2, 0.2), (0.8, 0.2), (0.5, 0.8)):
        page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
    expect(page.locator(".j-corner")).to_have_count(3)
    page.locator(".j-corner").first.focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="저장").click()
    wait_for(lambda: zones_of(plant, "새 카메라"))
    (zone,) = zones_of(plant, "새 카메라")
    assert [round(x, 2) for x, _ in zone] == pytest.approx([0.21, 0.8, 0.5], abs=0.02)


def zones_of(plant: Plant, name: str) -> list[tuple[tuple[float, float], ...]]:
    store = plant.site.store()
    try:
        found = next(c.settings for c in store.cameras() if c.settings.name == name)
        return [zone.polygon for zone in found.zones]
    finally:
        store.close()


PAGES = (
    "/live",
    "/incidents",
    "/overview",
    "/report",
    "/cameras",
    "/cameras/belt",
    "/cameras/+",
    "/settings",
)


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("language", ["ko-KR", "en-GB"])
def test_every_page_is_whole_in_both_languages_and_sizes(
    plant: Plant, admin: Visit, chromium: Browser, language: str, size: tuple[int, int]
) -> None:
    store = plant.site.store()
    incident = f"/incidents/{store.incidents()[0].uid}"
    store.close()
    with visit(chromium, plant.base, language=language, size=size) as found:
        found.log_in("김안전", PASSWORD)
        for path in (*PAGES, incident):
            page = found.open(path)
            page.wait_for_timeout(400)
            assert page.evaluate("document.documentElement.lang") == language[:2]
            wider = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert wider <= 0, f"{path} is {wider} px too wide"
            text = without_names(page.inner_text("body"))
            if language == "en-GB":
                assert not HANGUL.findall(text), (path, HANGUL.findall(text))
            else:
                assert HANGUL.search(text)
        assert found.problems == []


def without_names(text: str) -> str:
    for name in (*NAMES, "새 카메라", "정비 중이었음"):
        text = text.replace(name, "")
    return text


def test_viewer_of_one_camera_sees_and_does_no_more_than_that(
    plant: Plant, admin: Visit, chromium: Browser
) -> None:
    store = plant.site.store()
    uid = store.incidents()[0].uid
    store.close()
    with visit(chromium, plant.base) as found:
        page = found.log_in("eye", PASSWORD)
        page.wait_for_selector(".j-tile")
        expect(page.locator(".j-tile")).to_have_count(1)
        expect(page.locator(".j-tile")).to_contain_text("belt")
        page.goto(f"{plant.base}/cameras/{quote('프레스 3')}")
        expect(page.locator("body")).to_contain_text("열 수 없습니다")
        page.goto(f"{plant.base}/incidents/{uid}")
        expect(page.locator("body")).to_contain_text("열 수 없습니다")
        page = found.open("/cameras/belt")
        assert page.get_by_role("button", name="저장").count() == 0
        page = found.open("/settings")
        assert page.get_by_text("감사 기록").count() == 0 and page.get_by_text("API 토큰").count() == 0
        page = found.open("/incidents")
        assert "프레스 3" not in page.inner_text("body")


def test_nobody_sees_a_page_without_logging_in(plant: Plant, admin: Visit, chromium: Browser) -> None:
    with visit(chromium, plant.base) as found:
        for path in PAGES:
            found.page.goto(f"{plant.base}{path}")
            found.page.wait_for_selector("#door")
            assert "/login?next=" in found.page.url
        page = found.page
        page.fill("input[name=name]", "hand")
        page.fill("input[name=password]", "wrong password")
        page.click("button[type=submit]")
        expect(page.locator("#door-problem")).to_have_text("사용자 또는 비밀번호가 틀립니다.")
        page.fill("input[name=password]", PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_url("**/settings")
        page.get_by_role("button", name="hand").click()
        page.get_by_text("로그아웃").click()
        page.wait_for_url("**/login")
        found.page.goto(f"{plant.base}/live")
        found.page.wait_for_selector("#door")


def test_page_comes_back_by_itself_when_the_server_does(plant: Plant, admin: Visit) -> None:
    page = admin.open("/live")
    counts = "[...document.querySelectorAll('.j-tile')].map((tile) => Number(tile.dataset.pictures ?? 0))"
    page.wait_for_function(f"{counts}.some((count) => count > 3)")
    os.kill(plant.site.pids()["api"], signal.SIGKILL)
    bar = page.locator("#bar-disconnected")
    bar.wait_for()
    expect(bar).to_be_hidden(timeout=60_000)
    page.evaluate("document.querySelectorAll('.j-tile').forEach((tile) => { tile.dataset.pictures = '0'; })")
    page.wait_for_function(f"{counts}.some((count) => count > 3)", timeout=60_000)
