"""A challenger on one camera: the same pictures, its own questions, and incidents that nobody is told of.

All of it runs in threads of its own. Whatever fails, hangs or is slow here costs the challenger's decisions
and never the champion's: it is handed a picture, and drops it where it is behind.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from jikimi.settings import CameraSettings
from jikimi.watch.analysis import Judging, Looking, Silence, camera_rule, merged
from jikimi.watch.camera import CameraReader, Tick
from jikimi.watch.link import Link
from jikimi.watch.messages import IncidentChanged, Rival, message_of
from jikimi.watch.regions import Regions

log = logging.getLogger(__name__)

# What the camera's main thread has not fetched; an incident has two or three changes.
_MOST_WAITING = 256

_LOOK_EVERY_S = 0.5


@dataclass(slots=True)
class Shadow:
    """Asks the challenger about one camera. `resting` says whether incidents are not wanted now.

    `see` is for the thread that reads, `poll`, `stop` and `decided_s` for the camera's main thread.

    Raises:
        SettingsError: on making it, where the camera wants a behaviour that the challenger does not know.
    """

    rival: Rival
    settings: CameraSettings
    regions: Regions
    resting: Callable[[], bool]
    decided_s: float | None = field(default=None, init=False)
    _link: Link = field(init=False)
    _judging: Judging = field(init=False)
    _silence: Silence = field(default_factory=Silence, init=False)
    _looking: tuple[CameraReader, Looking] | None = field(default=None, init=False)
    _newest: tuple[CameraReader, Tick] | None = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _news: threading.Event = field(default_factory=threading.Event, init=False)
    _ended: threading.Event = field(default_factory=threading.Event, init=False)
    _changes: deque[IncidentChanged] = field(default_factory=lambda: deque(maxlen=_MOST_WAITING), init=False)

    def __post_init__(self) -> None:
        card = self.rival.card
        gap_s = card.rule.max_gap_s
        self._link = Link(self.rival.detector, lambda a, b: merged(a, b, max_gap_s=gap_s), self._news.set)
        self._judging = Judging(card, camera_rule(card, self.settings), self.regions.names)

    def start(self) -> None:
        """Begin to ask."""
        self._link.start()
        threading.Thread(target=self._run, name="shadow", daemon=True).start()

    def stop(self) -> None:
        """Ask no more; what is open is closed by whoever is told of it."""
        self._ended.set()
        self._link.stop()
        self._news.set()

    def see(self, reader: CameraReader, tick: Tick) -> None:
        """Take a picture; one that waits is dropped in its favour."""
        with self._lock:
            older = self._newest
            if older is not None and older[0] is reader:
                tick = tick.instead_of(older[1])
            self._newest = reader, tick
        self._news.set()

    def poll(self) -> list[IncidentChanged]:
        """What has changed since the last call."""
        found = []
        while self._changes:
            found.append(self._changes.popleft())
        return found

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                self._news.wait(_LOOK_EVERY_S)
                self._news.clear()
                self._ask()
                self._judge()
        except Exception:  # the thread's outer edge: the champion watches on
            log.error("the challenger watches no more until this camera's process is new", exc_info=True)
            self._link.stop()

    def _ask(self) -> None:
        with self._lock:
            newest, self._newest = self._newest, None
        if newest is None:
            return
        reader, tick = newest
        if self._looking is None or self._looking[0] is not reader:
            self._looking = reader, Looking(self.rival.card, self.regions)
        self._link.offer(self._looking[1].question(tick))

    def _judge(self) -> None:
        resting = self.resting()
        self._silence.wake_up(self._judging, resting=resting)
        for answered in self._link.answers():
            if answered.verdict.error:
                continue
            before = self._judging.decisions
            for change in self._judging.judge(answered):
                if self._silence.passes(change, resting=resting):
                    self._changes.append(message_of(change, time.monotonic()))
            if self._judging.decisions > before:
                self.decided_s = answered.decided_s
