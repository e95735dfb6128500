"""A shown picture on its way from its camera's process to whoever serves it: a head, then the bare pixels.

Not encoded: that would take processor time from watching. Both ends are on one machine, so that they share
the monotonic clock. Several cameras' sockets lie in one folder, which is closed to others.
"""

import hashlib
import socket
import struct
from dataclasses import dataclass, field
from pathlib import Path

from jikimi.errors import VideoError

# Number, arrived_s, at_s, width, height; all pixels are three bytes.
_HEAD = struct.Struct("!QddHH")

# 4096×2160 in colour is 27 MB; what is shown has the model's size, a hundredth of it.
_MAX_BYTES = 32 << 20

PATTERN = "see-*.sock"
"""Every camera's socket in the run folder."""


def picture_socket(folder: Path, camera: str) -> Path:
    """Where a camera's pictures are had. A hash, since names may hold anything; 48 bits of it, so that no
    site has two cameras of one socket."""
    mark = hashlib.sha256(camera.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return folder / PATTERN.replace("*", mark)


@dataclass(frozen=True, slots=True)
class Head:
    """What goes before a picture's pixels, uint8 (height_px, width_px, 3).

    `seq` counts from the start of the camera's process. `arrived_s` is the machine's monotonic time at which
    the picture had come, `at_s` the same moment in seconds since 1970.
    """

    seq: int
    arrived_s: float
    at_s: float
    width_px: int
    height_px: int

    @property
    def size_bytes(self) -> int:
        """How many bytes of pixels follow."""
        return 3 * self.width_px * self.height_px

    def pack(self) -> bytes:
        """Head → bytes."""
        return _HEAD.pack(self.seq, self.arrived_s, self.at_s, self.width_px, self.height_px)


def unpack_head(message: bytes | bytearray) -> Head:
    """Bytes → head.

    Raises:
        VideoError: no picture is of that size.
    """
    head = Head(*_HEAD.unpack(message))
    if not 0 < head.size_bytes <= _MAX_BYTES:
        raise VideoError(f"a camera's process shows {head.width_px}×{head.height_px} pixels")
    return head


@dataclass(slots=True)
class PictureInbox:
    """Pictures from a socket that never blocks. There is room for one: what is not taken is not sent."""

    peer: socket.socket
    pixels: bytearray = field(default_factory=bytearray, init=False)
    _head: bytearray = field(default_factory=lambda: bytearray(_HEAD.size), init=False)
    _coming: Head | None = field(default=None, init=False)
    _got: int = field(default=0, init=False)

    def receive(self) -> Head | None:
        """Take what has come → the head of a picture that is whole now, or None.

        Its pixels lie in `pixels` until the next call.

        Raises:
            OSError: the camera's process has gone.
            VideoError: what comes is no picture.
        """
        try:
            while True:
                room = self._head if self._coming is None else self.pixels
                got = self.peer.recv_into(memoryview(room)[self._got :])
                if not got:
                    raise ConnectionResetError("the camera's process has gone")
                self._got += got
                if self._got == len(room) and (whole := self._next()) is not None:
                    return whole
        except (BlockingIOError, InterruptedError):
            return None

    def _next(self) -> Head | None:
        """Head or pixels are whole; the picture's head in the latter case."""
        self._got = 0
        if self._coming is not None:
            whole, self._coming = self._coming, None
            return whole
        self._coming = unpack_head(self._head)
        if len(self.pixels) != self._coming.size_bytes:
            self.pixels = bytearray(self._coming.size_bytes)
        return None
