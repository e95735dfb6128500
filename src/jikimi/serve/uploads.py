"""A bundle that somebody sends: kept under its hash once it was checked in a process apart, or not at all."""

import asyncio
import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from jikimi.serve.limits import MAX_BUNDLE_BYTES
from jikimi.serve.problems import Refusal

log = logging.getLogger(__name__)

# 512 MiB at 1 MB/s.
UPLOAD_S = 600.0

_PIECE_BYTES = 1 << 20
_PREFIX, _SUFFIX = ".upload-", ".tmp"


@dataclass(slots=True)
class Uploads:
    """One at a time: each may be half a gigabyte, and is checked with some more of memory."""

    folder: Path
    min_free_bytes: Callable[[], int]
    _busy: Lock = field(default_factory=Lock, init=False)

    @asynccontextmanager
    async def received(self, request: Request) -> AsyncIterator["Received"]:
        """A request's body in a file, which is removed afterwards where it still is there.

        Raises:
            Refusal: another is under way, no room, too slow, nothing came, or too much.
        """
        if not self._busy.acquire(blocking=False):
            raise Refusal(429, "upload-busy", {"Retry-After": "60"})
        try:
            try:
                path = await run_in_threadpool(self._begin, request.headers.get("content-length", ""))
            except OSError as error:
                raise _unkept(error) from None
            try:
                yield await _receive(request, path)
            finally:
                path.unlink(missing_ok=True)
        finally:
            self._busy.release()

    def _begin(self, announced: str) -> Path:
        """An empty file. Raises OSError, and Refusal where there is no room."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in self.folder.glob(f"{_PREFIX}*{_SUFFIX}"):  # by a process that was killed
            left.unlink(missing_ok=True)
        size = int(announced) if announced.isdecimal() else MAX_BUNDLE_BYTES
        if shutil.disk_usage(self.folder).free < size + self.min_free_bytes():
            raise Refusal(409, "upload-room")
        handle, name = tempfile.mkstemp(prefix=_PREFIX, suffix=_SUFFIX, dir=self.folder)
        os.close(handle)
        return Path(name)


@dataclass(frozen=True, slots=True)
class Received:
    """A file that came: not to be trusted yet."""

    path: Path
    sha256: str
    size_bytes: int

    def keep(self, place: Path) -> None:
        """Put it in its place. Raises OSError."""
        self.path.replace(place)
        folder = os.open(place.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


async def _receive(request: Request, path: Path) -> Received:
    """Raises Refusal."""
    digest, size = hashlib.sha256(), 0

    def write(file: BinaryIO, piece: bytes) -> None:
        digest.update(piece)
        file.write(piece)

    try:
        async with asyncio.timeout(UPLOAD_S):
            with path.open("wb") as file:
                async for piece in _pieces(request):
                    size += len(piece)
                    await run_in_threadpool(write, file, piece)
                await run_in_threadpool(_sync, file)
    except TimeoutError:
        raise Refusal(408, "upload-slow", seconds=f"{UPLOAD_S:.0f}") from None
    except ClientDisconnect:
        raise Refusal(400, "upload-ended") from None
    except OSError as error:
        raise _unkept(error) from None
    if not size:
        raise Refusal(422, "upload-empty")
    return Received(path, digest.hexdigest(), size)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """The body in pieces worth a step to another thread."""
    waiting = bytearray()
    async for chunk in request.stream():
        waiting += chunk
        if len(waiting) >= _PIECE_BYTES:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


def _unkept(error: OSError) -> Refusal:
    log.warning("a model that was sent cannot be kept: %s", error)
    return Refusal(409, "model-unkept", why=error.strerror)
