"""Pictures → an H.264 MP4 that is either whole or not there."""

import logging
import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.video.stream import VideoStream

from jikimi.errors import VideoError
from jikimi.frame import Image
from jikimi.video.reading import MEDIA_ERRORS, reason

log = logging.getLogger(__name__)

# The time base of MPEG: whole ticks for 8, 10, 15 and 30000/1001 pictures a second.
_TICKS_PER_S = 90_000

# As cameras encode: no picture waits for a later one. One thread gives the same bytes each time.
_X264 = {"preset": "veryfast", "tune": "zerolatency", "threads": "1"}


class VideoWriter:
    """Writes an MP4, H.264 without B-frames, at a set bit rate: `with VideoWriter(...) as out`.

    The file has its name only once it is whole; when the block raises, nothing is left of it. The same
    pictures and times give the same bytes on one machine.

    Raises:
        VideoError: from every method, when the disk or FFmpeg refuses, or a picture or time does not fit.
    """

    def __init__(
        self,
        path: Path,
        *,
        width_px: int,
        height_px: int,
        fps: float | Fraction,
        bit_rate_kbps: int,
        gop_frames: int,
    ) -> None:
        if width_px % 2 or height_px % 2:
            raise VideoError(f"{path}: 4:2:0 video needs even sides, not {width_px}x{height_px}")
        self.path = path
        self._part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._shape = (height_px, width_px, 3)
        rate = Fraction(fps).limit_denominator(1001)
        self._ticks_a_frame = _TICKS_PER_S / rate
        self._next_tick, self._last_tick = Fraction(0), -1
        try:
            self._container = av.open(str(self._part), mode="w", format="mp4")
            self._stream = self._add_stream(rate, bit_rate_kbps, gop_frames)
            self._container.start_encoding()  # opens the file: av.open does not yet
        except (*MEDIA_ERRORS, ValueError) as error:
            self._remove_part()
            raise self._refused(error) from error

    def _add_stream(self, rate: Fraction, bit_rate_kbps: int, gop_frames: int) -> VideoStream:
        """The H.264 stream: a second's bits may come in a burst, so motion costs quality as on a camera."""
        burst = {"maxrate": f"{bit_rate_kbps}k", "bufsize": f"{bit_rate_kbps}k"}
        stream = self._container.add_stream("libx264", rate=rate, options=_X264 | burst)
        stream.height, stream.width, _ = self._shape
        stream.pix_fmt = "yuv420p"
        stream.codec_context.bit_rate = bit_rate_kbps * 1000
        stream.codec_context.gop_size = gop_frames
        stream.codec_context.time_base = Fraction(1, _TICKS_PER_S)
        return stream

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._abandon()
        else:
            self._finish()

    def write(self, image_HWC: Image, t_s: float | None = None) -> None:
        """Add a picture, uint8 RGB (H, W, 3), shown at `t_s` seconds from the first; None: a frame later.

        To lose a picture leave it out and give the next its own time. Times are kept to 1/90000 s.
        """
        if image_HWC.shape != self._shape or image_HWC.dtype != np.uint8:
            raise VideoError(
                f"{self.path}: takes uint8 {self._shape}, not {image_HWC.dtype} {image_HWC.shape}"
            )
        tick = round(self._next_tick) if t_s is None else round(t_s * _TICKS_PER_S)
        if tick <= self._last_tick:
            raise VideoError(f"{self.path}: picture at {t_s} s, not after the one before it")
        frame = av.VideoFrame.from_ndarray(image_HWC, format="rgb24")
        frame.pts, frame.time_base = tick, Fraction(1, _TICKS_PER_S)
        self._last_tick, self._next_tick = tick, tick + self._ticks_a_frame
        try:
            self._container.mux(self._stream.encode(frame))
        except (*MEDIA_ERRORS, ValueError) as error:
            raise self._refused(error) from error

    def _finish(self) -> None:
        if self._last_tick < 0:
            self._abandon()
            raise VideoError(f"{self.path}: no picture was written, so there is no video")
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
            self._part.replace(self.path)
        except (*MEDIA_ERRORS, ValueError) as error:
            self._abandon()
            raise self._refused(error) from error

    def _abandon(self) -> None:
        try:
            self._container.close()
        except (*MEDIA_ERRORS, ValueError) as error:
            log.debug("%s: closing a file that could not be written: %s", self._part, reason(error))
        self._remove_part()

    def _remove_part(self) -> None:
        try:
            self._part.unlink(missing_ok=True)
        except NotADirectoryError:
            return  # its folder is a file: there never was a part
        except OSError as error:
            log.warning("%s: cannot be removed: %s", self._part, error.strerror)

    def _refused(self, error: Exception) -> VideoError:
        return VideoError(f"{self.path}: video cannot be written: {reason(error)}; check the folder and disk")
