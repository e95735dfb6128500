"""One camera read to its end: packets → evidence ring, and the pictures the detector is due."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jikimi.errors import VideoError
from jikimi.frame import Frame
from jikimi.sampling import TickGrid
from jikimi.video import Decoder, InputContainer, Packet, Scaler, VideoInfo, info, iter_packets, open_input
from jikimi.watch.recorder import Keep, Recorder
from jikimi.watch.sources import Camera
from jikimi.watch.timeline import Timeline

# A camera that does not answer is a fault after this long and never a hang.
OPEN_TIMEOUT_S = 10.0

# A camera that stops sending is a fault after twice this: when reading first times out, FFmpeg still hands
# out the picture it was putting together, and only the next reading fails (seen with a stopped RTSP server).
READ_TIMEOUT_S = 4.0

# Formats that send pictures without saying when they were taken (MJPEG over HTTP).
_UNTIMED = frozenset({"mpjpeg", "mjpeg"})

# A recording that ends this much before the length in its header was cut short: a truncated file looks so.
CUT_SHORT_S = 2.0


@dataclass(frozen=True, slots=True)
class Tick:
    """A picture that answers the grid's ticks `first … first + count - 1`.

    `arrived_s` is the monotonic time at which the packet that completed it had come.
    """

    frame: Frame
    first: int
    count: int
    arrived_s: float

    def instead_of(self, older: "Tick") -> "Tick":
        """Return this tick answering also what an older, dropped one would have answered."""
        return Tick(self.frame, older.first, self.first + self.count - older.first, self.arrived_s)


@dataclass(frozen=True, slots=True)
class View:
    """How cameras are looked at: the model's rate and picture size, pace, and what evidence is kept.

    `paced` holds recordings to their own speed. `threads` decode one stream.
    """

    rate_hz: float
    short_side_px: int
    paced: bool
    keep: Keep
    threads: int = 1
    open_timeout_s: float = OPEN_TIMEOUT_S
    read_timeout_s: float = READ_TIMEOUT_S


@dataclass(slots=True)
class CameraReader:
    """Reads one camera. Its fields may be looked at from another thread while `ticks` runs.

    `info` is None until the camera is open. `problem` says why it ended, where that is a fault.
    """

    camera: Camera
    view: View
    folder: Path | None
    stop: threading.Event
    info: VideoInfo | None = field(default=None, init=False)
    decoder: Decoder | None = field(default=None, init=False)
    recorder: Recorder | None = field(default=None, init=False)
    problem: str = field(default="", init=False)
    last_t_s: float = field(default=0.0, init=False)
    timeline: Timeline = field(default_factory=Timeline, init=False)
    decoding_since: float | None = field(default=None, init=False)

    def ticks(self) -> Iterator[Tick]:
        """Open the camera and yield what the detector is due, until the stream ends or `stop` is set.

        Trouble never raises: it ends the stream and is told by `problem`.
        """
        try:
            with self._opened() as container:
                stream = container.streams.video[0]
                self.decoder = Decoder(stream, threads=self.view.threads)
                if self.folder is not None:
                    self.recorder = Recorder(self.folder, self.decoder, self.view.keep)
                self.info = info(stream)
                yield from self._read(iter_packets(container, stream, self.decoder), self.decoder)
        except VideoError as error:
            self.problem = str(error)

    def change(self, view: View) -> None:
        """Keep evidence as this view has it."""
        self.view = view
        if self.recorder is not None:
            self.recorder.change(view.keep)

    @contextmanager
    def _opened(self) -> Iterator[InputContainer]:
        address, options = self.camera.address.reveal(), self._options()
        with open_input(address, **options) as container:
            if not self.camera.live or container.format.name not in _UNTIMED:
                yield container
                return
        # Read on, a picture would count as 1/25 s whatever the camera's rate: it was taken when it comes.
        options.setdefault("options", {})["use_wallclock_as_timestamps"] = "1"
        with open_input(address, **options) as container:
            yield container

    def _read(self, packets: Iterator[Packet], decoder: Decoder) -> Iterator[Tick]:
        grid = TickGrid(self.view.rate_hz)
        scale = Scaler(self.view.short_side_px)
        pace = _Pace(self.stop) if self._is_paced() else None
        for packet in packets:
            if self.stop.is_set():
                return
            arrived_s = pace.wait(packet) if pace is not None else time.monotonic()
            self.decoding_since = arrived_s
            pictures = decoder.decode(packet)
            self.decoding_since = None
            if self.recorder is not None and packet.size:
                self.recorder.feed(packet)
            self.timeline.arrived_s = arrived_s
            for picture, t_s in pictures:
                self.timeline.note(arrived_s, t_s)
                self.last_t_s = t_s
                first = grid.next_tick
                due = grid.due(t_s)
                if due:
                    frame = Frame(scale(picture), t_s=t_s, damaged=picture.is_corrupt)
                    yield Tick(frame, first, due, arrived_s)
        self._ended(decoder)

    def _ended(self, decoder: Decoder) -> None:
        """Say whether the end of the stream is a fault: a file may end, a camera may not."""
        if self.stop.is_set():
            return
        if decoder.broke_off:
            self.problem = f"{self.camera.address}: the stream broke off: {decoder.last_error}"
        elif self.camera.live and not self._is_recording():
            self.problem = f"{self.camera.address}: the camera ended the stream"
        elif not decoder.decoded:
            self.problem = f"{self.camera.address}: nothing in it could be decoded"
        elif (
            self.info is not None
            and not decoder.jumps
            and self.last_t_s + CUT_SHORT_S < (self.info.duration_s or 0.0)
        ):
            self.problem = (
                f"{self.camera.address}: ended after {self.last_t_s:.1f} s, its header promises "
                f"{self.info.duration_s:.1f} s"
            )

    def _is_recording(self) -> bool:
        """Whether a network address serves a recording, as its known length tells."""
        return self.info is not None and self.info.duration_s is not None

    def _is_paced(self) -> bool:
        if self.camera.live:
            return self._is_recording() and self.camera.address.scheme in ("http", "https")
        return self.view.paced

    def _options(self) -> dict[str, Any]:
        if not self.camera.live:
            return {}
        options: dict[str, Any] = {"timeout": (self.view.open_timeout_s, self.view.read_timeout_s)}
        if self.camera.address.scheme.startswith("rtsp"):
            # Guessing the rate from pictures would cost a second of blindness at each connection, measured.
            options["options"] = {"rtsp_transport": self.camera.transport, "fpsprobesize": "0"}
        elif not self.camera.address.is_network:
            options["format"] = "v4l2"
        return options


@dataclass(slots=True)
class _Pace:
    """Releases packets at the speed of their own clock, as a camera would send them."""

    stop: threading.Event
    _started_s: float | None = field(default=None, init=False)
    _first: float = field(default=0.0, init=False)

    def wait(self, packet: Packet) -> float:
        """Wait until the packet is due and return when it was: reading that falls behind shows as age."""
        stamp = packet.dts if packet.dts is not None else packet.pts
        now_s = time.monotonic()
        if stamp is None:
            return now_s
        stamp_s = float(stamp * packet.time_base)
        if self._started_s is None:
            self._started_s, self._first = now_s, stamp_s
        due_s = self._started_s + stamp_s - self._first
        self.stop.wait(max(0.0, due_s - now_s))
        return due_s
