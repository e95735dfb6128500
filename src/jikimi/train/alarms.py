"""Scored streams and a live rule → alarms, and what sweeping the threshold does to them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from jikimi.bundle import Card, Scorer
from jikimi.errors import DataError
from jikimi.frame import Floats
from jikimi.incident import IncidentTracker, Rule
from jikimi.metrics import Doubles
from jikimi.stream_metrics import Alarm, StreamReport, Truth, stream_report
from jikimi.train.score import StreamScores, score_stream
from jikimi.train.truth import StreamSet
from jikimi.video import open_input

# Dense near 1, where a calibrated model's scores on clear events lie.
THETAS = (*(step / 20 for step in range(2, 20)), 0.96, 0.97, 0.98, 0.985, 0.99, 0.995, 0.998, 0.999, 0.9995)


@dataclass(frozen=True, slots=True)
class ScoredStream:
    """Decisions on one camera: moments (N,), calibrated probabilities (N, C), seconds watched.

    `step_s` is the compute time of a decision: alarms leave that much later.
    """

    camera: str
    behaviors: tuple[str, ...]
    times_s: Doubles
    probabilities_NC: Floats
    duration_s: float
    step_s: float


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """What one threshold, common to all behaviours, comes to."""

    theta_on: float
    report: StreamReport


def scored(camera: str, scores: StreamScores, card: Card) -> ScoredStream:
    """Turn a stream's logits into what the live rule sees."""
    probabilities = card.probabilities(scores.logits_NC) if len(scores.logits_NC) else scores.logits_NC
    return ScoredStream(camera, card.keys, scores.times_s, probabilities, scores.duration_s, scores.step_s)


def watch_all(
    scorer: Scorer, streams: StreamSet, *, progress: Callable[[int, int], None] | None = None
) -> list[ScoredStream]:
    """Decide on every stream of a set as watching it live would.

    Raises:
        VideoError: a stream cannot be opened.
        DataError: a stream holds no pictures.
        BundleError: the model answered with something that is not a number.
    """
    for path in streams.files.values():  # before hours are spent on the others
        with open_input(path):
            pass
    watched = []
    for done, (camera, path) in enumerate(streams.files.items(), start=1):
        scores = score_stream(scorer, path)
        if not scores.duration_s:
            raise DataError(f"{path}: no picture of it can be decoded; take it out of the truth")
        watched.append(scored(camera, scores, scorer.card))
        if progress:
            progress(done, len(streams.files))
    return watched


def raise_alarms(stream: ScoredStream, rule: Rule) -> list[Alarm]:
    """Run the live rule over a stream: one alarm for each incident that opens."""
    tracker = IncidentTracker(stream.behaviors, rule)
    alarms: list[Alarm] = []
    opened: list[float] = []
    decisions = zip(stream.times_s.tolist(), stream.probabilities_NC.tolist(), strict=True)
    transitions = [change for t_s, scores in decisions for change in tracker.update(t_s, scores)]
    for change in (*transitions, *tracker.finish(stream.duration_s)):
        if change.kind == "opened":
            opened.append(change.t_s)
        if change.kind == "closed":
            alarms.append(
                Alarm(
                    stream.camera,
                    change.incident.behavior,
                    t_s=opened[-1] + stream.step_s,
                    closed_s=change.t_s + stream.step_s,
                )
            )
    return alarms


def judge(
    streams: Sequence[ScoredStream],
    truths: Sequence[Truth],
    rule: Rule,
    *,
    by_behavior: bool = True,
) -> StreamReport:
    """Measure what the rule raises on the streams against what happened."""
    alarms = [alarm for stream in streams for alarm in raise_alarms(stream, rule)]
    durations_s = {stream.camera: stream.duration_s for stream in streams}
    return stream_report(truths, alarms, durations_s=durations_s, by_behavior=by_behavior)


def sweep(
    streams: Sequence[ScoredStream],
    truths: Sequence[Truth],
    rule: Rule,
    *,
    thetas: Iterable[float] = THETAS,
) -> tuple[CurvePoint, ...]:
    """Judge the rule with one common threshold after another, from the lowest up."""
    return tuple(
        CurvePoint(theta, judge(streams, truths, rule.with_theta(theta))) for theta in sorted(thetas)
    )
