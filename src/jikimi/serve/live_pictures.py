"""What cameras see now, as JPEG: taken and encoded once for everybody who looks, by one thread.

A camera's process sends its newest picture when the one before was taken. When this thread is behind, there
are fewer pictures, and never a queue: it holds a bare picture and a JPEG of each camera that is looked at.
"""

import io
import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image as PillowImage

from jikimi.errors import VideoError
from jikimi.picture_wire import Head, PictureInbox
from jikimi.serve.pace import Pace

log = logging.getLogger(__name__)

# 14.5 kB and 37 dB at 256 px (docs/decisions.md, Extraction): to look at, not to learn from.
QUALITY = 75

# A page that is loaded anew comes back at once: the line to the camera is kept for it.
LINGER_S = 5.0

# How soon it is noticed that somebody looks at one more camera.
_LOOK_EVERY_S = 0.05

# A camera's process that was lost is back within a second.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 1.0


@dataclass(frozen=True, slots=True)
class LivePicture:
    """One camera's picture: `number` grows with every picture of all cameras. Moments as in `Head`."""

    camera: str
    number: int
    arrived_s: float
    at_s: float
    jpeg: bytes


@dataclass(slots=True)
class _Line:
    """The connection to one camera, None while there is none; its back-off, and when it is encoded again."""

    camera: str
    peer: socket.socket | None = None
    inbox: PictureInbox | None = None
    due_s: float = 0.0
    pause_s: float = _FIRST_PAUSE_S
    pace: Pace = field(default_factory=Pace)

    def back_off(self, now_s: float) -> None:
        """Connect later, and later still the next time; a picture makes that good."""
        self.due_s, self.pace = now_s + self.pause_s, Pace()
        self.pause_s = min(_LONGEST_PAUSE_S, 2 * self.pause_s)


@dataclass(slots=True)
class LivePictures:
    """`look`, `look_away` and `newest` are for any thread; `on_picture` is called in this one's own."""

    path_of: Callable[[str], Path]
    on_picture: Callable[[str], None] = lambda _camera: None
    clock: Callable[[], float] = time.monotonic
    linger_s: float = LINGER_S
    encoded: int = field(default=0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _wanted: dict[str, dict[object, float]] = field(default_factory=dict, init=False)
    _left_s: dict[str, float] = field(default_factory=dict, init=False)
    _newest: dict[str, LivePicture] = field(default_factory=dict, init=False)
    _lines: dict[str, _Line] = field(default_factory=dict, init=False)
    _running: bool = field(default=False, init=False)

    def look(self, camera: str, who: object, rate_hz: float) -> None:
        """Let `who` have pictures of a camera, so many a second at most."""
        with self._lock:
            self._wanted.setdefault(camera, {})[who] = rate_hz
            self._left_s.pop(camera, None)
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="live pictures", daemon=True).start()

    def look_away(self, camera: str, who: object) -> None:
        """`who` wants no more of a camera."""
        with self._lock:
            lookers = self._wanted.get(camera, {})
            lookers.pop(who, None)
            if not lookers and self._wanted.pop(camera, None) is not None:
                self._left_s[camera] = self.clock()

    def newest(self, camera: str) -> LivePicture | None:
        """The newest picture of a camera that is looked at; None while its process cannot be reached."""
        with self._lock:
            return self._newest.get(camera)

    def _run(self) -> None:
        while True:
            try:
                with selectors.DefaultSelector() as selector:
                    if self._serve(selector):
                        return
            except Exception:  # the thread's outer edge: pictures go on
                log.error("live pictures stumbled; they go on", exc_info=True)
                time.sleep(_LONGEST_PAUSE_S)
            finally:
                self._hang_up_all()

    def _serve(self, selector: selectors.DefaultSelector) -> bool:
        """Take pictures until nobody looks → True."""
        while not self._is_over():
            self._tend(selector)
            if not selector.get_map():
                time.sleep(_LOOK_EVERY_S)
                continue
            for key, _ in selector.select(_LOOK_EVERY_S):
                self._take(key.data, selector)
        return True

    def _is_over(self) -> bool:
        with self._lock:
            self._running = bool(self._wanted or self._left_s)
            return not self._running

    def _tend(self, selector: selectors.DefaultSelector) -> None:
        """Connect to who is looked at, let go of who is not."""
        now_s = self.clock()
        with self._lock:
            over = [camera for camera, left_s in self._left_s.items() if now_s - left_s >= self.linger_s]
            for camera in over:
                del self._left_s[camera]
            wanted = set(self._wanted) | set(self._left_s)
        for camera in set(self._lines) - wanted:
            self._hang_up(self._lines.pop(camera), selector)
        for camera in wanted:
            line = self._lines.setdefault(camera, _Line(camera))
            if line.peer is None and now_s >= line.due_s:
                self._connect(line, selector)

    def _connect(self, line: _Line, selector: selectors.DefaultSelector) -> None:
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            peer.setblocking(False)
            peer.connect(str(self.path_of(line.camera)))
        except OSError:  # not watched, or between two processes: its status says which
            peer.close()
            line.back_off(self.clock())
            return
        line.peer, line.inbox = peer, PictureInbox(peer)
        selector.register(peer, selectors.EVENT_READ, line)

    def _take(self, line: _Line, selector: selectors.DefaultSelector) -> None:
        if line.inbox is None:
            return
        try:
            head = line.inbox.receive()
        except OSError:
            self._hang_up(line, selector)
            return
        except VideoError as error:
            log.error("camera %r: %s", line.camera, error)
            self._hang_up(line, selector)
            return
        if head is not None:
            line.pause_s = _FIRST_PAUSE_S
            self._encode(line, head, line.inbox.pixels)

    def _encode(self, line: _Line, head: Head, pixels: bytearray) -> None:
        """Make a JPEG of it, unless all who look want fewer."""
        with self._lock:
            rate_hz = max(self._wanted.get(line.camera, {}).values(), default=0.0)
        if not rate_hz or not line.pace.take(self.clock(), rate_hz):
            return
        jpeg = encode(head, pixels)
        self.encoded += 1
        picture = LivePicture(line.camera, self.encoded, head.arrived_s, head.at_s, jpeg)
        with self._lock:
            self._newest[line.camera] = picture
        self.on_picture(line.camera)

    def _hang_up(self, line: _Line, selector: selectors.DefaultSelector | None) -> None:
        """Let go of a camera, and of its picture: another process may blacken more of it."""
        with self._lock:
            self._newest.pop(line.camera, None)
        if line.peer is not None:
            if selector is not None:
                selector.unregister(line.peer)
            line.peer.close()
        line.peer, line.inbox = None, None
        line.back_off(self.clock())

    def _hang_up_all(self) -> None:
        for line in self._lines.values():
            self._hang_up(line, None)
        self._lines.clear()


def encode(head: Head, pixels: bytes | bytearray) -> bytes:
    """Pixels, RGB → JPEG."""
    size = (head.width_px, head.height_px)
    data = io.BytesIO()
    PillowImage.frombuffer("RGB", size, pixels, "raw", "RGB", 0, 1).save(data, "JPEG", quality=QUALITY)
    return data.getvalue()
