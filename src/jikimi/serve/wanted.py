"""Which incidents a caller asks for, from the query to the store's filter."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from fastapi import Query, Request

from jikimi.hours import Local, Weekly, stretches
from jikimi.serve.access import Caller, Viewer
from jikimi.serve.answers import Moment, Word
from jikimi.serve.backend import Backend, backend_of
from jikimi.serve.problems import Refusal
from jikimi.settings import Settings
from jikimi.store import IncidentFilter
from jikimi.store.records import Answer

Names = Annotated[list[Word] | None, Query(max_length=100)]
Answers = Annotated[list[Answer | Literal["unanswered"]] | None, Query(max_length=10)]
Shifts = Annotated[list[Word] | None, Query(max_length=100, description="By name, of jikimi.toml.")]
Peak = Annotated[float | None, Query(ge=0, le=1, allow_inf_nan=False)]
Note = Annotated[Word, Query(description="Part of an answer's note.")]

# No Jikimi watched before; further ahead nobody knows when clocks will be changed.
_FIRST = datetime(2020, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(days=400)


def wanted_incidents(
    request: Request,
    caller: Viewer,
    camera: Names = None,
    behavior: Names = None,
    answer: Answers = None,
    answered: bool | None = None,
    acknowledged: bool | None = None,
    open: bool | None = None,
    locked: bool | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
    shift: Shifts = None,
    min_peak: Peak = None,
    note: Note = "",
) -> IncidentFilter:
    """Every filter narrows; of one that is given more than once, any will do."""
    return IncidentFilter(
        camera=visible(caller, camera),
        behavior=behavior,
        answers=None if not answer else tuple(None if one == "unanswered" else one for one in answer),
        answered=answered,
        acknowledged=acknowledged,
        open=open,
        locked=locked,
        since=since,
        until=until,
        within=in_shifts(backend_of(request), shift, since=since, until=until),
        min_peak=min_peak,
        note=note,
    )


def visible(caller: Caller, wanted: list[str] | None) -> list[str] | None:
    """The cameras to look for: those asked for that are the caller's; None: every one."""
    if caller.cameras is None:
        return wanted
    return [name for name in (wanted or caller.cameras) if name in caller.cameras]


def in_shifts(
    backend: Backend, names: Sequence[str] | None, *, since: datetime | None, until: datetime | None
) -> Weekly | None:
    """The hours of these shifts; None: at any hour. Raises Refusal 422 for a name there is none of."""
    if not names:
        return None
    shifts = {shift.name: shift for shift in backend.settings.shifts}
    if unknown := [name for name in names if name not in shifts]:
        raise Refusal(422, "no-shift", name=unknown[0])
    last = datetime.now(UTC) + _AHEAD
    start = min(max(since or _FIRST, _FIRST), last)
    clock = stretches(local_of(backend.settings), since=start, until=max(start, min(until or last, last)))
    return Weekly(tuple(shifts[name].hours for name in names), clock)


def local_of(settings: Settings) -> Local:
    """The plant's clock."""
    zone = settings.zone()
    return lambda moment: moment.astimezone(zone)
