"""Reporting an accident that was missed, or that a time was normal: a camera, a span, a behaviour."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from nicegui import ui

from jikimi.serve.pages.api import Refused
from jikimi.serve.pages.frame import heading, press, told
from jikimi.serve.pages.report import report_path
from jikimi.serve.pages.visitor import Visitor

_SPAN = timedelta(seconds=20)

# A camera that was often away has many spans; the newest are told.
_MOST_SPANS = 3


async def report_missed(visitor: Visitor, camera: str | None = None) -> None:
    """Open the form; its times are the plant's own."""
    words = visitor.words
    cameras = [one["name"] for one in await visitor.api.get("/cameras")]
    now = datetime.now(UTC).astimezone(visitor.words.zone)
    with ui.dialog() as dialog, ui.card().classes("j-dialog"):
        heading(words("report-missed"), level=2)
        ui.label(words("report-why")).classes("j-soft")
        where = ui.select(cameras, label=words("camera"), value=camera).props("outlined dense")
        kinds = {b.key: words.behavior(b.key) for b in visitor.accidents} | {"": words("kind-normal")}
        held = ui.label().classes("j-soft").props("role=status")
        what = ui.select(kinds, label=words("behavior"), value=next(iter(kinds))).props("outlined dense")
        spans = [
            ui.input(words(key), value=at.strftime("%Y-%m-%dT%H:%M:%S")).props(
                "outlined dense type=datetime-local step=1 stack-label"
            )
            for key, at in (("from", now - _SPAN - timedelta(minutes=1)), ("to", now - timedelta(minutes=1)))
        ]
        note = ui.textarea(words("note")).props("outlined autogrow maxlength=2000")

        async def send() -> None:
            body: dict[str, Any] = {
                "kind": "missed" if what.value else "normal",
                "camera": where.value or "",
                "behavior": what.value,
                "note": note.value or "",
            }
            try:
                body |= {
                    key: moment(visitor, span.value)
                    for key, span in zip(("start_at", "end_at"), spans, strict=True)
                }
                report = await visitor.api.post("/reports", body)
            except ValueError:
                ui.notify(words("no-moment"), type="warning")
                return
            except Refused as error:
                told(error)
                return
            ui.navigate.to(report_path(report["uid"]))

        def asked() -> tuple[str | None, list[str]]:
            return where.value, [span.value for span in spans]

        async def tell_held() -> None:
            about = asked()
            told = await _held(visitor, *about)
            if about == asked():  # what was answered about another time meanwhile is of no use
                held.text = told

        for field in (where, *spans):
            field.on_value_change(tell_held)
        with ui.element("div").classes("j-row"):
            ui.element("span").classes("j-space")
            press(words("cancel"), dialog.close, kind="plain")
            press(words("report-send"), send)
    await tell_held()
    dialog.open()


async def _held(visitor: Visitor, camera: str | None, asked: Sequence[str]) -> str:
    """How far the camera's footage reaches, and whether what is asked for lies in it, in words."""
    words = visitor.words
    if not camera:
        return ""
    try:
        spans = (await visitor.api.get(f"/cameras/{quote(camera, safe='')}/replay"))["spans"]
    except Refused as error:
        return str(error)
    if not spans:
        return words("replay-none")
    held = [tuple(datetime.fromisoformat(span[key]) for key in ("start_at", "end_at")) for span in spans]
    shown = [
        f"{words.moment(start, seconds=False)} – {words.moment(end, seconds=False)[11:]}"
        for start, end in held[-_MOST_SPANS:]
    ]
    told = words("replay-held", spans=", ".join(shown))
    try:
        start, end = (datetime.fromisoformat(moment(visitor, one)) for one in asked)
    except ValueError:
        return told
    inside = any(first <= start and end <= last for first, last in held)
    return told if inside else f"{told} {words('replay-outside')}"


def moment(visitor: Visitor, given: str | None) -> str:
    """A moment of the plant's own clock, as an input has it → ISO 8601 in UTC. Raises ValueError."""
    at = datetime.fromisoformat(given or "")
    at = at.replace(tzinfo=visitor.words.zone) if visitor.words.zone is not None else at.astimezone()
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
