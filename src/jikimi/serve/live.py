"""Everything that live connections share: the pictures, one look at the store and one at the status for all.

While nobody is connected, nothing runs. Two threads look for what is new; whatever becomes of the store, the
status and the pictures go on.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jikimi.errors import JikimiError
from jikimi.picture_wire import picture_socket
from jikimi.serve.access import Caller
from jikimi.serve.backend import Backend
from jikimi.serve.live_messages import snapshot_text, status_text
from jikimi.serve.live_pictures import LivePictures
from jikimi.serve.news import Event, News
from jikimi.serve.onlooker import Onlooker

log = logging.getLogger(__name__)

# An incident is at the browser within half a second of being stored: that is three looks.
NEWS_EVERY_S = 0.15
# As often as the site writes it.
STATUS_EVERY_S = 0.5

# How long a store in trouble is left alone.
_AGAIN_S = 1.0

# Tabs and wall displays of one caller, and of all of them.
MOST_OF_ONE, MOST = 32, 128

# Incidents, and faults, with which a connection begins: the newest.
_MOST_SHOWN = 500

_Cameras = tuple[str, ...] | None
"""The cameras that a caller may see; None: all."""


@dataclass(slots=True)
class Live:
    """Its methods are for the server's loop, except `snapshot`."""

    backend: Backend
    pictures: LivePictures = field(init=False)
    known: frozenset[str] = field(default=frozenset(), init=False)
    _onlookers: set[Onlooker] = field(default_factory=set, init=False)
    _looking: "_Looking | None" = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.pictures = LivePictures(self._socket_of, self._on_picture)

    def join(self, caller: Caller) -> Onlooker | None:
        """A new connection; None where there are too many."""
        of_one = sum(onlooker.caller.name == caller.name for onlooker in self._onlookers)
        if of_one >= MOST_OF_ONE or len(self._onlookers) >= MOST:
            return None
        onlooker = Onlooker(caller, self.pictures)
        self._onlookers.add(onlooker)
        if self._looking is None:
            self._looking = _Looking(self.backend, self._tell, self._tell_status)
            self._looking.start()
        self._looking.callers = self._callers()
        return onlooker

    def leave(self, onlooker: Onlooker) -> None:
        """A connection has ended; with the last one, looking does."""
        onlooker.leave()
        self._onlookers.discard(onlooker)
        if self._looking is not None:
            self._looking.callers = self._callers()
        if not self._onlookers and self._looking is not None:
            self._looking.ended.set()
            self._looking = None

    async def begun(self) -> None:
        """Wait until news is looked for: what happens after a snapshot of before would be missed."""
        if self._looking is not None:
            await self._looking.begun.wait()

    def snapshot(self, caller: Caller) -> str:
        """How things are, for a caller. For a thread: it waits for the store. Raises StoreError."""
        store = self.backend.store
        incidents = store.unsettled(camera=caller.cameras, limit=_MOST_SHOWN)
        faults = store.faults(camera=caller.cameras, open=True, limit=_MOST_SHOWN)
        return snapshot_text(self.backend.status(), incidents, faults, caller)

    def _callers(self) -> Mapping[_Cameras, Caller]:
        """One caller of each kind: who may see the same cameras is told the same."""
        return {onlooker.caller.cameras: onlooker.caller for onlooker in self._onlookers}

    def _tell(self, events: Sequence[Event]) -> None:
        for event in events:
            for onlooker in self._onlookers:
                if onlooker.caller.may_see(event.camera):
                    onlooker.tell_event(event.text)

    def _tell_status(self, texts: Mapping[_Cameras, str], cameras: frozenset[str]) -> None:
        self.known = cameras
        for onlooker in self._onlookers:
            onlooker.watch(cameras)
            if (text := texts.get(onlooker.caller.cameras)) is not None:
                onlooker.tell_status(text)

    def _on_picture(self, camera: str) -> None:
        """In the pictures' thread."""
        looking = self._looking
        if looking is not None:
            looking.call(self._tell_picture, camera)

    def _tell_picture(self, camera: str) -> None:
        for onlooker in self._onlookers:
            if camera in onlooker.watched:
                onlooker.tell_picture(camera)

    def _socket_of(self, camera: str) -> Path:
        return picture_socket(self.backend.status_file.parent, camera)


@dataclass(slots=True)
class _Looking:
    """Two threads that look for what is new while somebody is connected, and tell it in the server's loop."""

    backend: Backend
    tell: Callable[[Sequence[Event]], None]
    tell_status: Callable[[Mapping[_Cameras, str], frozenset[str]], None]
    callers: Mapping[_Cameras, Caller] = field(default_factory=dict, init=False)
    ended: threading.Event = field(default_factory=threading.Event, init=False)
    begun: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop, init=False)
    _news: News = field(init=False)

    def __post_init__(self) -> None:
        self._news = News(self.backend.store, time.monotonic)

    def start(self) -> None:
        """Begin to look. The threads are nobody's to wait for: a store may hang."""
        for name, every_s, look in (
            ("live news", NEWS_EVERY_S, self._look_at_store),
            ("live status", STATUS_EVERY_S, self._look_at_status),
        ):
            threading.Thread(target=self._run, args=(every_s, look), name=name, daemon=True).start()

    def call(self, what: Callable[..., None], *arguments: Any) -> None:
        """Do it in the server's loop."""
        try:
            self._loop.call_soon_threadsafe(what, *arguments)
        except RuntimeError:  # the server has stopped
            self.ended.set()

    def _run(self, every_s: float, look: Callable[[], None]) -> None:
        while not self.ended.is_set():
            pause_s = every_s
            try:
                look()
            except JikimiError as error:
                log.warning("%s; live news waits", error)
                pause_s = _AGAIN_S
            except Exception:  # the thread's outer edge: it goes on
                log.error("looking for what is new stumbled; it goes on", exc_info=True)
                pause_s = _AGAIN_S
            self.ended.wait(pause_s)

    def _look_at_store(self) -> None:
        events = self._news.look()
        self.call(self.begun.set)
        if events:
            self.call(self.tell, events)

    def _look_at_status(self) -> None:
        status = self.backend.status()
        texts = {cameras: status_text(status, caller) for cameras, caller in self.callers.items()}
        names = frozenset(camera.name for camera in status.cameras) if status is not None else frozenset()
        self.call(self.tell_status, texts, names)
