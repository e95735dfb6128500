"""Temperature and threshold: chosen on footage that nothing else was chosen on, then frozen in the card."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from jikimi.bundle import Scorer
from jikimi.data.manifest import Manifest, ManifestRow
from jikimi.errors import TrainError
from jikimi.incident import Rule
from jikimi.metrics import log_softmax, pool_windows
from jikimi.stream_metrics import StreamReport, Truth
from jikimi.train import alarms, score
from jikimi.train.alarms import THETAS, CurvePoint, ScoredStream
from jikimi.train.truth import StreamSet

# Temperatures outside say that there is too little to fit, not that the model is that wrong.
TEMPERATURES = (0.25, 10.0)

# One false alarm a day, as the goal of the evaluation has it.
GOAL_PER_HOUR = 0.042

# A behaviour gets a threshold of its own from this many events on: below, one event more or less found
# would move recall by over 10 points.
EVENTS_FOR_OWN_THETA = 10

# Ways to confirm an alarm, quickest first: decisions averaged, and how many of the last must agree. On hours
# of footage the slower ones pay where single moments of normal work look like accidents.
CONFIRMATIONS = ((3, 3, 4), (6, 3, 4), (8, 4, 6), (12, 4, 6))

Progress = Callable[[int, int], None]
"""Told how many are done, of how many."""


@dataclass(frozen=True, slots=True)
class RuleSummary:
    """How a rule came about: for the card, and for whoever asks why the threshold is what it is.

    `met` says whether the bound was kept on the calibration streams. `theta_same_recall` is the highest
    common threshold that loses no event the chosen one finds: the room there is above it.
    """

    met: bool
    theta_on: float
    theta_same_recall: float
    own_theta: dict[str, float]
    max_false_alarms_per_hour: float
    false_alarms: int
    false_alarms_per_hour: float | None
    false_alarms_per_hour_upper_95: float | None
    event_free_hours: float
    events: int
    found: int
    note: str


@dataclass(frozen=True, slots=True)
class Calibration:
    """What calibration found; `summary` goes into the card as it is."""

    temperature: float
    rule: Rule
    summary: dict[str, Any]


def fit_temperature(logits_NC: npt.ArrayLike, labels_N: npt.ArrayLike) -> float:
    """The temperature that minimises negative log-likelihood (Guo et al. 2017), within [0.25, 10].

    A log-normal prior around 1, worth one clip, keeps it sane where few or perfectly separated clips would
    drive it to a bound; with hundreds it is not felt. Without clips it is 1.

    Raises:
        ValueError: a logit is not finite.
    """
    logits, labels = np.asarray(logits_NC, np.float64), np.asarray(labels_N, np.int64)
    if not np.isfinite(logits).all():
        raise ValueError("a logit is not a finite number")
    if not len(labels):
        return 1.0

    def cost(log_t: float) -> float:
        logs = log_softmax(logits / math.exp(log_t))
        return float(log_t**2 / 2 - logs[np.arange(len(labels)), labels].sum())

    low, high = (math.log(bound) for bound in TEMPERATURES)
    for _ in range(5):  # each pass narrows twentyfold, to 1e-6
        grid = np.linspace(low, high, 41)
        best = int(np.argmin([cost(float(log_t)) for log_t in grid]))
        low, high = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, len(grid) - 1)])
    return math.exp((low + high) / 2)


def choose_rule(
    streams: Sequence[ScoredStream],
    truths: Sequence[Truth],
    rule: Rule,
    *,
    max_false_alarms_per_hour: float = GOAL_PER_HOUR,
) -> tuple[Rule, RuleSummary]:
    """The lowest threshold that keeps to the false-alarm bound, as every threshold above it does.

    Where the footage is too short to show the bound, the threshold halfway from there to the highest that
    loses no event.

    The latter since the rate does not simply fall with the threshold: under a very low one, a single incident
    stays open for good and hides the alarms that would follow. Behaviours with at least 10 events may go
    below the common threshold where that finds more within the bound. Where nothing keeps to the bound, the
    threshold with the fewest false alarms is taken, and the summary says so.

    Raises:
        TrainError: there is nothing to choose on.
    """
    if not streams:
        raise TrainError("no streams to choose a threshold on; calibrate on at least one clip or stream")
    curve = alarms.sweep(streams, truths, rule)
    kept = _kept_to(curve, max_false_alarms_per_hour)
    point = kept[0] if kept else min(curve, key=lambda p: (p.report.n_false, -p.report.n_found))
    chosen, report = rule.with_theta(point.theta_on), point.report
    if kept:
        chosen, report = _lower_each(
            streams, truths, chosen, report, max_false_alarms_per_hour=max_false_alarms_per_hour
        )
    same = max(p.theta_on for p in curve if p.report.n_found >= point.report.n_found)
    if kept and point.report.n_found and _too_few_hours(report, max_false_alarms_per_hour):
        # The lowest threshold without a false alarm in minutes of footage has no room to the next one.
        middle = _middle(kept, upto=same)
        point, chosen, report = middle, rule.with_theta(middle.theta_on), middle.report
    own = {key: theta for key, theta in chosen.theta_on.items() if theta != point.theta_on}
    return chosen, RuleSummary(
        met=bool(kept),
        theta_on=point.theta_on,
        theta_same_recall=same,
        own_theta=own,
        max_false_alarms_per_hour=max_false_alarms_per_hour,
        false_alarms=report.n_false,
        false_alarms_per_hour=report.false_alarms_per_hour,
        false_alarms_per_hour_upper_95=report.false_alarms_per_hour_upper,
        event_free_hours=report.event_free_hours,
        events=report.n_events,
        found=report.n_found,
        note=_note(report, met=bool(kept), bound=max_false_alarms_per_hour),
    )


def choose_confirmed(
    streams: Sequence[ScoredStream],
    truths: Sequence[Truth],
    rule: Rule,
    *,
    max_false_alarms_per_hour: float = GOAL_PER_HOUR,
) -> tuple[Rule, RuleSummary]:
    """`choose_rule` with each way to confirm an alarm: what finds most in the bound, then the quicker.

    Raises:
        TrainError: there is nothing to choose on.
    """
    found = [
        choose_rule(
            streams,
            truths,
            replace(rule, smooth=smooth, raise_n=n, raise_of=of),
            max_false_alarms_per_hour=max_false_alarms_per_hour,
        )
        for smooth, n, of in CONFIRMATIONS
    ]

    def merit(chosen: tuple[Rule, RuleSummary]) -> tuple[bool, int, int]:
        summary = chosen[1]
        return summary.met, summary.found if summary.met else 0, -summary.false_alarms

    return max(found, key=merit)  # the first of equals


def _too_few_hours(report: StreamReport, bound: float) -> bool:
    """Whether the footage is too short to show the bound: nothing seen in H hours only bounds it by 3 / H."""
    return report.event_free_hours * bound < 3


def _middle(kept: Sequence[CurvePoint], *, upto: float) -> CurvePoint:
    """The point halfway up the thresholds that keep to the bound and lose no event."""
    room = [point for point in kept if point.theta_on <= upto]
    return room[len(room) // 2]


def _keeps_to(report: StreamReport, bound: float) -> bool:
    if report.false_alarms_per_hour is None:
        return report.n_false == 0
    return report.false_alarms_per_hour <= bound


def _kept_to(curve: Sequence[CurvePoint], bound: float) -> list[CurvePoint]:
    """The upper end of the curve that keeps to the bound without a gap, lowest threshold first."""
    kept: list[CurvePoint] = []
    for point in reversed(curve):
        if not _keeps_to(point.report, bound):
            break
        kept.insert(0, point)
    return kept


def _lower_each(
    streams: Sequence[ScoredStream],
    truths: Sequence[Truth],
    rule: Rule,
    report: StreamReport,
    *,
    max_false_alarms_per_hour: float,
) -> tuple[Rule, StreamReport]:
    """Lower the threshold of one behaviour after another, as long as the bound is kept and more is found."""
    for key, theta_on in rule.theta_on.items():
        if sum(truth.behavior == key for truth in truths) < EVENTS_FOR_OWN_THETA:
            continue
        for theta in sorted((t for t in THETAS if t < theta_on), reverse=True):
            lower = replace(rule, theta_on={**rule.theta_on, key: theta})
            found = alarms.judge(streams, truths, lower)
            if not _keeps_to(found, max_false_alarms_per_hour):
                break
            if found.n_found > report.n_found:
                rule, report = lower, found
    return rule, report


def _note(report: StreamReport, *, met: bool, bound: float) -> str:
    """What a reader of the card must know about the choice, in a sentence or two."""
    notes = []
    if not met:
        notes.append(f"no threshold keeps to {bound:g} false alarms an hour; this one raises the fewest")
    hours = report.event_free_hours
    if met and _too_few_hours(report, bound):
        notes.append(
            f"{hours:.2g} event-free hours are too few to show {bound:g} an hour: that takes {3 / bound:.0f}"
        )
    if not report.n_events:
        notes.append("no events to find: recall is unknown")
    elif not report.n_found:
        notes.append("no event is found at this threshold")
    return "; ".join(notes)


def calibrate_on_clips(
    scorer: Scorer,
    manifest: Manifest,
    rows: Sequence[ManifestRow],
    *,
    max_false_alarms_per_hour: float = GOAL_PER_HOUR,
    progress: Progress | None = None,
) -> Calibration:
    """Fit temperature and rule on prepared clips, each of which counts as a short stream of its own camera.

    Raises:
        TrainError: no clips.
        DataError: a frame is missing or damaged, or the clips were prepared at another rate.
    """
    if not rows:
        raise TrainError(f"{manifest.root}: no clips to calibrate on")
    card = scorer.card
    labels = [score.class_index(card, row) for row in rows]
    step_s = score.measure_step_s(scorer)
    pooled, watched = [], []
    for done, row in enumerate(rows, start=1):
        features = score.encode_clip(scorer, manifest, row)
        pooled.append(pool_windows(score.score_windows(scorer, row, features).logits_WC, card.normal_index))
        watched.append(score.watch_clip(scorer, row, features, step_s=step_s))
        if progress:
            progress(done, len(rows))
    temperature = fit_temperature(pooled, labels)
    fitted = card.model_copy(update={"temperature": temperature})
    streams = [alarms.scored(row.clip_id, scores, fitted) for row, scores in zip(rows, watched, strict=True)]
    truths = [truth for row in rows for truth in truth_of_clip(row, normal=card.keys[card.normal_index])]
    rule, summary = choose_rule(
        streams, truths, card.rule, max_false_alarms_per_hour=max_false_alarms_per_hour
    )
    return Calibration(
        temperature, rule, {**_source(manifest, rows), "temperature": temperature, **asdict(summary)}
    )


def calibrate_on_streams(
    scorer: Scorer,
    streams: StreamSet,
    *,
    max_false_alarms_per_hour: float = GOAL_PER_HOUR,
    progress: Progress | None = None,
) -> Calibration:
    """Choose the rule on whole camera feeds, thresholds and confirmation; the temperature stays the card's.

    Clips say little about hours of normal work: feeds are what false alarms an hour are counted on.

    Raises:
        TrainError: no streams.
        VideoError: a stream cannot be opened.
        DataError: a stream holds no pictures.
    """
    card = scorer.card
    watched = alarms.watch_all(scorer, streams, progress=progress)
    rule, summary = choose_confirmed(
        watched, streams.truths, card.rule, max_false_alarms_per_hour=max_false_alarms_per_hour
    )
    source = {
        "source": "streams",
        "streams": len(watched),
        "hours": sum(stream.duration_s for stream in watched) / 3600,
        "temperature": card.temperature,
    }
    return Calibration(card.temperature, rule, source | asdict(summary))


def _source(manifest: Manifest, rows: Sequence[ManifestRow]) -> dict[str, Any]:
    splits = sorted({row.split for row in rows})
    return {
        "source": f"clips of {', '.join(splits)}",
        "splits": splits,
        "dataset": manifest.digest(),
        "clips": len(rows),
        "groups": len({row.group for row in rows}),
        "hours": sum(row.n_frames / row.rate_hz for row in rows) / 3600,
    }


def truth_of_clip(row: ManifestRow, *, normal: str) -> list[Truth]:
    """What happens in a clip seen as a stream: its event, or, where no time is known, one somewhere in it."""
    if row.behavior == normal:
        return []
    if row.event is not None:
        return [Truth(row.clip_id, row.behavior, row.event.start_s, row.event.end_s)]
    return [Truth(row.clip_id, row.behavior, 0.0, row.n_frames / row.rate_hz, timed=False)]
