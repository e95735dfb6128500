"""Reads a CSV of annotations: one row a clip, with `path` and `behavior`, and what else is known of it."""

import csv
import json
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jikimi.clip import Clip, EventSpan, Modality
from jikimi.data.folders import assumed_rate
from jikimi.data.grouping import Named, names_of, recording_groups
from jikimi.data.pictures import DEFAULT_FPS
from jikimi.data.source import BehaviorNames, Ingested
from jikimi.data.walk import problem_of, walk
from jikimi.errors import DataError

# The name a folder's own annotations have.
FILE = "annotations.csv"

_OWN_COLUMNS = frozenset(
    {"path", "behavior", "event_start_s", "event_end_s", "group", "licence_tier", "modality", "fps"}
)
_MODALITIES: dict[str, Modality] = {"": "rgb", "rgb": "rgb", "thermal": "thermal"}

# Tier A may be trained on; any other tier is for evaluation only.
_TRAINABLE_TIERS = frozenset({"", "A"})


@dataclass(frozen=True, slots=True)
class _Row:
    """One row: cells stripped, none missing."""

    source: Path
    cells: dict[str, str]

    def cell(self, name: str) -> str:
        return self.cells.get(name, "")


class _BadRowError(Exception):
    """Why a row cannot be used."""


def read_annotations(path: Path, roots: Sequence[Path], names: BehaviorNames) -> Ingested:
    """Read a CSV whose paths are relative to one of the roots, or to the CSV's own folder.

    Raises:
        DataError: the file cannot be read, or lacks a column it must have.
    """
    into = Ingested("csv")
    roots = list(dict.fromkeys([*roots, path.parent]))
    rows = [_Row(_locate(cells["path"], roots), cells) for cells in _read(path, into)]
    derived = recording_groups([_named(row, roots) for row in rows])
    for row, group in zip(rows, derived, strict=True):
        try:
            into.clips.append(_clip(row, group, names))
        except (_BadRowError, DataError) as error:
            into.reject(row.source, row.cell("behavior"), str(error).removeprefix(f"{row.source}: "))
    unlisted = _unlisted({os.path.realpath(row.source) for row in rows}, roots)
    if unlisted:
        into.remarks.append(f"{unlisted} clips are in the folder but not in {path.name}: left out")
    return into


def _read(path: Path, into: Ingested) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            raw = list(reader)
            columns = [name.strip() for name in reader.fieldnames or []]
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8; save it as 'CSV UTF-8'") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except csv.Error as error:
        raise DataError(f"{path}: no CSV: {error}") from error
    missing = [name for name in ("path", "behavior") if name not in columns]
    if missing:
        raise DataError(f"{path}: has no column {missing[0]!r}; it needs path and behavior")
    rows = []
    for number, cells in enumerate(raw, start=2):
        if None in cells or None in cells.values():
            into.reject(path, "", f"row {number} has more or fewer cells than the header")
        elif not (stripped := {key.strip(): value.strip() for key, value in cells.items()})["path"]:
            into.reject(path, stripped["behavior"], f"row {number} has no path")
        elif "\0" in stripped["path"]:
            into.reject(path, stripped["behavior"], f"row {number} has a zero byte in its path")
        else:
            rows.append(stripped)
    return rows


def _locate(text: str, roots: Sequence[Path]) -> Path:
    """The first root that has the file, however its name is composed; else where it ought to be."""
    spellings = [
        text,
        *(unicodedata.normalize(form, text) for form in ("NFC", "NFD")),
        text.replace("\\", "/"),
    ]
    for root in roots:
        for spelling in spellings:
            path = Path(os.path.normpath(root / spelling))
            if os.path.lexists(path):
                return path
    return Path(os.path.normpath(roots[0] / text))


def _named(row: _Row, roots: Sequence[Path]) -> Named:
    given = row.cell("group").split("/")[0].strip()
    if given:
        return Named(row.cell("behavior"), (given,))
    return Named(row.cell("behavior"), names_of((), row.source.stem))


def _clip(row: _Row, group: str, names: BehaviorNames) -> Clip:
    behavior = names.find(row.cell("behavior"))
    if behavior is None:
        raise _BadRowError(f"unknown behaviour {row.cell('behavior')!r}; known are {names.listed}")
    if not os.path.lexists(row.source):
        raise _BadRowError("no such file")
    problem = problem_of(row.source)
    if problem:
        raise _BadRowError(problem)
    modality = _MODALITIES.get(row.cell("modality").lower())
    if modality is None:
        raise _BadRowError(f"modality {row.cell('modality')!r} is neither rgb nor thermal")
    event = _event(row)
    extra = {name: value for name, value in row.cells.items() if name not in _OWN_COLUMNS and value}
    notes = []
    if event is not None and behavior == names.normal:
        notes.append(f"event {event.start_s:g}-{event.end_s:g} s of a normal clip ignored")
        event = None
    fps = _number(row, "fps") if row.source.is_dir() else None
    if row.source.is_dir() and fps is None:
        notes.append(assumed_rate(DEFAULT_FPS))
    return Clip(
        source=row.source,
        behavior=behavior,
        group=group,
        event=event,
        modality=modality,
        evaluation_only=row.cell("licence_tier").upper() not in _TRAINABLE_TIERS,
        source_fps=(fps if fps is not None else DEFAULT_FPS) if row.source.is_dir() else None,
        extra=json.dumps(extra, ensure_ascii=False, sort_keys=True),
        notes="; ".join(notes),
    )


def _event(row: _Row) -> EventSpan | None:
    start_s, end_s = _number(row, "event_start_s"), _number(row, "event_end_s")
    if start_s is None and end_s is None:
        return None
    if start_s is None or end_s is None:
        raise _BadRowError("only one of event_start_s and event_end_s is given")
    return EventSpan(start_s, end_s)


def _number(row: _Row, name: str) -> float | None:
    text = row.cell(name)
    try:
        return float(text) if text else None
    except ValueError as error:
        raise _BadRowError(f"{name} {text!r} is not a number") from error


def _unlisted(listed: set[str], roots: Sequence[Path]) -> int:
    """Clips under the roots that no row names: whatever they show, it is not known to be no accident."""
    found: set[str] = set()
    for root in roots:
        for folder in walk(root):
            found |= {os.path.realpath(path) for path in folder.videos}
            if folder.pictures:
                found.add(os.path.realpath(folder.path))
    return len(found - listed)
