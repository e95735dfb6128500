"""The site: how it is now, its faults, its coverage, and who did what."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request

from jikimi.hours import holds
from jikimi.serve.access import Caller, SiteAdmin, Viewer
from jikimi.serve.answers import (
    AuditAnswer,
    CoverageAnswer,
    FaultAnswer,
    Moment,
    ShiftCoverage,
    StatusAnswer,
    Word,
    status_answer,
)
from jikimi.serve.backend import backend_of, is_fresh
from jikimi.serve.probes import blind
from jikimi.serve.problems import Refusal
from jikimi.settings import Shift
from jikimi.status import SiteStatus
from jikimi.store import CoverageRecord

router = APIRouter(tags=["site"])

# What both kinds of database number rows with at most.
_LARGEST_ID = 2**63 - 1


@router.get("/status", summary="The site now")
def show_status(request: Request, caller: Viewer) -> StatusAnswer:
    """Every camera that the caller may see, and the site itself for callers who may see all of them."""
    status = backend_of(request).status()
    if status is None:
        raise Refusal(503, "not-started", {"Retry-After": "2"})
    return status_for(status, caller)


def status_for(status: SiteStatus, caller: Caller) -> StatusAnswer:
    """What of the status is a caller's to see."""
    cameras = [camera for camera in status.cameras if caller.may_see(camera.name)]
    fresh, whole = is_fresh(status), caller.cameras is None
    seen = status.model_copy(update={"cameras": cameras})
    watching = status.watching if whole else status.detector == "running" and not blind(seen)
    age_s = status.age_s(datetime.now(UTC))
    return status_answer(status, cameras=cameras, age_s=age_s, watching=fresh and watching, whole=whole)


@router.get("/faults", summary="Faults, newest first")
def list_faults(
    request: Request,
    caller: Viewer,
    open: bool | None = None,
    camera: Word | None = None,
    since: Moment | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[FaultAnswer]:
    """What keeps cameras, or the site (camera "", for callers who may see all), from watching."""
    wanted = _cameras(caller, camera)
    found = backend_of(request).store.faults(camera=wanted, open=open, since=since, limit=limit)
    return [FaultAnswer.model_validate(row) for row in found]


@router.get("/coverage", summary="Seconds watched of those due, by hour")
def list_coverage(
    request: Request,
    caller: Viewer,
    hours: Annotated[int, Query(ge=1, le=24 * 90)] = 24,
    camera: Word | None = None,
) -> list[CoverageAnswer]:
    """Of the last hours."""
    return [CoverageAnswer.model_validate(row) for row in _coverage(request, caller, hours, camera)]


@router.get("/coverage/shifts", summary="Coverage by shift")
def list_shifts(
    request: Request, caller: Viewer, hours: Annotated[int, Query(ge=1, le=24 * 90)] = 24
) -> list[ShiftCoverage]:
    """Of the last hours, by the site's shifts; an hour belongs to the shift in which it begins."""
    settings = backend_of(request).settings
    rows = _coverage(request, caller, hours, None)
    return by_shift(rows, settings.shifts, local=lambda moment: moment.astimezone(settings.zone()))


@router.get("/audit", summary="Who did what, newest first")
def list_audit(
    request: Request,
    _caller: SiteAdmin,
    before: Annotated[int | None, Query(ge=0, le=_LARGEST_ID)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[AuditAnswer]:
    """`before` continues below an entry's id. For admins of every camera: it tells of all of them."""
    found = backend_of(request).store.audit_trail(limit=limit, before=before)
    return [AuditAnswer.model_validate(row) for row in found]


def _cameras(caller: Caller, camera: str | None) -> str | Sequence[str] | None:
    if caller.cameras is None:
        return camera
    return [name for name in ([camera] if camera is not None else caller.cameras) if name in caller.cameras]


def _coverage(request: Request, caller: Caller, hours: int, camera: str | None) -> list[CoverageRecord]:
    until = datetime.now(UTC) + timedelta(hours=1)
    since = until - timedelta(hours=hours + 1)
    return backend_of(request).store.coverage(since=since, until=until, camera=_cameras(caller, camera))


def by_shift(
    rows: Sequence[CoverageRecord], shifts: Sequence[Shift], *, local: Callable[[datetime], datetime]
) -> list[ShiftCoverage]:
    """Hours of coverage, put together by camera and shift. Pure."""
    sums: dict[tuple[str, str], tuple[float, float]] = {}
    for row in rows:
        for shift in shifts:
            if holds(shift.hours, local(row.hour)):
                seen_s, due_s = sums.get((row.camera, shift.name), (0.0, 0.0))
                sums[row.camera, shift.name] = (seen_s + row.seen_s, due_s + row.due_s)
    return [
        ShiftCoverage(
            camera=camera, shift=shift, seen_s=seen_s, due_s=due_s, share=seen_s / due_s if due_s else None
        )
        for (camera, shift), (seen_s, due_s) in sorted(sums.items())
    ]
