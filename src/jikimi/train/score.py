"""Clips and streams through a model: windows in, logits out. The same numbers as watching live."""

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from jikimi import sampling
from jikimi.bundle import Card, Scorer
from jikimi.data.manifest import Manifest, ManifestRow
from jikimi.errors import BundleError, DataError
from jikimi.frame import Floats, Frame, Image
from jikimi.metrics import Doubles
from jikimi.sampling import Indices
from jikimi.train.dataset import read_frame, read_inputs
from jikimi.video import read_frames

ENCODE_BATCH = 32
CLASSIFY_BATCH = 256

# Steps timed for the compute time of a decision; the median forgives a disturbed one.
TIMED_STEPS = 9

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class ClipScores:
    """Windows of one clip: index of each one's last frame (W,), its moment (W,) and its logits (W, C)."""

    clip_id: str
    ends: Indices
    times_s: Doubles
    logits_WC: Floats


@dataclass(frozen=True, slots=True)
class StreamScores:
    """Decisions on a stream: moments (N,), logits (N, C), seconds watched, compute seconds a decision."""

    times_s: Doubles
    logits_NC: Floats
    duration_s: float
    step_s: float


def score_clip(scorer: Scorer, manifest: Manifest, row: ManifestRow, *, stride: int = 1) -> ClipScores:
    """Score the windows of one prepared clip: every `stride` frames, or the one window of an even model.

    Raises:
        DataError: a frame is missing or damaged, or the clip was prepared at another rate.
        BundleError: the model answered with something that is not a number.
    """
    card = scorer.card
    if card.sampling == "timed":
        return score_windows(scorer, row, encode_clip(scorer, manifest, row), stride=stride)
    # Of a clip of minutes an even model sees 16 frames: the others need no encoding.
    pictures = read_inputs(card.preprocess, manifest, row, sampling.evenly(row.n_frames, card.window))
    logits = _classify(scorer, [scorer.encode(pictures)], where=f"clip {row.clip_id}")
    ends = np.array([row.n_frames - 1])
    return ClipScores(row.clip_id, ends, ends / row.rate_hz, logits)


def class_index(card: Card, row: ManifestRow) -> int:
    """Position of the clip's behaviour in the model's label set.

    Raises:
        DataError: the model does not know the behaviour.
    """
    if row.behavior not in card.keys:
        raise DataError(
            f"clip {row.clip_id} is {row.behavior!r}, but model {card.name!r} knows {', '.join(card.keys)}"
        )
    return card.keys.index(row.behavior)


def encode_clip(scorer: Scorer, manifest: Manifest, row: ManifestRow) -> Floats:
    """Features of every frame of a prepared clip, float32 (n_frames, D), each encoded once.

    Raises:
        DataError: a frame is missing or damaged, or the clip was prepared at another rate.
    """
    card = scorer.card
    # An even model sees the whole clip, whatever the rate.
    if card.sampling == "timed" and row.rate_hz != card.rate_hz:
        raise DataError(
            f"{manifest.root}: prepared at {row.rate_hz:g} Hz, model {card.name!r} wants {card.rate_hz:g}; "
            f"run prepare again with --rate-hz {card.rate_hz:g}"
        )
    parts: list[Floats] = []
    before: Sequence[Image] = ()
    for start in range(0, row.n_frames, ENCODE_BATCH):
        indices = range(start, min(start + ENCODE_BATCH, row.n_frames))
        pictures = [read_frame(manifest, row, index) for index in indices]
        parts.append(scorer.encode(card.preprocess(pictures, before=before)))
        before = card.preprocess.tail([*before, *pictures])
    return np.concatenate(parts)


def score_windows(scorer: Scorer, row: ManifestRow, features_ND: Floats, *, stride: int = 1) -> ClipScores:
    """Score the windows of a clip whose frames are encoded, (n_frames, D)."""
    card, n_frames = scorer.card, len(features_ND)
    if card.sampling == "even":
        ends = np.array([n_frames - 1])
        windows = [sampling.evenly(n_frames, card.window)]
    else:
        ends = np.array(sampling.window_ends(n_frames, warm_up=card.warm_up, stride=stride))
        windows = [sampling.window_ending_at(int(last), card.window) for last in ends]
    logits = _classify(scorer, [features_ND[indices] for indices in windows], where=f"clip {row.clip_id}")
    return ClipScores(row.clip_id, ends, ends / row.rate_hz, logits)


def watch_clip(scorer: Scorer, row: ManifestRow, features_ND: Floats, *, step_s: float) -> StreamScores:
    """Decide on an encoded clip, (n_frames, D), as if it were a short stream of a camera."""
    memory = _Memory(scorer.card)
    windows = [window for feature in features_ND if (window := memory.take(feature)) is not None]
    times_s = (np.arange(len(windows)) + scorer.card.warm_up - 1) / row.rate_hz
    logits = _classify(scorer, windows, where=f"clip {row.clip_id}")
    return StreamScores(times_s, logits, len(features_ND) / row.rate_hz, step_s)


def score_stream(scorer: Scorer, path: Path, *, clock: Clock = time.perf_counter) -> StreamScores:
    """Decide on a video file as watching it live would: every tick from the warm-up on, window by window.

    After a gap longer than the rule's `max_gap_s` it warms up anew, as the live detector does. Only the
    features of one window are kept, so that a stream may be days long; one shorter than the warm-up has no
    decisions.

    Raises:
        VideoError: the file cannot be opened or holds no video.
        BundleError: the model answered with something that is not a number.
    """
    card, memory = scorer.card, _Memory(scorer.card)
    frames = read_frames(path, rate_hz=card.rate_hz, short_side_px=card.short_side_px)
    looks = _looks(frames, card)
    parts, ticks = [_no_logits(card)], []
    last, past = -1, None
    while batch := list(islice(looks, ENCODE_BATCH)):
        windows, pictures = [], []
        for look in batch:
            picture, past = card.preprocess.step(look.image, None if look.after_gap else past)
            pictures.append(picture)
        features = scorer.encode(np.concatenate(pictures))
        for look, feature in zip(batch, features, strict=True):
            if look.after_gap:
                memory = _Memory(card)
            window = memory.take(feature)
            if window is not None:
                windows.append(window)
                ticks.append(look.tick)
        parts.append(_classify(scorer, windows, where=path.name))
        last = batch[-1].tick
    return StreamScores(
        times_s=np.array(ticks, dtype=np.float64) / card.rate_hz,
        logits_NC=np.concatenate(parts),
        duration_s=(last + 1) / card.rate_hz,
        step_s=measure_step_s(scorer, clock=clock),
    )


@dataclass(frozen=True, slots=True)
class _Look:
    """One picture to encode: the tick it is decided at, and whether the stream was blind before."""

    tick: int
    image: Image
    after_gap: bool


def _looks(frames: Iterable[Frame], card: Card) -> Iterator[_Look]:
    """Pictures as the live detector gets them: of one that answers a whole gap, only the last tick counts."""
    tick = 0
    for image, count in _runs(frames):
        if count / card.rate_hz > card.rule.max_gap_s:
            yield _Look(tick + count - 1, image, after_gap=True)
        else:
            yield from (_Look(tick + i, image, after_gap=False) for i in range(count))
        tick += count


def _runs(frames: Iterable[Frame]) -> Iterator[tuple[Image, int]]:
    """Pictures with the number of ticks each answers."""
    image: Image | None = None
    count = 0
    for frame in frames:
        if image is not None and frame.image_HWC is not image:
            yield image, count
            count = 0
        image = frame.image_HWC
        count += 1
    if image is not None:
        yield image, count


class _Memory:
    """The features of the last window, and how many were seen since the start or the last gap."""

    def __init__(self, card: Card) -> None:
        self._warm_up = card.warm_up
        self._recent: deque[Floats] = deque(maxlen=card.window)
        self._seen = 0

    def take(self, feature_D: Floats) -> Floats | None:
        """Take the next feature, (D,) → the window that ends with it, (T, D), or None while warming up."""
        if not self._seen:
            assert self._recent.maxlen is not None
            self._recent.extend([feature_D] * (self._recent.maxlen - 1))  # as `sampling.window_ending_at`
        self._recent.append(feature_D)
        self._seen += 1
        return np.stack(list(self._recent)) if self._seen >= self._warm_up else None


def measure_step_s(scorer: Scorer, *, clock: Clock = time.perf_counter) -> float:
    """Compute seconds of one decision as taken live: one picture prepared and encoded, one window scored."""
    card = scorer.card
    # A picture of the size that decoding yields, 16:9.
    picture = np.zeros((card.short_side_px, card.short_side_px * 16 // 9, 3), np.uint8)
    window = np.zeros((1, card.window, card.feature_dim), np.float32)
    taken: list[float] = []
    past: Image | None = None
    for _ in range(TIMED_STEPS):
        start = clock()
        pictures, past = card.preprocess.step(picture, past)
        scorer.encode(pictures)
        scorer.classify(window)
        taken.append(clock() - start)
    return statistics.median(taken)


def _classify(scorer: Scorer, windows: Sequence[Floats], *, where: str) -> Floats:
    """Logits of windows, N × (T, D) → float32 (N, C)."""
    card = scorer.card
    starts = range(0, len(windows), CLASSIFY_BATCH)
    parts = [scorer.classify(np.stack(windows[start : start + CLASSIFY_BATCH])) for start in starts]
    logits = np.concatenate([_no_logits(card), *parts])
    if not np.isfinite(logits).all():
        raise BundleError(
            f"model {card.name!r} answered {where} with NaN or infinity; train or export it again"
        )
    return logits


def _no_logits(card: Card) -> Floats:
    return np.empty((0, len(card.behaviors)), np.float32)
