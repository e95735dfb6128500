"""Which incidents are meant: one value for lists, counts, exports and statistics."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, or_
from sqlalchemy.orm import InstrumentedAttribute

from jikimi.hours import Weekly
from jikimi.store.moments import unindexed, weekly
from jikimi.store.records import Answer
from jikimi.store.sessions import one_or_many
from jikimi.store.tables import IncidentRow


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """Incidents opened in [since, until) that are all of this; None: whatever it is.

    `answers` may hold None for those without an answer. `note` is part of an answer's note, in capitals or
    not; `within` are hours in which it was opened.
    """

    camera: str | Collection[str] | None = None
    behavior: str | Collection[str] | None = None
    answers: tuple[Answer | None, ...] | None = None
    answered: bool | None = None
    acknowledged: bool | None = None
    open: bool | None = None
    locked: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    within: Weekly | None = None
    min_peak: float | None = None
    note: str = ""


def conditions(wanted: IncidentFilter) -> list[ColumnElement[bool]]:
    """Return what a row of incidents must fulfil, what is cheap to see first.

    What most rows may fulfil is kept from SQLite's choice of an index: it knows no numbers, would take that
    index and sort all that it finds, where reading from the newest on has a page within some rows.
    """
    row = IncidentRow
    found: list[ColumnElement[bool]] = []
    if wanted.since is not None:
        found.append(row.opened_at >= wanted.since)
    if wanted.until is not None:
        found.append(row.opened_at < wanted.until)
    found += _cameras(wanted.camera) + one_or_many(row.behavior, wanted.behavior)
    found += _given(row.answer, wanted.answered) + _given(row.acknowledged_at, wanted.acknowledged)
    if wanted.open is not None:
        found.append(row.closed_at.is_(None) if wanted.open else unindexed(row.closed_at).is_not(None))
    if wanted.locked is not None:
        found.append(row.locked.is_(True) if wanted.locked else unindexed(row.locked).is_(False))
    if wanted.answers is not None:
        named = [answer for answer in wanted.answers if answer is not None]
        without = [unindexed(row.answer).is_(None)] if None in wanted.answers else []
        found.append(or_(unindexed(row.answer).in_(named), *without))
    if wanted.min_peak is not None:
        found.append(row.peak >= wanted.min_peak)
    if wanted.within is not None:
        found.append(weekly(row.opened_at, wanted.within))
    if wanted.note:
        found.append(row.answer_note.icontains(wanted.note, autoescape=True))
    return found


def _cameras(wanted: str | Collection[str] | None) -> list[ColumnElement[bool]]:
    """One camera has an index in order of time; several would be sorted."""
    if wanted is None or isinstance(wanted, str):
        return one_or_many(IncidentRow.camera, wanted)
    if len(wanted) == 1:
        return [IncidentRow.camera == next(iter(wanted))]
    return [unindexed(IncidentRow.camera).in_(wanted)]


def _given(column: InstrumentedAttribute[Any], wanted: bool | None) -> list[ColumnElement[bool]]:
    if wanted is None:
        return []
    return [unindexed(column).is_not(None) if wanted else unindexed(column).is_(None)]
