"""What the watching half says of itself, written to a file twice a second and read by whoever shows it.

A file and not a connection: whoever reads can never hold up watching, and still reads when watching has died.
"""

import os
from bisect import bisect_left
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

CameraState = Literal["connecting", "live", "stalled", "backing-off", "disabled"]

# Upper bounds of the histograms' buckets, seconds: 300 ms and 500 ms are what is promised. From 50 to 500 ms
# each is a quarter wider than the one before, so that a change of a tenth shows.
BUCKETS_S = (
    *(0.01, 0.025, 0.05, 0.065, 0.08, 0.1, 0.125, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5),
    *(0.75, 1.0, 2.0, 5.0, 10.0),
)  # fmt: skip


class _Values(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Histogram(_Values):
    """Durations counted by bucket; `counts[i]` are those at most `BUCKETS_S[i]`, the last one is the rest."""

    counts: list[int] = Field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    sum_s: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BUCKETS_S, seconds)] += 1
        self.sum_s += seconds

    def merge(self, other: "Histogram") -> None:
        """Count everything that `other` has counted."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.sum_s += other.sum_s

    @property
    def total(self) -> int:
        """How many were counted."""
        return sum(self.counts)

    def share_above(self, seconds: float) -> float:
        """The share that took longer than one of `BUCKETS_S`; 0 where nothing was counted."""
        place = BUCKETS_S.index(seconds) + 1
        return sum(self.counts[place:]) / self.total if self.total else 0.0

    def quantile(self, q: float) -> float | None:
        """The duration that a share `q` does not exceed, by its bucket; None where nothing was counted."""
        wanted, seen, below_s = q * self.total, 0, 0.0
        for bound_s, count in zip((*BUCKETS_S, 2 * BUCKETS_S[-1]), self.counts, strict=True):
            if count and seen + count >= wanted:
                return below_s + (bound_s - below_s) * (wanted - seen) / count
            seen, below_s = seen + count, bound_s
        return None


class CameraStatus(_Values):
    """One camera now. Counters count since the site started; ages are None before the first picture.

    `theta_on` are the thresholds of the behaviours that are watched. `both_s` are those of the seconds seen
    in which a challenger watched, too.
    """

    name: str
    state: CameraState = "connecting"
    why: str = ""
    recording: bool = False
    shelved_until: datetime | None = None
    off_duty: bool = False
    picture_age_s: float | None = None
    decided_age_s: float | None = None
    codec: str = ""
    width_px: int = 0
    height_px: int = 0
    scores: dict[str, dict[str, float]] = {}
    theta_on: dict[str, float] = {}
    faults: list[str] = []
    pictures: int = 0
    damaged: int = 0
    dropped: int = 0
    decisions: int = 0
    unanswered: int = 0
    reconnects: int = 0
    restarts: int = 0
    incidents: int = 0
    clock_jumps: int = 0
    seen_s: float = 0.0
    due_s: float = 0.0
    both_s: float = 0.0
    memory_bytes: int = 0
    stages: dict[str, Histogram] = {}


class SiteStatus(_Values):
    """The whole site at `at`. `watching` is whether every camera that is due has been decided on lately.

    `model_sha256` is of the bundle that watches, `challenger` the name of the model that runs beside it.
    """

    at: datetime
    started_at: datetime
    name: str = ""
    version: str = ""
    model: str = ""
    model_sha256: str = ""
    challenger: str = ""
    challenger_running: bool = False
    detector: str = "starting"
    watching: bool = False
    cameras: list[CameraStatus] = []
    faults: list[str] = []
    open_incidents: int = 0
    store_retries: int = 0
    waiting_for_store: int = 0
    detector_restarts: int = 0
    free_bytes: int = 0
    evidence_bytes: int = 0
    pids: dict[str, int] = {}
    stages: dict[str, Histogram] = {}

    def age_s(self, now: datetime | None = None) -> float:
        """How old this is, in seconds; one of the future is of before the clock was put back, and as old."""
        return abs(((now or datetime.now(UTC)) - self.at).total_seconds())


def write_status(path: Path, status: SiteStatus) -> None:
    """Put the status in place of the one before. Raises OSError as the file system does."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(status.model_dump_json(), encoding="utf-8")
    temporary.replace(path)


def read_status(path: Path) -> SiteStatus | None:
    """Read the status; None where there is none yet or it cannot be read."""
    try:
        return SiteStatus.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
