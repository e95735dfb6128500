"""Clips and streams through a model: windows in, logits out. The same numbers as watching live."""

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from jikimi import sampling
from jikimi.bundle import Card, Scorer
from jikimi.data.manifest import Manifest, ManifestRow
from jikimi.errors import BundleError, DataError
from jikimi.frame import Floats, Image
from jikimi.metrics import Doubles
from jikimi.sampling import Indices
from jikimi.train.dataset import read_frame
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
    return score_windows(scorer, row, encode_clip(scorer, manifest, row), stride=stride)


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
    pictures = (read_frame(manifest, row, index) for index in range(row.n_frames))
    return np.concatenate(list(_encode(scorer, pictures)))


def score_windows(scorer: Scorer, row: ManifestRow, features_ND: Floats, *, stride: int = 1) -> ClipScores:
    """Score the windows of a clip whose frames are encoded, (n_frames, D)."""
    card, n_frames = scorer.card, len(features_ND)
    if card.sampling == "even":
        ends = np.array([n_frames - 1])
        windows = sampling.evenly(n_frames, card.window)[None]
    else:
        ends = np.array(sampling.window_ends(n_frames, warm_up=card.warm_up, stride=stride))
        windows = np.stack([sampling.window_ending_at(int(last), card.window) for last in ends])
    logits = _classify(scorer, features_ND, windows, where=f"clip {row.clip_id}")
    return ClipScores(row.clip_id, ends, ends / row.rate_hz, logits)


def watch_clip(scorer: Scorer, row: ManifestRow, features_ND: Floats, *, step_s: float) -> StreamScores:
    """Decide on an encoded clip, (n_frames, D), as if it were a short stream of a camera."""
    n_frames = len(features_ND)
    ends = np.arange(scorer.card.warm_up - 1, n_frames)
    logits = _slide(scorer, features_ND, ends, where=f"clip {row.clip_id}")
    return StreamScores(ends / row.rate_hz, logits, n_frames / row.rate_hz, step_s)


def score_stream(scorer: Scorer, path: Path, *, clock: Clock = time.perf_counter) -> StreamScores:
    """Decide on a video file as watching it live would: every tick from the warm-up on, window by window.

    Only as many features as a window needs are kept, so that a stream may be days long. A stream shorter than
    the warm-up has no decisions.

    Raises:
        VideoError: the file cannot be opened or holds no video.
        BundleError: the model answered with something that is not a number.
    """
    card = scorer.card
    frames = read_frames(path, rate_hz=card.rate_hz, short_side_px=card.short_side_px)
    recent = np.empty((0, card.feature_dim), np.float32)
    parts: list[Floats] = [np.empty((0, len(card.behaviors)), np.float32)]
    n_ticks, first_decision = 0, card.warm_up - 1
    for features in _encode(scorer, (frame.image_HWC for frame in frames)):
        recent = np.concatenate([recent, features])
        start = n_ticks + len(features) - len(recent)  # tick of the oldest feature kept
        ends = np.arange(max(n_ticks, first_decision), n_ticks + len(features)) - start
        parts.append(_slide(scorer, recent, ends, where=path.name))
        n_ticks += len(features)
        recent = recent[-(card.window - 1) :] if card.window > 1 else recent[:0]
    logits = np.concatenate(parts)
    times_s = (np.arange(len(logits)) + first_decision) / card.rate_hz
    return StreamScores(times_s, logits, n_ticks / card.rate_hz, measure_step_s(scorer, clock=clock))


def measure_step_s(scorer: Scorer, *, clock: Clock = time.perf_counter) -> float:
    """Compute seconds of one decision as taken live: one picture prepared and encoded, one window scored."""
    card = scorer.card
    # A picture of the size that decoding yields, 16:9.
    picture = np.zeros((card.short_side_px, card.short_side_px * 16 // 9, 3), np.uint8)
    window = np.zeros((1, card.window, card.feature_dim), np.float32)
    taken: list[float] = []
    for _ in range(TIMED_STEPS):
        start = clock()
        scorer.encode(card.preprocess([picture]))
        scorer.classify(window)
        taken.append(clock() - start)
    return statistics.median(taken)


def _encode(scorer: Scorer, pictures: Iterable[Image]) -> Iterator[Floats]:
    """Features of pictures in order, float32 (≤32, D) at a time."""
    remaining = iter(pictures)
    while batch := list(islice(remaining, ENCODE_BATCH)):
        yield scorer.encode(scorer.card.preprocess(batch))


def _slide(scorer: Scorer, features_ND: Floats, ends: Indices, *, where: str) -> Floats:
    """Logits of the windows that end with the given features, float32 (len(ends), C)."""
    windows = [sampling.window_ending_at(int(last), scorer.card.window) for last in ends]
    return _classify(scorer, features_ND, windows, where=where)


def _classify(
    scorer: Scorer, features_ND: Floats, windows: Sequence[Indices] | Indices, *, where: str
) -> Floats:
    card = scorer.card
    parts = [np.empty((0, len(card.behaviors)), np.float32)]
    for start in range(0, len(windows), CLASSIFY_BATCH):
        indices = np.stack(list(windows[start : start + CLASSIFY_BATCH]))
        parts.append(scorer.classify(features_ND[indices]))
    logits = np.concatenate(parts)
    if not np.isfinite(logits).all():
        raise BundleError(
            f"model {card.name!r} answered {where} with NaN or infinity; train or export it again"
        )
    return logits
