"""Run `watch` and keep everything it gives."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bundles import accident_between
from jikimi.frame import Floats
from jikimi.watch.event import WatchEvent, WatchSummary
from jikimi.watch.pipeline import watch
from videos import write_video

FPS = 12


@dataclass
class Watched:
    """Everything a run of `watch` gave."""

    summary: WatchSummary
    events: list[WatchEvent]
    scores: list[tuple[str, float, Floats]] = field(default_factory=list)

    def kinds(self, camera: str | None = None) -> list[str]:
        return [e.event for e in self.events if camera in (None, e.camera)]

    def of(self, kind: str) -> list[WatchEvent]:
        return [e for e in self.events if e.event == kind]


def run(sources: list[Path | str], bundle: Any, out: Path | None = None, **options: Any) -> Watched:
    events: list[WatchEvent] = []
    scores: list[tuple[str, float, Floats]] = []
    options.setdefault("emit", events.append)
    summary = watch(
        [str(source) for source in sources],
        bundle=bundle,
        out=out,
        on_scores=lambda camera, t_s, row: scores.append((camera, t_s, row)),
        **options,
    )
    return Watched(summary, events, scores)


def accident_video(
    path: Path, *, seconds: float = 14, start_s: float = 5, end_s: float = 7, **more: Any
) -> Path:
    draw = accident_between(round(start_s * FPS), round(end_s * FPS), **more)
    return write_video(path, seconds=seconds, fps=FPS, size=(96, 64), draw=draw)
