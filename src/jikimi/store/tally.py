"""What a time came to, counted by the database: small groups, for others to fold and to show."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, and_, case, func, literal, or_, select
from sqlalchemy.orm import Session

from jikimi.hours import Stretch
from jikimi.store.incident_filter import IncidentFilter, conditions
from jikimi.store.moments import epoch_s, second_of_week, seconds_between, weekly, whole
from jikimi.store.records import Answer, OutboxState
from jikimi.store.sessions import Sessions, one_or_many
from jikimi.store.tables import (
    CoverageRow,
    FaultRow,
    IncidentRow,
    OutboxRow,
    TransitionRow,
    UtcDateTime,
)

# Deliveries are told apart to this many of a second.
PER_SECOND = 100


@dataclass(frozen=True, slots=True)
class Raised:
    """Of what kind some incidents are; `really` is the behaviour that an answer names."""

    camera: str
    behavior: str
    answer: Answer | None = None
    really: str = ""


@dataclass(frozen=True, slots=True)
class FaultTally:
    """Faults of one kind at one camera: how many, how many of them last, seconds of the time asked for."""

    camera: str
    kind: str
    count: int
    lasting: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Watched:
    """Seconds seen of those due."""

    seen_s: float = 0.0
    due_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of one moment's store, so that they agree with each other.

    `bins`: incidents by (second since 1970 at which the bin begins, behaviour). `acknowledged_s` and
    `answered_s`: incidents by whole seconds from their opening. `deliveries`: notices of incidents and faults
    by (target, state, seconds it took). `coverage`: by (camera, second of the plant's week, from Monday).
    """

    raised: Mapping[Raised, int]
    bins: Mapping[tuple[int, str], int]
    acknowledged_s: Mapping[int, int]
    answered_s: Mapping[int, int]
    deliveries: Mapping[tuple[str, OutboxState, float | None], int]
    coverage: Mapping[tuple[str, int], Watched]
    faults: tuple[FaultTally, ...]


class Tallies(Sessions):
    """The statistics' part of the store."""

    def tally(
        self,
        wanted: IncidentFilter,
        *,
        since: datetime,
        until: datetime,
        now: datetime,
        bin_s: int,
        clock: Sequence[Stretch],
    ) -> Tally:
        """Count what happened in [since, until), whose `clock` it is; `wanted` narrows it.

        Coverage follows the cameras and the hours of `wanted`, faults its cameras alone. An hour of coverage
        belongs to where it begins; a fault counts with what of it is in the range and before `now`.
        """
        fits = [*conditions(wanted), IncidentRow.opened_at >= since, IncidentRow.opened_at < until]
        hours = [CoverageRow.hour >= since, CoverageRow.hour < until]
        hours += one_or_many(CoverageRow.camera, wanted.camera)
        if wanted.within is not None:
            hours.append(weekly(CoverageRow.hour, wanted.within))
        with self._snapshot() as session:
            return Tally(
                raised=_raised(session, fits),
                bins=_bins(session, fits, bin_s),
                acknowledged_s=_acknowledged(session, fits),
                answered_s=_answered(session, fits),
                deliveries=_deliveries(session, fits, _began(wanted, since, until)),
                coverage=_coverage(session, hours, clock),
                faults=_faults(session, wanted, since, min(until, now)),
            )


def _raised(session: Session, fits: list[ColumnElement[bool]]) -> dict[Raised, int]:
    row = IncidentRow
    columns = (row.camera, row.behavior, row.answer, row.answer_behavior)
    found = session.execute(select(*columns, func.count()).where(*fits).group_by(*columns))
    return {
        Raised(camera, behavior, answer, really): count for camera, behavior, answer, really, count in found
    }


def _bins(session: Session, fits: list[ColumnElement[bool]], bin_s: int) -> dict[tuple[int, str], int]:
    number = (epoch_s(IncidentRow.opened_at) // literal(bin_s, BigInteger)).label("number")
    query = select(number, IncidentRow.behavior, func.count()).where(*fits)
    found = session.execute(query.group_by(number, IncidentRow.behavior))
    return {(number * bin_s, behavior): count for number, behavior, count in found}


def _acknowledged(session: Session, fits: list[ColumnElement[bool]]) -> dict[int, int]:
    row = IncidentRow
    waited_s = _took(row.opened_at, row.acknowledged_at).label("waited_s")
    query = select(waited_s, func.count()).where(*fits, row.acknowledged_at.is_not(None))
    return _pairs(session.execute(query.group_by(waited_s)))


def _answered(session: Session, fits: list[ColumnElement[bool]]) -> dict[int, int]:
    """Until the first answer: a later one only mends it."""
    row, change = IncidentRow, TransitionRow
    first = (
        select(row.opened_at, func.min(change.at).label("at"))
        .join(change, and_(change.incident == row.uid, change.kind == "answered"))
        .where(*fits, row.answer.is_not(None))
        .group_by(row.uid, row.opened_at)
        .subquery()
    )
    waited_s = _took(first.c.opened_at, first.c.at).label("waited_s")
    query = select(waited_s, func.count()).group_by(waited_s)
    return _pairs(session.execute(query))


def _deliveries(
    session: Session, fits: list[ColumnElement[bool]], began: list[ColumnElement[bool]]
) -> dict[tuple[str, OutboxState, float | None], int]:
    found: dict[tuple[str, OutboxState, float | None], int] = {}
    took = _took(OutboxRow.created_at, OutboxRow.delivered_at, per_second=PER_SECOND).label("took")
    columns = (OutboxRow.target, OutboxRow.state, took)
    for about, uid, subject, of in (
        (IncidentRow, IncidentRow.uid, "incident", fits),
        (FaultRow, FaultRow.uid, "fault", began),
    ):
        query = select(*columns, func.count()).select_from(about).join(OutboxRow, OutboxRow.uid == uid)
        query = query.where(*of, OutboxRow.subject == subject).group_by(*columns)
        for target, state, hundredths, count in session.execute(query):
            key = (target, state, None if hundredths is None else hundredths / PER_SECOND)
            found[key] = found.get(key, 0) + count
    return found


def _coverage(
    session: Session, hours: list[ColumnElement[bool]], clock: Sequence[Stretch]
) -> dict[tuple[str, int], Watched]:
    """A year of hours is a week of them, several times over."""
    row, found = CoverageRow, dict[tuple[str, int], Watched]()
    for each in clock:
        second = second_of_week(row.hour, each).label("second")
        query = select(row.camera, second, func.sum(row.seen_s), func.sum(row.due_s))
        query = query.where(*hours, row.hour >= each.start, row.hour < each.end)
        for camera, at_s, seen_s, due_s in session.execute(query.group_by(row.camera, second)):
            before = found.get((camera, at_s), Watched())
            found[camera, at_s] = Watched(before.seen_s + seen_s, before.due_s + due_s)
    return found


def _began(wanted: IncidentFilter, since: datetime, until: datetime) -> list[ColumnElement[bool]]:
    row = FaultRow
    return [row.began_at >= since, row.began_at < until, *one_or_many(row.camera, wanted.camera)]


def _faults(
    session: Session, wanted: IncidentFilter, since: datetime, until: datetime
) -> tuple[FaultTally, ...]:
    row = FaultRow
    start = case((row.began_at < since, literal(since, UtcDateTime())), else_=row.began_at)
    lasts = or_(row.ended_at.is_(None), row.ended_at > until)
    end = case((lasts, literal(until, UtcDateTime())), else_=row.ended_at)
    fits = [row.began_at < until, or_(row.ended_at.is_(None), row.ended_at > since)]
    query = select(
        row.camera,
        row.kind,
        func.count(),
        func.sum(case((row.ended_at.is_(None), 1), else_=0)),
        func.sum(seconds_between(start, end)),
    ).where(*fits, *one_or_many(row.camera, wanted.camera))
    found = session.execute(query.group_by(row.camera, row.kind).order_by(row.camera, row.kind))
    return tuple(FaultTally(*each) for each in found)


def _pairs(found: Iterable[Sequence[Any]]) -> dict[int, int]:
    return {row[0]: row[1] for row in found}


def _took(start: Any, end: Any, *, per_second: int = 1) -> ColumnElement[int]:
    """How long it took, in whole parts of a second; one database counts in days, a little short."""
    return whole((seconds_between(start, end) + 0.0005) * per_second)
