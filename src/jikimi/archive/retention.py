"""What goes when the archive is too old or too large: the oldest first, what is locked never."""

import errno
import logging
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jikimi.archive.manifest import Manifest, Record
from jikimi.errors import SettingsError

log = logging.getLogger(__name__)

_S_A_DAY = 86_400.0

# A full disk has no room for the record of a deletion either.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of the archive: `written_s` in seconds since 1970, as `now` is."""

    path: str
    size_bytes: int
    written_s: float
    locked: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """How old and large the archive may get; None: without limit.

    Raises:
        SettingsError: a limit is negative.
    """

    max_age_days: float | None = None
    max_bytes: int | None = None
    min_free_bytes: int = 0

    def __post_init__(self) -> None:
        if min(self.max_age_days or 0, self.max_bytes or 0, self.min_free_bytes) < 0:
            raise SettingsError(f"retention: {self}; use limits of 0 or more, or none")


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did: paths relative to the folder. `problems` are for the operator, one line each."""

    deleted: tuple[str, ...]
    freed_bytes: int
    problems: tuple[str, ...]


def plan(
    files: Iterable[StoredFile],
    *,
    now: float,
    max_age_days: float | None,
    max_bytes: int | None,
    free_bytes: int,
    min_free_bytes: int,
) -> list[StoredFile]:
    """Choose what to delete, oldest first: what is too old, then until size and free space are right.

    Locked files count towards the size and are never chosen: limits may then stay unmet.
    """
    files = list(files)
    excess = sum(file.size_bytes for file in files) - max_bytes if max_bytes is not None else 0
    wanted = max(excess, min_free_bytes - free_bytes)
    oldest_s = now - max_age_days * _S_A_DAY if max_age_days is not None else float("-inf")
    chosen, freed = [], 0
    for file in sorted(files, key=lambda file: (file.written_s, file.path)):
        if file.written_s >= oldest_s and freed >= wanted:
            break
        if not file.locked:
            chosen.append(file)
            freed += file.size_bytes
    return chosen


def sweep(
    folder: Path,
    limits: Limits,
    *,
    now: datetime,
    is_locked: Callable[[Record], bool],
    free_bytes: int | None = None,
) -> Swept:
    """Delete what the limits ask for, record each deletion, and remove folders that are empty then.

    `free_bytes` of the disk are measured where they are not given. Files without a record are never touched.

    Raises:
        ArchiveError: the manifest is damaged at its end.
        OSError: the manifest cannot be written.
    """
    manifest = Manifest(folder)
    listed = manifest.listed()
    files = [
        StoredFile(
            path=path,
            size_bytes=record.size_bytes,
            written_s=datetime.fromisoformat(record.at).timestamp(),
            locked=is_locked(record),
        )
        for path, record in listed.items()
        if (folder / path).is_file()
    ]
    chosen = plan(
        files,
        now=now.timestamp(),
        max_age_days=limits.max_age_days,
        max_bytes=limits.max_bytes,
        free_bytes=shutil.disk_usage(folder).free if free_bytes is None else free_bytes,
        min_free_bytes=limits.min_free_bytes,
    )
    deleted, problems = [], []
    for file in chosen:
        try:
            _delete(manifest, listed[file.path], now)
        except _UnlinkError as error:
            problems.append(str(error))
            continue
        deleted.append(file)
        _remove_empty(folder / file.path, folder)
    return Swept(
        tuple(file.path for file in deleted), sum(file.size_bytes for file in deleted), tuple(problems)
    )


class _UnlinkError(Exception):
    """A file that the disk does not let go."""


def _delete(manifest: Manifest, record: Record, now: datetime) -> None:
    """Record, then delete: a crash between leaves a file too many, and never one that is missing."""
    try:
        manifest.delete(record, by="retention", at=now)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _unlink(manifest.folder / record.path)
        manifest.delete(record, by="retention", at=now)
        return
    _unlink(manifest.folder / record.path)


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _UnlinkError(f"{path}: cannot be deleted: {error.strerror}; check its owner") from error


def _remove_empty(path: Path, folder: Path) -> None:
    """Remove the folders above a deleted file that nothing is left in, up to the archive's own."""
    for parent in path.parents:
        if parent == folder:
            return
        try:
            parent.rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                log.warning("%s: cannot be removed: %s", parent, error.strerror)
            return
