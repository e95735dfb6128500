"""Scores over time → incidents opened, updated and closed. A pure state machine: no clock, no disk.

A behaviour raises when its smoothed score reaches θ_on in `raise_n` of the last `raise_of` decisions; the
incident closes after `close_after` decisions below θ_off < θ_on, and the behaviour then rests for
`cooldown_s`. A camera has one open incident at a time: an operator attends to a place, not to a label.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

TransitionKind = Literal["opened", "updated", "closed"]

# An open incident is reported again when its score has risen by this much: often enough to show that it
# grows, seldom enough not to flood a log.
UPDATE_STEP = 0.1


@dataclass(frozen=True, slots=True)
class Rule:
    """The numbers of the live rule. θ per behaviour, probabilities; counts in decisions; times in seconds."""

    theta_on: Mapping[str, float]
    theta_off_ratio: float = 0.6
    smooth: int = 3
    raise_n: int = 3
    raise_of: int = 4
    close_after: int = 8
    cooldown_s: float = 10.0
    max_gap_s: float = 1.0

    def __post_init__(self) -> None:
        if not self.theta_on:
            raise ValueError("theta_on names no behaviour: nothing could ever raise")
        for behavior, theta in self.theta_on.items():
            if not 0 < theta <= 1:
                raise ValueError(f"theta_on of {behavior!r} is {theta}, not above 0 and at most 1")
        if not 0 < self.theta_off_ratio < 1:
            raise ValueError(f"theta_off_ratio {self.theta_off_ratio} is not between 0 and 1")
        if not 1 <= self.raise_n <= self.raise_of:
            raise ValueError(f"raise_n {self.raise_n} of {self.raise_of} can never be reached")
        if min(self.smooth, self.close_after) < 1:
            raise ValueError("smooth and close_after count decisions: at least 1")
        if self.cooldown_s < 0 or self.max_gap_s <= 0:
            raise ValueError("cooldown_s must be 0 or more, max_gap_s above 0")

    def with_theta(self, theta_on: float) -> "Rule":
        """Return the rule with one threshold for every behaviour it names."""
        return replace(self, theta_on=dict.fromkeys(self.theta_on, theta_on))


@dataclass(frozen=True, slots=True)
class Incident:
    """What was seen: behaviour, when it opened, its highest smoothed score, when it closed (None: open)."""

    behavior: str
    opened_s: float
    peak: float
    closed_s: float | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of an incident at stream time `t_s`; `score` is the smoothed score of its behaviour then."""

    kind: TransitionKind
    t_s: float
    score: float
    incident: Incident


@dataclass(slots=True)
class IncidentTracker:
    """The state of one view. `update` is called for every decision, in stream-time order."""

    behaviors: Sequence[str]
    rule: Rule
    open: Incident | None = field(default=None, init=False)
    _recent: deque[Sequence[float]] = field(init=False)
    _over: dict[str, deque[bool]] = field(init=False)
    _rest_until: dict[str, float] = field(default_factory=dict, init=False)
    _below: int = field(default=0, init=False)
    _reported: float = field(default=0.0, init=False)
    _last_t_s: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.rule.theta_on) - set(self.behaviors))
        if unknown:
            raise ValueError(f"theta_on names {unknown[0]!r}, which the model does not know")
        self._forget()

    def update(self, t_s: float, scores: Sequence[float]) -> list[Transition]:
        """Take the scores of one decision, (C,) probabilities in the order of `behaviors`.

        Raises:
            ValueError: the number of scores differs from the number of behaviours, or one is not finite: a
                broken model must not look like a quiet camera.
        """
        if len(scores) != len(self.behaviors) or not all(math.isfinite(s) for s in scores):
            raise ValueError(f"expected {len(self.behaviors)} finite scores, got {list(scores)}")
        if self._last_t_s is not None and not 0 <= t_s - self._last_t_s <= self.rule.max_gap_s:
            self._forget()  # what was seen before a gap or a jump back confirms nothing after it
        self._last_t_s = t_s
        self._recent.append(scores)
        smoothed = {
            key: sum(row[i] for row in self._recent) / len(self._recent)
            for i, key in enumerate(self.behaviors)
        }
        for key, theta in self.rule.theta_on.items():
            self._over[key].append(smoothed[key] >= theta)
        if self.open is None:
            return self._try_open(t_s, smoothed)
        return self._follow(self.open, t_s, smoothed)

    def _forget(self) -> None:
        self._recent = deque(maxlen=self.rule.smooth)
        self._over = {key: deque(maxlen=self.rule.raise_of) for key in self.rule.theta_on}
        self._below = 0

    def _try_open(self, t_s: float, smoothed: Mapping[str, float]) -> list[Transition]:
        raised = [
            key
            for key, over in self._over.items()
            if over[-1] and sum(over) >= self.rule.raise_n and t_s >= self._rest_until.get(key, t_s)
        ]
        if not raised:
            return []
        key = max(raised, key=lambda k: smoothed[k])
        self.open = Incident(key, opened_s=t_s, peak=smoothed[key])
        self._below = 0
        self._reported = smoothed[key]
        return [Transition("opened", t_s, smoothed[key], self.open)]

    def _follow(self, incident: Incident, t_s: float, smoothed: Mapping[str, float]) -> list[Transition]:
        score = smoothed[incident.behavior]
        if score > incident.peak:
            incident = self.open = replace(incident, peak=score)
        # Another accident in the same view keeps the incident open: the place still needs somebody.
        active = any(
            smoothed[key] >= theta * self.rule.theta_off_ratio for key, theta in self.rule.theta_on.items()
        )
        self._below = 0 if active else self._below + 1
        if self._below >= self.rule.close_after:
            return [self._close(incident, t_s, score)]
        if score >= self._reported + UPDATE_STEP:
            self._reported = score
            return [Transition("updated", t_s, score, incident)]
        return []

    def finish(self, t_s: float) -> list[Transition]:
        """Close what is open because the stream has ended."""
        if self.open is None:
            return []
        return [self._close(self.open, t_s, 0.0)]

    def _close(self, incident: Incident, t_s: float, score: float) -> Transition:
        closed = replace(incident, closed_s=t_s)
        self.open = None
        for key in self.rule.theta_on:
            self._over[key].clear()
        self._rest_until[incident.behavior] = t_s + self.rule.cooldown_s
        return Transition("closed", t_s, score, closed)
