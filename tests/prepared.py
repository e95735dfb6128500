"""Small prepared data sets written by hand, in the colours that `bundles.make_bundle` understands."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image as PillowImage

from bundles import YELLOW, accident_between
from jikimi.behaviors import BEHAVIORS, Behavior
from jikimi.clip import EventSpan, Split
from jikimi.data.manifest import Manifest, ManifestRow, write_manifest

RATE_HZ = 8.0


@dataclass(frozen=True, slots=True)
class Take:
    """A clip to write: `colour` fills its frames during the event, grey the others."""

    clip_id: str
    behavior: str = "no-accident"
    split: Split = "val"
    group: str = ""
    n_frames: int = 32
    event: EventSpan | None = None
    colour: tuple[int, int, int] | None = None


def fall(clip_id: str, *, group: str = "", split: Split = "val", start_s: float = 1.0) -> Take:
    """A clip whose fall the colour bundle sees."""
    event = EventSpan(start_s, start_s + 2)
    return Take(clip_id, "fall-down", split, group, event=event, colour=YELLOW)


def write_prepared(
    root: Path, takes: Sequence[Take], *, behaviors: tuple[Behavior, ...] = BEHAVIORS
) -> Manifest:
    """Write manifest and frames (48×36 px JPEG) below `root`."""
    root.mkdir(parents=True, exist_ok=True)
    manifest = Manifest(root, behaviors, tuple(_row(take) for take in takes), {"rate_hz": RATE_HZ})
    for take, row in zip(takes, manifest.rows, strict=True):
        span = take.event or EventSpan(0.0, take.n_frames / RATE_HZ)
        first, last = round(span.start_s * RATE_HZ), round(span.end_s * RATE_HZ)
        draw = accident_between(first, last, take.colour) if take.colour else accident_between(0, 0)
        manifest.frames_dir(row).mkdir(parents=True)
        for index in range(take.n_frames):
            picture = PillowImage.fromarray(draw(index, 48, 36))
            picture.save(manifest.frame_path(row, index), quality=95)
    write_manifest(manifest)
    return manifest


def _row(take: Take) -> ManifestRow:
    return ManifestRow(
        clip_id=take.clip_id,
        behavior=take.behavior,
        split=take.split,
        group=take.group or take.clip_id,
        source=f"/footage/{take.clip_id}.mp4",
        n_frames=take.n_frames,
        rate_hz=RATE_HZ,
        duration_s=take.n_frames / RATE_HZ,
        event_start_s=take.event.start_s if take.event else None,
        event_end_s=take.event.end_s if take.event else None,
        modality="rgb",
        layout="csv",
        width_px=48,
        height_px=36,
        source_fps=24.0,
        key=take.clip_id,
        notes="",
        extra="{}",
    )
