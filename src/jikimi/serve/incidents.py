"""Incidents: the list, one with everything about it, and what operators do with it."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query, Request

from jikimi.serve.access import Caller, Operator, Viewer
from jikimi.serve.answers import (
    AnswerRequest,
    DeliveryAnswer,
    EvidenceAnswer,
    IncidentAnswer,
    IncidentDetail,
    IncidentPage,
    LockRequest,
    Moment,
    TransitionAnswer,
    Word,
)
from jikimi.serve.backend import backend_of
from jikimi.store import EvidenceRecord, IncidentRecord
from jikimi.store.records import Answer

router = APIRouter(tags=["incidents"])

Uid = Annotated[str, Path(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
_After = Annotated[Word | None, Query(description="`next` of the page before.")]
_Names = Annotated[list[Word] | None, Query(max_length=100)]


def seen(request: Request, caller: Caller, uid: str) -> IncidentRecord:
    """One incident, if the caller may see its camera; 404 otherwise: nobody else learns that it exists."""
    incident = backend_of(request).store.incident(uid)
    if not caller.may_see(incident.camera):
        raise HTTPException(404, f"incident {uid!r}: there is none of that uid; see the list of incidents")
    return incident


@router.get("/incidents", summary="Incidents, newest first")
def list_incidents(
    request: Request,
    caller: Viewer,
    camera: _Names = None,
    behavior: _Names = None,
    answer: Answer | None = None,
    answered: bool | None = None,
    open: bool | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
    after: _After = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> IncidentPage:
    """Filters narrow; `next` leads through what is left, whatever happens meanwhile."""
    found = backend_of(request).store.incidents(
        camera=_visible(caller, camera),
        behavior=behavior,
        answer=answer,
        answered=answered,
        open=open,
        since=since,
        until=until,
        before=_place(after),
        limit=limit + 1,  # the one more says whether there is a next page
    )
    page = found[:limit]
    following = _mark(page[-1]) if len(found) > limit else None
    return IncidentPage(incidents=[IncidentAnswer.model_validate(row) for row in page], next=following)


@router.get("/incidents/{uid}", summary="One incident")
def show_incident(request: Request, caller: Viewer, uid: Uid) -> IncidentDetail:
    """With its changes, what became of telling, and its evidence."""
    incident, store = seen(request, caller, uid), backend_of(request).store
    return IncidentDetail(
        incident=IncidentAnswer.model_validate(incident),
        transitions=[TransitionAnswer.model_validate(row) for row in store.transitions(uid)],
        deliveries=[DeliveryAnswer.model_validate(row) for row in store.deliveries(uid)],
        evidence=[_evidence(uid, n, row) for n, row in enumerate(store.evidence(uid))],
    )


@router.post("/incidents/{uid}/acknowledge", summary="Say that somebody attends to it")
def acknowledge(request: Request, caller: Operator, uid: Uid) -> IncidentAnswer:
    """Ends escalation. The first one counts."""
    seen(request, caller, uid)
    backend = backend_of(request)
    if backend.store.acknowledge(uid, at=datetime.now(UTC), by=caller.name):
        backend.note(caller, "acknowledged", uid)
    return IncidentAnswer.model_validate(backend.store.incident(uid))


@router.put("/incidents/{uid}/answer", summary="Say what it was")
def answer_incident(request: Request, caller: Operator, uid: Uid, answer: AnswerRequest) -> IncidentAnswer:
    """What Jikimi learns from; a later answer replaces an earlier one, and both stay in the changes."""
    seen(request, caller, uid)
    backend = backend_of(request)
    backend.store.answer(
        uid,
        answer=answer.answer,
        at=datetime.now(UTC),
        by=caller.name,
        behavior=answer.behavior,
        note=answer.note,
    )
    backend.note(caller, "answered", uid, answer=answer.answer)
    return IncidentAnswer.model_validate(backend.store.incident(uid))


@router.put("/incidents/{uid}/lock", summary="Keep its evidence for ever")
def lock_incident(request: Request, caller: Operator, uid: Uid, lock: LockRequest) -> IncidentAnswer:
    """Or let it age again."""
    seen(request, caller, uid)
    backend = backend_of(request)
    backend.store.lock(uid, locked=lock.locked, at=datetime.now(UTC), by=caller.name)
    backend.note(caller, "locked" if lock.locked else "unlocked", uid)
    return IncidentAnswer.model_validate(backend.store.incident(uid))


def _visible(caller: Caller, wanted: list[str] | None) -> list[str] | None:
    """The cameras to look for: those asked for that are the caller's; None: every one."""
    if caller.cameras is None:
        return wanted
    return [name for name in (wanted or caller.cameras) if name in caller.cameras]


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


def _mark(last: IncidentRecord) -> str:
    """Where a page ends. Z and not +00:00: an unencoded + would come back as a space."""
    return f"{last.opened_at.astimezone(UTC).replace(tzinfo=None).isoformat()}Z,{last.uid}"


def _place(after: str | None) -> tuple[datetime, str] | None:
    if after is None:
        return None
    when, _, uid = after.partition(",")
    try:
        moment = datetime.fromisoformat(when)
    except ValueError:
        moment = None
    if moment is None or moment.utcoffset() or not uid:
        raise HTTPException(422, "after: give what `next` of the page before said")
    return moment.replace(tzinfo=UTC), uid
