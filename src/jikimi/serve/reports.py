"""Reports: what somebody saw and nothing was raised for. Their films are cut by the part that watches."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse

from jikimi.errors import NotFoundError
from jikimi.serve.access import Caller, Operator, Viewer
from jikimi.serve.answers import (
    Moment,
    ReportAnswer,
    ReportDetail,
    ReportPage,
    ReportRequest,
    evidence_answer,
)
from jikimi.serve.backend import Backend, backend_of
from jikimi.serve.cameras import seen_camera
from jikimi.serve.evidence import FILES, Number, answer_file
from jikimi.serve.incidents import After, Uid, mark, place
from jikimi.serve.problems import Refusal
from jikimi.serve.wanted import Names, visible
from jikimi.store import ReportRecord
from jikimi.store.records import ReportKind

router = APIRouter(prefix="/reports", tags=["reports"])

# What one report may be of: an accident, not a shift.
LONGEST = timedelta(minutes=5)

# Replay is kept for a week at most; a report without footage still says that something was missed.
OLDEST = timedelta(days=365)


def seen_report(request: Request, caller: Caller, uid: str) -> ReportRecord:
    """One report, if it stands and the caller may see its camera; 404 otherwise."""
    try:
        report = backend_of(request).store.report(uid)
    except NotFoundError:
        report = None
    if report is None or report.withdrawn_at is not None or not caller.may_see(report.camera):
        raise Refusal(404, "no-report", uid=uid)
    return report


@router.post("", summary="Report what nothing was raised for", status_code=201)
def make_report(request: Request, caller: Operator, asked: ReportRequest) -> ReportAnswer:
    """At most five minutes, of the past. Its film is there some seconds later, or `problem` says why not."""
    backend, now = backend_of(request), datetime.now(UTC)
    seen_camera(request, caller, asked.camera)
    _check(backend, asked, now)
    report = ReportRecord(
        uuid4().hex,
        asked.kind,
        asked.camera,
        asked.start_at,
        asked.end_at,
        caller.name,
        now,
        behavior=asked.behavior,
        note=asked.note,
    )
    backend.store.add_report(report)
    backend.note(caller, "reported", report.uid, kind=report.kind, camera=report.camera)
    return ReportAnswer.model_validate(report)


@router.get("", summary="Reports, newest first")
def list_reports(
    request: Request,
    caller: Viewer,
    camera: Names = None,
    kind: ReportKind | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> ReportPage:
    """Of times that begin in [since, until)."""
    found = backend_of(request).store.reports(
        camera=visible(caller, camera),
        kind=kind,
        since=since,
        until=until,
        before=place(after),
        limit=limit + 1,  # the one more says whether there is a next page
    )
    page = found[:limit]
    return ReportPage(
        reports=[ReportAnswer.model_validate(row) for row in page],
        next=mark(page[-1].start_at, page[-1].uid) if len(found) > limit else None,
    )


@router.get("/{uid}", summary="One report")
def show_report(request: Request, caller: Viewer, uid: Uid) -> ReportDetail:
    """With its files."""
    report = seen_report(request, caller, uid)
    files = backend_of(request).store.report_evidence(uid)
    return ReportDetail(
        report=ReportAnswer.model_validate(report),
        evidence=[evidence_answer("reports", uid, n, row) for n, row in enumerate(files)],
    )


@router.delete("/{uid}", summary="Take a report back", status_code=204)
def delete_report(request: Request, caller: Operator, uid: Uid) -> None:
    """One's own; an admin any. Its film may be deleted by age then. 403: somebody else's."""
    backend, report = backend_of(request), seen_report(request, caller, uid)
    if caller.role != "admin" and report.by != caller.name:
        raise Refusal(403, "others-report", uid=uid, by=report.by)
    if backend.store.withdraw_report(uid, at=datetime.now(UTC)):
        backend.note(caller, "took back report", uid)


@router.get("/{uid}/evidence/{number}", summary="One file", response_class=FileResponse, responses=FILES)
def get_report_evidence(request: Request, caller: Viewer, uid: Uid, number: Number) -> FileResponse:
    """The file itself, with its SHA-256 as its tag. Looking at it is audited."""
    seen_report(request, caller, uid)
    files = backend_of(request).store.report_evidence(uid)
    return answer_file(request, caller, f"report {uid!r}", files, number)


def _check(backend: Backend, asked: ReportRequest, now: datetime) -> None:
    """Raises Refusal 422 where it cannot be meant."""
    if asked.start_at >= asked.end_at:
        raise Refusal(422, "report-span")
    if asked.end_at - asked.start_at > LONGEST:
        raise Refusal(422, "report-long")
    if asked.start_at < now - OLDEST:
        raise Refusal(422, "report-old")
    if asked.end_at > now:
        raise Refusal(422, "report-future")
    accidents = [behavior.key for behavior in backend.behaviors() if not behavior.is_normal]
    if asked.kind == "missed" and asked.behavior not in accidents:
        raise Refusal(422, "report-behavior", known=", ".join(accidents))
    if asked.kind == "normal" and asked.behavior:
        raise Refusal(422, "report-normal")
