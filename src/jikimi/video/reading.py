"""Open and decode: packets → pictures on stream time."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import av
import av.codec
import av.error
import numpy as np
from av.container import InputContainer
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream

from jikimi.address import is_network, redact
from jikimi.errors import VideoError
from jikimi.frame import Frame, Image
from jikimi.sampling import TickGrid

log = logging.getLogger(__name__)

Packet: TypeAlias = "av.Packet[VideoStream]"

# Time stamps that jump further than this, either way, are a broken clock and not a pause: stream time goes
# on without the jump. Surveillance cameras and damaged files both do it.
MAX_JUMP_S = 10.0

# Decode times never run back; this much is a rounding of the container's and no broken clock.
MAX_BACK_S = 0.1

# Errors FFmpeg raises for what it is given, as against errors of ours.
MEDIA_ERRORS = (av.error.FFmpegError, OSError)


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a container says of its first video stream; `duration_s` None where it does not say."""

    width_px: int
    height_px: int
    codec: str
    fps: float | None
    duration_s: float | None


@contextmanager
def open_input(source: Path | str, **options: Any) -> Iterator[InputContainer]:
    """Open a file or address for reading; closes it afterwards. `options` are those of `av.open`.

    Raises:
        VideoError: it cannot be opened, or holds no video.
    """
    name = redact(str(source))
    try:
        container = av.open(str(source), mode="r", metadata_errors="replace", **options)
    except (*MEDIA_ERRORS, ValueError) as error:
        # FFmpeg's errors quote the address with its password: they stay out of the trace.
        cause = None if is_network(str(source)) else error
        raise VideoError(f"{name}: cannot be opened as video: {reason(error)}") from cause
    try:
        if not container.streams.video:
            raise VideoError(f"{name}: holds no video stream")
        if container.streams.video[0].codec_context is None:
            raise VideoError(f"{name}: damaged, or in a codec that is not known here; convert it to H.264")
        yield container
    finally:
        container.close()


def reason(error: BaseException) -> str:
    """What went wrong in FFmpeg's words, without the address it may quote."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def info(stream: VideoStream) -> VideoInfo:
    """Describe a stream by its header."""
    rate = stream.average_rate or stream.guessed_rate
    duration_s: float | None = None
    if stream.duration is not None and stream.time_base is not None:
        duration_s = float(stream.duration * stream.time_base)
    return VideoInfo(
        width_px=stream.codec_context.width,
        height_px=stream.codec_context.height,
        codec=stream.codec_context.name,
        fps=float(rate) if rate else None,
        duration_s=duration_s,
    )


def can_decode(codec: str) -> bool:
    """Whether FFmpeg here decodes a codec, by its name: h264, hevc, mjpeg, …"""
    try:
        av.codec.Codec(codec, "r")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


@dataclass(slots=True)
class StreamClock:
    """Time stamps → stream time: seconds from the first frame, never backwards, without broken jumps."""

    jumps: int = field(default=0, init=False)
    _offset_s: float | None = field(default=None, init=False)
    _last_s: float = field(default=0.0, init=False)

    def stream_time(self, stamp_s: float) -> float:
        """Turn a container's time stamp in seconds into stream time."""
        if self._offset_s is None:
            self._offset_s = stamp_s
        t_s = stamp_s - self._offset_s
        if abs(t_s - self._last_s) > MAX_JUMP_S:
            self.jumps += 1
            self._offset_s = stamp_s - self._last_s
            t_s = self._last_s
        self._last_s = max(t_s, self._last_s)
        return self._last_s

    def stamp_at(self, t_s: float) -> float:
        """Return the container's time stamp, in seconds, that shows stream time `t_s`."""
        return t_s + (self._offset_s or 0.0)


@dataclass(slots=True)
class StampMender:
    """Lets a stream's time stamps run on where they jump: decoder and evidence then share one time line."""

    stream: VideoStream
    jumps: int = field(default=0, init=False)
    _shift: int = field(default=0, init=False)
    _last: int | None = field(default=None, init=False)

    def mend(self, packet: Packet) -> None:
        """Correct a packet's time stamps in place. Packets come in decode order."""
        if packet.dts is not None and self._last is not None:
            step = packet.dts + self._shift - self._last
            if not -MAX_BACK_S <= step * packet.time_base <= MAX_JUMP_S:
                self.jumps += 1
                self._shift += frame_ticks(self.stream) - step
        if self._shift:
            packet.dts = None if packet.dts is None else packet.dts + self._shift
            packet.pts = None if packet.pts is None else packet.pts + self._shift
        self._last = self._last if packet.dts is None else packet.dts


def frame_ticks(stream: VideoStream) -> int:
    """How long a picture lasts in the stream's time base, by its header; at least 1."""
    rate = stream.average_rate or stream.guessed_rate or 25
    return max(1, round(1 / (rate * (stream.time_base or Fraction(1, 90_000)))))


@dataclass(slots=True)
class Decoder:
    """Packets → decoded pictures with stream times. Damage is counted, and never stops the stream."""

    stream: VideoStream
    threads: int = 1
    clock: StreamClock = field(default_factory=StreamClock, init=False)
    mender: StampMender = field(init=False)
    broke_off: bool = field(default=False, init=False)
    decoded: int = field(default=0, init=False)
    errors: int = field(default=0, init=False)
    last_error: str = field(default="", init=False)

    def __post_init__(self) -> None:
        # Set before the first packet: AUTO can hang once torchvision is imported (PyAV#1861).
        self.stream.codec_context.thread_count = self.threads
        self.stream.codec_context.thread_type = "FRAME" if self.threads > 1 else "SLICE"
        self.mender = StampMender(self.stream)

    @property
    def jumps(self) -> int:
        """How often the stream's clock was found broken."""
        return self.mender.jumps + self.clock.jumps

    def decode(self, packet: Packet) -> list[tuple[av.VideoFrame, float]]:
        """Decode one packet (an empty one flushes) → pictures in presentation order, with stream times."""
        try:
            frames = packet.decode()
        except MEDIA_ERRORS as error:
            self.errors += 1
            self.last_error = reason(error)
            return []
        timed = []
        for frame in frames:
            self.errors += int(frame.is_corrupt)
            timed.append((frame, self.clock.stream_time(self._stamp_s(frame))))
            self.decoded += 1
        return timed

    def _stamp_s(self, frame: av.VideoFrame) -> float:
        if frame.time is not None:
            return float(frame.time)
        if frame.dts is not None and self.stream.time_base is not None:
            return float(frame.dts * self.stream.time_base)  # AVI says only when to decode
        rate = self.stream.average_rate or self.stream.guessed_rate or 25
        return self.decoded / float(rate)


@dataclass(slots=True)
class Scaler:
    """Decoded picture → upright RGB with a given short side. Keeps FFmpeg's scaling tables between frames."""

    short_side_px: int
    _reformatter: VideoReformatter = field(default_factory=VideoReformatter, init=False)

    def __call__(self, frame: av.VideoFrame) -> Image:
        """Return uint8 RGB (H, W, 3) whose shorter side is `short_side_px`, turned as the file asks.

        The longer side is even: odd widths take FFmpeg three times as long (docs/benchmarks.md, "cameras").
        """
        scale = self.short_side_px / min(frame.width, frame.height)
        width, height = (self._side(size, scale) for size in (frame.width, frame.height))
        scaled = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgb24",
            interpolation=Interpolation.AREA if scale < 1 else Interpolation.BILINEAR,
        )
        image: Image = scaled.to_ndarray().astype(np.uint8, copy=False)
        turns = round(frame.rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(image, turns)) if turns else image

    def _side(self, size: int, scale: float) -> int:
        wanted = size * scale
        return self.short_side_px if round(wanted) == self.short_side_px else max(2, 2 * round(wanted / 2))


def iter_packets(container: InputContainer, stream: VideoStream, decoder: Decoder) -> Iterator[Packet]:
    """Packets of the stream, time stamps mended, the last one empty (it flushes the decoder).

    A container that breaks off ends here: counted as damage, and `decoder.broke_off` is set.
    """
    try:
        for packet in container.demux(stream):
            decoder.mender.mend(packet)
            yield packet
    except MEDIA_ERRORS as error:
        decoder.broke_off = True
        decoder.errors += 1
        decoder.last_error = reason(error)


@dataclass(slots=True)
class DecodeReport:
    """What reading a file came to: filled while `read_frames` runs."""

    info: VideoInfo | None = None
    decoded: int = 0
    errors: int = 0
    last_error: str = ""
    jumps: int = 0
    last_t_s: float = 0.0


def read_frames(
    source: Path | str,
    *,
    rate_hz: float,
    short_side_px: int,
    report: DecodeReport | None = None,
    threads: int = 1,
) -> Iterator[Frame]:
    """Decode a file once, in sequence, and yield its frames on the grid `k / rate_hz`.

    Frame `k` of the result shows stream time `k / rate_hz` (see `sampling.TickGrid`); a picture that answers
    several ticks is the same array each time.

    Raises:
        VideoError: the file cannot be opened or holds no video. Damage inside is counted in `report`.
    """
    report = report if report is not None else DecodeReport()
    grid = TickGrid(rate_hz)
    scale = Scaler(short_side_px)
    with open_input(source) as container:
        stream = container.streams.video[0]
        report.info = info(stream)
        decoder = Decoder(stream, threads=threads)
        for packet in iter_packets(container, stream, decoder):
            for picture, t_s in decoder.decode(packet):
                first = grid.next_tick
                due = grid.due(t_s)
                if due:
                    image = scale(picture)
                for tick in range(first, first + due):
                    yield Frame(image, t_s=tick / rate_hz, damaged=picture.is_corrupt)
                report.last_t_s = t_s
        report.decoded, report.errors = decoder.decoded, decoder.errors
        report.last_error, report.jumps = decoder.last_error, decoder.jumps
