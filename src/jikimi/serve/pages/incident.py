"""One incident: its film with scores beside it, what the model decided on, what happened, and the answer."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from nicegui import ui

from jikimi.serve.pages.api import Refused
from jikimi.serve.pages.evidence import show_facts, show_files
from jikimi.serve.pages.frame import frame, heading, press, script, table, told
from jikimi.serve.pages.incidents import ANSWERS
from jikimi.serve.pages.visitor import Visitor


async def incident_page(visitor: Visitor, uid: str) -> None:
    """Build the page. Raises Refused where the visitor may not see the incident, or there is none."""
    detail = await visitor.api.get(f"/incidents/{quote(uid, safe='')}")
    incident, words = detail["incident"], visitor.words
    title = f"{words.behavior(incident['behavior'])} · {incident['camera']}"
    with frame(visitor, "incidents", title=title):
        _title(visitor, incident, title)
        with ui.element("div").classes("j-two"):
            with ui.element("div").classes("j-stack"):
                show_files(visitor, detail["evidence"])
                if any(one["kind"] == "video" and one["url"] for one in detail["evidence"]):
                    _heat(visitor, uid)
            with ui.element("div").classes("j-stack"):
                _facts(visitor, incident)
                if visitor.may_answer:
                    _Attending(visitor, incident, detail["next_targets"]).build()
                _changes(visitor, detail["transitions"])
                _deliveries(visitor, detail["deliveries"])
                _viewers(visitor, detail["views"])
    script("incident.js")


def _title(visitor: Visitor, incident: Mapping[str, Any], title: str) -> None:
    words = visitor.words
    with ui.element("div").classes("j-row"):
        heading(title)
        if not incident["acknowledged_at"]:
            ui.label(words("unacknowledged")).classes("j-chip alarm")
        if incident["closed_at"] is None:
            ui.label(words("lasts")).classes("j-chip warn")
        if incident["locked"]:
            ui.label(words("locked")).classes("j-chip good")


def _heat(visitor: Visitor, uid: str) -> None:
    """Where the model looked: made when somebody asks for it, since it takes seconds (`incident.js`)."""
    words = visitor.words
    with ui.element("section").classes("j-panel j-stack"):
        heading(words("heat"), level=2)
        ui.label(words("heat-why")).classes("j-soft")
        ui.element("div").props(f'id=heat data-url="/api/v1/incidents/{quote(uid, safe="")}/heat"').classes(
            "j-stack"
        )


def _facts(visitor: Visitor, incident: Mapping[str, Any]) -> None:
    words = visitor.words
    rows = {
        "accident-type": visitor.accident_type(incident["behavior"]),
        "camera": incident["camera"],
        "zone": incident["zone"],
        "time": words.moment(datetime.fromisoformat(incident["opened_at"])),
        "duration": words.lasted(incident["opened_at"], incident["closed_at"]),
        "peak": f"{incident['peak']:.2f}",
        "model": incident["model"],
    }
    show_facts({words(key): value for key, value in rows.items()})


class _Attending:
    """Acknowledging, escalating, locking, and saying what it was."""

    def __init__(self, visitor: Visitor, incident: Mapping[str, Any], next_targets: list[str]) -> None:
        self._visitor, self._words = visitor, visitor.words
        self._incident, self._next_targets = incident, next_targets
        self._path = f"/incidents/{quote(incident['uid'], safe='')}"

    def build(self) -> None:
        """Build the panel."""
        with ui.element("section").classes("j-panel j-stack"):
            with ui.element("div").classes("j-row"):
                self._buttons()
            heading(self._words("answer"), level=2)
            self._answering()

    async def _do(self, method: Any, where: str, body: Any = None) -> None:
        try:
            await method(f"{self._path}{where}", body)
        except Refused as error:
            told(error)
            return
        ui.navigate.reload()

    def _buttons(self) -> None:
        words, api, locked = self._words, self._visitor.api, self._incident["locked"]
        if not self._incident["acknowledged_at"]:
            press(words("acknowledge"), lambda: self._do(api.post, "/acknowledge"), kind="alarm")
        if self._next_targets:
            press(words("escalate"), self._ask_escalate, kind="plain")
        elif self._incident["escalations"]:
            ui.label(words("everybody-told")).classes("j-soft")
        lock = words("unlock" if locked else "lock")
        press(lock, lambda: self._do(api.put, "/lock", {"locked": not locked}), kind="plain")

    def _ask_escalate(self) -> None:
        words = self._words
        with ui.dialog() as dialog, ui.card().classes("j-dialog"):
            ui.label(words("escalate-sure", targets=", ".join(self._next_targets)))
            with ui.element("div").classes("j-row"):
                ui.element("span").classes("j-space")
                press(words("cancel"), dialog.close, kind="plain")
                press(words("escalate"), lambda: self._do(self._visitor.api.post, "/escalate"), kind="alarm")
        dialog.open()

    def _answering(self) -> None:
        words, incident = self._words, self._incident
        answer = ui.radio({key: words(key) for key in ANSWERS}, value=incident["answer"]).props("inline")
        accidents = self._visitor.accidents
        other = ui.select(
            {b.key: words.behavior(b.key) for b in accidents if b.key != incident["behavior"]},
            label=words("behavior"),
            value=incident["answer_behavior"] or None,
        ).props("outlined dense")
        other.bind_visibility_from(answer, "value", value="other-behavior")
        note = ui.textarea(words("note"), value=incident["answer_note"]).props(
            "outlined autogrow maxlength=2000"
        )

        async def save() -> None:
            if not answer.value:
                ui.notify(words("choose-answer"), type="warning")
                return
            behavior = other.value or "" if answer.value == "other-behavior" else ""
            body = {"answer": answer.value, "behavior": behavior, "note": note.value or ""}
            await self._do(self._visitor.api.put, "/answer", body)

        press(words("save"), save)


def _changes(visitor: Visitor, transitions: list[dict[str, Any]]) -> None:
    words = visitor.words
    with ui.element("section").classes("j-panel"):
        heading(words("transitions"), level=2)
        rows = []
        for one in transitions:
            details = one["details"]
            said = [words(one["kind"])]
            if details.get("answer"):
                said.append(words(details["answer"]))
            if details.get("behavior"):
                said.append(words.behavior(details["behavior"]))
            score = "" if one["score"] is None else f"{one['score']:.2f}"
            rows.append((words.moment(datetime.fromisoformat(one["at"])), " · ".join(said), score, one["by"]))
        table(rows)


def _deliveries(visitor: Visitor, deliveries: list[dict[str, Any]]) -> None:
    words = visitor.words
    with ui.element("section").classes("j-panel"):
        heading(words("deliveries"), level=2)
        table(
            [
                (
                    one["target"],
                    f"{words(one['kind'])} · {words(one['state'])}",
                    words("tries", n=one["attempts"]),
                    one["last_error"],
                )
                for one in deliveries
            ],
            nothing=words("nobody-told"),
        )


def _viewers(visitor: Visitor, views: list[dict[str, Any]]) -> None:
    words = visitor.words
    with ui.element("section").classes("j-panel"):
        heading(words("viewers"), level=2)
        rows = []
        for one in views:
            first, last = (words.moment(datetime.fromisoformat(one[key])) for key in ("first_at", "last_at"))
            rows.append((one["who"], first if first == last else f"{first} – {last}"))
        table(rows, nothing=words("nobody-looked"))
