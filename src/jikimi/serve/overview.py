"""Overview and monthly report: what happened in a time, counted by the database and folded here."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from jikimi.hours import stretches
from jikimi.serve import summary
from jikimi.serve.access import Viewer
from jikimi.serve.answers import IncidentAnswer, Moment
from jikimi.serve.backend import Backend, backend_of
from jikimi.serve.folding import bin_of, calendar, month_before, month_of
from jikimi.serve.overview_answers import (
    Change,
    FaultCount,
    OverviewAnswer,
    ReportAnswer,
    TypeChange,
)
from jikimi.serve.problems import Refusal
from jikimi.serve.sheets import SHEET, Language, answer_sheet, overview_rows
from jikimi.serve.wanted import Names, Shifts, in_shifts, local_of, visible
from jikimi.store import IncidentFilter

router = APIRouter(tags=["overview"])

# Two years side by side, and some days.
_LONGEST = timedelta(days=800)
_USUAL = timedelta(days=28)

# Of years beyond these no plant's calendar can say anything; they are mistakes.
_YEARS = range(2000, 2101)

# A month with more accidents than this has no use for a list of them.
MOST_CONFIRMED = 1000

_Month = Annotated[str | None, Query(pattern=r"^20\d\d-(0[1-9]|1[0-2])$", description="As 2026-11.")]


@dataclass(frozen=True, slots=True)
class Asked:
    """What an overview is of: incidents and hours in [since, until)."""

    wanted: IncidentFilter
    since: datetime
    until: datetime


def asked(
    request: Request,
    caller: Viewer,
    since: Moment | None = None,
    until: Moment | None = None,
    camera: Names = None,
    behavior: Names = None,
    shift: Shifts = None,
) -> Asked:
    """The last 28 days where nothing else is said."""
    until = until or datetime.now(UTC)
    if until.year not in _YEARS or (since is not None and since.year not in _YEARS):
        raise Refusal(422, "years", first=_YEARS[0], last=_YEARS[-1])
    since = since or until - _USUAL
    if not timedelta(0) < until - since <= _LONGEST:
        raise Refusal(422, "span-days", days=_LONGEST.days)
    within = in_shifts(backend_of(request), shift, since=since, until=until)
    wanted = IncidentFilter(camera=visible(caller, camera), behavior=behavior, within=within)
    return Asked(wanted, since, until)


_Asked = Annotated[Asked, Depends(asked)]


@router.get("/overview", summary="What happened in a time")
def show_overview(request: Request, _caller: Viewer, asked: _Asked) -> OverviewAnswer:
    """Incidents, answers, false alarms, response, deliveries, coverage and faults in [since, until)."""
    return overview(backend_of(request), asked)


@router.get(
    "/overview.csv",
    summary="What happened in a time, as a table",
    response_class=StreamingResponse,
    responses=SHEET,
)
def export_overview(
    request: Request, caller: Viewer, asked: _Asked, language: Language = None
) -> StreamingResponse:
    """One figure a line: section, key, value. Noted in the audit log."""
    backend = backend_of(request)
    found = overview(backend, asked)
    backend.note(
        caller, "exported overview", "", since=asked.since.isoformat(), until=asked.until.isoformat()
    )
    rows = overview_rows(found, language=language or backend.settings.site.language)
    return answer_sheet(rows, name=f"jikimi-overview-{asked.since:%Y%m%d}-{asked.until:%Y%m%d}")


@router.get("/report", summary="A month at the plant")
def show_report(request: Request, caller: Viewer, month: _Month = None, camera: Names = None) -> ReportAnswer:
    """The last whole month where none is said; beside the month before it."""
    backend, now = backend_of(request), datetime.now(UTC)
    zone = backend.settings.zone()
    first = date.fromisoformat(f"{month}-01") if month else month_before(now.astimezone(zone).date())
    wanted = IncidentFilter(camera=visible(caller, camera))
    asked = Asked(wanted, *month_of(first, zone))
    before = overview(backend, Asked(wanted, *month_of(month_before(first), zone)))
    found = overview(backend, asked)
    accidents = replace(wanted, answers=("correct", "other-behavior"), since=asked.since, until=asked.until)
    confirmed = backend.store.page(accidents, limit=MOST_CONFIRMED + 1)
    return ReportAnswer(
        site=backend.settings.site.name,
        month=f"{first:%Y-%m}",
        complete=asked.until <= now,
        made_at=now,
        totals=dict(_totals(found, before)),
        accident_types=list(_types(found, before)),
        overview=found,
        confirmed=[IncidentAnswer.model_validate(row) for row in confirmed[:MOST_CONFIRMED]],
        confirmed_left_out=len(confirmed) > MOST_CONFIRMED,
    )


def overview(backend: Backend, asked: Asked) -> OverviewAnswer:
    """Count and fold."""
    settings, local = backend.settings, local_of(backend.settings)
    clock = stretches(local, since=asked.since, until=asked.until)
    tally = backend.store.tally(
        asked.wanted,
        since=asked.since,
        until=asked.until,
        now=datetime.now(UTC),
        bin_s=bin_of(clock),
        clock=clock,
    )
    names = summary.KnownBehaviors(backend.behaviors())
    folded = calendar(tally.bins, local=local, since=asked.since, until=asked.until)
    coverage = summary.coverage_total(tally)
    return OverviewAnswer(
        since=asked.since,
        until=asked.until,
        time_zone=settings.site.time_zone,
        incidents=sum(tally.raised.values()),
        answers=summary.answer_counts(tally.raised),
        by_behavior=summary.behavior_counts(tally.raised, names),
        by_accident_type=summary.type_counts(tally.raised, names),
        by_camera=summary.camera_counts(tally),
        by_hour=list(folded.by_hour),
        by_weekday=list(folded.by_weekday),
        by_day=summary.day_counts(folded),
        by_week=summary.week_counts(folded),
        false_alarms=summary.false_alarms(tally.raised, seen_s=coverage.seen_s),
        response=summary.response(tally),
        deliveries=summary.target_counts(tally),
        coverage=coverage,
        coverage_by_shift=summary.shift_coverage(tally, settings.shifts),
        faults=[
            FaultCount(
                camera=each.camera, kind=each.kind, count=each.count, open=each.lasting, seconds=each.seconds
            )
            for each in tally.faults
        ],
    )


def _totals(now: OverviewAnswer, before: OverviewAnswer) -> Iterator[tuple[str, Change]]:
    """The figures that a month is judged by."""
    for key in ("incidents", "confirmed", *type(now.answers).model_fields):
        yield key, _change(_count(now, key), _count(before, key))
    yield "false_alarm_share", _change(now.false_alarms.share, before.false_alarms.share)
    rates = now.false_alarms.per_camera_hour, before.false_alarms.per_camera_hour
    yield "false_alarms_per_camera_hour", _change(*rates)
    yield "coverage", _change(now.coverage.share, before.coverage.share)
    acknowledged = now.response.acknowledged.median_s, before.response.acknowledged.median_s
    yield "acknowledged_median_s", _change(*acknowledged)
    yield "fault_seconds", _change(*(sum(each.seconds for each in of.faults) for of in (now, before)))


def _count(of: OverviewAnswer, key: str) -> int:
    if key == "incidents":
        return of.incidents
    if key == "confirmed":
        return sum(each.confirmed for each in of.by_accident_type)
    return int(getattr(of.answers, key))


def _types(now: OverviewAnswer, before: OverviewAnswer) -> Iterator[TypeChange]:
    found = [{each.korean: each for each in of.by_accident_type} for of in (now, before)]
    for korean, each in (found[1] | found[0]).items():
        raised, confirmed = (
            _change(*(getattr(of[korean], what) if korean in of else 0 for of in found))
            for what in ("raised", "confirmed")
        )
        yield TypeChange(korean=korean, english=each.english, raised=raised, confirmed=confirmed)


def _change(now: float | None, before: float | None) -> Change:
    both = now is not None and before is not None
    return Change(now=now, before=before, change=now - before if both else None)  # type: ignore[operator]
