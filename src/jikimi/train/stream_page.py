"""An evaluation of streams as figures, warnings and a page."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jikimi.bundle import Card
from jikimi.incident import Rule
from jikimi.stream_metrics import HEADLINE_S, StreamReport, Truth
from jikimi.train import plots
from jikimi.train.alarms import CurvePoint, ScoredStream
from jikimi.train.report import Tile, model_summary, number, percent, rule_summary, write_report
from jikimi.train.truth import StreamSet

# The goals of the guide, "How quality is measured".
RECALL_GOAL, F1_GOAL, RATE_GOAL, DELAY_GOAL_S = 0.95, 0.90, 0.042, 2.0

# Streams drawn over time; more make the picture too long to look at.
MAX_TIMELINES = 12


@dataclass(frozen=True, slots=True)
class BehaviorCounts:
    """Events and alarms of one behaviour."""

    behavior: str
    events: int
    found: int
    false_alarms: int


@dataclass(frozen=True, slots=True)
class StreamCounts:
    """One stream: how long it was watched, and what was raised on it."""

    camera: str
    duration_s: float
    events: int
    found: int
    false_alarms: int
    decisions: int


@dataclass(frozen=True, slots=True)
class StreamEvaluation:
    """All that is known after the streams were watched. `curve` sweeps one threshold common to all."""

    card: Card
    rule: Rule
    streams: StreamSet
    scored: tuple[ScoredStream, ...]
    report: StreamReport
    any_behavior: StreamReport
    curve: tuple[CurvePoint, ...]

    @property
    def summary(self) -> str:
        """The figures in a line."""
        report = self.report
        return (
            f"{report.n_found} of {report.n_events} events found within {HEADLINE_S:g} s, "
            f"false alarms: {report.n_false} in {report.event_free_hours:.2f} event-free camera-hours "
            f"(95 % sure: at most {number(report.false_alarms_per_hour_upper)} an hour), "
            f"median delay {number(report.delay_median_s, 1, ' s')}"
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know before believing the figures."""
        return tuple(self._doubts())

    def _doubts(self) -> Iterator[str]:
        report = self.report
        if not report.n_events:
            yield "No events on these streams: they say how often it raises for nothing, not what it finds."
        if not report.event_free_hours:
            yield "No event-free time on these streams: nothing is known of false alarms."
        elif not report.n_false:
            yield (
                f"No false alarm in {report.event_free_hours:.2f} hours only bounds the rate by "
                f"3 / hours = {3 / report.event_free_hours:.2g} an hour."
            )
        late = [truth for truth in self.streams.truths if truth.start_s >= self._duration_s(truth.camera)]
        for truth in late:
            yield (
                f"{truth.camera}: an event starts at {truth.start_s:g} s, but the stream ends at "
                f"{self._duration_s(truth.camera):.1f} s. It counts as missed."
            )
        for stream in self.scored:
            if not len(stream.times_s):
                yield f"{stream.camera}: shorter than the first decision takes; nothing was decided on it."
        if self.streams.unnamed:
            yield f"Left out, since the truth does not name them: {', '.join(self.streams.unnamed)}."
        if self.streams.elsewhere:
            yield f"Not looked at: {len(self.streams.elsewhere)} files of the truth outside the folder."

    def _duration_s(self, camera: str) -> float:
        return next(stream.duration_s for stream in self.scored if stream.camera == camera)

    @property
    def step_s(self) -> float:
        """Compute seconds a decision, part of every alarm's time; the slowest stream's."""
        return max(stream.step_s for stream in self.scored)

    @property
    def by_behavior(self) -> tuple[BehaviorCounts, ...]:
        """Counts of every behaviour the rule can raise."""
        matching = self.report.matching
        return tuple(
            BehaviorCounts(
                behavior=key,
                events=sum(truth.behavior == key for truth in self.streams.truths),
                found=sum(match.truth.behavior == key for match in matching.matches),
                false_alarms=sum(alarm.behavior == key for alarm in matching.false_alarms),
            )
            for index, key in enumerate(self.card.keys)
            if index != self.card.normal_index
        )

    @property
    def by_stream(self) -> tuple[StreamCounts, ...]:
        """Counts of every stream."""
        matching = self.report.matching
        return tuple(
            StreamCounts(
                camera=stream.camera,
                duration_s=stream.duration_s,
                events=sum(truth.camera == stream.camera for truth in self.streams.truths),
                found=sum(match.truth.camera == stream.camera for match in matching.matches),
                false_alarms=sum(alarm.camera == stream.camera for alarm in matching.false_alarms),
                decisions=len(stream.times_s),
            )
            for stream in self.scored
        )

    @property
    def telling(self) -> tuple[ScoredStream, ...]:
        """The streams with most to see: mistakes first, then events, in their own order."""
        counts = {row.camera: row for row in self.by_stream}

        def boredom(stream: ScoredStream) -> tuple[int, int]:
            row = counts[stream.camera]
            return -(row.events - row.found + row.false_alarms), -row.events

        shown = {stream.camera for stream in sorted(self.scored, key=boredom)[:MAX_TIMELINES]}
        return tuple(stream for stream in self.scored if stream.camera in shown)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        matching = self.report.matching
        return {
            "kind": "streams",
            "model": model_summary(self.card),
            "rule": rule_summary(self.rule),
            "decision_s": self.step_s,
            **self.report.as_dict(),
            "any_behavior": self.any_behavior.as_dict(),
            "matches": [
                {**_event(m.truth), "alarm_s": m.alarm.t_s, "delay_s": m.delay_s} for m in matching.matches
            ],
            "missed": [_event(truth) for truth in matching.missed],
            "raised_for_nothing": [
                {"camera": alarm.camera, "behavior": alarm.behavior, "t_s": alarm.t_s}
                for alarm in matching.false_alarms
            ],
            "curve": [
                {
                    "theta_on": point.theta_on,
                    "recall": point.report.recall[HEADLINE_S],
                    "false_alarms_per_hour": point.report.false_alarms_per_hour,
                }
                for point in self.curve
            ],
            "streams": {row.camera: row.duration_s for row in self.by_stream},
            "left_out": list(self.streams.unnamed),
            "outside_folder": list(self.streams.elsewhere),
            "notes": list(self.notes),
        }


def _event(truth: Truth) -> dict[str, Any]:
    return {
        "camera": truth.camera,
        "behavior": truth.behavior,
        "start_s": truth.start_s,
        "end_s": truth.end_s,
    }


def write(evaluation: StreamEvaluation, out: Path) -> Path:
    """Write page, figures and pictures to `out`; returns the page's path.

    Raises:
        DataError: `out` cannot be written.
    """
    context = {
        "title": "Streams",
        "evaluation": evaluation,
        "report": evaluation.report,
        "any_behavior": evaluation.any_behavior,
        "tiles": _tiles(evaluation.report),
        "notes": evaluation.notes,
        "rule": evaluation.rule,
        "max_timelines": MAX_TIMELINES,
    }
    return write_report(
        out,
        template="streams.html.j2",
        card=evaluation.card,
        context=context,
        metrics=evaluation.as_dict(),
        pictures=_pictures(evaluation),
    )


def _tiles(report: StreamReport) -> list[Tile]:
    recall, rate, upper = (
        report.recall[HEADLINE_S],
        report.false_alarms_per_hour,
        report.false_alarms_per_hour_upper,
    )
    delay = report.delay_median_s
    return [
        Tile(
            f"Events found within {HEADLINE_S:g} s",
            percent(recall),
            f"{report.n_found} of {report.n_events}",
            goal=f"≥ {percent(RECALL_GOAL)}",
            met=None if recall is None else recall >= RECALL_GOAL,
        ),
        Tile(
            "False alarms per camera-hour",
            number(rate),
            f"at most {number(upper)}; {report.n_false} in {report.event_free_hours:.2f} h",
            goal=f"≤ {RATE_GOAL:g}, one a day",
            # Only the bound can show that the goal is met; a rate above it is missed for sure.
            met=None if rate is None or upper is None or rate <= RATE_GOAL < upper else upper <= RATE_GOAL,
        ),
        Tile(
            f"F1 at {HEADLINE_S:g} s",
            number(report.f1),
            f"precision {percent(report.precision)}",
            goal=f"≥ {F1_GOAL:.2f}",
            met=None if report.f1 is None else report.f1 >= F1_GOAL,
        ),
        Tile(
            "Median delay",
            number(delay, 1, " s"),
            f"p90 {number(report.delay_p90_s, 1, ' s')}, p95 {number(report.delay_p95_s, 1, ' s')}",
            goal=f"≤ {DELAY_GOAL_S:g} s",
            met=None if delay is None else delay <= DELAY_GOAL_S,
        ),
    ]


def _pictures(evaluation: StreamEvaluation) -> dict[str, bytes]:
    report = evaluation.report
    pictures = {
        "timelines.png": plots.timelines(
            evaluation.telling,
            report,
            theta_on=min(evaluation.rule.theta_on.values()),
            normal_index=evaluation.card.normal_index,
        )
    }
    if report.n_events and report.event_free_hours:  # neither rate means anything without
        pictures["curve.png"] = plots.event_curve(evaluation.curve, report)
    if report.delay_median_s is not None:
        pictures["delay.png"] = plots.delays(report.delays_s, median_s=report.delay_median_s)
    return pictures
