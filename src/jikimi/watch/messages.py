"""What a camera's process and the site say to each other. Moments are UTC; `_s` are monotonic seconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from jikimi.bundle import Card
from jikimi.settings import CameraSettings
from jikimi.store.records import EvidenceKind
from jikimi.watch.analysis import Change
from jikimi.watch.health import HealthSettings
from jikimi.watch.replay import Shelf


@dataclass(frozen=True, slots=True)
class CameraConfig:
    """What a camera's process is given.

    `detector` is the detector's socket, `evidence` the camera's folder, `showing` where it shows what it
    sees, `replay` where it keeps all of it for a while. A camera is `offline` or its picture `frozen` after
    so many seconds.
    """

    settings: CameraSettings
    card: Card
    detector: Path
    evidence: Path
    showing: Path
    pre_roll_s: float
    post_roll_s: float
    offline_s: float = 10.0
    frozen_s: float = 10.0
    time_zone: str | None = None
    shelved_until: datetime | None = None
    replay: Shelf | None = None

    @property
    def health(self) -> HealthSettings:
        """What counts as ill."""
        longest_s = max(self.frozen_s, HealthSettings().frozen_max_s)
        return HealthSettings(offline_s=self.offline_s, frozen_s=self.frozen_s, frozen_max_s=longest_s)


@dataclass(frozen=True, slots=True)
class IncidentChanged:
    """An incident opened, grew or closed. `noticed_s` is when, `arrived_s` when its picture had come."""

    uid: str
    kind: Literal["opened", "updated", "closed"]
    zone: str
    behavior: str
    at: datetime
    score: float
    peak: float
    arrived_s: float
    noticed_s: float


def message_of(change: Change, now_s: float) -> IncidentChanged:
    """A change as it is told. `now_s` is monotonic seconds, as the moment its picture had arrived."""
    incident = change.incident
    return IncidentChanged(
        change.uid,
        change.transition.kind,
        change.zone,
        incident.behavior,
        datetime.now(UTC) - timedelta(seconds=max(0.0, now_s - change.arrived_s)),
        change.transition.score,
        incident.peak,
        change.arrived_s,
        now_s,
    )


@dataclass(frozen=True, slots=True)
class Rival:
    """A challenger, by its bundle's SHA-256, and where its detector listens."""

    model: str
    card: Card
    detector: Path


@dataclass(frozen=True, slots=True)
class Compare:
    """Ask this challenger, too; None: no one."""

    rival: Rival | None


@dataclass(frozen=True, slots=True)
class ShadowChanged:
    """An incident that a challenger would have opened, updated or closed."""

    model: str
    change: IncidentChanged


@dataclass(frozen=True, slots=True)
class EvidenceKept:
    """A file of an incident is whole, or could not be kept (`path` None, `problem` says why).

    `start_s` and `end_s` count from the incident's opening.
    """

    uid: str
    kind: EvidenceKind
    path: Path | None
    start_s: float = 0.0
    end_s: float = 0.0
    complete: bool = True
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ScoresCounted:
    """Decisions since the last such message: behaviour → how many had a score in each of the bins."""

    counts: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class TroubleChanged:
    """Something that impairs watching this camera begins or ends."""

    kind: str
    begins: bool
    message: str


@dataclass(frozen=True, slots=True)
class Shelve:
    """No incidents until then; None takes it back."""

    until: datetime | None


@dataclass(frozen=True, slots=True)
class Roll:
    """Keep so many seconds from before and after the next incident."""

    pre_roll_s: float
    post_roll_s: float


@dataclass(frozen=True, slots=True)
class Relearn:
    """The view was moved on purpose: what the camera shows now is right."""
