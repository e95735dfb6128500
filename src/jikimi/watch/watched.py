"""One camera as the site sees it: its process, what it last said, and what is open there."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Any

from jikimi.settings import CameraSettings
from jikimi.status import CameraStatus, Histogram
from jikimi.watch.child import Child
from jikimi.watch.messages import Compare, Rival, Roll, Shelve

# A process that is away longer than this, or is lost so often within the span, is a fault of its own.
_AWAY_S = 3.0
_OFTEN, _OFTEN_WITHIN_S = 3, 300.0

# Counters of a camera's process, which begin anew with it.
_COUNTERS = (
    "pictures",
    "damaged",
    "dropped",
    "decisions",
    "unanswered",
    "reconnects",
    "incidents",
    "clock_jumps",
)
_TIMES = ("seen_s", "due_s", "both_s")


@dataclass(slots=True)
class Watch:
    """Whether a child is well: `away_s` since it was lost, and whether it is lost again and again."""

    child: Child
    clock: Callable[[], float]
    _lost: deque[float] = field(default_factory=deque, init=False)
    _restarts: int = field(default=0, init=False)
    _away_since: float | None = field(default=None, init=False)

    def trouble(self) -> str:
        """What is wrong with it; empty while it is well."""
        now = self.clock()
        for _ in range(self.child.restarts - self._restarts):
            self._lost.append(now)
        self._restarts = self.child.restarts
        while self._lost and now - self._lost[0] > _OFTEN_WITHIN_S:
            self._lost.popleft()
        if self.child.running:
            self._away_since = None
        elif self.child.restarts:  # the first start may take its time
            self._away_since = self._away_since if self._away_since is not None else now
        away = self._away_since is not None and now - self._away_since > _AWAY_S
        if away or len(self._lost) >= _OFTEN:
            return f"{self.child.problem}; {len(self._lost)} times in the last {_OFTEN_WITHIN_S / 60:.0f} min"
        return ""


@dataclass(slots=True)
class WatchedCamera:
    """A camera of the site."""

    settings: CameraSettings
    child: Child
    clock: Callable[[], float]
    shelved_until: datetime | None = None
    rival: Rival | None = None
    roll: Roll | None = None
    stages: dict[str, Histogram] = field(default_factory=dict, init=False)
    watch: Watch = field(init=False)
    _last: CameraStatus | None = field(default=None, init=False)
    _newest: bool = field(default=False, init=False)
    _told: Connection | None = field(default=None, init=False)
    _before: dict[str, float] = field(default_factory=dict, init=False)
    _heard_at: float = field(default=0.0, init=False)
    _restarts: int = field(default=0, init=False)
    _idle_at: float | None = field(default=None, init=False)
    _idle_s: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.watch = Watch(self.child, self.clock)

    @property
    def name(self) -> str:
        """The camera's name."""
        return self.settings.name

    def poll(self) -> list[Any]:
        """Return what its process has sent, beats aside."""
        messages = []
        for message in self.child.poll():
            self._newest = isinstance(message, CameraStatus)
            if isinstance(message, CameraStatus):
                self._hear(message)
            else:
                messages.append(message)
        if self.child.pipe is not self._told:  # a new process knows only what was wished when it was added
            self._told = self.child.pipe
            self.child.tell(Shelve(self.shelved_until))
            if self.roll is not None:
                self.child.tell(self.roll)
            if self.rival is not None:
                self.child.tell(Compare(self.rival))
        return messages

    def lost(self) -> bool:
        """Whether its process has been lost since the last call."""
        found = self.child.restarts > self._restarts
        self._restarts = self.child.restarts
        return found

    def heard(self) -> CameraStatus | None:
        """What its process last said of itself, while it runs; None when it has said anything else since.

        A trouble that it has just told is not in the status of a moment before, and yet not over.
        """
        return self._last if self.child.running and self._newest else None

    def status(self) -> CameraStatus:
        """The camera now, with counters since the site started."""
        now = self.clock()
        last = self._last or CameraStatus(name=self.name)
        status = last.model_copy(deep=True)
        for key in (*_COUNTERS, *_TIMES):
            setattr(status, key, type(getattr(last, key))(getattr(last, key) + self._before.get(key, 0)))
        status.due_s += self._idle_s
        status.restarts = self.child.restarts
        status.stages = self.stages
        aged_s = now - self._heard_at
        if status.picture_age_s is not None:
            status.picture_age_s = round(status.picture_age_s + aged_s, 3)
        if status.decided_age_s is not None:
            status.decided_age_s = round(status.decided_age_s + aged_s, 3)
        if not self.child.running:
            status.state, status.recording = "connecting", False
            status.why = self.child.problem or "starting"
        if not self.settings.enabled:
            status.state, status.why = "disabled", ""
        shelved = self.shelved_until is not None and self.shelved_until > datetime.now(UTC)
        status.shelved_until = self.shelved_until if shelved else None
        return status

    def count_idle(self, *, due: bool) -> None:
        """Count time in which its process does not run: due, and not seen."""
        now = self.clock()
        if self._idle_at is not None and not self.child.running and due:
            self._idle_s += now - self._idle_at
        self._idle_at = now

    def _hear(self, status: CameraStatus) -> None:
        counts = (*_COUNTERS, *_TIMES)
        if self._last is not None and any(getattr(status, k) < getattr(self._last, k) for k in counts):
            for key in counts:  # a new process counts from zero
                self._before[key] = self._before.get(key, 0) + getattr(self._last, key)
        for stage, histogram in status.stages.items():
            self.stages.setdefault(stage, Histogram()).merge(histogram)
        self._last, self._heard_at = status, self.clock()
