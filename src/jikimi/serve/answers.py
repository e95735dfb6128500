"""What the API answers and takes: the store's records as JSON, without paths outside and without secrets."""

import math
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from jikimi.errors import SettingsError
from jikimi.passwords import MAX_LETTERS, MAX_NAME, person_name
from jikimi.serve.shown import veiled
from jikimi.settings import CameraSettings, Hours, Mask, Name, Role, Zone
from jikimi.status import CameraStatus, Histogram, SiteStatus
from jikimi.store.records import (
    Answer,
    EvidenceKind,
    EvidenceRecord,
    Language,
    ReportEvidence,
    ReportKind,
)


def _told(text: str) -> str:
    return veiled(text)


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("a moment of the years 1 to 9999 is expected") from None


def _no_place(name: str) -> str:
    if name in (".", ".."):  # no client could ask for it again: addresses lose such parts
        raise ValueError("another name than . and .. is expected")
    return name


def _persons(name: str) -> str:
    try:
        return person_name(name)
    except SettingsError as error:
        raise ValueError(str(error).removeprefix("name: ")) from None


Told = Annotated[str, AfterValidator(_told)]
"""Free text of others, which may quote an address."""

Moment = Annotated[datetime, AfterValidator(_in_utc)]
"""A moment that was asked for; without a zone it is UTC."""

Word = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f]*$")]
"""A name to look for."""

CameraName = Annotated[Name, AfterValidator(_no_place)]

PersonName = Annotated[str, Field(min_length=1, max_length=2 * MAX_NAME), AfterValidator(_persons)]
"""A user's or a token's name."""

# What an answer may quote of a wrong one is nothing; longer ones only cost time.
_Password = Annotated[SecretStr, Field(max_length=MAX_LETTERS * 4)]
_Cameras = Annotated[tuple[Name, ...], Field(max_length=1000)] | None


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


_Finite = Annotated[float | None, AfterValidator(_finite)]
_Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
_Roll = Annotated[float, Field(ge=0, allow_inf_nan=False)]


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
    """Incidents, newest first; `next` continues where this page ends, null at the end.

    `total` counts those of every page, null unless asked for; where `total_is_more`, there are more.
    """

    incidents: list[IncidentAnswer]
    next: str | None
    total: int | None = None
    total_is_more: bool | None = None


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
    last_error: Told


class EvidenceAnswer(BaseModel):
    """One file; `url` gives it, null once it was deleted.

    Times count from the incident's opening, or from the report's start.
    """

    number: int
    kind: EvidenceKind
    sha256: str
    size_bytes: int
    created_at: datetime
    start_s: float
    end_s: float
    complete: bool
    problem: Told
    url: str | None


def evidence_answer(
    of: Literal["incidents", "reports"], uid: str, number: int, record: EvidenceRecord | ReportEvidence
) -> EvidenceAnswer:
    """One file of an incident or a report, by its number among them."""
    url = None if record.deleted_at is not None else f"/api/v1/{of}/{uid}/evidence/{number}"
    return EvidenceAnswer(
        number=number,
        kind=record.kind,
        sha256=record.sha256,
        size_bytes=record.size_bytes,
        created_at=record.created_at,
        start_s=record.start_s,
        end_s=record.end_s,
        complete=record.complete,
        problem=record.problem,
        url=url,
    )


class ViewAnswer(BaseModel):
    """Somebody who has looked at an incident's evidence: when first, and when last."""

    who: str
    first_at: datetime
    last_at: datetime


class IncidentDetail(BaseModel):
    """Everything about one incident; `next_targets` are those whom escalating it tells."""

    incident: IncidentAnswer
    transitions: list[TransitionAnswer]
    deliveries: list[DeliveryAnswer]
    evidence: list[EvidenceAnswer]
    views: list[ViewAnswer]
    next_targets: list[str]


class AnswerRequest(BaseModel):
    """An operator's answer; `behavior` says which it was where it was another."""

    model_config = ConfigDict(extra="forbid")

    answer: Answer
    behavior: str = Field(default="", max_length=80, pattern=r"^[^\x00-\x1f]*$")
    note: str = Field(default="", max_length=4000, pattern=r"^[^\x00]*$")


class ReportRequest(BaseModel):
    """What somebody saw and nothing was raised for: `missed`, with its behaviour, or `normal`."""

    model_config = ConfigDict(extra="forbid")

    kind: ReportKind
    camera: Word
    behavior: str = Field(default="", max_length=80, pattern=r"^[^\x00-\x1f]*$")
    start_at: Moment
    end_at: Moment
    note: str = Field(default="", max_length=4000, pattern=r"^[^\x00]*$")


class ReportAnswer(_FromRecord):
    """One report. `cut_at` null: its film is being cut. `problem`: what that lacks, or why there is none."""

    uid: str
    kind: ReportKind
    camera: str
    behavior: str
    start_at: datetime
    end_at: datetime
    note: str
    by: str
    at: datetime
    cut_at: datetime | None
    problem: Told


class ReportPage(BaseModel):
    """Reports, newest first; `next` continues where this page ends, null at the end."""

    reports: list[ReportAnswer]
    next: str | None


class ReportDetail(BaseModel):
    """One report and its files."""

    report: ReportAnswer
    evidence: list[EvidenceAnswer]


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


class ScoresAnswer(BaseModel):
    """How often a camera's scores were how high, in the hours that begin in [since, until).

    `counts[behavior][k]` are decisions with a score in [k / bins, (k + 1) / bins), the last bin with 1 too;
    of several zones the highest score counts. `theta_on` are the camera's thresholds.
    """

    camera: str
    since: datetime
    until: datetime
    bins: int
    counts: dict[str, tuple[int, ...]]
    theta_on: dict[str, float]


class CameraRequest(BaseModel):
    """A camera to add or change. Addresses hold the log-in; they are stored encrypted and never shown."""

    model_config = ConfigDict(extra="forbid")

    address: str = Field(min_length=1, max_length=2048)
    sub: str | None = Field(default=None, max_length=2048)
    transport: Literal["tcp", "udp"] = "tcp"
    enabled: bool = True
    behaviors: Annotated[tuple[Word, ...], Field(max_length=64)] | None = None
    theta_on: Annotated[dict[str, _Share], Field(max_length=64)] = {}
    zones: Annotated[tuple[Zone, ...], Field(max_length=64)] = ()
    masks: Annotated[tuple[Mask, ...], Field(max_length=64)] = ()
    hours: Annotated[tuple[Hours, ...], Field(max_length=64)] = ()
    pre_roll_s: Annotated[_Roll, Field(le=60)] | None = None
    post_roll_s: Annotated[_Roll, Field(le=600)] | None = None


class StreamAnswer(BaseModel):
    """What one stream of a camera that was tried sends. `fps` and `keyframe_s` were counted.

    `picture` is the first one, small: a JPEG in Base64.
    """

    address: str
    codec: str
    width_px: int
    height_px: int
    fps: _Finite
    first_picture_s: float
    keyframe_s: _Finite
    looked_s: float
    picture: str | None


class TrialAnswer(BaseModel):
    """What a camera sends: the stream that is recorded, and the one that is analysed where it has its own."""

    main: StreamAnswer
    sub: StreamAnswer | None


class SpanAnswer(BaseModel):
    """A time, [start_at, end_at)."""

    start_at: datetime
    end_at: datetime


class ReplayAnswer(BaseModel):
    """What is still held of a camera, oldest first: a report of these times gets its film.

    `minutes` is how long it is held at most, 0: not at all.
    """

    camera: str
    minutes: float
    spans: list[SpanAnswer]


class ShelveRequest(BaseModel):
    """Raise no incidents for so many minutes; 0 ends it."""

    model_config = ConfigDict(extra="forbid")

    minutes: float = Field(ge=0, le=7 * 24 * 60, allow_inf_nan=False)


class FaultAnswer(_FromRecord):
    """What keeps a camera, or the site (no camera), from watching."""

    uid: str
    camera: str
    kind: str
    message: Told
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


class StatusAnswer(BaseModel):
    """The site now; `age_s` is how long ago it said so. What is null is the whole site's, and not for callers
    who may see some cameras only."""

    at: datetime
    age_s: float
    started_at: datetime
    name: str
    version: str
    model: str
    detector: str
    watching: bool
    cameras: list[CameraStatus]
    faults: list[Told] | None
    open_incidents: int | None
    store_retries: int | None
    waiting_for_store: int | None
    detector_restarts: int | None
    free_bytes: int | None
    evidence_bytes: int | None
    stages: dict[str, Histogram] | None


class LoginRequest(BaseModel):
    """A user's name and password."""

    model_config = ConfigDict(extra="forbid")

    name: PersonName
    password: _Password


class SetUpRequest(LoginRequest):
    """The first admin; `code` is what `jikimi serve` printed when it started."""

    code: SecretStr = Field(max_length=80)
    language: Language = ""


class PasswordChange(BaseModel):
    """One's own password, for a new one."""

    model_config = ConfigDict(extra="forbid")

    old: _Password
    new: _Password


class PasswordReset(BaseModel):
    """Another's password."""

    model_config = ConfigDict(extra="forbid")

    password: _Password


class LanguageRequest(BaseModel):
    """The language one reads; empty: the site's."""

    model_config = ConfigDict(extra="forbid")

    language: Language


class UserRequest(BaseModel):
    """A user to add or change; `password` for a new one alone. `cameras` null: all of them."""

    model_config = ConfigDict(extra="forbid")

    role: Role
    cameras: _Cameras = None
    language: Language = ""
    disabled: bool = False
    password: _Password | None = None


class TokenRequest(BaseModel):
    """A token to make. `cameras` null: all of them."""

    model_config = ConfigDict(extra="forbid")

    name: PersonName
    role: Role = "viewer"
    cameras: _Cameras = None


class SetUpAnswer(BaseModel):
    """Whether there is nobody yet who could log in, and the site's language."""

    setup_needed: bool
    language: Literal["ko", "en"]


class MeAnswer(BaseModel):
    """Who asks. `csrf` and `expires_at` are of a session; a token has none."""

    name: str
    kind: Literal["user", "token"]
    role: Role
    cameras: tuple[str, ...] | None
    language: Language
    csrf: str | None
    expires_at: datetime | None


class UserAnswer(_FromRecord):
    """Somebody who may log in."""

    name: str
    role: Role
    cameras: tuple[str, ...] | None
    language: Language
    disabled: bool
    created_at: datetime
    changed_at: datetime


class TokenAnswer(BaseModel):
    """A token; `fixed` ones are in jikimi.toml and taken back there."""

    name: str
    role: Role
    cameras: tuple[str, ...] | None
    fixed: bool
    created_at: datetime | None
    created_by: str


class NewTokenAnswer(TokenAnswer):
    """A token that was just made; its secret is shown this once."""

    secret: str


# What of the status concerns the whole site.
_WHOLE_SITE = (
    "faults", "open_incidents", "store_retries", "waiting_for_store", "detector_restarts", "free_bytes",
    "evidence_bytes", "stages",
)  # fmt: skip


def status_answer(
    status: SiteStatus, *, cameras: list[CameraStatus], age_s: float, watching: bool, whole: bool
) -> StatusAnswer:
    """Show the status with `cameras` of its cameras; `whole` with what concerns the whole site."""
    shown = {key: getattr(status, key) for key in StatusAnswer.model_fields if hasattr(status, key)}
    if not whole:
        shown |= dict.fromkeys(_WHOLE_SITE)
    shown |= {"cameras": [shown_camera(one) for one in cameras]}
    return StatusAnswer(**shown | {"age_s": round(age_s, 3), "watching": watching})


def shown_camera(camera: CameraStatus) -> CameraStatus:
    """A camera's status without log-ins in its words."""
    return camera.model_copy(update={"why": veiled(camera.why)})
