"""What watching reports: one event at a time, and a summary at the end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

EventKind = Literal["started", "opened", "updated", "closed", "evidence", "fault", "ended"]
"""`opened`, `updated`, `closed`: an incident. `evidence`: its file is whole. `fault`: watching suffers."""

FaultKind = Literal["cannot-open", "broke-off", "damaged", "gap", "inference", "evidence"]
"""What impairs watching, in the `fault` of a fault event; `message` says it in words."""


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One report. `t_s` is stream time, `wall_time` UTC in ISO 8601; what does not apply is None.

    `details` holds what only this kind of event has; its keys never repeat those of the fields.
    """

    event: EventKind
    camera: str
    t_s: float
    wall_time: str
    behavior: str | None = None
    score: float | None = None
    evidence: Path | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return one flat object of JSON values."""
        return {
            "event": self.event,
            "camera": self.camera,
            "behavior": self.behavior,
            "score": None if self.score is None else round(self.score, 4),
            "t_s": round(self.t_s, 3),
            "wall_time": self.wall_time,
            "evidence": None if self.evidence is None else str(self.evidence),
            **self.details,
        }


@dataclass(frozen=True, slots=True)
class CameraSummary:
    """What watching one camera came to.

    `blind_s` is stream time without a decision: warm-up, gaps, failures of the model. `age_p50_s` and
    `age_p95_s` are seconds from a frame's arrival to its scores, None without decisions.
    """

    camera: str
    stream_s: float = 0.0
    frames_decoded: int = 0
    decode_errors: int = 0
    clock_jumps: int = 0
    dropped_frames: int = 0
    decisions: int = 0
    inference_errors: int = 0
    blind_s: float = 0.0
    incidents: int = 0
    evidence_files: int = 0
    faults: int = 0
    age_p50_s: float | None = None
    age_p95_s: float | None = None


@dataclass(frozen=True, slots=True)
class WatchSummary:
    """What watching came to, camera by camera; `age_*` over all of them."""

    cameras: tuple[CameraSummary, ...]
    age_p50_s: float | None
    age_p95_s: float | None
    stopped: bool

    @property
    def incidents(self) -> int:
        """Incidents opened on all cameras."""
        return sum(camera.incidents for camera in self.cameras)

    @property
    def faults(self) -> int:
        """Faults reported on all cameras."""
        return sum(camera.faults for camera in self.cameras)

    @property
    def decisions(self) -> int:
        """Decisions on all cameras."""
        return sum(camera.decisions for camera in self.cameras)


@dataclass(slots=True)
class AgeHistogram:
    """Ages of decisions, counted by the millisecond up to 10 s: bounded however long watching runs."""

    _counts: list[int] = field(default_factory=lambda: [0] * 10_001, init=False)

    def add(self, age_s: float) -> None:
        """Count one age in seconds."""
        self._counts[min(10_000, max(0, round(age_s * 1000)))] += 1

    def merge(self, other: "AgeHistogram") -> None:
        """Count everything `other` has counted."""
        self._counts = [mine + theirs for mine, theirs in zip(self._counts, other._counts, strict=True)]

    def quantile(self, q: float) -> float | None:
        """Return the age in seconds that a share `q` of all does not exceed; None when there is none."""
        wanted, seen = q * sum(self._counts), 0
        for milliseconds, count in enumerate(self._counts):
            seen += count
            if count and seen >= wanted:
                return milliseconds / 1000
        return None
