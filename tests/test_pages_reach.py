"""The dashboard for everybody: contrast and structure by axe (WCAG 2.1 A and AA), and keys alone."""

import re
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Page, expect

from browser import PHONE, WIDE, Visit, chromium, visit
from cameras import rtsp
from pages_site import PASSWORD, Plant, admin, one_with_evidence, plant
from sites import wait_for

__all__ = ["admin", "chromium", "plant", "rtsp"]

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
PAGES = ("/live", "/incidents", "/overview", "/report", "/cameras", "/cameras/belt", "/cameras/+")
MORE = ("/learning", "/settings")


@pytest.fixture(scope="module")
def uid(plant: Plant, admin: Visit) -> str:
    """An incident with its evidence; nothing more happens after it."""
    return one_with_evidence(plant)


@pytest.fixture(scope="module")
def report(admin: Visit) -> str:
    """A missed accident that somebody reported, by its uid."""
    made: str = admin.open("/live").evaluate(
        """async () => {
          const at = (back_s) => new Date(Date.now() - 1000 * back_s).toISOString();
          const answer = await fetch("/api/v1/reports", {
            method: "POST",
            headers: { "X-CSRF-Token": jikimi.csrf, "Content-Type": "application/json" },
            body: JSON.stringify({ kind: "normal", camera: "belt", start_at: at(9), end_at: at(5) }),
          });
          return (await answer.json()).uid;
        }"""
    )
    return made


def put_away_alarms(page: Page, plant: Plant) -> None:
    """From the next page on no alarm covers what this tab shows: axe judges nothing behind one."""
    uids = [one.uid for one in plant.site.incidents()]
    page.evaluate("(uids) => sessionStorage.setItem('jikimi-put-away', JSON.stringify(uids))", uids)


def violations(page: Page) -> list[str]:
    """What axe finds wrong with what is shown, in a line each."""
    page.wait_for_timeout(500)  # until what comes over the live connection is drawn
    page.evaluate(AXE)
    told: dict[str, list[dict[str, Any]]] = page.evaluate(
        "async (rules) => await axe.run(document, { runOnly: rules })", RULES
    )
    assert "color-contrast" not in {one["id"] for one in told["inapplicable"]}, "axe saw no words at all"
    found = told["violations"]
    return [f"{one['id']}: {node['target']} {node['html'][:120]}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize(  # any two of the three meet
    ("language", "dark", "size"),
    [
        pytest.param("ko-KR", False, WIDE, id="ko-light-wide"),
        pytest.param("ko-KR", True, PHONE, id="ko-dark-phone"),
        pytest.param("en-GB", False, PHONE, id="en-light-phone"),
        pytest.param("en-GB", True, WIDE, id="en-dark-wide"),
    ],
)
def test_axe_finds_nothing_on_any_page(
    plant: Plant,
    chromium: Browser,
    uid: str,
    report: str,
    *,
    language: str,
    dark: bool,
    size: tuple[int, int],
) -> None:
    found = {}
    with visit(chromium, plant.base, language=language, size=size, dark=dark) as shown:
        found["/login"] = violations(shown.open("/login"))
        page = shown.log_in("김안전", PASSWORD)
        page.locator(".j-alarm:not([hidden])").wait_for()
        found["the alarm"] = violations(page)
        put_away_alarms(page, plant)
        for path in (*PAGES, *MORE, f"/incidents/{uid}", f"/reports/{report}"):
            page = shown.open(path)
            found[path] = violations(page)
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
        assert page.evaluate("document.body.classList.contains('body--dark')") == dark
    assert {path: problems for path, problems in found.items() if problems} == {}


def test_axe_would_find_pale_words(plant: Plant, admin: Visit, uid: str) -> None:
    put_away_alarms(admin.open("/learning"), plant)
    page = admin.open("/learning")
    page.add_style_tag(content=".j-page h1 { color: #aaa; background: #fff; }")
    assert any(one.startswith("color-contrast") for one in violations(page))


def focus(page: Page, what: str, *, key: str = "Tab", most: int = 80) -> None:
    """Press a key until what has the focus fits a selector."""
    for _ in range(most):
        page.keyboard.press(key)
        if page.evaluate("(what) => document.activeElement?.matches(what) ?? false", what):
            return
    raise AssertionError(f"{key} does not lead to {what}")


def test_an_incident_is_acknowledged_and_answered_with_keys_alone(
    plant: Plant, chromium: Browser, uid: str
) -> None:
    store = plant.site.store()
    with visit(chromium, plant.base) as shown:
        page = shown.open("/login")
        page.keyboard.type("hand")
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url("**/live")
        alarm = page.locator(".j-alarm:not([hidden])")
        alarm.wait_for()
        for _ in range(30):  # no key leads behind what covers the page
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.matches('.j-alarm *, .j-bars *, body')")
        page.locator(".j-alarm button").first.focus()
        for _ in range(40):
            if alarm.count() == 0:
                break
            assert page.evaluate("document.activeElement.closest('.j-alarm') !== null")
            page.keyboard.press("Enter")  # the focus is on the newest one's button
            page.wait_for_timeout(400)
        assert store.incident(uid).acknowledged_by == "hand"
        focus(page, "a.j-skip", key="Shift+Tab")
        focus(page, ".j-nav a[href='/incidents']")
        page.keyboard.press("Enter")
        page.wait_for_url("**/incidents")
        page.locator(f".j-list a[href='/incidents/{uid}']").wait_for()
        focus(page, f".j-list a[href='/incidents/{uid}']")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/incidents/{uid}")
        page.locator("canvas[role=slider]").wait_for()
        focus(page, "canvas[role=slider]")
        page.keyboard.press("ArrowRight")
        page.wait_for_function("document.querySelector('video.j-film').currentTime > 0")
        focus(page, ".q-radio")
        for _ in range(4):
            if page.evaluate("document.activeElement.getAttribute('aria-label')") == "오경보":
                break
            page.keyboard.press("Tab")
        page.keyboard.press("Space")
        focus(page, "textarea")
        page.keyboard.type("정비 중이었음")
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_text("저장")
        page.keyboard.press("Enter")
        wait_for(lambda: store.incident(uid).answer == "false-alarm", within_s=20)
    assert store.incident(uid).answer_note == "정비 중이었음"
    assert re.fullmatch("hand", store.incident(uid).answered_by)
    store.close()
