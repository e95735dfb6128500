"""One live connection: what it wants, what it has been sent, and what is next for it. No socket, no threads.

Nothing piles up for a browser that is slow: of a picture and of the status it gets the newest when its turn
comes; of events so many are kept, and then a fresh snapshot takes their place.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from jikimi.serve.access import Caller
from jikimi.serve.live_pictures import LivePicture, LivePictures
from jikimi.serve.pace import Pace

MOST_EVENTS = 500


@dataclass(slots=True, eq=False)
class Onlooker:
    """Used from the server's loop alone. `news` is set when there may be something to send."""

    caller: Caller
    pictures: LivePictures
    news: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    lost: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    chosen: tuple[str, ...] = field(default=(), init=False)
    rate_hz: float = field(default=8.0, init=False)
    watched: frozenset[str] = field(default=frozenset(), init=False)
    _snapshot: str | None = field(default=None, init=False)
    _waits: bool = field(default=True, init=False)
    _status: str | None = field(default=None, init=False)
    _replies: deque[str] = field(default_factory=lambda: deque(maxlen=4), init=False)
    _events: deque[str] = field(default_factory=deque, init=False)
    _due: dict[str, None] = field(default_factory=dict, init=False)
    _sent: dict[str, tuple[int, Pace]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.lost.set()

    def choose(self, pictures: Sequence[str], rate_hz: float, known: Collection[str]) -> list[str]:
        """Want these cameras' pictures → those that are the caller's to see."""
        self.chosen = tuple(dict.fromkeys(name for name in pictures if self.caller.may_see(name)))
        self.rate_hz = rate_hz
        self.watched, before = frozenset(), self.watched
        for camera in before:
            self.pictures.look_away(camera, self)
        self.watch(known)
        return list(self.chosen)

    def watch(self, known: Collection[str]) -> None:
        """Look at what was chosen, as far as the site has it: cameras come and go."""
        wanted = frozenset(self.chosen) & frozenset(known)
        for camera in self.watched - wanted:
            self.pictures.look_away(camera, self)
            self._sent.pop(camera, None)
        for camera in wanted - self.watched:
            self.pictures.look(camera, self, self.rate_hz)
            self.tell_picture(camera)
        self.watched = wanted

    def leave(self) -> None:
        """Want nothing more."""
        self.chosen = ()
        self.watch(())

    def tell_picture(self, camera: str) -> None:
        """There is a new picture."""
        self._due[camera] = None
        self.news.set()

    def tell_status(self, text: str) -> None:
        """This is the status now."""
        self._status = text
        self.news.set()

    def tell_event(self, text: str) -> None:
        """This has happened. Too much at once is told as a snapshot."""
        self._events.append(text)
        if len(self._events) > MOST_EVENTS:
            self._events.clear()
            self._waits = True
            self.lost.set()
        self.news.set()

    def tell_snapshot(self, text: str) -> None:
        """This is how things are; events that came since go on from here."""
        self._snapshot, self._waits = text, self.lost.is_set()
        self.news.set()

    def reply(self, text: str) -> None:
        """Answer what it sent; who does not read its answers gets the last ones."""
        self._replies.append(text)
        self.news.set()

    def next(self, now_s: float) -> str | LivePicture | None:
        """What is sent next: texts before pictures, and of pictures the one that has waited longest."""
        if self._replies:
            return self._replies.popleft()
        if self._snapshot is not None:
            self._snapshot, text = None, self._snapshot
            return text
        if self._events and not self._waits:
            return self._events.popleft()
        if self._status is not None:
            self._status, text = None, self._status
            return text
        return self._next_picture(now_s)

    def _next_picture(self, now_s: float) -> LivePicture | None:
        while self._due:
            camera = next(iter(self._due))
            del self._due[camera]
            number, pace = self._sent.get(camera) or (0, Pace())
            picture = self.pictures.newest(camera) if camera in self.watched else None
            if picture is not None and picture.number > number and pace.take(now_s, self.rate_hz):
                self._sent[camera] = picture.number, pace
                return picture
        return None
