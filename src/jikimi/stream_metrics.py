"""How good alarms on streams are: events found, false alarms per camera-hour, delay (numpy only).

What a safety manager feels. All times are stream seconds; intervals are half-open.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# An alarm may come this much before the labelled start: labels are read by eye.
EARLY_S = 1.0
HEADLINE_S = 10.0
TAUS_S = (1.0, 3.0, 5.0, HEADLINE_S)


@dataclass(frozen=True, slots=True)
class Truth:
    """An event that happened on a camera in `[start_s, end_s)`.

    `timed` False: it is only known that it lies somewhere in there, so that an alarm anywhere in there finds
    it and says nothing about delay.
    """

    camera: str
    behavior: str
    start_s: float
    end_s: float
    timed: bool = True

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start_s) and math.isfinite(self.end_s) and self.start_s < self.end_s):
            raise ValueError(f"{self.camera}: {self.start_s}-{self.end_s} s is no time span of an event")

    def deadline_s(self, tau_s: float) -> float:
        """The last moment at which an alarm still finds the event."""
        return self.start_s + tau_s if self.timed else max(self.end_s, self.start_s + tau_s)


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm that left the pipeline at `t_s`, latency included.

    `closed_s` is when the incident it opened was closed, None: open to the end.
    """

    camera: str
    behavior: str
    t_s: float
    closed_s: float | None = None

    def covers(self, t_s: float) -> bool:
        """Whether its incident is open at `t_s`."""
        return self.t_s <= t_s and (self.closed_s is None or t_s < self.closed_s)


@dataclass(frozen=True, slots=True)
class Match:
    """An event and the alarm that found it."""

    truth: Truth
    alarm: Alarm

    @property
    def delay_s(self) -> float:
        """Seconds from the event's start to the alarm; below 0 where the alarm came first."""
        return self.alarm.t_s - self.truth.start_s


@dataclass(frozen=True, slots=True)
class Matching:
    """Who found what. `repeats` are further alarms on a found event whose incident was still open."""

    matches: tuple[Match, ...]
    missed: tuple[Truth, ...]
    false_alarms: tuple[Alarm, ...]
    repeats: tuple[Alarm, ...]


def match(
    truths: Iterable[Truth],
    alarms: Iterable[Alarm],
    *,
    tau_s: float = HEADLINE_S,
    by_behavior: bool = True,
) -> Matching:
    """Match alarms and events one to one where `start - 1 s <= t <= start + tau`, as many as possible.

    Only within a camera, and a behaviour unless `by_behavior` is False.
    """
    places: dict[tuple[str, str], tuple[list[Truth], list[Alarm]]] = {}
    for truth in truths:
        key = (truth.camera, truth.behavior if by_behavior else "")
        places.setdefault(key, ([], []))[0].append(truth)
    for alarm in alarms:
        key = (alarm.camera, alarm.behavior if by_behavior else "")
        places.setdefault(key, ([], []))[1].append(alarm)
    parts = [_match_place(*places[key], tau_s=tau_s) for key in sorted(places)]
    return Matching(
        matches=tuple(match for part in parts for match in part.matches),
        missed=tuple(truth for part in parts for truth in part.missed),
        false_alarms=tuple(alarm for part in parts for alarm in part.false_alarms),
        repeats=tuple(alarm for part in parts for alarm in part.repeats),
    )


def _match_place(truths: list[Truth], alarms: list[Alarm], *, tau_s: float) -> Matching:
    """Match what may be matched at all.

    Alarms in order of time each take the open event with the earliest deadline, which is optimal for
    intervals (Glover 1967, "Maximum matching in a convex bipartite graph").
    """
    waiting = sorted(truths, key=lambda truth: (truth.deadline_s(tau_s), truth.start_s))
    matches: list[Match] = []
    unmatched: list[Alarm] = []
    for alarm in sorted(alarms, key=lambda alarm: alarm.t_s):
        found = next((t for t in waiting if t.start_s - EARLY_S <= alarm.t_s <= t.deadline_s(tau_s)), None)
        if found is None:
            unmatched.append(alarm)
        else:
            waiting.remove(found)
            matches.append(Match(found, alarm))
    # Said again while the incident that found the event is still open: one alarm to whoever attends to it.
    repeats = [alarm for alarm in unmatched if any(match.alarm.covers(alarm.t_s) for match in matches)]
    return Matching(
        matches=tuple(matches),
        missed=tuple(waiting),
        false_alarms=tuple(alarm for alarm in unmatched if alarm not in repeats),
        repeats=tuple(repeats),
    )


def false_alarm_bound(false_alarms: int, hours: float) -> float | None:
    """95 % upper bound of a rate an hour after so many events in so many hours, None for no hours.

    `chi2_0.95(2 n + 2) / (2 hours)`, the exact Poisson bound (Garwood 1936): the mean at which `n` or
    fewer are seen one time in twenty. Nothing seen gives `3 / hours`.
    """
    if hours <= 0:
        return None
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, false_alarms + 1)))])
    counts = np.arange(false_alarms + 1)
    low, high = 0.0, false_alarms + 10.0 * math.sqrt(false_alarms + 1.0)
    for _ in range(100):  # each step halves the bracket, so that float64 is exhausted
        mean = (low + high) / 2
        terms = counts * math.log(mean) - mean - logs
        tail = math.exp(terms.max()) * float(np.exp(terms - terms.max()).sum())
        low, high = (mean, high) if tail > 0.05 else (low, mean)
    return high / hours


def event_free_hours(durations_s: Mapping[str, float], truths: Iterable[Truth]) -> float:
    """Hours of all cameras (seconds each) without an event; overlapping events count once.

    Raises:
        ValueError: an event on a camera without a duration.
    """
    spans: dict[str, list[tuple[float, float]]] = {camera: [] for camera in durations_s}
    for truth in truths:
        if truth.camera not in spans:
            raise ValueError(f"event on camera {truth.camera!r}, which was not watched")
        spans[truth.camera].append((truth.start_s, truth.end_s))
    return sum(_free_s(duration, spans[camera]) for camera, duration in durations_s.items()) / 3600


def _free_s(duration_s: float, spans: list[tuple[float, float]]) -> float:
    free_s, seen_s = 0.0, 0.0
    for start_s, end_s in sorted(spans):
        free_s += max(0.0, min(start_s, duration_s) - seen_s)
        seen_s = max(seen_s, min(end_s, duration_s))
    return free_s + max(0.0, duration_s - seen_s)


@dataclass(frozen=True, slots=True)
class StreamReport:
    """Quality of alarms. Rates are None where there is nothing to divide by: no events, alarms or hours.

    `recall` is by τ in seconds; everything else is at the headline τ of 10 s.
    """

    n_events: int
    n_alarms: int
    hours: float
    event_free_hours: float
    recall: Mapping[float, float | None]
    matching: Matching
    precision: float | None
    f1: float | None
    false_alarms_per_hour: float | None
    false_alarms_per_hour_upper: float | None
    delay_median_s: float | None
    delay_p90_s: float | None
    delay_p95_s: float | None

    @property
    def n_found(self) -> int:
        """Events found within the headline τ."""
        return len(self.matching.matches)

    @property
    def n_false(self) -> int:
        """False alarms at the headline τ."""
        return len(self.matching.false_alarms)

    @property
    def delays_s(self) -> tuple[float, ...]:
        """Delay of every found event whose start is known."""
        return tuple(m.delay_s for m in self.matching.matches if m.truth.timed)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values; no NaN in it."""
        return {
            "events": self.n_events,
            "found": self.n_found,
            "alarms": self.n_alarms,
            "false_alarms": self.n_false,
            "repeats": len(self.matching.repeats),
            "hours": self.hours,
            "event_free_hours": self.event_free_hours,
            "recall": {f"{tau:g}": value for tau, value in self.recall.items()},
            "precision": self.precision,
            "f1": self.f1,
            "false_alarms_per_hour": self.false_alarms_per_hour,
            "false_alarms_per_hour_upper_95": self.false_alarms_per_hour_upper,
            "delay_s": {
                "median": self.delay_median_s,
                "p90": self.delay_p90_s,
                "p95": self.delay_p95_s,
            },
        }


def stream_report(
    truths: Sequence[Truth],
    alarms: Sequence[Alarm],
    *,
    durations_s: Mapping[str, float],
    by_behavior: bool = True,
) -> StreamReport:
    """Measure alarms on watched cameras; `durations_s` holds the seconds watched of every camera.

    Raises:
        ValueError: an event or alarm on a camera that was not watched.
    """
    strangers = sorted({alarm.camera for alarm in alarms} - set(durations_s))
    if strangers:
        raise ValueError(f"alarm on camera {strangers[0]!r}, which was not watched")
    free_hours = event_free_hours(durations_s, truths)
    found = {tau: match(truths, alarms, tau_s=tau, by_behavior=by_behavior) for tau in TAUS_S}
    matching = found[HEADLINE_S]
    n_found, n_false = len(matching.matches), len(matching.false_alarms)
    delays = [m.delay_s for m in matching.matches if m.truth.timed]
    return StreamReport(
        n_events=len(truths),
        n_alarms=len(alarms),
        hours=sum(durations_s.values()) / 3600,
        event_free_hours=free_hours,
        recall={tau: _share(len(m.matches), len(truths)) for tau, m in found.items()},
        matching=matching,
        precision=_share(n_found, n_found + n_false),
        f1=_share(2 * n_found, 2 * n_found + n_false + len(matching.missed)) if truths else None,
        false_alarms_per_hour=n_false / free_hours if free_hours > 0 else None,
        false_alarms_per_hour_upper=false_alarm_bound(n_false, free_hours),
        delay_median_s=_percentile(delays, 50),
        delay_p90_s=_percentile(delays, 90),
        delay_p95_s=_percentile(delays, 95),
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _percentile(values: Sequence[float], percent: float) -> float | None:
    return float(np.percentile(values, percent)) if values else None
