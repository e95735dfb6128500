"""An evaluation of clips as figures, warnings and a page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jikimi.bundle import Card
from jikimi.clip import Split
from jikimi.data.manifest import Manifest, ManifestRow
from jikimi.frame import Floats
from jikimi.metrics import INTERVAL_BELOW, ClipReport, Doubles, log_softmax
from jikimi.train import plots
from jikimi.train.leakage import Leakage
from jikimi.train.report import Tile, interval, model_summary, number, percent, write_report
from jikimi.train.score import ClipScores
from jikimi.train.strips import Thumbnail, deciding_end, strip

# The goal of the guide, "How quality is measured".
ECE_GOAL = 0.05

# Clips shown as strips: enough to see a pattern, few enough to look at.
WORST = 8

SPLIT_NAMES: dict[Split, str] = {"train": "training", "val": "validation", "test": "test"}


@dataclass(frozen=True, slots=True)
class ClipResult:
    """One clip judged: its windows, its pooled probabilities (C,), and the loss of its prediction."""

    row: ManifestRow
    scores: ClipScores
    probabilities_C: Doubles
    predicted: str
    loss: float

    @property
    def right(self) -> bool:
        """Whether the behaviour was named."""
        return self.predicted == self.row.behavior

    @property
    def confidence(self) -> float:
        """Probability of what was predicted."""
        return float(self.probabilities_C.max())


@dataclass(frozen=True, slots=True)
class WorstClip:
    """A clip the model was most wrong about, with its frames."""

    result: ClipResult
    frames: tuple[Thumbnail, ...]


@dataclass(frozen=True, slots=True)
class AccidentCounts:
    """Accident or not, whichever accident: clips of either kind, and how many the model called one."""

    clips: int
    found: int
    normal_clips: int
    raised: int


@dataclass(frozen=True, slots=True)
class ClipEvaluation:
    """All that is known after one side of the split was judged."""

    card: Card
    manifest: Manifest
    split: Split
    report: ClipReport
    results: tuple[ClipResult, ...]
    leakage: Leakage

    @property
    def accidents(self) -> AccidentCounts:
        """How many accidents were taken for one, and how many normal clips."""
        normal = self.card.keys[self.card.normal_index]
        said = [r.predicted != normal for r in self.results if r.row.behavior != normal]
        raised = [r.predicted != normal for r in self.results if r.row.behavior == normal]
        return AccidentCounts(len(said), sum(said), len(raised), sum(raised))

    @property
    def summary(self) -> str:
        """The figures in a line."""
        report, leakage = self.report, self.leakage
        bounds = interval(report.accuracy, as_percent=True)
        accuracy = percent(report.accuracy.value) + (f" (95 % interval {bounds})" if bounds else "")
        line = (
            f"accuracy {accuracy}, macro-F1 {number(report.macro_f1.value)} "
            f"on {report.n_clips} clips of {report.n_groups} groups"
        )
        if leakage.by_group is None or leakage.at_random is None:
            return f"{line}; leakage alarm not measured: {leakage.why_not}"
        return (
            f"{line}; leakage alarm: probe {percent(leakage.at_random.accuracy)} split at random, "
            f"{percent(leakage.by_group.accuracy)} by group"
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know before believing the figures."""
        return tuple(self._doubts())

    def _doubts(self) -> Iterator[str]:
        report, fitted = self.report, self.card.calibration
        if report.n_groups == 1:
            yield f"All {report.n_clips} clips are of one group: there is not even an interval to give."
        elif report.n_clips < INTERVAL_BELOW:
            yield (
                f"Only {report.n_clips} clips of {report.n_groups} groups: read the 95 % intervals beside "
                "the figures. They come from drawing whole groups again and again."
            )
        missing = [row.behavior for row in report.classes if not row.support]
        if missing:
            yield f"No clips of {', '.join(missing)}: nothing is known of them, and macro-F1 leaves them out."
        if self.split == "train":
            yield "The model has learned from these very clips: the figures say nothing about others."
        if self.split == "val":
            yield "Training keeps the epoch that is best on these clips: expect a little less elsewhere."
        if fitted.get("dataset") == self.manifest.digest() and self.split in fitted.get("splits", ()):
            yield "Temperature and thresholds were fitted on these clips: calibration error is flattered."
        if self.leakage.large:
            yield "The leakage alarm rings: features tell scenes or persons apart better than behaviours."

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "kind": "clips",
            "model": model_summary(self.card),
            "dataset": self.manifest.digest(),
            "split": self.split,
            **self.report.as_dict(),
            "leakage": self.leakage.as_dict(),
            "notes": list(self.notes),
            "predictions": [self._prediction(result) for result in self.results],
        }

    def _prediction(self, result: ClipResult) -> dict[str, Any]:
        probabilities = [round(value, 6) for value in result.probabilities_C.tolist()]
        return {
            "clip_id": result.row.clip_id,
            "group": result.row.group,
            "behavior": result.row.behavior,
            "predicted": result.predicted,
            "probabilities": dict(zip(self.card.keys, probabilities, strict=True)),
            "loss": round(result.loss, 6),
            "decided_at_s": deciding_end(result.scores, self.card.normal_index) / result.row.rate_hz,
        }


def judge(
    rows: Sequence[ManifestRow], scored: Sequence[ClipScores], pooled_NC: Floats, card: Card
) -> list[ClipResult]:
    """Turn pooled logits (N, C) into a verdict on each clip."""
    logs_NC = log_softmax(pooled_NC.astype(np.float64) / card.temperature)
    return [
        ClipResult(
            row=row,
            scores=scores,
            probabilities_C=np.exp(logs),
            predicted=card.keys[int(logs.argmax())],
            loss=float(-logs[card.keys.index(row.behavior)]),
        )
        for row, scores, logs in zip(rows, scored, logs_NC, strict=True)
    ]


def write(evaluation: ClipEvaluation, out: Path) -> Path:
    """Write page, figures and pictures to `out`; returns the page's path.

    Raises:
        DataError: a frame is missing or damaged, or `out` cannot be written.
    """
    manifest, card = evaluation.manifest, evaluation.card
    worst = sorted(evaluation.results, key=lambda result: -result.loss)[:WORST]
    context = {
        "title": "Clips",
        "split_name": SPLIT_NAMES[evaluation.split],
        "report": evaluation.report,
        "results": evaluation.results,
        "accident": evaluation.accidents,
        "tiles": _tiles(evaluation.report),
        "notes": evaluation.notes,
        "leakage": evaluation.leakage,
        "groups": _groups(manifest),
        "worst": [WorstClip(r, strip(manifest, r.row, r.scores, card)) for r in worst],
        "rule": card.rule,
    }
    return write_report(
        out,
        template="clips.html.j2",
        card=card,
        context=context,
        metrics=evaluation.as_dict(),
        pictures=_pictures(evaluation),
    )


def _tiles(report: ClipReport) -> list[Tile]:
    ece = report.ece.value
    return [
        Tile("Accuracy", percent(report.accuracy.value), _small(interval(report.accuracy, as_percent=True))),
        Tile("Macro-F1", number(report.macro_f1.value), _small(interval(report.macro_f1))),
        Tile(
            "Calibration error",
            number(ece),
            _small(interval(report.ece)),
            goal=f"≤ {ECE_GOAL:g}",
            met=None if ece is None else ece <= ECE_GOAL,
        ),
        Tile("Negative log-likelihood", number(report.nll.value), _small(interval(report.nll))),
    ]


def _small(bounds: str) -> str:
    return f"95 % interval {bounds}" if bounds else ""


def _groups(manifest: Manifest) -> list[tuple[str, Split, int]]:
    """Group, side of the split, clips; by side, largest first."""
    sizes: dict[tuple[str, Split], int] = {}
    for row in manifest.rows:
        sizes[row.group, row.split] = sizes.get((row.group, row.split), 0) + 1
    listed = [(group, split, size) for (group, split), size in sizes.items()]
    order = list(SPLIT_NAMES)
    return sorted(listed, key=lambda entry: (order.index(entry[1]), -entry[2], entry[0]))


def _pictures(evaluation: ClipEvaluation) -> dict[str, bytes]:
    card, results = evaluation.card, evaluation.results
    accident = np.array([1 - result.probabilities_C[card.normal_index] for result in results])
    is_normal = np.array([result.row.behavior == card.keys[card.normal_index] for result in results])
    pictures = {
        "confusion.png": plots.confusion(evaluation.report),
        "reliability.png": plots.reliability(evaluation.report),
    }
    if is_normal.any() and not is_normal.all():  # the curve needs both kinds
        pictures["curve.png"] = plots.accident_curve(accident[~is_normal], accident[is_normal])
    return pictures
