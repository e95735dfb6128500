"""One camera's pictures → questions to the detector → its incidents, view by view.

Times are monotonic seconds. Each attempt to read the camera puts its stream on them where its first picture
came, so that time runs on over a lost connection and a gap is as long as it was. A stream's clock that runs
fast or slow is followed: a minute off after a day, time would jump back with the next connection, and what
rests for ten seconds after an incident would rest for that minute.
"""

import uuid
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

from jikimi.bundle import Card
from jikimi.errors import SettingsError
from jikimi.frame import Floats, Image
from jikimi.incident import Incident, IncidentTracker, Rule, Transition
from jikimi.settings import CameraSettings
from jikimi.watch.camera import Tick
from jikimi.watch.link import Answered, Question
from jikimi.watch.regions import Regions
from jikimi.watch.wire import Look


def camera_rule(card: Card, settings: CameraSettings) -> Rule:
    """The rule of one camera: the model's, with the camera's own behaviours and thresholds.

    Raises:
        SettingsError: a behaviour that the model does not know.
    """
    known = dict(card.rule.theta_on)
    asked = settings.behaviors if settings.behaviors is not None else tuple(known)
    if unknown := sorted({*asked, *settings.theta_on} - set(known)):
        raise SettingsError(
            f"camera {settings.name!r}: behaviour {unknown[0]!r} is not known to model {card.name!r}; "
            f"it knows {', '.join(known)}"
        )
    if not asked:
        raise SettingsError(
            f"camera {settings.name!r}: behaviors is empty; name some, or set enabled = false"
        )
    return replace(card.rule, theta_on={key: settings.theta_on.get(key, known[key]) for key in asked})


# How fast a stream's clock is followed, seconds a second: ten times the drift that cameras have (1000 ppm for
# those that count 30 pictures for 29.97), and slow against pictures that come late and then all at once.
_FOLLOW = 0.01


@dataclass(frozen=True, slots=True)
class Change:
    """A transition of one view's incident, with its lasting name and when its picture had arrived."""

    uid: str
    zone: str
    transition: Transition
    arrived_s: float

    @property
    def incident(self) -> Incident:
        """The incident as it is now."""
        return self.transition.incident


def merged(older: Question, newer: Question, *, max_gap_s: float) -> Question:
    """One question for two: the newer pictures answer also what the older ones would have answered.

    It costs the detector no more than the newer one alone: where it is behind, it can catch up.
    """
    before = {look.view: look.moments_s for look in older.looks}
    looks = []
    for look in newer.looks:
        dropped_s = before.get(look.view, ())
        moments_s = (*dropped_s, *look.moments_s)
        if moments_s[-1] - moments_s[0] > max_gap_s:
            looks.append(replace(look, moments_s=moments_s[-1:], behind=0))
        else:
            looks.append(replace(look, moments_s=moments_s, behind=len(dropped_s) + look.behind))
    return Question(looks, newer.arrived_s)


@dataclass(slots=True)
class Looking:
    """Pictures → questions. Used by the thread that reads; one for each attempt to read the camera."""

    card: Card
    regions: Regions
    zero_s: float | None = field(default=None, init=False)

    def question(self, tick: Tick) -> Question:
        """What to ask about a picture: each view, fitted, at the moments that it answers."""
        ticks, zero_s = self._ticks(tick), self._follow(tick)
        moments_s = tuple(zero_s + k / self.card.rate_hz for k in ticks)
        views = self.regions.views(tick.frame.image_HWC)
        looks = [Look(v, moments_s, self.card.preprocess.fit(image)) for v, image in views.items()]
        return Question(looks, tick.arrived_s)

    def _follow(self, tick: Tick) -> float:
        """Where the stream's zero lies now."""
        seen_s = tick.arrived_s - tick.frame.t_s
        if self.zero_s is None or self._is_gap(tick):
            self.zero_s = seen_s
        most_s = _FOLLOW * tick.count / self.card.rate_hz
        self.zero_s += min(most_s, max(-most_s, seen_s - self.zero_s))
        return self.zero_s

    def _is_gap(self, tick: Tick) -> bool:
        return tick.count / self.card.rate_hz > self.card.rule.max_gap_s

    def _ticks(self, tick: Tick) -> Sequence[int]:
        last = tick.first + tick.count - 1
        return [last] if self._is_gap(tick) else range(tick.first, last + 1)


@dataclass(slots=True)
class Judging:
    """Verdicts → changes of incidents. `scores` are the last ones of each view, by behaviour.

    `decided` is told of each decision: its view, moment and scores (C,); before what changes by it is given.
    """

    card: Card
    rule: Rule
    views: Sequence[str]
    decided: Callable[[str, float, list[float]], None] = lambda _view, _t_s, _scores: None
    scores: dict[str, dict[str, float]] = field(default_factory=dict, init=False)
    decisions: int = field(default=0, init=False)
    _trackers: dict[str, IncidentTracker] = field(init=False)
    _uids: dict[str, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._trackers = {view: IncidentTracker(self.card.keys, self.rule) for view in self.views}

    @property
    def open(self) -> bool:
        """Whether an incident is open in any view."""
        return bool(self._uids)

    def judge(self, answered: Answered) -> Iterator[Change]:
        """Take a verdict without error, moment by moment."""
        moments = {look.view: look.moments_s for look in answered.question.looks}
        for view, rows in answered.verdict.scores.items():
            for t_s, row in zip(moments.get(view, ()), rows, strict=False):
                if row is not None:
                    self.decisions += 1
                    yield from self._take(view, t_s, row, answered.question.arrived_s)

    def finish(self, now_s: float) -> Iterator[Change]:
        """Close what is open: watching stops, or the camera rests."""
        for view, tracker in self._trackers.items():
            yield from self._changes(view, tracker.finish(now_s), now_s)

    def forget(self, uids: Collection[str]) -> None:
        """Begin anew where these are open, as if nothing had been seen: what still happens opens again."""
        for view in [view for view, uid in self._uids.items() if uid in uids]:
            del self._uids[view]
            self._trackers[view] = IncidentTracker(self.card.keys, self.rule)

    def _take(self, view: str, t_s: float, row: Floats, arrived_s: float) -> Iterator[Change]:
        scores = [float(score) for score in row]
        self.scores[view] = dict(zip(self.card.keys, scores, strict=True))
        self.decided(view, t_s, scores)
        transitions = self._trackers[view].update(t_s, scores)
        yield from self._changes(view, transitions, arrived_s)

    def _changes(self, view: str, found: Sequence[Transition], arrived_s: float) -> Iterator[Change]:
        for transition in found:
            if transition.kind == "opened":
                self._uids[view] = uuid.uuid4().hex
            uid = self._uids[view]
            if transition.kind == "closed":
                del self._uids[view]
            yield Change(uid, view, transition, arrived_s)


@dataclass(slots=True)
class Silence:
    """Incidents that began while none were wanted: the camera was shelved or outside its hours."""

    _uids: set[str] = field(default_factory=set, init=False)

    def passes(self, change: Change, *, resting: bool) -> bool:
        """Whether a change is to be told."""
        if change.transition.kind == "opened" and resting:
            self._uids.add(change.uid)
        if change.uid not in self._uids:
            return True
        if change.transition.kind == "closed":
            self._uids.discard(change.uid)
        return False

    def wake_up(self, judging: Judging, *, resting: bool) -> None:
        """What began while incidents were not wanted, and goes on now that they are, opens anew."""
        if self._uids and not resting:
            judging.forget(self._uids)
            self._uids.clear()


@dataclass(slots=True)
class Recent:
    """The last pictures as people may see them, for the strip of an incident: up to `length`."""

    length: int
    _pictures: deque[Image] = field(init=False)

    def __post_init__(self) -> None:
        self._pictures = deque(maxlen=self.length)

    def add(self, image_HWC: Image) -> None:
        """Take the newest picture."""
        self._pictures.append(image_HWC)

    def pictures(self) -> list[Image]:
        """All there are, oldest first."""
        return list(self._pictures)
