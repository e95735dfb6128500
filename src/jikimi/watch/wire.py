"""What cameras and the detector say to each other over a local socket: numbers and pictures, no code.

A message is one line of JSON and then the pixels, so that a damaged peer can garble an answer and no more. On
the socket its length goes before it, as four bytes.
"""

import json
import math
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from jikimi.errors import InferenceError
from jikimi.frame import Floats, Image

_LENGTH = struct.Struct("!I")

# What a garbled message makes JSON and NumPy throw.
_GARBLED = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)

# No honest message is near this size (twenty zones of 448×448 in colour are 12 MB).
_MAX_BYTES = 64 << 20


def frame_message(message: bytes) -> bytes:
    """A message as it goes over the socket."""
    return _LENGTH.pack(len(message)) + message


@dataclass(slots=True)
class Inbox:
    """Bytes from a socket that never blocks → whole messages: who stops in mid-message holds up nobody."""

    peer: socket.socket
    _bytes: bytearray = field(default_factory=bytearray, init=False)

    def receive(self) -> list[bytes] | None:
        """Take what has come → the messages that are whole now; None when the peer has gone.

        Raises:
            InferenceError: what comes is no message.
        """
        try:
            piece = self.peer.recv(1 << 20)
        except (BlockingIOError, InterruptedError):
            return []
        except OSError:
            return None  # the peer has reset the connection: gone is gone
        if not piece:
            return None
        self._bytes += piece
        return self._whole()

    def _whole(self) -> list[bytes]:
        messages = []
        while len(self._bytes) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._bytes)
            if length > _MAX_BYTES:
                raise InferenceError(f"a message of {length} bytes on the detector's socket")
            if len(self._bytes) < _LENGTH.size + length:
                break
            messages.append(bytes(self._bytes[_LENGTH.size : _LENGTH.size + length]))
            del self._bytes[: _LENGTH.size + length]
        return messages


@dataclass(frozen=True, slots=True)
class Look:
    """One view of a camera at the moments (seconds) it answers: a fitted picture, uint8 (H, W, channels).

    The first `behind` moments are those of pictures that were dropped: time was short.
    """

    view: str
    moments_s: tuple[float, ...]
    fitted_HWC: Image
    behind: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the detector answers: scores float32 (C,) per view and moment; None is "not yet known".

    `error` says why there is no answer: a fault, and never the same as seeing nothing.
    """

    scores: Mapping[str, Sequence[Floats | None]]
    error: str = ""


def pack_looks(looks: Sequence[Look]) -> bytes:
    """Looks → bytes."""
    head = [
        {"view": k.view, "moments": k.moments_s, "behind": k.behind, "shape": k.fitted_HWC.shape}
        for k in looks
    ]
    pixels = [np.ascontiguousarray(look.fitted_HWC).tobytes() for look in looks]
    return b"".join([json.dumps(head).encode(), b"\n", *pixels])


def unpack_looks(message: bytes) -> list[Look]:
    """Bytes → looks.

    Raises:
        InferenceError: this is no such message.
    """
    try:
        head, _, pixels = message.partition(b"\n")
        looks, start = [], 0
        for row in json.loads(head):
            height, width, channels = (int(size) for size in row["shape"])
            if min(height, width) < 1 or channels not in (1, 3):
                raise ValueError(f"shape {row['shape']}")
            size = height * width * channels
            image = np.frombuffer(pixels, np.uint8, count=size, offset=start).reshape(height, width, channels)
            moments_s = tuple(map(float, row["moments"]))
            if not moments_s or not all(map(math.isfinite, moments_s)):
                raise ValueError(f"moments {row['moments']}")
            behind = int(row.get("behind", 0))
            if not 0 <= behind < len(moments_s):
                raise ValueError(f"behind {behind} of {len(moments_s)} moments")
            looks.append(Look(str(row["view"]), moments_s, image, behind))
            start += size
        return looks
    except _GARBLED as error:
        raise InferenceError(f"a camera sent what is no picture: {error}") from error


def pack_verdict(verdict: Verdict) -> bytes:
    """Verdict → bytes."""
    scores = {
        view: [None if row is None else [float(score) for score in row] for row in rows]
        for view, rows in verdict.scores.items()
    }
    return json.dumps({"scores": scores, "error": verdict.error}).encode()


def unpack_verdict(message: bytes) -> Verdict:
    """Bytes → verdict.

    Raises:
        InferenceError: this is no such message.
    """
    try:
        raw = json.loads(message)
        scores = {
            str(view): [None if row is None else _row(row) for row in rows]
            for view, rows in raw["scores"].items()
        }
        return Verdict(scores, str(raw["error"]))
    except _GARBLED as error:
        raise InferenceError(f"the detector answered with what is no verdict: {error}") from error


def _row(numbers: Sequence[float]) -> Floats:
    row = np.asarray(numbers, dtype=np.float32)
    if row.ndim != 1 or not np.isfinite(row).all():
        raise ValueError(f"scores {numbers}")
    return row


def answers(verdict: Verdict, looks: Sequence[Look]) -> bool:
    """Whether a verdict has a row for every view and moment asked: less is no answer."""
    asked = {look.view: len(look.moments_s) for look in looks}
    return {view: len(rows) for view, rows in verdict.scores.items()} == asked
