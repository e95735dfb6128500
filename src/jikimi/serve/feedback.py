"""Feedback: what an export of the operators' answers would hold."""

from collections import Counter

from fastapi import APIRouter, Request
from pydantic import BaseModel

from jikimi.feedback import REASONS, Reason, choose
from jikimi.serve.access import Viewer
from jikimi.serve.answers import Moment
from jikimi.serve.backend import backend_of
from jikimi.serve.wanted import Names, visible

router = APIRouter(tags=["feedback"])


class FeedbackCount(BaseModel):
    """Clips that show a behaviour: of answered incidents, and of reports."""

    behavior: str
    korean: str
    english: str
    clips: int
    incidents: int
    reports: int


class LeftOut(BaseModel):
    """How many answers and reports are left out for a reason."""

    reason: Reason
    count: int


class FeedbackAnswer(BaseModel):
    """What `jikimi feedback export` would hold: every behaviour of the model, every reason, zeros too.

    Files are not looked at: only an export sees that one is `missing` or `changed`.
    """

    clips: int
    behaviors: list[FeedbackCount]
    left_out: list[LeftOut]


@router.get("/feedback", summary="What there is to learn from")
def show_feedback(
    request: Request,
    caller: Viewer,
    camera: Names = None,
    since: Moment | None = None,
    until: Moment | None = None,
) -> FeedbackAnswer:
    """Of incidents and reports of [since, until)."""
    backend = backend_of(request)
    choice = choose(
        backend.store, backend.behaviors(), camera=visible(caller, camera), since=since, until=until
    )
    counts = Counter((clip.behavior, clip.source) for clip in choice.clips)
    return FeedbackAnswer(
        clips=len(choice.clips),
        behaviors=[
            FeedbackCount(
                behavior=one.key,
                korean=one.korean,
                english=one.english,
                clips=counts[one.key, "incident"] + counts[one.key, "report"],
                incidents=counts[one.key, "incident"],
                reports=counts[one.key, "report"],
            )
            for one in backend.behaviors()
        ],
        left_out=[LeftOut(reason=reason, count=choice.left_out.get(reason, 0)) for reason in REASONS],
    )
