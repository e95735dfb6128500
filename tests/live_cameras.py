"""Cameras that show something, and clients of the live connection, for tests."""

import json
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image as Pillow
from websockets.sync.client import ClientConnection, connect

from jikimi.frame import Image
from jikimi.picture_wire import picture_socket
from jikimi.watch.showing import Showing
from sites import wait_for

RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 200)


def plain(colour: tuple[int, int, int], size: tuple[int, int] = (48, 64)) -> Image:
    return np.full((*size, 3), colour, np.uint8)


@dataclass
class ShownCamera:
    """A camera's process as far as it shows pictures: so many a second, all of one colour."""

    folder: Path
    name: str
    colour: tuple[int, int, int] = RED
    rate_hz: float = 20.0
    size: tuple[int, int] = (48, 64)
    shown: int = 0
    showing: Showing = field(init=False)
    _ended: threading.Event = field(default_factory=threading.Event, init=False)

    def __enter__(self) -> Self:
        self.showing = Showing(picture_socket(self.folder, self.name))
        self._ended.clear()
        self.showing.start()
        wait_for(self.showing.path.exists)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()
        self.showing.stop()

    def _run(self) -> None:
        while not self._ended.wait(1 / self.rate_hz):
            self.shown += 1
            self.showing.show(plain(self.colour, self.size), time.monotonic())


@dataclass(frozen=True)
class Seen:
    """A picture as it arrived."""

    head: dict[str, Any]
    jpeg: bytes

    @property
    def pixels(self) -> Image:
        """The picture, uint8 (H, W, 3)."""
        return np.asarray(Pillow.open(BytesIO(self.jpeg)))

    @property
    def colour(self) -> tuple[int, ...]:
        """The mean colour."""
        return tuple(int(value) for value in self.pixels.reshape(-1, 3).mean(axis=0).round())


def near(colour: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    return all(abs(a - b) < 12 for a, b in zip(colour, expected, strict=True))


def unpack(message: bytes) -> Seen:
    (length,) = struct.unpack_from("!I", message)
    return Seen(json.loads(message[4 : 4 + length]), message[4 + length :])


@dataclass
class Page:
    """A client; `texts` and `pictures` are what has come."""

    socket: ClientConnection
    texts: list[dict[str, Any]] = field(default_factory=list)
    pictures: list[Seen] = field(default_factory=list)

    def choose(self, *cameras: str, rate_hz: float = 25) -> None:
        self.socket.send(json.dumps({"pictures": cameras, "rate_hz": rate_hz}))

    def read(self, within_s: float) -> None:
        """Take one message."""
        message = self.socket.recv(timeout=within_s)
        if isinstance(message, bytes):
            self.pictures.append(unpack(message))
        else:
            self.texts.append(json.loads(message))

    def read_for(self, seconds: float) -> None:
        """Take what comes."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            try:
                self.read(left)
            except TimeoutError:
                return

    def until(self, kind: str, within_s: float = 10.0, **fields: Any) -> dict[str, Any]:
        """The next text of this type with these fields, which is taken out."""
        until = time.monotonic() + within_s
        while True:
            for text in self.texts:
                if text["type"] == kind and fields.items() <= text.items():
                    self.texts.remove(text)
                    return text
            self.read(max(0.001, until - time.monotonic()))

    def seen(self, count: int, camera: str | None = None, within_s: float = 20.0) -> list[Seen]:
        """So many pictures, of one camera; those that had come before count."""
        until = time.monotonic() + within_s
        while True:
            found = [one for one in self.pictures if camera in (None, one.head["camera"])]
            if len(found) >= count:
                return found
            self.read(max(0.001, until - time.monotonic()))


@contextmanager
def page(port: int, secret: str | None, *, query: str = "", **headers: str) -> Iterator[Page]:
    """Connect with a token."""
    given = dict(headers)
    if secret is not None:
        given["Authorization"] = f"Bearer {secret}"
    url = f"ws://127.0.0.1:{port}/api/v1/live{query}"
    with connect(url, additional_headers=given, max_size=None, compression=None) as socket:
        yield Page(socket)
