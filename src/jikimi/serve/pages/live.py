"""Live: every camera's picture, state and scores. The browser's own script fills it (`static/live.js`)."""

from nicegui import ui

from jikimi.serve.pages.api import Refused
from jikimi.serve.pages.frame import frame, heading, press, script, told
from jikimi.serve.pages.visitor import Visitor


async def live_page(visitor: Visitor) -> None:
    """Build the page; where there is no camera yet, with the first steps."""
    words = visitor.words
    cameras = await visitor.api.get("/cameras")
    with frame(visitor, "live"):
        heading(words("live"))
        if not cameras:
            _first_steps(visitor)
        ui.element("div").classes("j-grid").props("id=live")
    script("live.js")


def _first_steps(visitor: Visitor) -> None:
    """Three of them: a camera, somebody to alert, and looking on."""
    words = visitor.words
    with ui.element("section").classes("j-panel j-stack"):
        heading(words("no-camera"), level=2)
        if not visitor.is_site_admin:
            return
        with ui.element("ol").classes("j-steps"):
            with ui.element("li"), ui.element("div").classes("j-row"):
                ui.label(words("step-camera"))
                press(words("add-camera"), lambda: ui.navigate.to("/cameras/+"))
                press(words("demo-cameras"), lambda: _demo(visitor), kind="plain")
            with ui.element("li"), ui.element("div").classes("j-row"):
                ui.label(words("step-target"))
                press(words("targets"), lambda: ui.navigate.to("/settings"), kind="plain")
            with ui.element("li"):
                ui.label(words("step-look"))


async def _demo(visitor: Visitor) -> None:
    try:
        await visitor.api.post("/demo")
    except Refused as error:
        told(error)
        return
    ui.navigate.reload()
