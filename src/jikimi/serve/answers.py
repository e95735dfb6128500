"""What the API answers and takes: the store's records as JSON, without paths outside and without secrets."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from jikimi.settings import CameraSettings, Hours, Mask, Name, Zone
from jikimi.store.records import Answer, EvidenceKind


class _FromRecord(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class IncidentAnswer(_FromRecord):
    """One incident."""

    uid: str
    camera: str
    zone: str
    behavior: str
    opened_at: datetime
    closed_at: datetime | None
    peak: float
    model: str
    acknowledged_at: datetime | None
    acknowledged_by: str
    answer: Answer | None
    answered_by: str
    answer_behavior: str
    answer_note: str
    locked: bool
    escalations: int


class IncidentPage(BaseModel):
    """Incidents, newest first; `next` continues where this page ends, null at the end."""

    incidents: list[IncidentAnswer]
    next: str | None


class TransitionAnswer(_FromRecord):
    """One change of an incident."""

    kind: str
    at: datetime
    score: float | None
    by: str
    details: dict[str, Any]


class DeliveryAnswer(_FromRecord):
    """What became of telling one target."""

    target: str
    kind: str
    state: str
    attempts: int
    created_at: datetime
    delivered_at: datetime | None
    last_error: str


class EvidenceAnswer(BaseModel):
    """One file; `url` gives it, null once it was deleted. Times count from the incident's opening."""

    number: int
    kind: EvidenceKind
    sha256: str
    size_bytes: int
    created_at: datetime
    start_s: float
    end_s: float
    complete: bool
    problem: str
    url: str | None


class IncidentDetail(BaseModel):
    """Everything about one incident."""

    incident: IncidentAnswer
    transitions: list[TransitionAnswer]
    deliveries: list[DeliveryAnswer]
    evidence: list[EvidenceAnswer]


class AnswerRequest(BaseModel):
    """An operator's answer; `behavior` says which it was where it was another."""

    model_config = ConfigDict(extra="forbid")

    answer: Answer
    behavior: str = Field(default="", max_length=80)
    note: str = Field(default="", max_length=4000)


class LockRequest(BaseModel):
    """Locked evidence is never deleted."""

    model_config = ConfigDict(extra="forbid")

    locked: bool


class CameraAnswer(BaseModel):
    """A camera's settings; addresses are shown without their log-in."""

    name: str
    address: str
    sub: str | None
    transport: Literal["tcp", "udp"]
    enabled: bool
    behaviors: tuple[str, ...] | None
    theta_on: dict[str, float]
    zones: tuple[Zone, ...]
    masks: tuple[Mask, ...]
    hours: tuple[Hours, ...]
    pre_roll_s: float | None
    post_roll_s: float | None
    fixed: bool
    shelved_until: datetime | None


def camera_answer(camera: CameraSettings, *, fixed: bool, shelved_until: datetime | None) -> CameraAnswer:
    """Show a camera; `fixed` ones are in jikimi.toml and changed there."""
    shown = {
        key: getattr(camera, key)
        for key in CameraAnswer.model_fields
        if key not in ("address", "sub", "fixed", "shelved_until")
    }
    sub = str(camera.sub) if camera.sub is not None else None
    return CameraAnswer(
        **shown, address=str(camera.address), sub=sub, fixed=fixed, shelved_until=shelved_until
    )


class CameraRequest(BaseModel):
    """A camera to add or change. Addresses hold the log-in; they are stored encrypted and never shown."""

    model_config = ConfigDict(extra="forbid")

    address: str = Field(min_length=1, max_length=2048)
    sub: str | None = Field(default=None, max_length=2048)
    transport: Literal["tcp", "udp"] = "tcp"
    enabled: bool = True
    behaviors: tuple[str, ...] | None = None
    theta_on: dict[str, float] = {}
    zones: tuple[Zone, ...] = ()
    masks: tuple[Mask, ...] = ()
    hours: tuple[Hours, ...] = ()
    pre_roll_s: float | None = Field(default=None, ge=0, le=60)
    post_roll_s: float | None = Field(default=None, ge=0, le=600)


class ShelveRequest(BaseModel):
    """Raise no incidents for so many minutes; 0 ends it."""

    model_config = ConfigDict(extra="forbid")

    minutes: float = Field(ge=0, le=7 * 24 * 60)


class FaultAnswer(_FromRecord):
    """What keeps a camera, or the site (no camera), from watching."""

    uid: str
    camera: str
    kind: str
    message: str
    began_at: datetime
    ended_at: datetime | None


class CoverageAnswer(_FromRecord):
    """Seconds watched of those due, in the hour that begins then."""

    camera: str
    hour: datetime
    seen_s: float
    due_s: float


class ShiftCoverage(BaseModel):
    """Coverage of one camera in one shift: `share` is null where nothing was due."""

    camera: str
    shift: str
    seen_s: float
    due_s: float
    share: float | None


class AuditAnswer(_FromRecord):
    """Who did what."""

    id: int | None
    at: datetime
    who: str
    what: str
    about: str
    details: dict[str, Any]


class TryAnswer(BaseModel):
    """A test alert arrived after so many seconds."""

    seconds: float


class HealthAnswer(BaseModel):
    """Whether the site is watching; `blind` are the cameras that are due and not decided on."""

    watching: bool
    detector: str
    blind: list[str]
    status_age_s: float | None


CameraName = Name
