"""The frame around every page: its head, navigation, language, theme, and what the alarm needs."""

import html
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nicegui import ui

from jikimi.serve.pages.api import Refused
from jikimi.serve.pages.visitor import Visitor

STATIC = "/static"
FOLDER = Path(__file__).parent / "static"

# Pages in the order of the navigation.
PAGES = ("live", "incidents", "overview", "cameras", "learning", "settings")


# A moment or a number: it is not broken into lines.
_NUMBER = re.compile(r"[\d–+-][\d–:., %+-]*$")


@contextmanager
def frame(visitor: Visitor, active: str, *, title: str | None = None) -> Iterator[None]:
    """Build a page's frame; what is built inside becomes its content."""
    words = visitor.words
    ui.page_title(f"{title or words(active)} · {visitor.site}")
    head(visitor)
    ui.dark_mode(visitor.dark)
    ui.link(words("skip"), "#content").classes("j-skip")
    with ui.header().classes("j-header"):
        _navigation(visitor, active)
    with ui.element("main").classes("j-page column").props("id=content tabindex=-1"):
        yield


def head(visitor: Visitor) -> None:
    """Styles, and what the scripts are told of the site and the visitor."""
    ui.add_head_html(f'<link rel="stylesheet" href="{STATIC}/jikimi.css">')
    told = json.dumps(visitor.for_scripts(), ensure_ascii=False).replace("<", "\\u003c")
    ui.add_head_html(f"<script>window.jikimi = {told};</script>")
    ui.add_head_html(f'<script type="module" src="{STATIC}/jikimi.js"></script>')
    ui.run_javascript(f"document.documentElement.lang = {json.dumps(visitor.words.language)}")


def script(name: str) -> None:
    """Load one more of our scripts into the page."""
    ui.add_body_html(f'<script type="module" src="{STATIC}/{name}"></script>')


def _navigation(visitor: Visitor, active: str) -> None:
    words = visitor.words
    with (
        ui.button(icon="menu").props(f'flat round aria-label="{words("menu")}"').classes("j-phone"),
        ui.menu(),
    ):
        for name in PAGES:
            ui.menu_item(words(name), lambda name=name: ui.navigate.to(f"/{name}"))
    ui.html(f"지킴이<small class=j-wide>{escaped(visitor.site)}</small>", sanitize=False).classes("j-brand")
    with ui.element("nav").classes("j-nav").props(f'aria-label="{words("menu")}"'):
        for name in PAGES:
            link = ui.link(words(name), f"/{name}")
            if name == active:
                link.props("aria-current=page")
    ui.element("span").classes("j-space")
    ui.html('<a id="bell" class="j-bell" href="/incidents?answer=unanswered" hidden></a>', sanitize=False)
    ui.button(words("language"), on_click=lambda: remember("language", visitor.other_language)).props(
        "flat dense no-caps"
    )
    ui.button(icon="brightness_6", on_click=lambda: remember("dark", "0" if visitor.dark else "1")).props(
        f'flat round dense aria-label="{words("theme")}"'
    )
    with (
        ui.button(icon="account_circle").props(f'flat round dense aria-label="{escaped(visitor.name)}"'),
        ui.menu(),
    ):
        ui.menu_item(visitor.name).props("disable")
        ui.menu_item(words("log-out"), lambda: _leave(visitor))


async def _leave(visitor: Visitor) -> None:
    """End the session and go to the door. Not a page: any site could link to one."""
    try:
        await visitor.api.delete("/me/session")
    except Refused as error:
        told(error)
        return
    ui.navigate.to("/login")


def remember(what: str, value: str) -> None:
    """Keep a choice in the browser, and show the page anew with it."""
    cookie = f"jikimi-{what}={value}; path=/; max-age=31536000; samesite=lax"
    ui.run_javascript(f"document.cookie = {json.dumps(cookie)}; location.reload()")


def heading(text: str, *, level: int = 1) -> None:
    """A heading of the page, or of a part of it."""
    ui.html(f"<h{level}>{escaped(text)}</h{level}>", sanitize=False)


def press(words: str, do: Callable[[], object], *, kind: Literal["", "plain", "alarm"] = "") -> ui.element:
    """A button; `kind` "plain" for what is rarely wanted, "alarm" for what is urgent or cannot be undone."""
    with ui.element("button").props("type=button").classes(f"j-button {kind}") as made:
        ui.label(words)
    return made.on("click", do)


@dataclass(frozen=True, slots=True)
class Link:
    """A cell of a table that leads somewhere."""

    words: str
    path: str


def table(rows: Sequence[Sequence[str | Link]], *, head: Sequence[str] = (), nothing: str = "") -> None:
    """A plain table of text; `nothing` where there are no rows."""
    if not rows:
        ui.label(nothing).classes("j-soft")
        return
    top = "".join(f"<th>{escaped(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows)
    inner = f"<thead><tr>{top}</tr></thead>" if head else ""
    whole = f'<table class="j-table">{inner}<tbody>{body}</tbody></table>'
    ui.html(f'<div class="j-scroll" tabindex="0">{whole}</div>', sanitize=False)


def _cell(cell: str | Link) -> str:
    if isinstance(cell, Link):
        return f'<td><a href="{escaped(cell.path)}">{escaped(cell.words)}</a></td>'
    kind = ' class="number"' if _NUMBER.match(cell) else ""
    return f"<td{kind}>{escaped(cell)}</td>"


def told(error: Refused) -> None:
    """Show why something was refused."""
    ui.notify(str(error), type="warning", multi_line=True, close_button="✕", timeout=0)


def escaped(text: str) -> str:
    """Text as it may stand in HTML and in attributes."""
    return html.escape(text, quote=True)
