"""Incidents: the list, one with everything about it, its files, and what operators do with it."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import FileResponse

from jikimi.serve.access import Caller, Operator, Viewer
from jikimi.serve.answers import (
    AnswerRequest,
    DeliveryAnswer,
    EvidenceAnswer,
    IncidentAnswer,
    IncidentDetail,
    IncidentPage,
    LockRequest,
    TransitionAnswer,
)
from jikimi.store import AuditRecord, EvidenceRecord, IncidentRecord
from jikimi.store.records import Answer

if TYPE_CHECKING:
    from jikimi.serve.app import Backend

router = APIRouter(tags=["incidents"])

_MEDIA = {".mp4": "video/mp4", ".jpg": "image/jpeg"}


def backend_of(request: Request) -> "Backend":
    """What the routes stand on."""
    backend: Backend = request.app.state.backend
    return backend


def seen(request: Request, caller: Caller, uid: str) -> IncidentRecord:
    """One incident, if the caller may see its camera; 404 otherwise: that it exists is nobody else's business."""
    incident = backend_of(request).store.incident(uid)
    if not caller.may_see(incident.camera):
        raise HTTPException(404, f"incident {uid!r}: there is none of that uid; see the list of incidents")
    return incident


def note(request: Request, caller: Caller, what: str, about: str, **details: object) -> None:
    """Write into the audit log who did what."""
    record = AuditRecord(datetime.now(UTC), caller.name, what, about, details)
    backend_of(request).store.audit(record)


@router.get("/incidents", summary="Incidents, newest first")
def list_incidents(
    request: Request,
    caller: Viewer,
    camera: Annotated[list[str] | None, Query()] = None,
    behavior: Annotated[list[str] | None, Query()] = None,
    answer: Answer | None = None,
    answered: bool | None = None,
    open: bool | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    after: Annotated[str | None, Query(max_length=200, description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> IncidentPage:
    """Filters narrow; `next` leads through what is left, whatever happens meanwhile."""
    cameras = camera
    if caller.cameras is not None:
        cameras = [name for name in (camera or caller.cameras) if name in caller.cameras]
        if not cameras:
            return IncidentPage(incidents=[], next=None)
    found = backend_of(request).store.incidents(
        camera=cameras,
        behavior=behavior,
        answer=answer,
        answered=answered,
        open=open,
        since=_aware(since),
        until=_aware(until),
        before=_place(after),
        limit=limit,
    )
    following = f"{found[-1].opened_at.isoformat()},{found[-1].uid}" if len(found) == limit else None
    return IncidentPage(incidents=[IncidentAnswer.model_validate(row) for row in found], next=following)


@router.get("/incidents/{uid}", summary="One incident")
def show_incident(request: Request, caller: Viewer, uid: str) -> IncidentDetail:
    """With its changes, what became of telling, and its evidence."""
    incident, store = seen(request, caller, uid), backend_of(request).store
    return IncidentDetail(
        incident=IncidentAnswer.model_validate(incident),
        transitions=[TransitionAnswer.model_validate(row) for row in store.transitions(uid)],
        deliveries=[DeliveryAnswer.model_validate(row) for row in store.deliveries(uid)],
        evidence=[_evidence(uid, n, row) for n, row in enumerate(store.evidence(uid))],
    )


@router.get("/incidents/{uid}/evidence/{number}", summary="One file", response_class=FileResponse)
def get_evidence(request: Request, caller: Viewer, uid: str, number: int) -> FileResponse:
    """The file itself, in parts where asked for, with its SHA-256 as its tag. Looking at it is audited."""
    seen(request, caller, uid)
    backend = backend_of(request)
    files = backend.store.evidence(uid)
    if not 0 <= number < len(files) or files[number].deleted_at is not None:
        raise HTTPException(404, f"incident {uid!r} has no file {number}; it may have been deleted by age")
    record = files[number]
    path = backend.settings.evidence_folder / record.path
    if not path.is_file():
        raise HTTPException(404, f"{record.path}: missing on disk; jikimi evidence verify says more")
    if "range" not in request.headers:
        note(request, caller, "viewed evidence", uid, file=str(record.path))
    headers = {"ETag": f'"{record.sha256}"'}
    return FileResponse(
        path, media_type=_MEDIA.get(path.suffix), filename=path.name, headers=headers,
        content_disposition_type="inline",
    )  # fmt: skip


@router.post("/incidents/{uid}/acknowledge", summary="Say that somebody attends to it")
def acknowledge(request: Request, caller: Operator, uid: str) -> IncidentAnswer:
    """Ends escalation. The first one counts."""
    seen(request, caller, uid)
    store = backend_of(request).store
    if store.acknowledge(uid, at=datetime.now(UTC), by=caller.name):
        note(request, caller, "acknowledged", uid)
    return IncidentAnswer.model_validate(store.incident(uid))


@router.put("/incidents/{uid}/answer", summary="Say what it was")
def answer_incident(request: Request, caller: Operator, uid: str, answer: AnswerRequest) -> IncidentAnswer:
    """What Jikimi learns from; a later answer replaces an earlier one, and both stay in the changes."""
    seen(request, caller, uid)
    store = backend_of(request).store
    store.answer(
        uid,
        answer=answer.answer,
        at=datetime.now(UTC),
        by=caller.name,
        behavior=answer.behavior,
        note=answer.note,
    )
    note(request, caller, "answered", uid, answer=answer.answer)
    return IncidentAnswer.model_validate(store.incident(uid))


@router.put("/incidents/{uid}/lock", summary="Keep its evidence for ever")
def lock_incident(request: Request, caller: Operator, uid: str, lock: LockRequest) -> IncidentAnswer:
    """Or let it age again."""
    seen(request, caller, uid)
    store = backend_of(request).store
    store.lock(uid, locked=lock.locked, at=datetime.now(UTC), by=caller.name)
    note(request, caller, "locked" if lock.locked else "unlocked", uid)
    return IncidentAnswer.model_validate(store.incident(uid))


def _evidence(uid: str, number: int, record: EvidenceRecord) -> EvidenceAnswer:
    url = None if record.deleted_at is not None else f"/api/v1/incidents/{uid}/evidence/{number}"
    return EvidenceAnswer(
        number=number,
        kind=record.kind,
        sha256=record.sha256,
        size_bytes=record.size_bytes,
        created_at=record.created_at,
        start_s=record.start_s,
        end_s=record.end_s,
        complete=record.complete,
        problem=record.problem,
        url=url,
    )


def _aware(moment: datetime | None) -> datetime | None:
    """A moment without a zone is UTC."""
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _place(after: str | None) -> tuple[datetime, str] | None:
    if after is None:
        return None
    when, _, uid = after.partition(",")
    try:
        moment = _aware(datetime.fromisoformat(when))
    except (ValueError, OverflowError):
        moment = None
    if moment is None or not uid:
        raise HTTPException(422, "after: give what `next` of the page before said")
    return moment, uid
