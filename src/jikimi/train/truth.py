"""What happened on a folder of streams: a CSV read, checked, and tied to the files."""

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jikimi.clip import EventSpan
from jikimi.errors import DataError
from jikimi.stream_metrics import Truth

STREAM_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv"})

# The name that simulated streams give their truth.
TRUTH = "truth.csv"

# Either form: of `simulate` and of hand-written truth, or of annotated clips.
FORMS = (
    ("camera", "behavior", "start_s", "end_s"),
    ("path", "behavior", "event_start_s", "event_end_s"),
)


@dataclass(frozen=True, slots=True)
class StreamSet:
    """Streams to score: files by camera (path below the folder), and their events.

    Nothing is left out silently: `unnamed` files are below the folder but not in the truth, so that nobody
    knows what happens in them; `elsewhere` are files that the truth names outside the folder.
    """

    files: dict[str, Path]
    truths: tuple[Truth, ...]
    unnamed: tuple[str, ...]
    elsewhere: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Line:
    where: str
    name: str
    behavior: str
    span: EventSpan | None


def read_truth(folder: Path, table: Path, *, behaviors: Sequence[str], normal: str) -> StreamSet:
    """Read the truth of the streams below `folder`.

    Columns `camera,behavior,start_s,end_s` or `path,behavior,event_start_s,event_end_s`; others are ignored.
    A camera is named by its path below the folder, its file name or its stem; a path may also be relative to
    the table. A row of the normal behaviour, without times, says that a stream is without other events.

    Raises:
        DataError: no streams, an unreadable table, a behaviour the model does not know, an accident without
            times, or a name that fits no file or several.
    """
    files = _find_streams(folder)
    lines = [_check(line, behaviors, normal=normal) for line in _read(table)]
    truths: list[Truth] = []
    named, elsewhere = set(), set()
    for line in lines:
        camera = _camera_of(line, files, folder=folder, table=table)
        if camera is None:
            elsewhere.add(line.name)
            continue
        named.add(camera)
        if line.span is not None:
            truths.append(Truth(camera, line.behavior, line.span.start_s, line.span.end_s))
    if not named:
        raise DataError(f"{table}: names no stream below {folder}; is it the truth of another folder?")
    return StreamSet(
        files={camera: path for camera, path in files.items() if camera in named},
        truths=tuple(truths),
        unnamed=tuple(sorted(files.keys() - named)),
        elsewhere=tuple(sorted(elsewhere)),
    )


def _find_streams(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder of streams")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in STREAM_SUFFIXES)
    if not found:
        raise DataError(f"{folder}: holds no video files ({', '.join(sorted(STREAM_SUFFIXES))})")
    return {path.relative_to(folder).as_posix(): path for path in found}


def _read(table: Path) -> list[_Line]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as text:
            rows = list(csv.DictReader(text))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table}: cannot be read as CSV ({error})") from error
    columns = rows[0].keys() if rows else ()
    form = next((form for form in FORMS if set(form) <= set(columns)), None)
    if form is None:
        wanted = " or ".join(",".join(form) for form in FORMS)
        raise DataError(f"{table}: needs rows with the columns {wanted}")
    name, behavior, start_s, end_s = form
    return [
        _Line(
            where=f"{table} row {number}",
            name=(row[name] or "").strip(),
            behavior=(row[behavior] or "").strip(),
            span=_span(row[start_s], row[end_s], where=f"{table} row {number}"),
        )
        for number, row in enumerate(rows, start=2)
    ]


def _span(start: str | None, end: str | None, *, where: str) -> EventSpan | None:
    if not (start or "").strip() and not (end or "").strip():
        return None
    try:
        return EventSpan(float(start or ""), float(end or ""))
    except ValueError as error:
        raise DataError(f"{where}: {start!r} to {end!r} are no event times in seconds") from error
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def _check(line: _Line, behaviors: Sequence[str], *, normal: str) -> _Line:
    if not line.name:
        raise DataError(f"{line.where}: names no camera")
    if line.behavior not in behaviors:
        known = ", ".join(behaviors)
        raise DataError(f"{line.where}: unknown behaviour {line.behavior!r}; the model knows {known}")
    if line.behavior == normal and line.span is not None:
        raise DataError(f"{line.where}: {normal!r} is no event; leave its times empty")
    if line.behavior != normal and line.span is None:
        raise DataError(f"{line.where}: {line.behavior!r} needs the times of the event")
    return line


def _camera_of(line: _Line, files: dict[str, Path], *, folder: Path, table: Path) -> str | None:
    """The camera that a line names; None for a file that exists outside the folder."""
    if line.name in files:
        return line.name
    beside = (table.parent / line.name).resolve()
    if beside.is_file():
        below = beside.is_relative_to(folder.resolve())
        return beside.relative_to(folder.resolve()).as_posix() if below else None
    by_name = defaultdict(list)
    for camera, path in files.items():
        for name in {path.name, path.stem}:
            by_name[name].append(camera)
    fitting = by_name[line.name]
    if not fitting:
        raise DataError(f"{line.where}: no stream {line.name!r} below {folder}")
    if len(fitting) > 1:
        raise DataError(f"{line.where}: {line.name!r} may be {' or '.join(fitting)}; write the path")
    return fitting[0]
