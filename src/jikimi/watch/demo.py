"""The demo: samples played as cameras, and what was raised beside what happened in them."""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jikimi.bundle import Scorer
from jikimi.errors import SettingsError, VideoError
from jikimi.shipped import Sample
from jikimi.stream_metrics import HEADLINE_S, Alarm, Matching, Truth, match
from jikimi.watch.event import WatchEvent, WatchSummary
from jikimi.watch.pipeline import watch

Verdict = Literal["raised", "other-behavior", "missed", "cut-off", "quiet", "false-alarm"]
"""`other-behavior`: raised in time under another name. `cut-off`: the demo ended before it was decided."""


@dataclass(frozen=True, slots=True)
class Round:
    """The samples played once, each a stream that begins at 0 s; rounds count from 1."""

    number: int
    events: tuple[WatchEvent, ...]
    summary: WatchSummary


@dataclass(frozen=True, slots=True)
class Raised:
    """An incident as it was raised; `score` is its highest, `evidence` None where none was kept."""

    alarm: Alarm
    score: float
    evidence: Path | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One line of the comparison: what happened (None: nothing), and what was raised (None: nothing)."""

    round: int
    camera: str
    verdict: Verdict
    truth: Truth | None = None
    raised: Raised | None = None

    @property
    def delay_s(self) -> float | None:
        """Stream seconds from the event's start to the alarm, None where one of them is missing."""
        if self.truth is None or self.raised is None:
            return None
        return self.raised.alarm.t_s - self.truth.start_s

    def as_json(self) -> dict[str, Any]:
        """Return one flat object of JSON values."""
        truth, raised, delay_s = self.truth, self.raised, self.delay_s
        return {
            "round": self.round,
            "camera": self.camera,
            "verdict": self.verdict,
            "behavior": None if truth is None else truth.behavior,
            "start_s": None if truth is None else truth.start_s,
            "end_s": None if truth is None else truth.end_s,
            "raised": None if raised is None else raised.alarm.behavior,
            "raised_s": None if raised is None else round(raised.alarm.t_s, 3),
            "score": None if raised is None else round(raised.score, 4),
            "delay_s": None if delay_s is None else round(delay_s, 3),
            "evidence": None if raised is None or raised.evidence is None else str(raised.evidence),
        }


def play(
    samples: Sequence[Sample],
    *,
    bundle: Scorer,
    out: Path,
    emit: Callable[[int, WatchEvent], None],
    seconds: float | None = None,
    stop: threading.Event | None = None,
) -> tuple[Round, ...]:
    """Watch the samples at their own pace, evidence in `out`: once, or over and over for `seconds`.

    A recording that began again would be a jump of its clock, so that each round is watched as streams of its
    own. `emit` gets every event with the number of its round. Setting `stop` ends it in order.

    Raises:
        VideoError: a sample cannot be watched.
    """
    stop = stop if stop is not None else threading.Event()
    timer = threading.Timer(seconds, stop.set) if seconds is not None else None
    until_s = time.monotonic() + (seconds or 0.0)
    rounds: list[Round] = []
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        while not rounds or _is_worth_a_round(until_s, bundle, stop):
            rounds.append(_round(len(rounds) + 1, samples, bundle, out, emit, stop))
    finally:
        if timer is not None:
            timer.cancel()
    return tuple(rounds)


def _is_worth_a_round(until_s: float, bundle: Scorer, stop: threading.Event) -> bool:
    """Whether a decision can still fall in the time that is left."""
    card = bundle.card
    return not stop.is_set() and until_s - time.monotonic() > card.warm_up / card.rate_hz


def _round(
    number: int,
    samples: Sequence[Sample],
    bundle: Scorer,
    out: Path,
    emit: Callable[[int, WatchEvent], None],
    stop: threading.Event,
) -> Round:
    events: list[WatchEvent] = []

    def keep(event: WatchEvent) -> None:
        events.append(event)
        emit(number, event)

    videos = [str(sample.video) for sample in samples]
    summary = watch(videos, bundle=bundle, out=out, realtime=True, emit=keep, stop=stop)
    for camera in summary.cameras:
        if camera.faults and not camera.decisions and not summary.stopped:
            why = next(
                e.details["message"] for e in events if (e.event, e.camera) == ("fault", camera.camera)
            )
            raise VideoError(f"the demo could not be watched: {why}")
    return Round(number, tuple(events), summary)


def check_writable(out: Path) -> None:
    """Make the folder and try it, before anybody has waited for an alarm.

    Raises:
        SettingsError: it cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise SettingsError(f"{out}: cannot be written: {error.strerror}; give another --out") from error


def compare(samples: Sequence[Sample], rounds: Sequence[Round]) -> tuple[Outcome, ...]:
    """Put what was raised beside what happened, round by round; what was raised for nothing comes last."""
    return tuple(outcome for one in rounds for outcome in _compare_round(samples, one))


def _compare_round(samples: Sequence[Sample], one: Round) -> Iterator[Outcome]:
    raised = {item.alarm: item for item in _raised(one.events)}
    ended = {event.camera: event for event in one.events if event.event == "ended"}
    truths = [sample.truth for sample in samples if sample.truth is not None]
    exact = match(truths, raised)
    # What is left may have been seen in time and called by another name.
    loose = match(exact.missed, exact.false_alarms, by_behavior=False)
    verdicts = _verdicts(exact, "raised") | _verdicts(loose, "other-behavior")
    noisy = {alarm.camera for alarm in loose.false_alarms}
    for sample in samples:
        if sample.truth is not None and sample.truth in verdicts:
            alarm, verdict = verdicts[sample.truth]
            yield Outcome(one.number, sample.camera, verdict, sample.truth, raised[alarm])
        elif sample.truth is not None:
            cut_off = _was_cut_off(sample.truth, ended.get(sample.camera))
            yield Outcome(one.number, sample.camera, "cut-off" if cut_off else "missed", sample.truth)
        elif sample.camera not in noisy:
            yield Outcome(one.number, sample.camera, "quiet")
    for alarm in loose.false_alarms:
        yield Outcome(one.number, alarm.camera, "false-alarm", raised=raised[alarm])


def _verdicts(matching: Matching, verdict: Verdict) -> dict[Truth, tuple[Alarm, Verdict]]:
    return {found.truth: (found.alarm, verdict) for found in matching.matches}


def _was_cut_off(truth: Truth, ended: WatchEvent | None) -> bool:
    """Whether the demo was stopped before an alarm would have been late."""
    return ended is None or (bool(ended.details["stopped"]) and ended.t_s < truth.deadline_s(HEADLINE_S))


def _raised(events: Sequence[WatchEvent]) -> list[Raised]:
    """Put the events of each incident together."""
    found: dict[tuple[str, float], list[WatchEvent]] = {}
    for event in events:
        if "opened_s" in event.details:
            found.setdefault((event.camera, event.details["opened_s"]), []).append(event)
    return [_incident(parts) for parts in found.values()]


def _incident(parts: Sequence[WatchEvent]) -> Raised:
    opened = parts[0]
    closed_s = next((part.t_s for part in parts if part.event == "closed"), None)
    evidence = next((part.evidence for part in parts if part.event == "evidence"), None)
    alarm = Alarm(opened.camera, opened.behavior or "", opened.details["opened_s"], closed_s)
    return Raised(alarm, max(part.score or 0.0 for part in parts), evidence)


def counts(outcomes: Sequence[Outcome]) -> Mapping[Verdict, int]:
    """How often each verdict fell; those that did not are missing."""
    verdicts = [outcome.verdict for outcome in outcomes]
    return {verdict: verdicts.count(verdict) for verdict in dict.fromkeys(verdicts)}


def median_delay_s(outcomes: Sequence[Outcome]) -> float | None:
    """Median delay of what was raised under its own name, None where nothing was."""
    delays = [o.delay_s for o in outcomes if o.verdict == "raised" and o.delay_s is not None]
    return float(np.median(delays)) if delays else None


def as_json(outcomes: Sequence[Outcome], rounds: Sequence[Round]) -> dict[str, Any]:
    """Return the comparison as one object of JSON values."""
    return {
        "event": "summary",
        "rounds": len(rounds),
        "counts": dict(counts(outcomes)),
        "median_delay_s": median_delay_s(outcomes),
        "outcomes": [outcome.as_json() for outcome in outcomes],
    }
