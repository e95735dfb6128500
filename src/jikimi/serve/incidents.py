"""Incidents: the list, one with everything about it, and what operators do with it."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import StreamingResponse

from jikimi.errors import NotFoundError
from jikimi.serve.access import Caller, Operator, Viewer
from jikimi.serve.answers import (
    AnswerRequest,
    DeliveryAnswer,
    IncidentAnswer,
    IncidentDetail,
    IncidentPage,
    LockRequest,
    TransitionAnswer,
    ViewAnswer,
    Word,
    evidence_answer,
)
from jikimi.serve.backend import backend_of
from jikimi.serve.problems import Refusal
from jikimi.serve.sheets import SHEET, Language, answer_sheet, incident_rows
from jikimi.serve.summary import KnownBehaviors
from jikimi.serve.wanted import local_of, wanted_incidents
from jikimi.store import AuditRecord, IncidentFilter, IncidentRecord, Store

router = APIRouter(tags=["incidents"])

Uid = Annotated[str, Path(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
After = Annotated[Word | None, Query(description="`next` of the page before.")]

# Beyond this a total is "more than": nobody pages that far, and counting on takes longer than the page.
MOST_COUNTED = 10_000

# What the audit trail calls a look at evidence.
VIEWED = "viewed evidence"

# Rows of an export that are asked for at once.
_PAGE = 1000


def seen(request: Request, caller: Caller, uid: str) -> IncidentRecord:
    """One incident, if the caller may see its camera; 404 otherwise: nobody else learns that it exists."""
    try:
        incident = backend_of(request).store.incident(uid)
    except NotFoundError:
        incident = None
    if incident is None or not caller.may_see(incident.camera):
        raise Refusal(404, "no-incident", uid=uid)
    return incident


@router.get("/incidents", summary="Incidents, newest first")
def list_incidents(
    request: Request,
    _caller: Viewer,
    wanted: Annotated[IncidentFilter, Depends(wanted_incidents)],
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    count: Annotated[bool, Query(description="Whether to tell the total.")] = False,
) -> IncidentPage:
    """Filters narrow; `next` leads through what is left, whatever happens meanwhile."""
    store = backend_of(request).store
    # The one more says whether there is a next page.
    found = store.page(wanted, before=place(after), limit=limit + 1)
    page = found[:limit]
    whole = after is None and len(found) <= limit  # then it is counted: a rare thing is looked for once
    total = (len(found) if whole else store.count(wanted, most=MOST_COUNTED + 1)) if count else None
    return IncidentPage(
        incidents=[IncidentAnswer.model_validate(row) for row in page],
        next=mark(page[-1].opened_at, page[-1].uid) if len(found) > limit else None,
        total=None if total is None else min(total, MOST_COUNTED),
        total_is_more=None if total is None else total > MOST_COUNTED,
    )


@router.get(
    "/incidents.csv",
    summary="Incidents for a spreadsheet, newest first",
    response_class=StreamingResponse,
    responses=SHEET,
)
def export_incidents(
    request: Request,
    caller: Viewer,
    wanted: Annotated[IncidentFilter, Depends(wanted_incidents)],
    language: Language = None,
) -> StreamingResponse:
    """All that the filters leave, as CSV. Noted in the audit log."""
    backend = backend_of(request)
    backend.note(caller, "exported incidents", "", **_told(wanted))
    rows = incident_rows(
        _every(backend.store, wanted),
        language=language or backend.settings.site.language,
        names=KnownBehaviors(backend.behaviors()),
        local=local_of(backend.settings),
    )
    return answer_sheet(rows, name="jikimi-incidents")


def _every(store: Store, wanted: IncidentFilter) -> Iterator[IncidentRecord]:
    """Page by page, so that no question to the database is long: watching writes meanwhile."""
    before: tuple[datetime, str] | None = None
    while page := store.page(wanted, before=before, limit=_PAGE):
        yield from page
        before = page[-1].opened_at, page[-1].uid


def _told(wanted: IncidentFilter) -> dict[str, object]:
    """The filters that narrow, for the audit log."""
    named = {each.name: getattr(wanted, each.name) for each in fields(wanted)}
    told = {name: value for name, value in named.items() if value not in (None, "")}
    if wanted.within is not None:
        told["within"] = [hours.model_dump(mode="json") for hours in wanted.within.hours]
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in told.items()}


@router.get("/incidents/{uid}", summary="One incident")
def show_incident(request: Request, caller: Viewer, uid: Uid) -> IncidentDetail:
    """With its changes, what became of telling, and its evidence."""
    incident, store = seen(request, caller, uid), backend_of(request).store
    return IncidentDetail(
        incident=IncidentAnswer.model_validate(incident),
        transitions=[TransitionAnswer.model_validate(row) for row in store.transitions(uid)],
        deliveries=[DeliveryAnswer.model_validate(row) for row in store.deliveries(uid)],
        evidence=[evidence_answer("incidents", uid, n, row) for n, row in enumerate(store.evidence(uid))],
        views=_views(store.audit_of(uid, VIEWED)),
        next_targets=list(backend_of(request).next_targets(incident)),
    )


def _views(looks: Sequence[AuditRecord]) -> list[ViewAnswer]:
    """Everybody who looked, in the order of their first look. `looks` are newest first. Pure."""
    seen: dict[str, ViewAnswer] = {}
    for look in reversed(looks):
        first_at = seen[look.who].first_at if look.who in seen else look.at
        seen[look.who] = ViewAnswer(who=look.who, first_at=first_at, last_at=look.at)
    return list(seen.values())


@router.post("/incidents/{uid}/acknowledge", summary="Say that somebody attends to it")
def acknowledge(request: Request, caller: Operator, uid: Uid) -> IncidentAnswer:
    """Ends escalation. The first one counts."""
    seen(request, caller, uid)
    backend = backend_of(request)
    if backend.store.acknowledge(uid, at=datetime.now(UTC), by=caller.name):
        backend.note(caller, "acknowledged", uid)
    return IncidentAnswer.model_validate(backend.store.incident(uid))


@router.post("/incidents/{uid}/escalate", summary="Tell the next list of targets at once")
def escalate(request: Request, caller: Operator, uid: Uid) -> IncidentAnswer:
    """Also where it is acknowledged: whoever attends may need others. 409: everybody was told."""
    incident, backend = seen(request, caller, uid), backend_of(request)
    targets = backend.next_targets(incident)
    if not targets:
        raise Refusal(409, "nobody-next", uid=uid)
    if not backend.pass_on(incident, caller.name):
        raise Refusal(409, "escalated-meanwhile", uid=uid)
    backend.note(caller, "escalated", uid, targets=list(targets))
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


def mark(at: datetime, uid: str) -> str:
    """Where a page ends. Z and not +00:00: an unencoded + would come back as a space."""
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat()}Z,{uid}"


def place(after: str | None) -> tuple[datetime, str] | None:
    """Where the page before ended, by its mark. Raises Refusal 422."""
    if after is None:
        return None
    when, _, uid = after.partition(",")
    try:
        moment = datetime.fromisoformat(when)
    except ValueError:
        moment = None
    if moment is None or moment.utcoffset() or not uid:
        raise Refusal(422, "no-page")
    return moment.replace(tzinfo=UTC), uid
