"""Replay: the last hour of a camera as it was sent, so that what nobody noticed can still be shown.

Packets go undecoded into films of about a minute, in a thread of their own: a slow disk costs replay, never
watching. A film's name says when it begins; it has it once it is whole, and a hidden one before.
"""

import logging
import queue
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from jikimi.errors import VideoError
from jikimi.video import EvidenceFile, Piece, StoredPacket, StreamCopy
from jikimi.watch.naming import reserve

log = logging.getLogger(__name__)

# Short films are deleted in small steps, and a report waits for none: one that is being written is read too.
SEGMENT_S = 60.0

# What may wait for the disk; then films have a gap. 8 MiB are 16 s at 4 Mbit/s.
_QUEUE_BYTES = 8 << 20

# After the disk has refused, it is left alone for so long.
_REST_S = 5.0

# A stream without keyframes has nothing to cut at: what comes after so long is left out, up to the next one.
_LONGEST_S = 600.0

# A film with a longer gap would hold a picture still that was not: another one begins.
_GAP_S = 2.0

# Films that are so close are one span: the last packet is written a moment after it came.
_SAME_S = 5.0

# How often the writer looks whether there is still room.
_LOOK_S = 1.0

# How long ending waits for what is queued: the site gives a camera three seconds in all.
_PATIENCE_S = 1.0

_NAME = re.compile(r"\.?(\d{8}T\d{6}\.\d{3})Z(?:-\d+)?\.mp4(?:\.part)?")


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where a camera's replay lies, and how many bytes of the disk it must leave free."""

    folder: Path
    min_free_bytes: int = 0


def begun_at(path: Path) -> datetime | None:
    """When a film of replay begins, by its name; None for any other file."""
    found = _NAME.fullmatch(path.name)
    if found is None:
        return None
    try:
        return datetime.strptime(found[1], "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC)
    except ValueError:
        return None


def films(folder: Path) -> list[tuple[datetime, Path]]:
    """The films of a camera, also those that are being written, oldest first."""
    try:
        found = [(begun_at(path), path) for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    return sorted((at, path) for at, path in found if at is not None)


def pieces(folder: Path, *, start: datetime, end: datetime) -> list[Piece]:
    """The films that may hold something of `[start, end)`, on the clock of `datetime.timestamp`."""
    found = films(folder)
    ends = [at for at, _ in found[1:]] + [datetime.max.replace(tzinfo=UTC)]
    wanted = [n for n, (at, _) in enumerate(found) if at < end and ends[n] > start]
    return [Piece(found[n][1], found[n][0].timestamp()) for n in wanted]


def spans(folder: Path) -> list[tuple[datetime, datetime]]:
    """What is held of a camera, oldest first: from when to when, films without a gap between them together.

    A film that goes while it is looked at is left out.
    """
    found = films(folder)
    following = [*(at for at, _ in found[1:]), datetime.max.replace(tzinfo=UTC)]
    held: list[tuple[datetime, datetime]] = []
    for (begun, path), after in zip(found, following, strict=False):
        try:
            written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        except FileNotFoundError:
            continue
        end = max(begun, min(written, after))
        if held and (begun - held[-1][1]).total_seconds() <= _SAME_S:
            held[-1] = held[-1][0], end
        else:
            held.append((begun, end))
    return held


def stamp(at: datetime) -> str:
    """A moment as films are named by it: UTC, to the millisecond."""
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%S}.{at.microsecond // 1000:03}Z"


@dataclass(slots=True)
class Replay:
    """Films of one connection to a camera. `feed` never waits; trouble is logged and costs replay alone."""

    shelf: Shelf
    source: StreamCopy
    segment_s: float = SEGMENT_S
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _waiting: "queue.SimpleQueue[tuple[StoredPacket, float] | None]" = field(
        default_factory=queue.SimpleQueue, init=False
    )
    _waiting_bytes: int = field(default=0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _skipping: bool = field(default=True, init=False)
    _gaps: int = field(default=0, init=False)
    _film: "_Film | None" = field(default=None, init=False)
    _rests_until: float = field(default=float("-inf"), init=False)
    _looked_at: float = field(default=float("-inf"), init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if not self.source.copied:
            log.warning("%s: no replay: MP4 cannot carry %s", self.shelf.folder, self.source.codec)
            return
        self._thread = threading.Thread(target=self._run, name="replay", daemon=True)
        self._thread.start()

    def feed(self, stored: StoredPacket) -> None:
        """Take the packet that has just come; where the disk is behind, films go on from a later keyframe."""
        if self._thread is None:
            return
        with self._lock:
            full = self._waiting_bytes + stored.size > _QUEUE_BYTES
            if full and not self._skipping and not self._gaps:
                log.warning("%s: the disk is too slow for replay; it has gaps", self.shelf.folder)
            self._gaps += full and not self._skipping
            self._skipping = full or (self._skipping and not stored.is_keyframe)
            if self._skipping:
                return
            self._waiting_bytes += stored.size
        self._waiting.put((stored.copied(), self.clock()))

    def finish(self, *, wait: bool = True) -> None:
        """End the film that is being written, as soon as what is queued is in it."""
        self._waiting.put(None)
        if wait and self._thread is not None:
            self._thread.join(_PATIENCE_S)

    def _run(self) -> None:
        """The writer's thread. A packet that skipping has cut off from its keyframe never gets here."""
        after: StoredPacket | None = None
        for stored, arrived_s in iter(self._waiting.get, None):
            with self._lock:
                self._waiting_bytes -= stored.size
            try:
                self._write(stored, arrived_s, after)
            except (VideoError, OSError) as error:
                self._refused(error)
            except Exception as error:  # the thread's outer edge: replay goes on with another film
                log.error("%s: replay failed", self.shelf.folder, exc_info=True)
                self._refused(error)
            after = stored
        self._end()

    def _write(self, stored: StoredPacket, arrived_s: float, after: StoredPacket | None) -> None:
        film = self._film
        if stored.is_keyframe:
            has_gap = after is not None and stored.shown_s - after.shown_s > _GAP_S
            if film is not None and (has_gap or stored.shown_s - film.first.shown_s >= self.segment_s):
                self._end()
                film = None
            if film is None and self.clock() >= self._rests_until and self._has_room():
                film = self._film = _Film.begun(self.shelf.folder, self.source, stored, self._at(arrived_s))
        elif film is not None and stored.shown_s - film.first.shown_s > _LONGEST_S:
            self._end()
            film = None
        if film is None:
            return
        film.file.write(stored)
        film.zero_s = min(film.zero_s, arrived_s - stored.shown_s)
        if self.clock() - self._looked_at >= _LOOK_S and not self._has_room():
            self._end()

    def _at(self, at_s: float) -> datetime:
        """A monotonic moment on the clock of the wall."""
        return self.now() - timedelta(seconds=self.clock() - at_s)

    def _has_room(self) -> bool:
        self._looked_at = self.clock()
        folder = next(folder for folder in (self.shelf.folder, *self.shelf.folder.parents) if folder.exists())
        return shutil.disk_usage(folder).free >= self.shelf.min_free_bytes

    def _end(self) -> None:
        """Give the film its name: by now it is known better when its first packet should have come."""
        film, self._film = self._film, None
        if film is None:
            return
        try:
            film.file.close(_free(film.final.with_name(f"{stamp(self._at(film.begins_s))}.mp4")))
        except (VideoError, OSError) as error:
            self._salvage(film, error)

    def _refused(self, error: Exception) -> None:
        film, self._film = self._film, None
        self._salvage(film, error)
        self._rests_until = self.clock() + _REST_S

    def _salvage(self, film: "_Film | None", error: Exception) -> None:
        log.warning("replay: %s", error)
        if film is not None:
            film.file.salvage(_free(film.final))


@dataclass(slots=True)
class _Film:
    """A film being written. `zero_s` is when, at the earliest, the stream's stamp 0 came."""

    file: EvidenceFile
    first: StoredPacket
    final: Path
    zero_s: float

    @classmethod
    def begun(cls, folder: Path, source: StreamCopy, first: StoredPacket, at: datetime) -> "_Film":
        temporary, final = reserve(folder, stamp(at))
        return cls(EvidenceFile(temporary, source, durable=False), first, final, float("inf"))

    @property
    def begins_s(self) -> float:
        """When the first packet came, in monotonic seconds, had it not been held up on its way."""
        return self.zero_s + self.first.shown_s


def _free(path: Path) -> Path:
    """This name, or the next that no file has."""
    names: Iterator[Path] = (path.with_stem(f"{path.stem}-{number}") for number in range(2, 1000))
    return path if not path.exists() else next(name for name in names if not name.exists())
