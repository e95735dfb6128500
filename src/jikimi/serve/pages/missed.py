"""Reporting an accident that was missed, or that a time was normal: a camera, a span, a behaviour."""

from datetime import UTC, datetime, timedelta
from typing import Any

from nicegui import ui

from jikimi.serve.pages.api import Refused
from jikimi.serve.pages.frame import heading, press, told
from jikimi.serve.pages.visitor import Visitor

_SPAN = timedelta(seconds=20)


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
                await visitor.api.post("/reports", body)
            except ValueError:
                ui.notify(words("no-moment"), type="warning")
                return
            except Refused as error:
                told(error)
                return
            dialog.close()
            ui.notify(words("reported"), type="positive")

        with ui.element("div").classes("j-row"):
            ui.element("span").classes("j-space")
            press(words("cancel"), dialog.close, kind="plain")
            press(words("report-send"), send)
    dialog.open()


def moment(visitor: Visitor, given: str | None) -> str:
    """A moment of the plant's own clock, as an input has it → ISO 8601 in UTC. Raises ValueError."""
    at = datetime.fromisoformat(given or "")
    at = at.replace(tzinfo=visitor.words.zone) if visitor.words.zone is not None else at.astimezone()
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
