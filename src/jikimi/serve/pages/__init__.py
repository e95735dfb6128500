"""The dashboard: pages of NiceGUI on the same application as the API, and clients of it."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote, urlsplit

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from nicegui import app as pages
from nicegui import ui
from starlette.concurrency import run_in_threadpool

from jikimi.serve.pages.api import Refused
from jikimi.serve.pages.cameras import camera_page, cameras_page
from jikimi.serve.pages.door import log_in_page, trouble_page
from jikimi.serve.pages.frame import FOLDER, STATIC
from jikimi.serve.pages.incident import incident_page
from jikimi.serve.pages.incidents import Filter, incidents_page
from jikimi.serve.pages.learning import learning_page
from jikimi.serve.pages.live import live_page
from jikimi.serve.pages.overview import overview_page, report_page
from jikimi.serve.pages.report import incident_report_page
from jikimi.serve.pages.settings import settings_page
from jikimi.serve.pages.visitor import Visitor, stranger_of, visitor_of

__all__ = ["add_pages"]

log = logging.getLogger(__name__)

Build = Callable[[Visitor], Awaitable[None]]

# A page that lost its connection is kept for so long; then the browser loads it anew.
_RECONNECT_S = 10.0

# The longest page, with the time zones of the world, on a machine that watches with all it has.
_BUILD_S = 10.0


def add_pages(app: FastAPI) -> None:
    """Put the pages under `/`. Once in a process: NiceGUI is one application for all of it."""

    async def show(request: Request, build: Build) -> Response | None:
        """Build a page for whoever is logged in; others are sent to the door."""
        try:
            visitor = await visitor_of(request, app)
            if visitor is None:
                return RedirectResponse(f"/login?next={quote(_wanted(request), safe='')}", status_code=303)
            await build(visitor)
        except Refused as error:
            ui.context.client.content.clear()
            trouble_page(stranger_of(request, app), error)
        return None

    @ui.page("/")
    async def home() -> Response:
        return RedirectResponse("/live", status_code=303)

    @ui.page("/login")
    async def log_in(request: Request) -> None:
        visitor = stranger_of(request, app)
        log_in_page(visitor, set_up=not await _has_users(visitor), goal=_goal(request))

    @ui.page("/live")
    async def live(request: Request) -> Response | None:
        return await show(request, live_page)

    @ui.page("/incidents")
    async def incidents(request: Request) -> Response | None:
        found = Filter.of(request.query_params)
        return await show(request, lambda visitor: incidents_page(visitor, found))

    @ui.page("/incidents/{uid}")
    async def incident(request: Request, uid: str) -> Response | None:
        return await show(request, lambda visitor: incident_page(visitor, uid))

    @ui.page("/cameras")
    async def cameras(request: Request) -> Response | None:
        return await show(request, cameras_page)

    @ui.page("/cameras/{name:path}")
    async def camera(request: Request, name: str) -> Response | None:
        return await show(request, lambda visitor: camera_page(visitor, None if name == "+" else name))

    @ui.page("/overview")
    async def overview(request: Request) -> Response | None:
        given: Any = dict(request.query_params)
        return await show(request, lambda visitor: overview_page(visitor, given))

    @ui.page("/report")
    async def report(request: Request) -> Response | None:
        month = request.query_params.get("month")
        return await show(request, lambda visitor: report_page(visitor, month))

    @ui.page("/learning")
    async def learning(request: Request) -> Response | None:
        return await show(request, learning_page)

    @ui.page("/reports/{uid}")
    async def incident_report(request: Request, uid: str) -> Response | None:
        return await show(request, lambda visitor: incident_report_page(visitor, uid))

    @ui.page("/settings", response_timeout=_BUILD_S)
    async def settings(request: Request) -> Response | None:
        return await show(request, settings_page)

    app.mount(STATIC, StaticFiles(directory=FOLDER), name="static")
    ui.run_with(app, title="Jikimi", show_welcome_message=False, reconnect_timeout=_RECONNECT_S)
    pages.on_exception(lambda error: log.error("a page failed: %s", type(error).__name__, exc_info=error))


async def _has_users(visitor: Visitor) -> bool:
    return await run_in_threadpool(visitor.backend.store.has_users)


def _wanted(request: Request) -> str:
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{request.url.path}{query}"


def _goal(request: Request) -> str:
    """Where to go after logging in: a page of ours and nothing else."""
    wanted = request.query_params.get("next", "/live")
    parts = urlsplit(wanted)
    ours = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and not parts.netloc
    return wanted if ours else "/live"
