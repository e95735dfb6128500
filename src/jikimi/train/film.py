"""Augmentation of whole runs, fast enough to feed a light encoder from one core (docs/benchmarks.md).

What is drawn holds for the whole run, as in `augment`; what a camera does from frame to frame (noise, light
that changes, shaking, dropped frames) is drawn for each of them, since differences of frames show it.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image as PillowImage
from PIL import ImageFilter

from jikimi.clip import EventSpan
from jikimi.frame import Floats, Image
from jikimi.preprocess import Preprocess
from jikimi.sampling import Indices
from jikimi.train import augment
from jikimi.train.places import Geometry

# Side of the part that is seen, as a share of the picture's: below 1 it is a crop, above there is a margin.
SIDE_RANGE = (0.65, 1.25)
CLOSE_RANGE = (0.25, 0.65)  # about somebody: as people look from a camera that is near
STRETCH = 0.12  # a lens or a wrong pixel aspect

# Shares of runs each change is made to.
CLOSE = 0.35
LIGHT, DRIFT, BLUR, NOISE, SHAKE, RECOMPRESS, ERASE = 0.8, 0.25, 0.15, 0.5, 0.1, 0.1, 0.25
FRESH = 0.5  # runs seen as if the camera had just come up
AT_ONSET = 0.75  # runs of an accident whose time is known that are made to contain its beginning


@dataclass(frozen=True, slots=True)
class Times:
    """Which frames a run shows, int64 (N,), and those it only looks back at, (P,): none when it is fresh."""

    past: Indices
    shown: Indices

    @property
    def fresh(self) -> bool:
        """Whether the stream begins with the run: windows are then shorter than whole at first."""
        return not len(self.past)


def draw_times(
    n_frames: int,
    *,
    span: int,
    history: int,
    rng: np.random.Generator,
    onset: int | None = None,
    jitter: bool = True,
) -> Times:
    """Draw a run of up to `span` frames of a clip, at a rate somewhat other than its own, some dropped.

    A run that is not fresh has seen the clip before it: `history` frames, at least one.
    """
    span = min(span, n_frames)
    factor = rng.uniform(*augment.RATE_RANGE) if jitter and rng.random() < augment.RATE else 1.0
    factor = min(factor, (n_frames - 1) / max(1, span - 1)) if factor > 1 else factor
    reach = round((span - 1) * factor)
    starts = np.arange(n_frames - reach)
    if onset is not None and rng.random() < AT_ONSET:
        around = starts[(starts <= onset) & (onset < starts + max(1, reach))]
        starts = around if len(around) else starts
    start = int(rng.choice(starts))
    shown = start + np.rint(np.arange(span) * factor).astype(np.int64)
    past = start + np.rint(np.arange(-max(1, history), 0) * factor).astype(np.int64)
    if past[0] < 0 or rng.random() < FRESH:
        past = past[:0]
    if jitter and rng.random() < augment.DROP:
        for place in (1 + np.flatnonzero(rng.random(span - 1) < 0.15)).tolist():
            shown[place] = shown[place - 1]
    return Times(past, np.minimum(shown, n_frames - 1))


def onset_frame(event: EventSpan | None, rate_hz: float) -> int | None:
    """The frame an event begins with."""
    return None if event is None else int(event.start_s * rate_hz)


def film(
    frames_THWC: Image,
    preprocess: Preprocess,
    rng: np.random.Generator,
    *,
    focus: tuple[float, float] | None = None,
) -> tuple[Image, Geometry]:
    """Augment and fit a run, uint8 (T, H, W, C) → uint8 (T, height_px, width_px, C), and what went where.

    With a `focus`, x and y as shares of the picture, some runs are seen from close to it.
    """
    seen, inner = _view(frames_THWC, preprocess.inner(*frames_THWC.shape[1:3]), rng, focus=focus)
    seen = _lit(seen, rng)
    if rng.random() < ERASE:
        seen = _erased(seen, rng)
    if rng.random() < NOISE:
        seen = _noisy(seen, rng)
    if rng.random() < RECOMPRESS:
        packed = torch.from_numpy(seen).permute(0, 3, 1, 2)
        packed = augment.recompress(packed, quality=int(rng.integers(15, 60)))
        seen = np.ascontiguousarray(packed.permute(0, 2, 3, 1).numpy())
    left, top = (preprocess.width_px - seen.shape[2]) // 2, (preprocess.height_px - seen.shape[1]) // 2
    geometry = replace(inner, start_x=inner.start_x + left, start_y=inner.start_y + top)
    return _letterbox(seen, preprocess), geometry


def _view(
    frames_THWC: Image,
    size: tuple[int, int],
    rng: np.random.Generator,
    *,
    focus: tuple[float, float] | None,
) -> tuple[Image, Geometry]:
    """A part of the picture, or the picture in a margin, perhaps mirrored or blurred: uint8 (T, *size, C)."""
    height, width = frames_THWC.shape[1:3]
    x, y = focus if focus is not None and rng.random() < CLOSE else (None, None)
    side = float(rng.uniform(*SIDE_RANGE) if x is None else rng.uniform(*CLOSE_RANGE))
    stretch = float(np.exp(rng.uniform(-STRETCH, STRETCH)))
    rows = _Part.draw(side * stretch, rng, pixels=height, out=size[0], about=y)
    columns = _Part.draw(side / stretch, rng, pixels=width, out=size[1], about=x)
    trembles = rng.random() < SHAKE
    moves = rng.normal(0, 1.5 if trembles else 0.0, (len(frames_THWC), 2)).tolist()
    blur = ImageFilter.GaussianBlur(float(rng.uniform(0.4, 1.2))) if rng.random() < BLUR else None
    seen = np.empty((len(frames_THWC), rows.out, columns.out, frames_THWC.shape[3]), np.uint8)
    for out, frame, (down, right) in zip(seen, frames_THWC, moves, strict=True):
        picture = PillowImage.fromarray(frame if frame.shape[2] == 3 else frame[..., 0])
        top, bottom = rows.moved(down, pixels=height)
        left, end = columns.moved(right, pixels=width)
        picture = picture.resize(
            (columns.out, rows.out), PillowImage.Resampling.BILINEAR, box=(left, top, end, bottom)
        )
        out[:] = np.asarray(picture.filter(blur) if blur else picture).reshape(out.shape)
    flip = rng.random() < augment.FLIP
    seen = seen[:, :, ::-1] if flip else seen
    across, down_ = columns.within(pixels=width), rows.within(pixels=height)
    start_x, size_x = (columns.out - across[0], -across[1]) if flip else across
    geometry = Geometry(start_x + columns.before, size_x, down_[0] + rows.before, down_[1])
    margins = ((0, 0), (rows.before, rows.after), (columns.before, columns.after), (0, 0))
    if rng.random() < 0.5:
        return np.pad(seen, margins, mode="edge"), geometry
    return np.pad(seen, margins, constant_values=int(rng.integers(40, 200))), geometry


@dataclass(frozen=True, slots=True)
class _Part:
    """Along one side: the seen part `[start, stop)`, in pixels, as `out` pixels between two margins."""

    start: float
    stop: float
    out: int
    before: int
    after: int

    @classmethod
    def draw(
        cls, side: float, rng: np.random.Generator, *, pixels: int, out: int, about: float | None = None
    ) -> "_Part":
        place = float(rng.uniform())
        if side <= 1:
            if about is not None:  # it lies in the middle half of what is seen
                place = float(np.clip((about - side * (0.25 + place / 2)) / max(1 - side, 1e-6), 0, 1))
            start = place * (1 - side) * pixels
            return cls(start, start + side * pixels, out, 0, 0)
        inner = max(1, round(out / side))
        before = round(place * (out - inner))
        return cls(0.0, pixels, inner, before, out - inner - before)

    def within(self, *, pixels: int) -> tuple[float, float]:
        """Where the picture's own sides lie on what is seen: start and size, in pixels of it, no margins."""
        scale = self.out / (self.stop - self.start)
        return -self.start * scale, pixels * scale

    def moved(self, by: float, *, pixels: int) -> tuple[float, float]:
        """Start and end of what is seen after the camera moved, kept inside the picture."""
        by = float(np.clip(by, -self.start, pixels - self.stop))
        return max(0.0, self.start + by), min(float(pixels), self.stop + by)


def _lit(frames_THWC: Image, rng: np.random.Generator) -> Image:
    """Gamma, contrast, brightness, a tint where there are colours; and light that changes with time.

    All of it is a table of 256 values for each frame and channel.
    """
    count, _, _, channels = frames_THWC.shape
    levels: npt.NDArray[np.floating] = np.tile(np.arange(256, dtype=np.float32), (count, channels, 1))
    if rng.random() < LIGHT:
        gamma, contrast, gain = rng.uniform(0.6, 1.7), rng.uniform(0.5, 1.4), rng.uniform(0.6, 1.3)
        levels = (levels / 255) ** np.float32(gamma) * 255
        # A sparse mean is as good as that of all pixels.
        mean = float(levels[0, 0, frames_THWC[0, ::4, ::4]].mean())
        tint = rng.uniform(0.85, 1.15, (channels, 1)) if channels == 3 else 1.0
        levels = ((levels - mean) * contrast + mean) * gain * tint
    if rng.random() < DRIFT:  # a lamp that flickers, an exposure that follows
        times = np.arange(count) * rng.uniform(0.05, 2.5) + rng.uniform(0, 2 * np.pi)
        levels = levels * (1 + np.sin(times) * rng.uniform(0.01, 0.12))[:, None, None]
    tables = levels.clip(0, 255).round().astype(np.uint8)
    out = np.empty_like(frames_THWC, order="C")
    for t in range(count):
        for channel in range(channels):
            out[t, ..., channel] = tables[t, channel][frames_THWC[t, ..., channel]]
    return out


def _erased(frames_THWC: Image, rng: np.random.Generator) -> Image:
    """A post in front of the camera: the same box is grey in every frame."""
    height, width = frames_THWC.shape[1:3]
    h, w = (int(side * rng.uniform(0.1, 0.35)) + 1 for side in (height, width))
    top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    frames_THWC[:, top : top + h, left : left + w] = int(rng.integers(40, 200))
    return frames_THWC


@cache
def _noise() -> npt.NDArray[np.float32]:
    """A sensor's noise to take pieces of: drawing a run's own would take as long as all the rest."""
    return np.random.default_rng(0).standard_normal(1 << 20, dtype=np.float32)


def _noisy(frames_THWC: Image, rng: np.random.Generator) -> Image:
    pool, sigma = _noise(), np.float32(rng.uniform(0.5, 8.0))
    size = frames_THWC[0].size
    starts = rng.integers(max(1, len(pool) - size), size=len(frames_THWC)).tolist()
    out = np.empty_like(frames_THWC)
    for t, start in enumerate(starts):
        noise: Floats = np.resize(pool[start : start + size], frames_THWC[t].shape)
        out[t] = (frames_THWC[t] + noise * sigma).clip(0, 255)
    return out


def _letterbox(frames_THWC: Image, preprocess: Preprocess) -> Image:
    """Put fitted frames between the bars, as `Preprocess.fit` does."""
    count, height, width, channels = frames_THWC.shape
    if (height, width) == (preprocess.height_px, preprocess.width_px):
        return frames_THWC
    out = np.empty((count, preprocess.height_px, preprocess.width_px, channels), np.uint8)
    out[:] = preprocess.bar
    top, left = (preprocess.height_px - height) // 2, (preprocess.width_px - width) // 2
    out[:, top : top + height, left : left + width] = frames_THWC
    return out
