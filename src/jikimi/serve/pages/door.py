"""Coming in and going out, and what is shown when the API refuses a page."""

import json

from nicegui import ui

from jikimi.serve.pages.api import Refused
from jikimi.serve.pages.frame import head, heading, remember, script
from jikimi.serve.pages.visitor import Visitor


def log_in_page(visitor: Visitor, *, set_up: bool, goal: str) -> None:
    """A plain form: the browser itself sends it to the API, which sets its cookie."""
    words = visitor.words
    ui.page_title(f"{words('log-in')} · {visitor.site}")
    head(visitor)
    ui.dark_mode(visitor.dark)
    fields = [("name", "user", "text", "username")]
    if set_up:
        fields.insert(0, ("code", "set-up-code", "text", "off"))
    fields.append(("password", "password", "password", "new-password" if set_up else "current-password"))
    with ui.element("main").classes("j-panel j-login j-stack"):
        heading(f"지킴이 · {visitor.site}")
        if set_up:
            heading(words("first-user"), level=2)
            ui.label(words("first-user-why")).classes("j-soft")
        told = {"path": "/api/session/setup" if set_up else "/api/session/login", "goal": goal}
        form = ui.element("form").props("id=door method=post").classes("j-stack")
        form._props["data-door"] = json.dumps(told)
        with form:
            for name, key, kind, complete in fields:
                with ui.element("label").classes("j-field"):
                    ui.label(words(key))
                    ui.element("input").props(
                        f"name={name} type={kind} autocomplete={complete} required"
                    ).classes("j-input")
            ui.element("p").props("id=door-problem role=alert").classes("j-problem")
            # Until the script is there the form would go nowhere.
            with ui.element("button").props("type=submit disabled").classes("j-button"):
                ui.label(words("first-user" if set_up else "log-in"))
        _languages(visitor)
    script("door.js")


def _languages(visitor: Visitor) -> None:
    ui.button(visitor.words("language"), on_click=lambda: remember("language", visitor.other_language)).props(
        "flat dense no-caps"
    )


def trouble_page(visitor: Visitor, error: Refused) -> None:
    """Say why a page cannot be shown."""
    head(visitor)
    ui.dark_mode(visitor.dark)
    with ui.element("main").classes("j-panel j-login j-stack"):
        heading(visitor.words("refused"))
        ui.label(str(error))
        ui.link(visitor.words("live"), "/live")
