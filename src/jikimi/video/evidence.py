"""Write packets into an MP4 as they came, or as H.264 where MP4 cannot carry their codec.

The MP4 is fragmented: whatever stops the writer, all but the last second plays.
"""

import io
import logging
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, cast

import av
from av.container import InputContainer, OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from jikimi.errors import VideoError
from jikimi.video.fragments import DurableFile, sync_folder
from jikimi.video.reading import MEDIA_ERRORS, Packet, frame_ticks, info, open_input, reason

log = logging.getLogger(__name__)

# Codecs that an MP4 carries as they are and that common players read there.
_COPIED = frozenset({"h264", "hevc", "mpeg4", "mjpeg", "av1", "libdav1d", "vp9", "mpeg2video", "mpeg1video"})

# Pictures that H.264 and H.265 may hold back to put them in order (their decoded picture buffer). Matroska
# leaves the first decoding times out: that far before its showing, a packet is early enough.
_MAX_REORDER = 16

# A fragment ends before each keyframe and after a second: that much is lost by SIGKILL. delay_moov writes the
# head with the first fragment, when the order of pictures is known (empty_moov is implied).
_FRAGMENTED = {
    "movflags": "frag_keyframe+empty_moov+delay_moov+default_base_moof",
    "frag_duration": "1000000",
    "flush_packets": "1",
}

# How often the disk is asked to take what was written: what power failure may cost beyond that.
_SYNC_S = 1.0

# How far a container's times may be off what the pipeline saw: a frame at 2 fps.
_CHECK_SLACK_S = 0.5


def mp4_can_carry(stream: VideoStream) -> bool:
    """Whether packets of this stream can go into an MP4 untouched."""
    # AVI does not say when a picture is shown: with B-frames a copy would play them out of order.
    out_of_order = stream.container.format.name == "avi" and stream.codec_context.has_b_frames
    return stream.codec_context.name in _COPIED and not out_of_order


class StreamCopy:
    """What evidence must know of a stream, kept apart from it: the camera may be closed meanwhile.

    Streams of the same `looks` can follow one another in one file.
    """

    def __init__(self, stream: VideoStream) -> None:
        context = stream.codec_context
        self.copied = mp4_can_carry(stream)
        self.codec, self.extradata, self.pix_fmt = context.name, context.extradata, context.pix_fmt
        self.width_px, self.height_px = context.width, context.height
        self.rate = round(info(stream).fps or 25) or 1
        self.time_base = stream.time_base
        self.looks = (self.codec, self.width_px, self.height_px, self.extradata, self.time_base)
        self._container = av.open(io.BytesIO(), mode="w", format="mp4")
        # opaque: parameters come from the decoder, so no encoder of that codec need exist.
        self.template = self._container.add_stream_from_template(stream, opaque=True) if self.copied else None


@dataclass(frozen=True, slots=True)
class StoredPacket:
    """A packet and its times, kept apart from it: writing a packet overwrites the times it carries.

    `pts` (when it is shown) and `dts` (when it is decoded) count the stream's time base; `shown_s` and
    `decoded_s` are the same in seconds.
    """

    packet: Packet
    pts: int
    dts: int
    duration: int
    shown_s: float
    decoded_s: float
    size: int
    is_keyframe: bool

    def copied(self) -> "StoredPacket":
        """The same with a packet of its own, for another thread to write."""
        packet = cast(Packet, av.Packet(bytes(self.packet)))  # its stubs know no other stream
        packet.time_base, packet.is_keyframe = self.packet.time_base, self.is_keyframe
        return replace(self, packet=packet)

    def moved(self, ticks: int) -> "StoredPacket":
        """The same packet, so many ticks of its time base later."""
        later_s = float(ticks * self.packet.time_base)
        return replace(
            self,
            pts=self.pts + ticks,
            dts=self.dts + ticks,
            shown_s=self.shown_s + later_s,
            decoded_s=self.decoded_s + later_s,
        )

    @classmethod
    def of(cls, packet: Packet, stream: VideoStream, *, after: "StoredPacket | None") -> "StoredPacket":
        """Describe a packet that was decoded already; times it lacks follow from the packet before it."""
        usual = frame_ticks(stream)
        dts, previous = packet.dts, after.dts if after is not None else None
        if dts is None and packet.pts is not None:
            dts = packet.pts - (_MAX_REORDER * usual if stream.codec_context.has_b_frames else 0)
            dts = dts if previous is None else max(dts, previous + 1)
        if dts is None:
            dts = 0 if previous is None else previous + usual
        pts = packet.pts if packet.pts is not None else dts
        base = float(packet.time_base)
        return cls(
            packet=packet,
            pts=pts,
            dts=dts,
            duration=packet.duration or usual,
            shown_s=pts * base,
            decoded_s=dts * base,
            size=packet.size,
            is_keyframe=packet.is_keyframe,
        )


class _Writer(Protocol):
    def write(self, stored: StoredPacket) -> None: ...

    def flush(self) -> None: ...


class EvidenceFile:
    """An MP4 of one stream, without sound, that begins at time 0 with the first keyframe it is given.

    `end_at_s` is the time stamp of its last picture by the source's clock. The file is locked while it is
    written, see `fragments`. `durable` has the disk take it second by second; without, losing power costs
    what the kernel had not written yet.

    Raises:
        VideoError: from every method, when the disk or FFmpeg refuses.
    """

    def __init__(self, path: Path, source: StreamCopy, *, durable: bool = True) -> None:
        self.path = path
        self.durable = durable
        self.reencoded = not source.copied
        self.first: StoredPacket | None = None
        self.end_at_s = 0.0
        self._synced_at_s = 0.0
        try:
            self._disk = DurableFile(path)
        except OSError as error:
            raise self._refused(error) from error
        try:
            self._container = av.open(self._disk, mode="w", format="mp4", container_options=_FRAGMENTED)
            self._writer: _Writer = (_Copier if source.copied else _Reencoder)(self._container, source)
        except (*MEDIA_ERRORS, ValueError) as error:
            self._remove()
            raise self._refused(error) from error

    def write(self, stored: StoredPacket) -> None:
        """Add the next packet in decode order. Packets before the first keyframe are left out."""
        if self.first is None:
            if not stored.is_keyframe:
                return
            self.first, self._synced_at_s = stored, stored.decoded_s
        if stored.pts < self.first.pts:
            return  # a leading picture: it needs pictures from before the cut
        try:
            self._writer.write(stored)
            if self.durable and stored.decoded_s - self._synced_at_s >= _SYNC_S:
                self._synced_at_s = stored.decoded_s
                self._disk.sync_soon()
        except (*MEDIA_ERRORS, ValueError) as error:
            raise self._refused(error) from error
        self.end_at_s = max(self.end_at_s, stored.shown_s)

    def close(self, final: Path | None = None) -> None:
        """Finish the file and give it its name. On failure it stays open for `salvage` or `abandon`."""
        try:
            if self.first is not None:
                self._writer.flush()
            self._container.close()
            if self.durable:
                self._disk.sync()
            self._named(final)
        except (*MEDIA_ERRORS, ValueError) as error:
            raise self._refused(error) from error

    def salvage(self, final: Path) -> bool:
        """After a refusal, keep what is whole under its name; False: nothing was, and it is removed."""
        self._close_container()
        try:
            if self.first is not None and self._disk.cut_to_whole():
                self.end_at_s = self.first.shown_s + length_s(self.path)
                self._named(final)
                return True
        except (OSError, VideoError) as error:
            log.warning("%s: what is there cannot be kept: %s", self.path, error)
        self.abandon()
        return False

    def abandon(self) -> None:
        """Give up on the file and remove it. What goes wrong now is only logged."""
        self._close_container()
        self._remove()

    def _remove(self) -> None:
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s: cannot be removed: %s", self.path, error.strerror)
        self._disk.close()

    def _named(self, final: Path | None) -> None:
        """Rename before the lock is let go: nobody else may take the file for a dead process's."""
        if final is not None:
            self.path.replace(final)
            if self.durable:
                sync_folder(final.parent)
            self.path = final
        self._disk.close()

    def _close_container(self) -> None:
        try:
            self._container.close()
        except (*MEDIA_ERRORS, ValueError) as error:
            log.debug("%s: closing a file that could not be written: %s", self.path, reason(error))

    def _refused(self, error: Exception) -> VideoError:
        return VideoError(f"{self.path.parent}: evidence cannot be written: {reason(error)}")


class _Copier:
    """Packets as they came: only their times are moved, so that the file begins at 0."""

    def __init__(self, container: OutputContainer, source: StreamCopy) -> None:
        self._container = container
        assert source.template is not None
        self._out = container.add_stream_from_template(source.template, opaque=True)
        self._start: int | None = None
        self._last_dts: int | None = None

    def write(self, stored: StoredPacket) -> None:
        if self._start is None:
            self._start = stored.pts
        dts = stored.dts - self._start
        if self._last_dts is not None:
            dts = max(dts, self._last_dts + 1)  # MP4 wants them strictly rising
        packet = stored.packet
        packet.stream = self._out
        packet.time_base = stored.packet.time_base
        packet.dts, packet.pts = dts, max(dts, stored.pts - self._start)
        packet.duration = stored.duration
        self._last_dts = dts
        self._container.mux_one(packet)

    def flush(self) -> None:
        pass


class _Reencoder:
    """Decodes the packets again with a decoder of its own, and encodes H.264 (even sizes, 4:2:0)."""

    def __init__(self, container: OutputContainer, source: StreamCopy) -> None:
        self._container = container
        decoder = av.CodecContext.create(source.codec, "r")
        assert isinstance(decoder, VideoCodecContext)
        self._decoder = decoder
        self._decoder.extradata = source.extradata
        self._decoder.width, self._decoder.height = source.width_px, source.height_px
        if source.pix_fmt is not None:
            self._decoder.pix_fmt = source.pix_fmt
        quality = {"preset": "veryfast", "crf": "23"}
        self._out = container.add_stream("libx264", rate=source.rate, options=quality)
        self._out.width = max(2, source.width_px // 2 * 2)
        self._out.height = max(2, source.height_px // 2 * 2)
        self._out.pix_fmt = "yuv420p"
        if source.time_base is not None:
            self._out.codec_context.time_base = source.time_base
        self._start: int | None = None
        self._last_pts = -1

    def write(self, stored: StoredPacket) -> None:
        if self._start is None:
            self._start = stored.pts
        packet = stored.packet
        packet.pts, packet.dts = stored.pts, stored.dts
        self._encode(self._decoder.decode(packet))

    def flush(self) -> None:
        self._encode(self._decoder.decode(None))
        self._container.mux(self._out.encode(None))

    def _encode(self, frames: list[av.VideoFrame]) -> None:
        for frame in frames:
            picture = frame.reformat(self._out.width, self._out.height, "yuv420p")
            stamp = frame.pts if frame.pts is not None else self._last_pts + 1 + (self._start or 0)
            picture.pts = self._last_pts = max(self._last_pts + 1, stamp - (self._start or 0))
            picture.time_base = self._out.codec_context.time_base
            self._container.mux(self._out.encode(picture))


def check_evidence(path: Path, *, moment_s: float) -> None:
    """Open a finished file and decode the picture at `moment_s` seconds from its start.

    Raises:
        VideoError: it does not open, does not reach that moment, or has no picture there.
    """
    with open_input(path) as container:
        stream = container.streams.video[0]
        try:
            container.seek(round(max(0.0, moment_s) * 1e6))
            shown = next(container.decode(stream), None)
            reach_s = _reach_s(container, stream, moment_s)
        except MEDIA_ERRORS as error:
            raise VideoError(f"{path}: evidence does not play: {reason(error)}") from error
    if shown is None or shown.time is None or shown.time > moment_s + _CHECK_SLACK_S:
        raise VideoError(f"{path}: evidence holds no picture of its event")
    reach_s = max(reach_s, shown.time)
    if reach_s < moment_s - _CHECK_SLACK_S:
        raise VideoError(f"{path}: evidence ends after {reach_s:.1f} s, before its event")


def length_s(path: Path) -> float:
    """When the last picture is shown. A fragmented file's head does not say: its packets do.

    Raises:
        VideoError: it cannot be opened as video.
    """
    with open_input(path) as container:
        return _reach_s(container, container.streams.video[0], math.inf)


def _reach_s(container: InputContainer, stream: VideoStream, moment_s: float) -> float:
    """Read packets on until one is shown at `moment_s` → the latest time shown."""
    reach_s = 0.0
    for packet in container.demux(stream):
        if packet.pts is not None:
            reach_s = max(reach_s, float(packet.pts * packet.time_base))
        if reach_s >= moment_s:
            break
    return reach_s
