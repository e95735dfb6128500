"""A real browser: Debian's Chromium, driven by Playwright."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from playwright.sync_api import Error as PlaywrightError

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""

# Sound may play without a press, as in a control room's kiosk; shared memory is small in containers.
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--autoplay-policy=no-user-gesture-required"]

WIDE, PHONE = (1920, 1080), (390, 844)


@pytest.fixture(scope="module")
def chromium(need: Callable[[str, bool], None]) -> Iterator[Browser]:
    """The browser, without windows yet."""
    need("browser", bool(CHROMIUM))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Visit:
    """One window and what went wrong in it."""

    page: Page
    context: BrowserContext
    base: str
    problems: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        try:
            self.page.goto(f"{self.base}{path}")
        except PlaywrightError as error:
            if "ERR_ABORTED" not in str(error):
                raise
            self.page.goto(
                f"{self.base}{path}"
            )  # the page was showing itself anew, after something was saved
        self.page.wait_for_selector("#content, #door")
        return self.page

    def log_in(self, name: str, password: str) -> Page:
        self.open("/login")
        self.page.fill("input[name=name]", name)
        self.page.fill("input[name=password]", password)
        self.page.click("button[type=submit]")
        self.page.wait_for_url("**/live")
        self.page.wait_for_selector("#content")
        return self.page


@contextmanager
def visit(
    chromium: Browser, base: str, *, language: str = "ko-KR", size: tuple[int, int] = WIDE, dark: bool = False
) -> Iterator[Visit]:
    """Open a window of its own, without cookies; errors of its scripts are collected."""
    context = chromium.new_context(
        viewport={"width": size[0], "height": size[1]},
        locale=language,
        color_scheme="dark" if dark else "light",
        timezone_id="Asia/Seoul",
    )
    page = context.new_page()
    page.set_default_timeout(20_000)
    visited = Visit(page, context, base)
    page.on("pageerror", lambda error: visited.problems.append(str(error)))
    page.on(
        "console", lambda message: visited.problems.append(message.text) if message.type == "error" else None
    )
    try:
        yield visited
    finally:
        context.close()
