"""One report: what somebody saw and nothing was raised for, and the film that was cut for it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from nicegui import ui

from jikimi.serve.pages.api import Refused
from jikimi.serve.pages.evidence import show_facts, show_files
from jikimi.serve.pages.frame import frame, heading, press, told
from jikimi.serve.pages.visitor import Visitor

# A film is cut within seconds; a page asks as long as that may take, and no longer.
_LOOK_EVERY_S = 2.0
_LOOKS = 30


def report_path(uid: str) -> str:
    """The page of a report."""
    return f"/reports/{quote(uid, safe='')}"


def report_title(visitor: Visitor, report: Mapping[str, Any]) -> str:
    """What was reported, in words."""
    words = visitor.words
    if report["kind"] == "normal":
        return words("report-of-normal", camera=report["camera"])
    behavior = words.behavior(report["behavior"])
    return words("report-of-missed", behavior=behavior, camera=report["camera"])


async def incident_report_page(visitor: Visitor, uid: str) -> None:
    """Build the page. Raises Refused where the visitor may not see the report, or there is none."""
    words, path = visitor.words, report_path(uid)
    detail = await visitor.api.get(path)
    report, title = detail["report"], report_title(visitor, detail["report"])
    cutting = report["cut_at"] is None
    with frame(visitor, "learning", title=title):
        heading(title)
        with ui.element("div").classes("j-two"):
            with ui.element("div").classes("j-stack"):
                if report["problem"]:
                    why = f"{words('film-lacking')} ({report['problem']})"
                    ui.label(why).classes("j-chip warn j-wrap")
                if cutting:
                    ui.label(words("cutting")).props("role=status").classes("j-panel j-soft")
                else:
                    show_files(visitor, detail["evidence"])
            with ui.element("div").classes("j-stack"):
                _facts(visitor, report)
                if visitor.is_admin or (visitor.may_answer and report["by"] == visitor.name):
                    press(words("withdraw"), lambda: _ask(visitor, path), kind="plain")
        if cutting:
            _Waiting(visitor, path).begin()


def _facts(visitor: Visitor, report: Mapping[str, Any]) -> None:
    words = visitor.words
    moments = {key: words.moment(datetime.fromisoformat(report[key])) for key in ("start_at", "end_at", "at")}
    show_facts(
        {
            words("camera"): report["camera"],
            words("from"): moments["start_at"],
            words("to"): moments["end_at"],
            words("reported-by"): report["by"],
            words("reported-at"): moments["at"],
            words("note"): report["note"],
        }
    )


def _ask(visitor: Visitor, path: str) -> None:
    words = visitor.words

    async def withdraw() -> None:
        try:
            await visitor.api.delete(path)
        except Refused as error:
            told(error)
            return
        ui.navigate.to("/learning")

    with ui.dialog() as dialog, ui.card().classes("j-dialog"):
        ui.label(words("withdraw-sure"))
        with ui.element("div").classes("j-row"):
            ui.element("span").classes("j-space")
            press(words("cancel"), dialog.close, kind="plain")
            press(words("withdraw"), withdraw, kind="alarm")
    dialog.open()


class _Waiting:
    """Shows the page anew once the film is cut."""

    def __init__(self, visitor: Visitor, path: str) -> None:
        self._visitor, self._path, self._left = visitor, path, _LOOKS

    def begin(self) -> None:
        """Look every other second."""
        self._timer = ui.timer(_LOOK_EVERY_S, self._look)

    async def _look(self) -> None:
        self._left -= 1
        try:
            cut = (await self._visitor.api.get(self._path))["report"]["cut_at"] is not None
        except Refused:  # withdrawn meanwhile, or the store is away: the page says so when it is shown anew
            cut = True
        if cut:
            ui.navigate.reload()
        if cut or self._left == 0:
            self._timer.deactivate()
