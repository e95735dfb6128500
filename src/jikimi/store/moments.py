"""SQL that the two kinds of database word differently: seconds, hours on a plant's clock, hints."""

from math import gcd
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Float, and_, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.functions import FunctionElement

from jikimi.hours import WEEK_S, Stretch, Weekly, week_spans

# 0001-01-01 was a Monday in our calendar: from there on, weeks are whole and nothing is negative.
_MONDAY_S = 62_135_596_800

# A list of so many cells of a week is looked up at once. Finer hours are compared span by span: slower.
_MOST_CELLS = 2016


class epoch_s(FunctionElement[int]):
    """Whole seconds since 1970 of a moment, rounded down."""

    type = BigInteger()
    inherit_cache = True


class seconds_between(FunctionElement[float]):
    """Seconds from one moment to another, to the millisecond; NULL where either is."""

    type = Float(53)
    inherit_cache = True


class whole(FunctionElement[int]):
    """The whole part of a number; a plain cast rounds on one database and cuts on the other."""

    type = BigInteger()
    inherit_cache = True


class unindexed(FunctionElement[Any]):
    """A column by which SQLite is not to look up rows; PostgreSQL knows better what its columns hold.

    https://www.sqlite.org/optoverview.html, "Disqualifying WHERE Clause Terms".
    """

    inherit_cache = True

    def __init__(self, column: InstrumentedAttribute[Any]) -> None:
        super().__init__(column)
        self.type = column.type


@compiles(unindexed, "sqlite")
def _unindexed_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return f"+{compiler.process(element.clauses, **options)}"


@compiles(unindexed, "postgresql")
def _unindexed_postgres(element: Any, compiler: Any, **options: Any) -> str:
    return str(compiler.process(element.clauses, **options))


@compiles(whole, "sqlite")
def _whole_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **options)} AS INTEGER)"


@compiles(whole, "postgresql")
def _whole_postgres(element: Any, compiler: Any, **options: Any) -> str:
    return f"CAST(trunc({compiler.process(element.clauses, **options)}) AS BIGINT)"


@compiles(epoch_s, "sqlite")
def _epoch_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return f"CAST(strftime('%s', {compiler.process(element.clauses, **options)}) AS INTEGER)"


@compiles(epoch_s, "postgresql")
def _epoch_postgres(element: Any, compiler: Any, **options: Any) -> str:
    return f"CAST(floor(extract(epoch FROM {compiler.process(element.clauses, **options)})) AS BIGINT)"


@compiles(seconds_between, "sqlite")
def _between_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    start, end = (compiler.process(each, **options) for each in element.clauses)
    return f"((julianday({end}) - julianday({start})) * 86400.0)"


@compiles(seconds_between, "postgresql")
def _between_postgres(element: Any, compiler: Any, **options: Any) -> str:
    start, end = (compiler.process(each, **options) for each in element.clauses)
    return f"CAST(extract(epoch FROM {end} - {start}) AS DOUBLE PRECISION)"


def weekly(column: InstrumentedAttribute[Any], wanted: Weekly) -> ColumnElement[bool]:
    """Return the condition that a moment is within some hours of the week on the plant's clock.

    Before the clock's first stretch its first offset holds, after its last one the last.
    """
    spans = [span for hours in wanted.hours for span in week_spans(hours)]
    first, last = wanted.clock[0], wanted.clock[-1]
    return or_(
        *(
            and_(
                *([column >= each.start] if each is not first else []),
                *([column < each.end] if each is not last else []),
                _within(second_of_week(column, each), spans),
            )
            for each in wanted.clock
        )
    )


def second_of_week(column: InstrumentedAttribute[Any], clock: Stretch) -> ColumnElement[int]:
    """Return the second of the plant's week, from Monday 00:00, of a moment while its clock is this."""
    return (epoch_s(column) + (_MONDAY_S + clock.ahead_s)) % WEEK_S


def _within(week_s: ColumnElement[int], spans: list[tuple[int, int]]) -> ColumnElement[bool]:
    """One look-up for each row: SQLite would work out `week_s` again for every comparison."""
    step_s = gcd(*(edge for span in spans for edge in span)) or WEEK_S
    cells = {cell for low, high in spans for cell in range(low // step_s, high // step_s)}
    if len(cells) <= _MOST_CELLS:
        return (week_s // step_s).in_(sorted(cells))
    return or_(*(and_(week_s >= low, week_s < high) for low, high in spans))
