"""When to try a camera again: soon at first, later and later, and at once when it answers the door.

A camera that is away is knocked at twice a second (one connection, one question that needs no log-in): it is
watched again within a second of being back, however long it was away. What is dear to it, a session, is tried
seldom.
"""

import random
import socket
import threading
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from jikimi.address import Address

# peers.md: back-off from 1 to 30 s with jitter.
FIRST_S, LONGEST_S = 1.0, 30.0
_JITTER = 0.3

KNOCK_EVERY_S = 0.5
_KNOCK_S = 0.4

_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443, "rtmp": 1935, "rtmps": 443}


@dataclass(slots=True)
class Backoff:
    """Pauses between attempts: 1 s, doubling to 30 s, each ±30 % so that cameras do not come in step."""

    chance: random.Random = field(default_factory=random.Random)
    failures: int = field(default=0, init=False)

    def failed(self) -> float:
        """Count a failure → seconds until the next attempt."""
        pause_s = min(LONGEST_S, FIRST_S * 2 ** min(self.failures, 10))
        self.failures += 1
        return float(pause_s * self.chance.uniform(1 - _JITTER, 1 + _JITTER))

    def succeeded(self) -> None:
        """Begin anew: the camera is live."""
        self.failures = 0


def door(address: Address) -> tuple[str, int] | None:
    """Host and port to knock at; None where there is no TCP door (files, devices, UDP)."""
    usual = _PORTS.get(address.scheme)
    if usual is None:
        return None
    try:
        parts = urlsplit(address.reveal())  # as FFmpeg does: the log-in ends before the first '/'
        return (parts.hostname, parts.port or usual) if parts.hostname else None
    except ValueError:
        return None


def answers(where: tuple[str, int], scheme: str) -> bool:
    """Whether something answers there within 0.4 s; an RTSP server must say a word, any word will do.

    A server that hangs still has its connections accepted, by its kernel.
    """
    try:
        with socket.create_connection(where, timeout=_KNOCK_S) as visitor:
            if scheme != "rtsp":
                return True
            visitor.settimeout(_KNOCK_S)
            visitor.sendall(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")
            return bool(visitor.recv(16))
    except OSError:
        return False


@dataclass(slots=True)
class Knocker:
    """Knocks in a thread of its own until told to stop. `open` is None until the first knock is over."""

    address: Address
    open: bool | None = field(default=None, init=False)
    opened: bool = field(default=False, init=False)
    _stop: threading.Event = field(default_factory=threading.Event, init=False)

    def start(self) -> None:
        """Begin, where there is a door; a camera without one counts as open."""
        where = door(self.address)
        if where is None:
            self.open = True
            return
        threading.Thread(target=self._run, args=(where,), name="knock", daemon=True).start()

    def stop(self) -> None:
        """Knock no more."""
        self._stop.set()

    def _run(self, where: tuple[str, int]) -> None:
        while not self._stop.is_set():
            found = answers(where, self.address.scheme)
            self.opened = self.opened or (found and self.open is False)
            self.open = found
            self._stop.wait(KNOCK_EVERY_S)
