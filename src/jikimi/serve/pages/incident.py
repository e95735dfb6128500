"""One incident: its film with scores beside it, what the model decided on, what happened, and the answer."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from nicegui import ui

from jikimi.serve.pages.api import Refused
from jikimi.serve.pages.frame import escaped, frame, heading, press, script, table, told
from jikimi.serve.pages.incidents import ANSWERS
from jikimi.serve.pages.visitor import Visitor

# The film first: it is what everybody looks for.
_ORDER = ("video", "scores", "strip", "still")
_TITLES = {"scores": "score-curve", "strip": "deciding-frames", "still": "still"}


async def incident_page(visitor: Visitor, uid: str) -> None:
    """Build the page. Raises Refused where the visitor may not see the incident, or there is none."""
    detail = await visitor.api.get(f"/incidents/{quote(uid, safe='')}")
    incident, words = detail["incident"], visitor.words
    title = f"{words.behavior(incident['behavior'])} · {incident['camera']}"
    with frame(visitor, "incidents", title=title):
        _title(visitor, incident, title)
        with ui.element("div").classes("j-two"):
            with ui.element("div").classes("j-stack"):
                _films(visitor, uid, detail["evidence"])
            with ui.element("div").classes("j-stack"):
                _facts(visitor, incident)
                if visitor.may_answer:
                    _answering(visitor, incident)
                _changes(visitor, detail["transitions"])
                _deliveries(visitor, detail["deliveries"])
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


def _films(visitor: Visitor, uid: str, evidence: list[dict[str, Any]]) -> None:
    """What was kept; what is gone or incomplete says so."""
    words = visitor.words
    if not evidence:
        ui.label(words("no-evidence")).classes("j-panel j-soft")
    for one in sorted(evidence, key=lambda one: _ORDER.index(one["kind"])):
        with ui.element("section").classes("j-panel j-stack"):
            if one["kind"] != "video":
                heading(words(_TITLES[one["kind"]]), level=2)
            if one["url"] is None:
                ui.label(words("evidence-gone")).classes("j-soft")
            else:
                _show(visitor, one)
            if one["problem"]:
                ui.label(one["problem"]).classes("j-chip warn j-wrap")
            if one["url"] is not None:
                with ui.element("div").classes("j-row"):
                    ui.link(words("download"), one["url"]).props("download")
                    ui.label(f"SHA-256 {one['sha256']}").classes("j-hash")
    if any(one["kind"] == "video" and one["url"] for one in evidence):
        _heat(visitor, uid)


def _show(visitor: Visitor, one: Mapping[str, Any]) -> None:
    """One file of evidence."""
    words, url = visitor.words, escaped(one["url"])
    if one["kind"] == "video":
        ui.element("video").props(
            f'controls preload=metadata playsinline src="{url}" data-start-s={one["start_s"]}'
        ).classes("j-film")
    elif one["kind"] == "scores":
        ui.element("div").props(f'id=scores data-url="{url}"').classes("j-stack")
    else:
        ui.element("img").props(f'src="{url}" alt="{escaped(words(_TITLES[one["kind"]]))}"').classes(
            "j-strip"
        )


def _heat(visitor: Visitor, uid: str) -> None:
    """Where the model looked: made when somebody asks for it, since it takes seconds."""
    words = visitor.words
    with ui.element("section").classes("j-panel j-stack"):
        heading(words("heat"), level=2)
        ui.label(words("heat-why")).classes("j-soft")
        place = ui.element("div").classes("j-stack")

        def show() -> None:
            place.clear()
            with place:
                source = f"/api/v1/incidents/{quote(uid, safe='')}/heat"
                ui.element("img").props(f'src="{source}" alt="{escaped(words("heat"))}"').classes("j-strip")

        press(words("heat-show"), show, kind="plain")


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
    with ui.element("dl").classes("j-panel j-facts"):
        for key, value in rows.items():
            if value:
                ui.html(f"<dt>{escaped(words(key))}</dt><dd>{escaped(value)}</dd>", sanitize=False).classes(
                    "contents"
                )


def _answering(visitor: Visitor, incident: Mapping[str, Any]) -> None:
    """Acknowledging, locking, and saying what it was."""
    words, path = visitor.words, f"/incidents/{quote(incident['uid'], safe='')}"

    async def do(method: Any, where: str, body: Any = None) -> None:
        try:
            await method(f"{path}{where}", body)
        except Refused as error:
            told(error)
            return
        ui.navigate.reload()

    with ui.element("section").classes("j-panel j-stack"):
        with ui.element("div").classes("j-row"):
            if not incident["acknowledged_at"]:
                press(words("acknowledge"), lambda: do(visitor.api.post, "/acknowledge"), kind="alarm")
            lock = words("unlock" if incident["locked"] else "lock")
            press(
                lock, lambda: do(visitor.api.put, "/lock", {"locked": not incident["locked"]}), kind="plain"
            )
        heading(words("answer"), level=2)
        answer = ui.radio({key: words(key) for key in ANSWERS}, value=incident["answer"]).props("inline")
        other = ui.select(
            {b.key: words.behavior(b.key) for b in visitor.accidents if b.key != incident["behavior"]},
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
            await do(
                visitor.api.put,
                "/answer",
                {"answer": answer.value, "behavior": behavior, "note": note.value or ""},
            )

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
