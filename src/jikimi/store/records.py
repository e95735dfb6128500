"""What the store keeps, as values. Moments are timezone-aware UTC; stream times are seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from jikimi.settings import CameraSettings, Role, Target

Answer = Literal["correct", "false-alarm", "other-behavior", "unsure"]
EvidenceKind = Literal["video", "still", "strip", "scores"]
Language = Literal["ko", "en", ""]
ModelState = Literal["kept", "challenger", "champion", "failed"]
ReportKind = Literal["missed", "normal"]
Subject = Literal["incident", "fault"]
NoticeKind = Literal["opened", "closed", "escalated"]
OutboxState = Literal["due", "delivered", "given-up"]
TransitionKind = Literal[
    "opened", "updated", "closed", "acknowledged", "escalated", "answered", "locked", "unlocked"
]


SCORE_BINS = 50
"""Scores are counted in so many bins: bin `k` holds those in [k / 50, (k + 1) / 50), the last one 1 too."""


@dataclass(frozen=True, slots=True)
class StoredCamera:
    """A camera as it is kept."""

    settings: CameraSettings
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoredTarget:
    """Somebody to alert, as they are kept; `settings` None: cannot be opened, and `problem` says why."""

    name: str
    settings: Target | None
    changed_at: datetime
    problem: str = ""


@dataclass(frozen=True, slots=True)
class SettingRecord:
    """A value that was stored for a key of the settings, as `evidence.keep_days`; `value` is JSON's."""

    key: str
    value: Any
    changed_at: datetime
    changed_by: str


@dataclass(frozen=True, slots=True)
class IncidentRecord:
    """One incident. `uid` is made where it is noticed, so that storing it twice stores it once.

    `camera` is the camera's name, `zone` empty for the whole picture. `acknowledged_at` and `answer` are None
    until somebody does; `closed_at` None while it lasts. `escalations` counts the lists told after the first.
    """

    uid: str
    camera: str
    behavior: str
    opened_at: datetime
    peak: float
    zone: str = ""
    model: str = ""
    closed_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    answer: Answer | None = None
    answered_by: str = ""
    answer_behavior: str = ""
    answer_note: str = ""
    locked: bool = False
    escalations: int = 0
    escalated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TransitionRecord:
    """One change of an incident; `details` of an answer are `answer`, `behavior` and `note`."""

    incident: str
    kind: TransitionKind
    at: datetime
    score: float | None = None
    by: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChangeRecord:
    """A change with its number among all changes, and the incident as it is now."""

    id: int
    transition: TransitionRecord
    incident: IncidentRecord


@dataclass(frozen=True, slots=True)
class FaultRecord:
    """Something that keeps a camera or the site from watching; `camera` is empty for the whole site.

    `kind` is a word of health (`offline`, `frozen`, …), of the model (`inference`, `self-test`, `overload`)
    or of the site (`disk-full`, `store`, `detector`, `model`). `ended_at` is None while it lasts.
    """

    uid: str
    camera: str
    kind: str
    message: str
    began_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class EvidenceRecord:
    """One file of an incident; `path` is relative to the evidence folder. `problem` says what it lacks."""

    incident: str
    kind: EvidenceKind
    path: Path
    sha256: str
    size_bytes: int
    created_at: datetime
    start_s: float = 0.0
    end_s: float = 0.0
    complete: bool = True
    problem: str = ""
    deleted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """What one target is to be told once: a row of the outbox before it is stored.

    `key` is the idempotency key, the same on every try and the same when it is stored again.
    """

    key: str
    target: str
    subject: Subject
    uid: str
    kind: NoticeKind
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notice that is due: `attempts` were made before, the first try counts from `created_at`."""

    id: int
    notice: Notice
    created_at: datetime
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """How far a notice has come, for showing. `last_error` is what its latest failed try met."""

    key: str
    target: str
    kind: NoticeKind
    state: OutboxState
    attempts: int
    created_at: datetime
    delivered_at: datetime | None = None
    next_at: datetime | None = None
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """Who did what, when. `id` is the store's, growing; 0 before it is stored."""

    at: datetime
    who: str
    what: str
    about: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    id: int = 0


@dataclass(frozen=True, slots=True)
class CoverageRecord:
    """Seconds seen against seconds due of one camera in the hour that begins at `hour`."""

    camera: str
    hour: datetime
    seen_s: float
    due_s: float


@dataclass(frozen=True, slots=True)
class ScoreCountRecord:
    """Decisions of one camera in the hour that begins at `hour`, by the score of one behaviour.

    Raises:
        ValueError: there are not `SCORE_BINS` counts.
    """

    camera: str
    hour: datetime
    behavior: str
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.counts) != SCORE_BINS:
            raise ValueError(f"{len(self.counts)} counts of scores; {SCORE_BINS} are expected")


@dataclass(frozen=True, slots=True)
class UserRecord:
    """Somebody who may log in. `cameras` None: all of them; `language` empty: the site's."""

    name: str
    password_hash: str = field(repr=False)
    role: Role
    created_at: datetime
    changed_at: datetime
    cameras: tuple[str, ...] | None = None
    language: Language = ""
    disabled: bool = False

    @property
    def rules(self) -> bool:
        """Whether they may do everything: the store keeps one such user at least."""
        return self.role == "admin" and self.cameras is None and not self.disabled


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A browser that has logged in. `key` is the SHA-256 of its secret, in hex; the secret is not kept."""

    key: str
    user: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token of the API that was made while it ran; `sha256` in hex. `cameras` None: all of them."""

    name: str
    sha256: str
    role: Role
    created_at: datetime
    created_by: str
    cameras: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ReportRecord:
    """What somebody says that a camera showed in `[start_at, end_at)`, though nothing was raised.

    `missed`: an accident, which `behavior` names. `normal`: none, and `behavior` is empty. `cut_at` is None
    until its film was cut out of replay; `problem` says why there is none, or what it lacks. A report that
    was taken back (`withdrawn_at`) keeps its row: there may be files of it.
    """

    uid: str
    kind: ReportKind
    camera: str
    start_at: datetime
    end_at: datetime
    by: str
    at: datetime
    behavior: str = ""
    note: str = ""
    cut_at: datetime | None = None
    problem: str = ""
    withdrawn_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReportEvidence:
    """One file of a report, as `EvidenceRecord` is of an incident; times count from the report's start."""

    report: str
    kind: EvidenceKind
    path: Path
    sha256: str
    size_bytes: int
    created_at: datetime
    start_s: float = 0.0
    end_s: float = 0.0
    complete: bool = True
    problem: str = ""
    deleted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A bundle in the folder of models; `file` is its name there, `sha256` in hex its own.

    Of those that were `promoted_at` some moment, the latest is the champion, and the one before it is what is
    rolled back to; being rolled back takes the moment away. `proven_at`: its detector has come up since.
    `problem` says why one has `failed`. `challenged_at` is when it last became challenger.
    """

    sha256: str
    name: str
    file: str
    size_bytes: int
    added_at: datetime
    added_by: str
    state: ModelState = "kept"
    challenged_at: datetime | None = None
    promoted_at: datetime | None = None
    proven_at: datetime | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ShadowRecord:
    """What a challenger (`model` is its SHA-256) would have raised: nobody is alerted."""

    uid: str
    model: str
    camera: str
    behavior: str
    opened_at: datetime
    peak: float
    zone: str = ""
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class BothRecord:
    """Seconds in which champion and challenger both watched a camera, in the hour that begins at `hour`."""

    model: str
    camera: str
    hour: datetime
    both_s: float
