"""The site: how it is now, its faults, its coverage, its targets, and who did what."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request

from jikimi.hours import holds
from jikimi.serve.access import Admin, Caller, Operator, Viewer
from jikimi.serve.answers import AuditAnswer, CoverageAnswer, FaultAnswer, ShiftCoverage, TryAnswer
from jikimi.serve.incidents import backend_of, note
from jikimi.settings import Shift
from jikimi.status import SiteStatus
from jikimi.store import CoverageRecord

router = APIRouter(tags=["site"])


@router.get("/status", summary="The site now")
def show_status(request: Request, caller: Viewer) -> SiteStatus:
    """Every camera that the caller may see, and the site's own faults."""
    status = backend_of(request).status()
    if status is None:
        raise HTTPException(503, "the site has not started yet; look again in a moment")
    cameras = [camera for camera in status.cameras if caller.may_see(camera.name)]
    return status.model_copy(update={"cameras": cameras, "pids": {}})


@router.get("/faults", summary="Faults, newest first")
def list_faults(
    request: Request,
    caller: Viewer,
    open: bool | None = None,
    camera: str | None = None,
    since: datetime | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[FaultAnswer]:
    """What keeps cameras, or the site (camera ""), from watching."""
    moment = since.replace(tzinfo=UTC) if since is not None and since.tzinfo is None else since
    wanted = _cameras(caller, camera)
    found = backend_of(request).store.faults(camera=wanted, open=open, since=moment, limit=limit)
    return [FaultAnswer.model_validate(row) for row in found]


@router.get("/coverage", summary="Seconds watched of those due, by hour")
def list_coverage(
    request: Request,
    caller: Viewer,
    hours: Annotated[int, Query(ge=1, le=24 * 90)] = 24,
    camera: str | None = None,
) -> list[CoverageAnswer]:
    """Of the last hours."""
    return [CoverageAnswer.model_validate(row) for row in _coverage(request, caller, hours, camera)]


@router.get("/coverage/shifts", summary="Coverage by shift")
def list_shifts(
    request: Request, caller: Viewer, hours: Annotated[int, Query(ge=1, le=24 * 90)] = 24
) -> list[ShiftCoverage]:
    """Of the last hours, by the shifts of jikimi.toml; an hour belongs to the shift in which it begins."""
    settings = backend_of(request).settings
    rows = _coverage(request, caller, hours, None)
    return by_shift(rows, settings.shifts, local=lambda moment: moment.astimezone(settings.zone()))


@router.post("/targets/{name}/try", summary="Send a test alert")
def try_target(request: Request, caller: Operator, name: str) -> TryAnswer:
    """Arrives at the target marked as a test → seconds it took."""
    backend = backend_of(request)
    found = [target for target in backend.settings.targets if target.name == name]
    if not found:
        raise HTTPException(404, f"target {name!r}: there is none of that name in jikimi.toml")
    note(request, caller, "tried target", name)
    return TryAnswer(seconds=backend.try_target(found[0]))


@router.get("/audit", summary="Who did what, newest first")
def list_audit(
    request: Request,
    caller: Admin,
    before: int | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[AuditAnswer]:
    """`before` continues below an entry's id."""
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
