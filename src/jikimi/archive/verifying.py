"""Is the archive what it was? Every file and every record is looked at."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jikimi.archive.manifest import GENESIS, NAME, Manifest, Record, parse

ProblemKind = Literal["changed", "missing", "unlisted", "leftover", "record", "order", "truncated"]

# Files that are being written: `.NAME.mp4.part`, `.NAME.jpg.PID.tmp`.
_UNFINISHED = (".part", ".tmp")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it was written. `where` is a path, or a line of the manifest."""

    kind: ProblemKind
    where: str
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """What verifying found. `notes` are traces of power failures, which are no tampering.

    `head` is the newest whole record's hash: keep it elsewhere and give it as `expected` the next time.
    """

    n_records: int
    n_files: int
    head: str
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]

    @property
    def intact(self) -> bool:
        """Whether everything is as it was written."""
        return not self.problems


def verify(folder: Path, *, expected: str | None = None) -> Report:
    """Compare a folder of evidence with its manifest.

    `expected` is a head's hash from earlier: records up to it must still be there. Without it, records cut
    off the end go unseen where their files went too.

    Raises:
        OSError: a file cannot be read.
    """
    lines = Manifest(folder).lines()
    notes = []
    if lines and not lines[-1].endswith(b"\n"):
        notes.append(
            f"{NAME}: its last line is torn ({len(lines.pop())} bytes), as a power failure leaves it"
        )
    records, problems = _chain(lines)
    notes += [
        f"{NAME}: {one.size_bytes} torn bytes were cut off {one.at}" for one in records if one.action == "cut"
    ]
    if expected is not None and expected not in {GENESIS, *(record.hash for record in records)}:
        problems.append(Problem("truncated", NAME, f"the record {expected[:12]}… is gone; restore a copy"))
    n_files, of_files = _files(folder, records)
    head = records[-1].hash if records else GENESIS
    return Report(len(records), n_files, head, (*problems, *of_files), tuple(notes))


def _chain(lines: list[bytes]) -> tuple[list[Record], list[Problem]]:
    """Records that are what was written, and lines that are not or do not follow the one before."""
    records: list[Record] = []
    problems = []
    previous: str | None = GENESIS
    number = 0
    for index, line in enumerate(lines):
        where = f"{NAME}:{index + 1}"
        record = parse(line)
        if record is None:
            problems.append(Problem("record", where, "this record was changed"))
            previous, number = None, number + 1  # what it was is not known
            continue
        if previous not in (None, record.previous) or record.number != number:
            problems.append(Problem("order", where, "records before this one were removed, added or moved"))
        records.append(record)
        previous, number = record.hash, record.number + 1
    return records, problems


def _files(folder: Path, records: list[Record]) -> tuple[int, list[Problem]]:
    """Number of files, and those that differ from their records."""
    last = {record.path: record for record in records if record.action != "cut"}
    there = {path.relative_to(folder).as_posix(): path for path in _evidence(folder)}
    problems = [
        Problem("unlisted", name, "no record tells of this file")
        for name in sorted(there.keys() - last.keys())
    ]
    for name, record in last.items():
        path = there.get(name)
        if record.action == "deleted" and path is not None:
            problems.append(Problem("leftover", name, "is there although its deletion is recorded"))
        elif record.action == "added" and path is None:
            problems.append(Problem("missing", name, "is gone, and no record tells of its deletion"))
        elif path is not None and not _is_as_written(path, record):
            problems.append(Problem("changed", name, "is not the file that was recorded"))
    return len(there), problems + _overwritten(records)


def _overwritten(records: list[Record]) -> list[Problem]:
    """Files recorded anew with other contents, while they should have been there."""
    problems = []
    listed: dict[str, Record] = {}
    for record in records:
        before = listed.get(record.path)
        if record.action == "added" and before is not None and before.sha256 != record.sha256:
            problems.append(Problem("changed", record.path, "was overwritten and recorded again"))
        if record.action == "added":
            listed[record.path] = record
        elif record.action == "deleted":
            listed.pop(record.path, None)
    return problems


def _evidence(folder: Path) -> list[Path]:
    """Everything below the folder that is no directory, but for the manifest and unfinished files."""
    return [
        path
        for path in folder.rglob("*")
        if (path.is_symlink() or not path.is_dir())
        and path != folder / NAME
        and not (path.name.startswith(".") and path.name.endswith(_UNFINISHED))
    ]


def _is_as_written(path: Path, record: Record) -> bool:
    if path.is_symlink() or not path.is_file() or path.stat().st_size != record.size_bytes:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == record.sha256
