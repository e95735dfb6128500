"""What a camera sees, for whoever looks: its newest picture over a local socket, while somebody is connected.

Nobody who looks can hold up watching. A picture is handed over in no time and sent by a thread of its own,
unencoded; at most one is on its way to each, the next one is the newest by then, and whoever stops taking is
dropped. While nobody is connected, a picture costs nothing.
"""

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from jikimi.frame import Image
from jikimi.picture_wire import Head

log = logging.getLogger(__name__)

# One is the API; another may be its successor, or somebody who debugs.
MOST_PEERS = 4

# Whoever has taken nothing of a picture for this long is dropped.
STALL_S = 5.0

# How soon showing is begun again when it failed (a full disk has no room for a socket either).
_AGAIN_S = 5.0


@dataclass(frozen=True, slots=True)
class _Shown:
    seq: int
    image_HWC: Image
    arrived_s: float


@dataclass(slots=True, eq=False)
class _Peer:
    """Somebody who looks: what is left of the picture on its way, and the number of the last one begun."""

    socket: socket.socket
    left: list[memoryview] = field(default_factory=list)
    seq: int = 0
    moved_s: float = 0.0

    def begin(self, shown: _Shown, now_s: float, wall_s: float) -> None:
        """Send this picture next."""
        pixels = np.ascontiguousarray(shown.image_HWC)
        height, width, _ = pixels.shape
        head = Head(shown.seq, shown.arrived_s, wall_s - (now_s - shown.arrived_s), width, height)
        self.left = [memoryview(head.pack()), pixels.data.cast("B")]
        self.seq, self.moved_s = shown.seq, now_s

    def push(self) -> int:
        """Send what goes now → bytes. Raises OSError when the peer has gone."""
        moved = 0
        try:
            while self.left:
                sent = self.socket.sendmsg(self.left)
                moved += sent
                while self.left and sent >= len(self.left[0]):
                    sent -= len(self.left.pop(0))
                if self.left:
                    self.left[0] = self.left[0][sent:]
        except (BlockingIOError, InterruptedError):
            return moved
        return moved


@dataclass(slots=True)
class Showing:
    """Serves `path` in a thread of its own. `show` may be called from any thread, and never waits."""

    path: Path
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    stall_s: float = STALL_S
    _newest: _Shown | None = field(default=None, init=False)
    _seq: int = field(default=0, init=False)
    _peers: list[_Peer] = field(default_factory=list, init=False)
    _selector: selectors.DefaultSelector = field(init=False)
    _bell: tuple[socket.socket, socket.socket] = field(init=False)
    _rung: bool = field(default=False, init=False)
    _ended: threading.Event = field(default_factory=threading.Event, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._bell = socket.socketpair()
        for end in self._bell:
            end.setblocking(False)

    @property
    def watched(self) -> int:
        """How many are connected."""
        return len(self._peers)

    def start(self) -> None:
        """Begin to listen."""
        self._thread = threading.Thread(target=self._run, name="showing", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let everybody go. The socket's file stays: a successor may have put its own in place."""
        self._ended.set()
        self._ring()
        if self._thread is not None:
            self._thread.join(1.0)
            if not self._thread.is_alive():
                self._bell[0].close()
                self._bell[1].close()

    def show(self, image_HWC: Image, arrived_s: float) -> None:
        """Show a picture, uint8 (H, W, 3), that came at `arrived_s` (monotonic). It must not change after."""
        self._seq += 1
        self._newest = _Shown(self._seq, image_HWC, arrived_s)
        if self._peers:
            self._ring()

    def _ring(self) -> None:
        if self._rung:
            return
        self._rung = True
        try:
            self._bell[1].send(b"!")
        except OSError as error:  # full: it will look anyway; closed: it has ended
            log.debug("showing is not woken: %s", error)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                with self._listening() as listener:
                    self._serve(listener)
            except OSError as error:
                log.warning("%s: pictures cannot be shown: %s; trying again", self.path, error.strerror)
            except Exception:  # the thread's outer edge: the camera is watched all the same
                log.error("showing pictures failed; trying again", exc_info=True)
            self._ended.wait(_AGAIN_S)

    @contextmanager
    def _listening(self) -> Iterator[socket.socket]:
        """The listener, and all of this round's connections, which end with it."""
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener,
            selectors.DefaultSelector() as self._selector,
        ):
            mine = self.path.with_name(f".{self.path.name}")
            mine.unlink(missing_ok=True)
            listener.bind(str(mine))
            listener.listen(MOST_PEERS)
            listener.setblocking(False)
            mine.replace(self.path)  # whoever connects finds the old one or the new one, and never none
            self._selector.register(listener, selectors.EVENT_READ)
            self._selector.register(self._bell[0], selectors.EVENT_READ)
            try:
                yield listener
            finally:
                for peer in list(self._peers):
                    self._drop(peer)

    def _serve(self, listener: socket.socket) -> None:
        while not self._ended.is_set():
            sending = any(peer.left for peer in self._peers)
            for key, events in self._selector.select(self.stall_s / 4 if sending else None):
                if key.fileobj is listener:
                    self._accept(listener)
                elif isinstance(key.data, _Peer):
                    self._attend(key.data, events)
                else:
                    self._bell[0].recv(16)
                    self._rung = False  # before the newest is looked at: what comes after rings again
            for peer in list(self._peers):
                self._go_on(peer)

    def _accept(self, listener: socket.socket) -> None:
        try:
            one, _ = listener.accept()
        except OSError as error:
            log.debug("who was connecting has gone: %s", error)
            return
        if len(self._peers) >= MOST_PEERS:
            log.warning("%s: %d look already", self.path, MOST_PEERS)
            one.close()
            return
        one.setblocking(False)
        peer = _Peer(one)
        self._selector.register(one, selectors.EVENT_READ, peer)
        self._peers.append(peer)

    def _attend(self, peer: _Peer, events: int) -> None:
        """Who looks says nothing: what can be read is its end."""
        if events & selectors.EVENT_READ:
            self._drop(peer)

    def _go_on(self, peer: _Peer) -> None:
        """Send what can be sent now; what is sent next is the newest then."""
        now_s, newest = self.clock(), self._newest
        if not peer.left and newest is not None and newest.seq > peer.seq:
            peer.begin(newest, now_s, self.wall())
        if not peer.left:
            return
        try:
            moved = peer.push()
        except OSError:
            self._drop(peer)
            return
        if moved:
            peer.moved_s = now_s
        elif now_s - peer.moved_s > self.stall_s:
            log.warning("%s: somebody takes no pictures; dropped", self.path)
            self._drop(peer)
            return
        more = bool(peer.left) or (newest is not None and newest.seq > peer.seq)
        wants = selectors.EVENT_READ | (selectors.EVENT_WRITE if more else 0)
        self._selector.modify(peer.socket, wants, peer)

    def _drop(self, peer: _Peer) -> None:
        self._selector.unregister(peer.socket)
        self._peers.remove(peer)
        peer.socket.close()
