"""What is done with an incident on its page, and with an accident that was missed, in a real browser."""

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from browser import Visit, chromium, visit
from cameras import rtsp
from jikimi.incident import IncidentTracker, Rule
from pages_site import PASSWORD, Plant, acknowledge_all, admin, one_with_evidence, plant
from sites import wait_for

__all__ = ["admin", "chromium", "plant", "rtsp"]


@pytest.fixture(scope="module")
def uid(plant: Plant, admin: Visit) -> str:
    """An incident with its evidence; nothing more happens after it."""
    found = one_with_evidence(plant)
    acknowledge_all(plant)
    return found


def test_escalating_tells_the_next_list_and_says_who_did(plant: Plant, admin: Visit, uid: str) -> None:
    page = admin.open(f"/incidents/{uid}")
    page.get_by_role("button", name="다음 단계로 전파").click()
    dialog = page.locator(".q-dialog")
    expect(dialog).to_contain_text("boss")
    dialog.get_by_role("button", name="다음 단계로 전파").click()
    expect(page.get_by_text("모든 단계에 알렸습니다.")).to_be_visible()
    row = page.locator("tr", has_text="다음 단계로 전파").filter(has_text="김안전")
    expect(row).to_have_count(1)
    store = plant.site.store()
    wait_for(lambda: any(d.target == "boss" and d.state == "delivered" for d in store.deliveries(uid)))
    assert [(row.who, row.about) for row in store.audit_of(uid, "escalated")] == [("김안전", uid)]
    store.close()


def test_who_looked_at_the_evidence_is_on_the_page(plant: Plant, admin: Visit, uid: str) -> None:
    admin.open(f"/incidents/{uid}").wait_for_timeout(500)
    page = admin.open(f"/incidents/{uid}")
    section = page.locator("section", has=page.get_by_role("heading", name="증거를 본 사람"))
    expect(section).to_contain_text("김안전")


def test_the_curves_mean_is_the_rules(admin: Visit, uid: str) -> None:
    """Raises where `IncidentTracker` would: after a gap, what was seen before it counts no more."""
    t_s = [0.0, 0.125, 0.25, 0.375, 2.0, 2.125, 2.25]
    scores = [0.1, 0.9, 0.8, 0.9, 0.9, 0.3, 0.6]
    rule = Rule({"fall": 0.5}, smooth=3, max_gap_s=1.0)
    tracker, means = IncidentTracker(("fall",), rule), []
    for at_s, score in zip(t_s, scores, strict=True):
        tracker.update(at_s, [score])
        means.append(sum(row[0] for row in tracker._recent) / len(tracker._recent))
    page = admin.open(f"/incidents/{uid}")
    drawn = page.evaluate(
        "async ([t_s, scores]) => "
        "(await import('/static/curve.js')).means(t_s, scores, { smooth: 3, max_gap_s: 1 })",
        [t_s, scores],
    )
    assert drawn == pytest.approx(means)
    legend = page.locator(".j-legend")
    expect(legend).to_contain_text("최근 3번의 평균")
    expect(legend).to_contain_text("발생 기준")
    expect(legend).to_contain_text("종료 기준")


def test_the_heat_map_waits_for_its_turn_and_says_why_it_fails(admin: Visit, uid: str) -> None:
    page = admin.open(f"/incidents/{uid}")
    answers: list[dict[str, Any]] = [
        {"status": 503, "json": {"code": "heat-busy", "values": {}}, "headers": {"Retry-After": "1"}},
        {"status": 404, "json": {"code": "opening-unseen", "values": {"uid": uid}}},
    ]
    page.route("**/heat", lambda route: route.fulfill(**answers.pop(0)) if answers else route.continue_())
    page.locator("#heat button").click()
    told = page.locator("#heat [role=status]")
    expect(told).to_have_text("만드는 중입니다…")
    expect(told).to_have_text("영상에 사고가 시작된 때가 들어 있지 않습니다.")
    page.get_by_role("button", name="다시 하기").click()
    page.locator("#heat img").wait_for(timeout=60_000)
    expect(told).to_contain_text("가린 곳이 없을 때 점수")
    page.unroute("**/heat")
    admin.problems[:] = [one for one in admin.problems if "503" not in one and "404" not in one]


def test_a_point_of_the_timeline_opens_its_incident(admin: Visit, uid: str) -> None:
    page = admin.open("/incidents")
    page.locator(".j-timeline canvas").wait_for()
    page.wait_for_timeout(500)
    x, y = page.evaluate(
        """() => {
          const host = document.querySelector(".j-timeline");
          const chart = getElement(Number(host.id.slice(1))).chart;
          const series = chart.getOption().series.findIndex((one) => one.data.length);
          const at = chart.convertToPixel({ seriesIndex: series }, chart.getOption().series[series].data[0]);
          const box = host.getBoundingClientRect();
          return [box.left + at[0], box.top + at[1]];
        }"""
    )
    page.mouse.click(x, y)
    page.wait_for_url(re.compile("/incidents/[0-9a-f]{32}"))


def test_a_missed_accident_is_reported_with_its_film(plant: Plant, admin: Visit, uid: str) -> None:
    page = admin.open("/cameras/belt")
    wait_for(lambda: any((plant.site.data / "replay").rglob("*.mp4*")), within_s=30)
    page.get_by_role("button", name="놓친 사고 신고").click()
    dialog = page.locator(".q-dialog")
    expect(dialog).to_contain_text("영상이 남아 있는 때")
    end = page.evaluate("new Date(Date.now() - 6000).getTime() / 1000 + jikimi.offset_min * 60")
    for label, at_s in (("부터", end - 4), ("까지", end)):
        given = page.evaluate("(at) => new Date(at * 1000).toISOString().slice(0, 19)", at_s)
        dialog.get_by_label(label).fill(given)
    expect(dialog).not_to_contain_text("일부만 있습니다")
    dialog.get_by_label("부터").fill("2020-01-01T00:00:00")
    expect(dialog).to_contain_text("일부만 있습니다")
    dialog.get_by_role("button", name="신고", exact=True).click()
    expect(page.locator(".q-notification")).to_contain_text("5분까지 신고할 수 있습니다.")
    given = page.evaluate("(at) => new Date(at * 1000).toISOString().slice(0, 19)", end - 4)
    dialog.get_by_label("부터").fill(given)
    dialog.get_by_role("button", name="신고", exact=True).click()
    page.wait_for_url("**/reports/*")
    film = page.locator("video.j-film")
    film.wait_for(timeout=40_000)
    expect(page.get_by_text("SHA-256").first).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="내려받기").first.click()
    assert download.value.suggested_filename.endswith(".mp4")
    page.get_by_role("button", name="신고 취소").click()
    page.locator(".q-dialog").get_by_role("button", name="신고 취소").click()
    page.wait_for_url("**/learning")
    expect(page.get_by_text("신고가 없습니다.")).to_be_visible()


def test_a_tile_shows_the_cameras_own_thresholds(plant: Plant, admin: Visit, uid: str) -> None:
    store = plant.site.store()
    status = plant.site.status()
    assert status is not None
    theta = next(one for one in status.cameras if one.name == "belt").theta_on["fall-down"]
    store.close()
    page = admin.open("/live")
    bar = page.locator(".j-tile", has_text="belt").locator(".bar").first
    expect(bar).to_have_attribute("title", f"기준 {theta:.2f}")
    expect(bar.locator("b")).to_have_attribute("style", f"left: {100 * theta:g}%;")


def test_both_streams_of_a_camera_that_is_tried_are_shown_with_a_picture(plant: Plant, admin: Visit) -> None:
    page = admin.open("/cameras/+")
    page.get_by_label("이름", exact=True).fill("둘")
    page.get_by_label("메인 스트림 주소").fill(plant.server.address("a"))
    page.get_by_label("서브 스트림 주소").fill(plant.server.address("b"))
    page.get_by_role("button", name="시험", exact=True).click()
    tried = page.locator(".j-tried")
    expect(tried).to_have_count(2, timeout=30_000)
    for part, name in ((tried.first, "메인 스트림"), (tried.last, "서브 스트림")):
        for words in (name, "h264", "×", "초당 장면", "첫 화면까지"):
            expect(part).to_contain_text(words)
        assert part.locator("img").evaluate("(image) => image.naturalWidth") > 50
    page.get_by_label("서브 스트림 주소").fill("rtsp://127.0.0.1:9/none")
    page.get_by_role("button", name="시험", exact=True).click()
    expect(page.locator(".j-chip.warn")).to_contain_text(
        "그 주소에서 아무것도 응답하지 않습니다", timeout=30_000
    )


def test_looking_at_live_pictures_is_noted_once(plant: Plant, chromium: Browser, admin: Visit) -> None:
    store = plant.site.store()
    with visit(chromium, plant.base) as shown:
        for _ in range(2):
            page = shown.log_in("eye", PASSWORD) if shown.page.url == "about:blank" else shown.open("/live")
            page.wait_for_function("Number(document.querySelector('.j-tile')?.dataset.pictures) > 3")
        wait_for(lambda: store.audit_of("belt", "viewed live"))
        page.wait_for_timeout(1000)
    assert [row.who for row in store.audit_of("belt", "viewed live") if row.who == "eye"] == ["eye"]
    store.close()
