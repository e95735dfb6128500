"""A small prepared data set and small recipes: what the tests of training train."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage

from jikimi.behaviors import BEHAVIORS, Behavior
from jikimi.clip import Split
from jikimi.data.manifest import Manifest, ManifestRow, read_manifest, write_manifest
from jikimi.frame import Image
from jikimi.train.recipes import Recipe, Stage, baseline

RATE_HZ = 8.0
HEIGHT_PX, WIDTH_PX = 64, 96

# A ResNet of 0.4 M parameters with the layout of its large relatives.
BACKBONE = "test_resnet"

BUMP, JAM, NORMAL = (next(b for b in BEHAVIORS if b.key == key) for key in ("bump", "jam", "no-accident"))
LABELS = (BUMP, JAM, NORMAL)
COLOURS = {"bump": (255, 220, 0), "jam": (0, 220, 0), "no-accident": (128, 128, 128)}


@dataclass(frozen=True)
class ClipSpec:
    """A clip to draw. `event_s` is None where no time is known."""

    behavior: str
    split: Split
    group: str
    n_frames: int = 20
    event_s: tuple[float, float] | None = None

    @property
    def clip_id(self) -> str:
        return f"{self.behavior}-{self.group}-{self.split}"


def three_behaviours() -> list[ClipSpec]:
    """Bumps with event times, jams without, normal clips; an odd number to validate on."""
    specs = []
    groups: list[tuple[Split, str]] = [("train", "a"), ("train", "b"), ("train", "c"), ("val", "d")]
    for split, group in groups:
        specs += [
            ClipSpec("bump", split, group, event_s=(1.0, 2.0)),
            ClipSpec("jam", split, group),
            ClipSpec("no-accident", split, group),
        ]
    return specs


def make_data(
    root: Path, specs: Sequence[ClipSpec] | None = None, *, behaviors: tuple[Behavior, ...] = LABELS
) -> Manifest:
    """Write a prepared data set: frames of an accident show a square of its colour."""
    rows = []
    for number, spec in enumerate(three_behaviours() if specs is None else specs):
        row = _row(spec)
        rows.append(row)
        folder = root / "frames" / spec.behavior / spec.clip_id
        folder.mkdir(parents=True)
        for index in range(spec.n_frames):
            picture = PillowImage.fromarray(draw(spec, index, seed=number))
            picture.save(folder / f"{index + 1:06d}.jpg", quality=90)
    settings = {"short_side_px": HEIGHT_PX, "rate_hz": RATE_HZ}
    write_manifest(Manifest(root=root, behaviors=behaviors, rows=tuple(rows), settings=settings))
    return read_manifest(root)


def draw(spec: ClipSpec, index: int, *, seed: int) -> Image:
    """One frame, uint8 (64, 96, 3)."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 120, size=(4, 6, 3), dtype=np.uint8)
    image = np.kron(coarse, np.ones((16, 16, 1), np.uint8))
    start_s, end_s = spec.event_s or (0.5, 2.5)
    if start_s <= index / RATE_HZ < end_s:
        image[16:48, 24:72] = COLOURS[spec.behavior]
    left = 2 * index % (WIDTH_PX - 8)
    image[:6, left : left + 8] = 255
    return image


def _row(spec: ClipSpec) -> ManifestRow:
    event = spec.event_s or (None, None)
    return ManifestRow(
        clip_id=spec.clip_id,
        behavior=spec.behavior,
        split=spec.split,
        group=spec.group,
        source=f"{spec.clip_id}.mp4",
        n_frames=spec.n_frames,
        rate_hz=RATE_HZ,
        duration_s=spec.n_frames / RATE_HZ,
        event_start_s=event[0],
        event_end_s=event[1],
        modality="rgb",
        layout="folders",
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        source_fps=None,
        key=f"key-of-{spec.clip_id}",
        notes="",
        extra="{}",
    )


def tiny(*stages: Stage, **changes: Any) -> Recipe:
    """A recipe of seconds: 32×48 px, random weights, three epochs of the head where nothing else is said."""
    recipe = replace(baseline(weights="none", backbone=BACKBONE), name="tiny", batch_size=4)
    recipe = replace(recipe, stages=stages or (Stage("head", 3, 1e-3),), height_px=32, width_px=48)
    return replace(recipe, **changes)


def timed(*stages: Stage, **changes: Any) -> Recipe:
    """The same on windows of 8 frames around the events."""
    return tiny(*stages, **{"sampling": "timed", "window": 8, "warm_up": 4, "stride": 3, **changes})


def staged(**changes: Any) -> Recipe:
    """Head, then the last stage, then all; with all that a recipe can ask for."""
    options = {"optimizer": "adamw", "schedule": "cosine", "augment": True, "balance": "sampler"}
    stages = (Stage("head", 2, 1e-3), Stage("last", 2, 1e-3), Stage("all", 2, 1e-3))
    return timed(*stages, **{**options, "dropout": 0.2, "max_bag": 2, **changes})
