"""What goes over the live connection: JSON texts, and pictures with a head."""

import struct
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from jikimi.serve.access import Caller
from jikimi.serve.answers import FaultAnswer, IncidentAnswer, TransitionAnswer, Word
from jikimi.serve.live_pictures import LivePicture
from jikimi.serve.site import status_for
from jikimi.status import SiteStatus
from jikimi.store import ChangeRecord, FaultRecord, IncidentRecord

MOST_PICTURES = 64
"""Cameras that one connection may show."""

_LENGTH = struct.Struct("!I")

# Histograms are for Prometheus; they would be most of the status.
_LEFT_OUT: Any = {"stages": True, "cameras": {"__all__": {"stages"}}}


class Choice(BaseModel):
    """What a client wants to see: cameras by name, so many pictures a second of each."""

    model_config = ConfigDict(extra="forbid")

    pictures: Annotated[list[Word], Field(max_length=MOST_PICTURES)]
    rate_hz: Annotated[float, Field(ge=0.1, le=30, allow_inf_nan=False)] = 8.0


def status_text(status: SiteStatus | None, caller: Caller) -> str:
    """`{"type": "status", "status": …}`: what GET /status says, less histograms; null before the start."""
    return _text({"type": "status", "status": _status(status, caller)})


def snapshot_text(
    status: SiteStatus | None, incidents: list[IncidentRecord], faults: list[FaultRecord], caller: Caller
) -> str:
    """`{"type": "snapshot", "status": …, "incidents": […], "faults": […]}`: where events go on from."""
    return _text(
        {
            "type": "snapshot",
            "status": _status(status, caller),
            "incidents": [_json(IncidentAnswer.model_validate(row)) for row in incidents],
            "faults": [_json(FaultAnswer.model_validate(row)) for row in faults],
        }
    )


def incident_text(change: ChangeRecord) -> str:
    """`{"type": "incident", "id": …, "change": {kind, at, …}, "incident": …}`: the incident as it is now."""
    return _text(
        {
            "type": "incident",
            "id": change.id,
            "change": _json(TransitionAnswer.model_validate(change.transition)),
            "incident": _json(IncidentAnswer.model_validate(change.incident)),
        }
    )


def fault_text(fault: FaultRecord) -> str:
    """`{"type": "fault", "kind": "began" or "ended", "fault": …}`."""
    kind = "began" if fault.ended_at is None else "ended"
    fault_ = _json(FaultAnswer.model_validate(fault))
    return _text({"type": "fault", "kind": kind, "fault": fault_})


def choice_text(pictures: list[str], rate_hz: float) -> str:
    """`{"type": "choice", …}`: what is sent from now on, of what was asked for."""
    return _text({"type": "choice", "pictures": pictures, "rate_hz": rate_hz})


def problem_text(detail: str) -> str:
    """`{"type": "problem", "detail": …}`: what was sent cannot be used."""
    return _text({"type": "problem", "detail": detail})


def picture_message(picture: LivePicture, now_s: float) -> bytes:
    """The length of a JSON head as four bytes, the head `{camera, seq, at, age_s}`, the JPEG.

    `seq` grows from picture to picture of a camera; `at` is in seconds since 1970, `age_s` as of `now_s`
    (monotonic).
    """
    age_s = max(0.0, now_s - picture.arrived_s)
    about = {"camera": picture.camera, "seq": picture.number, "at": round(picture.at_s, 3)}
    head = to_json(about | {"age_s": round(age_s, 3)})
    return b"".join((_LENGTH.pack(len(head)), head, picture.jpeg))


def _status(status: SiteStatus | None, caller: Caller) -> Any:
    if status is None:
        return None
    return status_for(status, caller).model_dump(mode="json", exclude=_LEFT_OUT)


def _text(message: dict[str, Any]) -> str:
    return to_json(message, inf_nan_mode="null").decode()


def _json(answer: BaseModel) -> Any:
    return answer.model_dump(mode="json")
