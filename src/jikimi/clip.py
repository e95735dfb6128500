"""A labelled clip and the span of its event: frozen values that check themselves."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jikimi.errors import DataError

Split = Literal["train", "val", "test"]
"""`test` is evaluation only: never trained on, never used to choose anything."""

Modality = Literal["rgb", "thermal"]


@dataclass(frozen=True, slots=True)
class EventSpan:
    """When the event happens: `[start_s, end_s)` in seconds from the clip's first frame."""

    start_s: float
    end_s: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start_s) and math.isfinite(self.end_s)):
            raise DataError(f"event {self.start_s}-{self.end_s} s: times must be finite numbers")
        if not 0 <= self.start_s < self.end_s:
            raise DataError(
                f"event {self.start_s}-{self.end_s} s: the start must be at or after 0 and before the end"
            )

    def overlap_s(self, start_s: float, end_s: float) -> float:
        """Seconds that `[start_s, end_s)` shares with the event."""
        return max(0.0, min(self.end_s, end_s) - max(self.start_s, start_s))


@dataclass(frozen=True, slots=True)
class Clip:
    """One labelled recording: a video file, or a folder of numbered frames.

    `group` names what must stay on one side of the split (recording, subject, scene). `source` is an
    absolute path. `source_fps` is only set for folders of frames, whose rate no container says.
    """

    source: Path
    behavior: str
    group: str
    event: EventSpan | None = None
    modality: Modality = "rgb"
    evaluation_only: bool = False
    source_fps: float | None = None
    extra: str = "{}"
    notes: str = ""

    def __post_init__(self) -> None:
        if not self.behavior:
            raise DataError(f"{self.source}: the clip has no behaviour")
        if not self.group:
            raise DataError(f"{self.source}: the clip has no group")
        if self.source_fps is not None and not self.source_fps > 0:
            raise DataError(f"{self.source}: {self.source_fps} frames a second is not a rate")
