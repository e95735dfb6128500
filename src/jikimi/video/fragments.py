"""Fragmented MP4 on a disk that may fill up or lose power: written durably, cut to what is whole, recovered.

A living writer holds `flock` on its file; `recover` leaves such files alone.
"""

import fcntl
import logging
import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

from jikimi.errors import VideoError
from jikimi.video.reading import MEDIA_ERRORS, open_input

log = logging.getLogger(__name__)

# ISO/IEC 14496-12: a box is its size (4 bytes, big-endian) and kind; size 1: 8 bytes of size follow.
_BOX_HEAD, _LONG_HEAD = 8, 16

_PART = ".part"

# The disk may take its time: syncing must not hold up who reads the camera.
_SYNCER: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="evidence-sync")


class DurableFile:
    """A file that only grows, locked while it is open. FFmpeg writes to it and cannot seek.

    Once the disk has refused, all further bytes are dropped: what lies there stays as it is.

    Raises:
        OSError: from every method.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = _open_locked(path)
        os.ftruncate(self._fd, 0)
        self._refused = False
        self._sync: Future[None] | None = None

    def write(self, data: bytes) -> int:
        """Append, or drop where the disk has refused before."""
        if self._refused:
            return len(data)
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._fd, left) :]
        except OSError:
            self._refused = True
            raise
        return len(data)

    def sync_soon(self) -> None:
        """Have the disk take what was written, in the background; raises what went wrong the last time."""
        if self._sync is not None:
            if not self._sync.done():
                return
            self._sync.result()
        self._sync = _SYNCER.submit(os.fdatasync, self._fd)

    def sync(self) -> None:
        """Wait until the disk has everything."""
        if self._sync is not None:
            self._sync.result()  # the kernel tells of a write that failed only once
        os.fsync(self._fd)

    def cut_to_whole(self) -> int:
        """Drop what follows the last whole fragment → bytes left; 0: there is none."""
        self._settle()
        whole = whole_bytes(self.path)
        os.ftruncate(self._fd, whole)
        os.fsync(self._fd)
        return whole

    def close(self) -> None:
        """Let go of the file and its lock."""
        if self._fd >= 0:
            self._settle()
            os.close(self._fd)
            self._fd = -1

    def _settle(self) -> None:
        pending, self._sync = self._sync, None
        if pending is not None:
            pending.exception()  # waits; whoever gets here has given up on the rest


def whole_bytes(path: Path) -> int:
    """Bytes from the start of a fragmented MP4 to the end of its last whole fragment; 0: it has none.

    Raises:
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    start = whole = 0
    has_head = in_fragment = False
    with path.open("rb") as file:
        while start + _BOX_HEAD <= size:
            file.seek(start)
            head = file.read(_LONG_HEAD)
            length, kind = int.from_bytes(head[:4], "big"), head[4:8]
            length = int.from_bytes(head[8:16], "big") if length == 1 else length
            if length < _BOX_HEAD or start + length > size:
                break
            start += length
            has_head |= kind == b"moov"
            if kind == b"mdat" and in_fragment and has_head:
                whole = start
            in_fragment = kind == b"moof"
    return whole


def sync_folder(folder: Path) -> None:
    """Have the disk take a folder's names: a rename survives power failure only then."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def recover(folder: Path) -> list[Path]:
    """Finish what dead processes left: every `.NAME.mp4.part` below the folder that nobody is writing.

    Playable ones get their name, or NAME-2.mp4 where that is taken; those without a whole fragment are
    removed. Returns the files that were finished. What the disk refuses is logged and left.
    """
    finished = []
    for part in sorted(folder.rglob(f".*.mp4{_PART}")):
        try:
            final = _recover_one(part)
        except (OSError, VideoError) as error:
            log.warning("%s: cannot be recovered: %s", part, error)
            continue
        if final is not None:
            finished.append(final)
    return finished


def _recover_one(part: Path) -> Path | None:
    fd = os.open(part, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        whole = whole_bytes(part)
        if not whole:
            part.unlink()
            return None
        os.ftruncate(fd, whole)
        os.fsync(fd)
        _play_first(part)
        final = _claim(part)
        part.replace(final)
        sync_folder(part.parent)
        return final
    except BlockingIOError:
        return None  # its writer lives
    finally:
        os.close(fd)


def _play_first(path: Path) -> None:
    """Decode one picture; VideoError where there is none."""
    with open_input(path) as container:
        try:
            if next(container.decode(container.streams.video[0]), None) is None:
                raise VideoError(f"{path}: holds no picture")
        except MEDIA_ERRORS as error:
            raise VideoError(f"{path}: does not play: {error}") from error


def _claim(part: Path) -> Path:
    """Create, empty, the first final name that is free."""
    wanted = part.with_name(part.name[1 : -len(_PART)])
    final, number = wanted, 1
    while True:
        try:
            final.open("xb").close()
        except FileExistsError:
            number += 1
            final = wanted.with_stem(f"{wanted.stem}-{number}")
            continue
        return final


def _open_locked(path: Path) -> int:
    """Open for writing and lock; again where somebody recovered (removed) the file in between."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if path.exists() and os.path.samestat(os.fstat(fd), path.stat()):
                return fd
        except OSError:
            os.close(fd)
            raise
        os.close(fd)
