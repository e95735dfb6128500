"""Films of one camera, one after the other → the packets of a span of them, in as few MP4s as can be.

Nothing is decoded. Where the camera was away, or its picture changed, another file begins.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from av.container import InputContainer

from jikimi.errors import VideoError
from jikimi.video.evidence import EvidenceFile, StoredPacket, StreamCopy
from jikimi.video.fragments import whole_bytes
from jikimi.video.reading import MEDIA_ERRORS, open_input, reason

log = logging.getLogger(__name__)

# Two films are one where the second begins this soon after the first: what their clocks may be apart.
_SEAM_S = 1.0


@dataclass(frozen=True, slots=True)
class Piece:
    """A film and when it begins, in seconds on a clock that all pieces share."""

    path: Path
    start_s: float


@dataclass(frozen=True, slots=True)
class Joined:
    """A file that was made, and what it covers on that clock."""

    path: Path
    start_s: float
    end_s: float


def join(
    pieces: Sequence[Piece], *, start_s: float, end_s: float, name: Callable[[int], Path]
) -> list[Joined]:
    """Write `[start_s, end_s)` of the pieces, from the keyframe before, as `name(0)`, `name(1)`, ….

    A piece that is still being written is read as far as it is whole; one that cannot be read is left out.

    Raises:
        VideoError: the disk refuses; nothing of this call is left then.
    """
    joining = _Joining(start_s, end_s, name)
    try:
        for piece in sorted(pieces, key=lambda piece: piece.start_s):
            joining.add(piece)
        joining.end()
    except VideoError:
        joining.abandon()
        raise
    return joining.made


@dataclass(slots=True)
class _Joining:
    """What is being written. Packets before `start_s` wait for whether a keyframe comes in between."""

    start_s: float
    end_s: float
    name: Callable[[int], Path]
    made: list[Joined] = field(default_factory=list)
    _file: EvidenceFile | None = None
    _source: StreamCopy | None = None
    _zero_s: float = 0.0  # when the stamp 0 of the file's packets is
    _last: StoredPacket | None = None
    _waiting: list[StoredPacket] = field(default_factory=list)

    def add(self, piece: Piece) -> None:
        """Take what of a piece is wanted."""
        try:
            with open_input(piece.path) as container:
                source = StreamCopy(container.streams.video[0])
                shift: int | None = None
                for stored in _packets(container, whole_bytes(piece.path)):
                    if shift is None:
                        shift = self._begin(source, piece.start_s, stored)
                    if not self._take(stored.moved(shift)):
                        return
        except _WriteError:
            raise
        except (VideoError, OSError) as error:  # deleted meanwhile, or not one whole fragment
            log.info("%s: left out: %s", piece.path, error)

    def end(self) -> None:
        """Finish the file at hand."""
        file = self._file
        self._file, self._source, self._last, self._waiting = None, None, None, []
        if file is None:
            return
        if file.first is None:
            file.abandon()
            return
        final = self.name(len(self.made))
        try:
            with _writing():
                file.close(final)
        except _WriteError:
            file.abandon()
            raise
        self.made.append(Joined(final, self._zero_s + file.first.shown_s, self._zero_s + file.end_at_s))

    def abandon(self) -> None:
        """Remove everything."""
        if self._file is not None:
            self._file.abandon()
        for joined in self.made:
            joined.path.unlink(missing_ok=True)

    def _begin(self, source: StreamCopy, start_s: float, first: StoredPacket) -> int:
        """Go on in the same file, or in another one → how many ticks this piece's stamps are moved."""
        last = self._last
        if last is not None and self._source is not None and source.looks == self._source.looks:
            base = float(first.packet.time_base)
            follows_s = self._zero_s + (last.dts + last.duration) * base
            if abs(start_s + first.dts * base - follows_s) <= _SEAM_S:
                return last.dts + max(1, last.duration) - first.dts
        self.end()
        self._source, self._zero_s = source, start_s
        return 0

    def _take(self, stored: StoredPacket) -> bool:
        """Write a packet, now or later; False: the span has ended."""
        self._last = stored
        if self._zero_s + stored.decoded_s >= self.end_s:
            return False
        if self._file is not None:
            with _writing():
                self._file.write(stored)
            return True
        if stored.is_keyframe and self._zero_s + stored.shown_s <= self.start_s:
            self._waiting = []
        self._waiting.append(stored)
        if self._zero_s + stored.shown_s >= self.start_s:
            self._flush()
        return True

    def _flush(self) -> None:
        """Open the file and write what has waited."""
        assert self._source is not None
        path = self.name(len(self.made))
        with _writing():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = EvidenceFile(path.with_name(f".{path.name}.part"), self._source)
            for stored in self._waiting:
                self._file.write(stored)
        self._waiting = []


class _WriteError(VideoError):
    """What is made cannot be written: not the fault of a piece."""


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except VideoError as error:
        raise _WriteError(str(error)) from error
    except OSError as error:
        raise _WriteError(f"evidence cannot be written: {error.strerror or error}") from error


def _packets(container: InputContainer, whole: int) -> Iterator[StoredPacket]:
    """The packets in the first `whole` bytes, up to where the film is damaged."""
    stream = container.streams.video[0]
    last: StoredPacket | None = None
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except MEDIA_ERRORS as error:
            log.info("%s: read up to where it is damaged: %s", container.name, reason(error))
            return
        if packet is None or not packet.size:
            return
        if packet.is_corrupt or (packet.pos is not None and packet.pos + packet.size > whole):
            return
        last = StoredPacket.of(packet, stream, after=last)
        yield last
