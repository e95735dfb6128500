"""What an incident's scores were, moment by moment: from before its opening until it is over.

Pure: moments come in and nothing is written here. What is remembered of each view is the pre-roll, so that an
incident's curve begins where its video does.
"""

import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from jikimi.incident import Rule
from jikimi.watch.analysis import Change

# A file is for looking at: a page draws a few hundred points.
_DIGITS = 3

_Point = tuple[float, Sequence[float]]


@dataclass(frozen=True, slots=True)
class Curve:
    """Scores of one view around an incident: `t_s` seconds from its opening, `scores` (C,) for each moment.

    `threshold` is what the camera asks of the incident's behaviour, on the mean of the last `smooth` scores
    since a gap of `max_gap_s`; below `threshold_off` it ends.
    A moment that nothing was decided about is not there.
    """

    uid: str
    behavior: str
    zone: str
    at: datetime
    behaviors: tuple[str, ...]
    threshold: float
    threshold_off: float
    smooth: int
    max_gap_s: float
    t_s: tuple[float, ...]
    scores: tuple[Sequence[float], ...]

    def as_json(self) -> str:
        """The file: a list of scores for each behaviour, as long as the list of moments."""
        by_behavior = zip(*self.scores, strict=True) if self.scores else ([] for _ in self.behaviors)
        return json.dumps(
            {
                "behaviors": self.behaviors,
                "behavior": self.behavior,
                "threshold": self.threshold,
                "threshold_off": round(self.threshold_off, _DIGITS),
                "smooth": self.smooth,
                "max_gap_s": self.max_gap_s,
                "zone": self.zone,
                "t_s": [round(t_s, _DIGITS) for t_s in self.t_s],
                "scores": [[round(score, _DIGITS) for score in row] for row in by_behavior],
            },
            ensure_ascii=False,
        )


@dataclass(slots=True)
class _Open:
    """An incident whose curve goes on, until `until_s` at most."""

    change: Change
    at: datetime
    points: list[_Point]
    until_s: float


@dataclass(slots=True)
class Curves:
    """Remembers scores of each view. Moments are monotonic seconds, and rise.

    `longest_s` is how long after its opening an incident's curve goes on at most, as its video does.
    """

    behaviors: tuple[str, ...]
    rule: Rule
    pre_roll_s: float
    post_roll_s: float
    longest_s: float
    _recent: dict[str, deque[_Point]] = field(default_factory=dict, init=False)
    _open: dict[str, _Open] = field(default_factory=dict, init=False)

    def note(self, view: str, t_s: float, scores: Sequence[float]) -> None:
        """Take one decision's scores, (C,) in the order of `behaviors`."""
        recent = self._recent.setdefault(view, deque())
        if recent and t_s <= recent[-1][0]:  # a new connection may lie a moment back: a line must not
            return
        recent.append((t_s, scores))
        while t_s - recent[0][0] > self.pre_roll_s:
            recent.popleft()
        for one in self._open.values():
            if one.change.zone == view and t_s <= one.until_s:
                one.points.append((t_s, scores))

    def opened(self, change: Change, at: datetime) -> None:
        """An incident has opened; its curve begins with what is remembered."""
        points = list(self._recent.get(change.zone, ()))
        self._open[change.uid] = _Open(change, at, points, change.arrived_s + self.longest_s)

    def closed(self, change: Change) -> None:
        """Its curve goes on for the post-roll."""
        if change.uid in self._open:
            one = self._open[change.uid]
            one.until_s = min(one.until_s, change.arrived_s + self.post_roll_s)

    def over(self, now_s: float) -> list[Curve]:
        """The curves that are whole by now; each is given once."""
        over = [uid for uid, one in self._open.items() if now_s > one.until_s]
        return [self._curve(self._open.pop(uid)) for uid in over]

    def finish(self) -> list[Curve]:
        """Every curve as far as it has come: watching ends."""
        return self.over(float("inf"))

    def _curve(self, one: _Open) -> Curve:
        incident, zero_s, rule = one.change.incident, one.change.arrived_s, self.rule
        threshold = rule.theta_on[incident.behavior]
        points = [point for point in one.points if point[0] <= one.until_s]
        return Curve(
            one.change.uid,
            incident.behavior,
            one.change.zone,
            one.at,
            self.behaviors,
            threshold,
            threshold * rule.theta_off_ratio,
            rule.smooth,
            rule.max_gap_s,
            tuple(t_s - zero_s for t_s, _ in points),
            tuple(scores for _, scores in points),
        )
