"""How good predictions of clips are: accuracy, F1, calibration, with intervals over groups (numpy only).

Streams of alarms are measured in `stream_metrics`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from jikimi.frame import Floats

Doubles = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

# 15 bins as in Guo et al. 2017, "On Calibration of Modern Neural Networks", section 3.
ECE_BINS = 15

# Below this many clips a figure without its interval says more than is known.
INTERVAL_BELOW = 100
RESAMPLES = 1000
TAIL = 2.5  # per cent on either side: a 95 % interval


def softmax(logits_NC: npt.ArrayLike) -> Doubles:
    """Softmax over the last axis, float64 (..., C)."""
    return np.exp(log_softmax(logits_NC))


def log_softmax(logits_NC: npt.ArrayLike) -> Doubles:
    """Logarithm of the softmax over the last axis, float64 (..., C), exact where softmax is 0."""
    logits = np.asarray(logits_NC, dtype=np.float64)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def window_weights(logits_WC: npt.ArrayLike, normal_index: int) -> Doubles:
    """How much each window says about its clip, float64 (W,), sums to 1: the least normal says the most.

    Softmax over windows of the accident log-odds: log-sum-exp of the accident logits less the normal one.
    """
    logits = np.asarray(logits_WC, dtype=np.float64)
    accidents = np.delete(logits, normal_index, axis=1)
    top = accidents.max(axis=1)
    odds = top + np.log(np.exp(accidents - top[:, None]).sum(axis=1)) - logits[:, normal_index]
    return softmax(odds)


def pool_windows(logits_WC: npt.ArrayLike, normal_index: int) -> Floats:
    """One prediction of a clip from its windows, logits (W, C) → float32 (C,), by `window_weights`.

    An accident lasts a second of a long clip: a plain mean would drown it in normal windows.
    """
    logits = np.asarray(logits_WC, dtype=np.float64)
    return np.asarray(window_weights(logits, normal_index) @ logits, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value with its 95 % interval. None: not defined here, or no interval called for."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def as_dict(self) -> dict[str, float | None]:
        """Return it for JSON."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class ClassReport:
    """Figures of one behaviour; `support` is its number of clips in the truth.

    Precision is not defined without predictions of the behaviour, recall not without clips of it.
    """

    behavior: str
    precision: Figure
    recall: Figure
    f1: Figure
    support: int


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Predictions whose confidence lies in `(low, high]`: how many, how sure, how often right."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class ClipReport:
    """Quality over clips. `confusion[truth][predicted]` counts clips in the order of `behaviors`.

    `macro_f1` is the mean F1 over the behaviours that occur in the truth.
    """

    behaviors: tuple[str, ...]
    n_clips: int
    n_groups: int
    accuracy: Figure
    macro_f1: Figure
    ece: Figure
    nll: Figure
    classes: tuple[ClassReport, ...]
    confusion: tuple[tuple[int, ...], ...]
    reliability: tuple[ReliabilityBin, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values; no NaN in it."""
        classes = {
            row.behavior: {
                "precision": row.precision.as_dict(),
                "recall": row.recall.as_dict(),
                "f1": row.f1.as_dict(),
                "support": row.support,
            }
            for row in self.classes
        }
        return {
            "clips": self.n_clips,
            "groups": self.n_groups,
            "behaviors": list(self.behaviors),
            "accuracy": self.accuracy.as_dict(),
            "macro_f1": self.macro_f1.as_dict(),
            "ece": self.ece.as_dict(),
            "nll": self.nll.as_dict(),
            "classes": classes,
            "confusion": [list(row) for row in self.confusion],
        }


@dataclass(frozen=True, slots=True)
class _Predictions:
    """Clips as columns: truth, prediction, confidence of the prediction, loss; each (N,)."""

    labels: Labels
    predicted: Labels
    confidence: Doubles
    losses: Doubles
    n_classes: int

    def take(self, rows: Labels) -> "_Predictions":
        return _Predictions(
            self.labels[rows], self.predicted[rows], self.confidence[rows], self.losses[rows], self.n_classes
        )

    def confusion(self) -> Labels:
        flat = self.labels * self.n_classes + self.predicted
        counts = np.bincount(flat, minlength=self.n_classes**2).astype(np.int64)
        return counts.reshape(self.n_classes, self.n_classes)

    def figures(self) -> Doubles:
        """Accuracy, macro-F1, ECE, NLL, then C precisions, recalls and F1s; NaN where not defined."""
        confusion = self.confusion()
        hits, truth, guessed = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
        f1 = _ratio(2 * hits, truth + guessed)
        scalars = [hits.sum() / truth.sum(), f1[truth > 0].mean(), self._ece(), self.losses.mean()]
        return np.concatenate([scalars, _ratio(hits, guessed), _ratio(hits, truth), f1])

    def bins(self) -> tuple[Labels, Doubles, Doubles]:
        """Count, sum of confidence and number right of each of the bins `(b/15, (b+1)/15]`."""
        index = np.clip(np.ceil(self.confidence * ECE_BINS).astype(np.int64) - 1, 0, ECE_BINS - 1)
        right = (self.labels == self.predicted).astype(np.float64)
        return (
            np.bincount(index, minlength=ECE_BINS).astype(np.int64),
            np.bincount(index, weights=self.confidence, minlength=ECE_BINS).astype(np.float64),
            np.bincount(index, weights=right, minlength=ECE_BINS).astype(np.float64),
        )

    def _ece(self) -> float:
        counts, confidence, right = self.bins()
        return float(np.abs(confidence - right).sum() / counts.sum())


def _ratio(top: Labels, bottom: Labels) -> Doubles:
    out = np.full(len(top), np.nan)
    np.divide(top, bottom, out=out, where=bottom > 0)
    return out


def clip_report(
    logits_NC: npt.ArrayLike,
    labels_N: npt.ArrayLike,
    *,
    behaviors: Sequence[str],
    groups: Sequence[str],
    temperature: float = 1.0,
    seed: int = 0,
) -> ClipReport:
    """Measure one prediction a clip: pooled logits (N, C) against label indices (N,).

    With fewer than 100 clips, and at least two groups, every figure carries a 95 % percentile bootstrap
    interval (Efron 1979) that resamples whole groups: clips of one group are not independent.

    Raises:
        ValueError: nothing to measure, lengths differ, or a logit is not finite.
    """
    predictions = _predictions(logits_NC, labels_N, temperature=temperature, n_classes=len(behaviors))
    if len(groups) != len(predictions.labels):
        raise ValueError(f"{len(predictions.labels)} clips but {len(groups)} groups")
    values = predictions.figures()
    n_groups = len(set(groups))
    bounds = np.full((2, len(values)), np.nan)
    if len(groups) < INTERVAL_BELOW and n_groups > 1:
        bounds = _interval(np.stack(list(_resampled(predictions, groups, seed=seed))))
    figures = [
        Figure(*(None if np.isnan(number) else float(number) for number in column))
        for column in zip(values, *bounds, strict=True)
    ]
    return _report(predictions, figures, behaviors=tuple(behaviors), n_groups=n_groups)


def _predictions(
    logits_NC: npt.ArrayLike, labels_N: npt.ArrayLike, *, temperature: float, n_classes: int
) -> _Predictions:
    logits = np.asarray(logits_NC, dtype=np.float64)
    labels = np.asarray(labels_N, dtype=np.int64)
    if logits.ndim != 2 or logits.shape != (len(labels), n_classes) or not len(labels):
        raise ValueError(f"logits {logits.shape} for {len(labels)} labels of {n_classes} behaviours")
    if not np.isfinite(logits).all():
        raise ValueError("a logit is not a finite number")
    logs = log_softmax(logits / temperature)
    losses = -logs[np.arange(len(labels)), labels]
    return _Predictions(labels, logits.argmax(axis=1), np.exp(logs.max(axis=1)), losses, n_classes)


def _resampled(predictions: _Predictions, groups: Sequence[str], *, seed: int) -> Iterator[Doubles]:
    _, index = np.unique(np.asarray(groups), return_inverse=True)
    members = [np.flatnonzero(index == group) for group in range(index.max() + 1)]
    rng = np.random.default_rng(seed)
    for _ in range(RESAMPLES):
        drawn = rng.integers(len(members), size=len(members))
        yield predictions.take(np.concatenate([members[group] for group in drawn])).figures()


def _interval(samples_RF: Doubles) -> Doubles:
    """Percentiles of each column over the resamples in which it is defined, (2, F)."""
    bounds = np.full((2, samples_RF.shape[1]), np.nan)
    for column, values in enumerate(samples_RF.T):
        defined = values[~np.isnan(values)]
        if len(defined):
            bounds[:, column] = np.percentile(defined, [TAIL, 100 - TAIL])
    return bounds


def _report(
    predictions: _Predictions, figures: Sequence[Figure], *, behaviors: tuple[str, ...], n_groups: int
) -> ClipReport:
    confusion = predictions.confusion()
    n = len(behaviors)
    accuracy, macro_f1, ece, nll, *rest = figures
    return ClipReport(
        behaviors=behaviors,
        n_clips=len(predictions.labels),
        n_groups=n_groups,
        accuracy=accuracy,
        macro_f1=macro_f1,
        ece=ece,
        nll=nll,
        classes=tuple(
            ClassReport(key, rest[i], rest[n + i], rest[2 * n + i], int(confusion[i].sum()))
            for i, key in enumerate(behaviors)
        ),
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
        reliability=_reliability(predictions),
    )


def _reliability(predictions: _Predictions) -> tuple[ReliabilityBin, ...]:
    return tuple(
        ReliabilityBin(
            low=b / ECE_BINS,
            high=(b + 1) / ECE_BINS,
            count=int(count),
            confidence=float(confidence / count),
            accuracy=float(right / count),
        )
        for b, (count, confidence, right) in enumerate(zip(*predictions.bins(), strict=True))
        if count
    )
