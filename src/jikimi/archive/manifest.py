"""`manifest.jsonl`: one line for each file kept and each file deleted, chained by hashes.

Each record holds the hash of the one before it, so none can be changed, removed or moved unseen. Whoever can
write the folder can rewrite the whole chain: the head's hash, kept elsewhere, shows that too.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, get_args

from jikimi.errors import JikimiError

EvidenceKind = Literal["video", "still", "strip", "scores"]
Action = Literal["added", "deleted", "cut"]

NAME: Final = "manifest.jsonl"

# What the first record names as the one before it.
GENESIS: Final = "0" * 64

# The last line is looked for in this much of the file's end: paths and camera names are bounded by the file
# system and by `naming`, so a line stays below 16 KiB.
_TAIL_BYTES = 1 << 16


class ArchiveError(JikimiError):
    """A manifest that cannot be read or written, or a file that does not belong in it."""


@dataclass(frozen=True, slots=True)
class Record:
    """One line. `path` is relative to the folder, with '/'; `at` is UTC, ISO 8601.

    `action` "cut" tells that the torn end of a line was cut off after a power failure: `size_bytes` and
    `sha256` are those of what was cut. `by` is who deleted: "retention" or an operator.
    """

    number: int
    action: Action
    path: str
    sha256: str
    size_bytes: int
    camera: str
    incident: str
    kind: EvidenceKind | Literal[""]
    at: str
    by: str
    previous: str
    hash: str = ""

    def sealed(self) -> "Record":
        """The same record with its own hash."""
        content = {key: value for key, value in asdict(self).items() if key != "hash"}
        digest = hashlib.sha256(_canonical(content)).hexdigest()
        return Record(**content, hash=digest)

    def line(self) -> bytes:
        """The one way this record is written."""
        return _canonical(asdict(self)) + b"\n"


def _canonical(content: dict[str, object]) -> bytes:
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode("utf-8", "surrogateescape")


def parse(line: bytes) -> Record | None:
    """Read a line with its newline; None where it is not exactly what was written."""
    try:
        content = json.loads(line.decode("utf-8", "surrogateescape"))
        record = Record(**content)
        whole = record.line() == line and record.sealed() == record and type(record.number) is int
    except (ValueError, TypeError, RecursionError):  # JSON, fields, text that cannot be encoded
        return None
    return record if whole and record.action in get_args(Action) else None


class Manifest:
    """The manifest of one evidence folder. Several processes may append at once.

    Raises:
        ArchiveError: the file lies outside of the folder, or the manifest's last record is damaged.
        OSError: the disk refuses; the manifest is as it was.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / NAME

    def add(
        self, path: Path, *, camera: str, incident: str, kind: EvidenceKind, at: datetime | None = None
    ) -> Record:
        """Record a file that was written, with its hash; `incident` is the incident's uid."""
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            size_bytes = os.fstat(file.fileno()).st_size
        return self._append(
            action="added",
            path=self._relative(path),
            sha256=sha256,
            size_bytes=size_bytes,
            camera=camera,
            incident=incident,
            kind=kind,
            at=at,
        )

    def delete(self, record: Record, *, by: str, at: datetime | None = None) -> Record:
        """Record that the file of an `added` record is deleted. The file goes after that, not before."""
        return self._append(
            action="deleted",
            path=record.path,
            sha256=record.sha256,
            size_bytes=record.size_bytes,
            camera=record.camera,
            incident=record.incident,
            kind=record.kind,
            at=at,
            by=by,
        )

    def listed(self) -> dict[str, Record]:
        """Files that were added and not deleted, by path. Damaged lines are left out: `verify` tells them."""
        found: dict[str, Record] = {}
        for line in self.lines():
            record = parse(line)
            if record is not None and record.action == "added":
                found[record.path] = record
            elif record is not None and record.action == "deleted":
                found.pop(record.path, None)
        return found

    def lines(self) -> list[bytes]:
        """All lines with their newlines; a torn last one is without."""
        try:
            *whole, torn = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        return [line + b"\n" for line in whole] + ([torn] if torn else [])

    def head(self) -> str:
        """Hash of the newest record: kept elsewhere, it shows later whether the end was cut off."""
        if not self.path.exists():
            return GENESIS
        with self._locked() as fd:
            last, _ = self._last(fd)
            return last.hash if last is not None else GENESIS

    def _relative(self, path: Path) -> str:
        try:
            return path.resolve().relative_to(self.folder.resolve()).as_posix()
        except ValueError as error:
            raise ArchiveError(f"{path}: lies outside of the archive {self.folder}") from error

    def _append(
        self,
        *,
        action: Action,
        path: str,
        sha256: str,
        size_bytes: int,
        camera: str,
        incident: str,
        kind: EvidenceKind | Literal[""],
        at: datetime | None,
        by: str = "",
    ) -> Record:
        when = (at or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="milliseconds")
        with self._locked() as fd:
            last, torn = self._last(fd)
            records = [] if not torn else [_cut(last, torn, when)]
            before = records[-1] if records else last
            record = Record(
                number=before.number + 1 if before is not None else 0,
                action=action,
                path=path,
                sha256=sha256,
                size_bytes=size_bytes,
                camera=camera,
                incident=incident,
                kind=kind,
                at=when,
                by=by,
                previous=before.hash if before is not None else GENESIS,
            ).sealed()
            _write(fd, b"".join(one.line() for one in [*records, record]), torn=len(torn))
        return record

    @contextmanager
    def _locked(self) -> Iterator[int]:
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield fd
        finally:
            os.close(fd)

    def _last(self, fd: int) -> tuple[Record | None, bytes]:
        """The last whole record, None in an empty manifest, and what a power failure left after it."""
        size = os.fstat(fd).st_size
        tail = os.pread(fd, min(size, _TAIL_BYTES), max(0, size - _TAIL_BYTES))
        whole, newline, torn = tail.rpartition(b"\n")
        if not newline:
            if size > _TAIL_BYTES:
                raise ArchiveError(
                    f"{self.path}: ends in {size} bytes that are no record; verify the archive"
                )
            return None, torn
        record = parse(whole.rpartition(b"\n")[2] + b"\n")
        if record is None:
            raise ArchiveError(f"{self.path}: its last record is damaged; verify the archive")
        return record, torn


def _cut(last: Record | None, torn: bytes, when: str) -> Record:
    return Record(
        number=last.number + 1 if last is not None else 0,
        action="cut",
        path="",
        sha256=hashlib.sha256(torn).hexdigest(),
        size_bytes=len(torn),
        camera="",
        incident="",
        kind="",
        at=when,
        by="",
        previous=last.hash if last is not None else GENESIS,
    ).sealed()


def _write(fd: int, data: bytes, *, torn: int) -> None:
    """Append over a torn end; where the disk refuses, the whole records stay as they were."""
    end = os.fstat(fd).st_size - torn
    os.ftruncate(fd, end)
    try:
        written = 0
        while written < len(data):
            written += os.pwrite(fd, data[written:], end + written)
        os.fsync(fd)
    except OSError:
        os.ftruncate(fd, end)
        raise
