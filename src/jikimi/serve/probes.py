"""`/healthz` and `/metrics`: for machines, without a token, and so without anything that is secret."""

import logging
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Request, Response

from jikimi.errors import JikimiError
from jikimi.serve.answers import HealthAnswer
from jikimi.serve.backend import Backend, backend_of, is_fresh
from jikimi.serve.metrics import render
from jikimi.status import SiteStatus

log = logging.getLogger(__name__)

router = APIRouter(tags=["probes"])

# Decisions about a camera that is due come several times a second; none for this long is blindness.
BLIND_S = 3.0


@router.get("/healthz", summary="Whether the site is watching", responses={503: {"model": HealthAnswer}})
def healthz(request: Request, response: Response, strict: bool = False) -> HealthAnswer:
    """200 while the site lives and its detector runs; `strict` also wants every camera that is due."""
    found = health(backend_of(request).status())
    well = found.detector == "running" and (found.watching or not strict)
    response.status_code = 200 if well else 503
    return found


@router.get(
    "/metrics",
    summary="For Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(request: Request) -> Response:
    """Counters and latencies. No camera's address is in them."""
    backend = backend_of(request)
    try:
        outbox = backend.store.outbox_counts()
    except JikimiError as error:  # a store that is away must not hide the rest
        log.warning("metrics without the outbox: %s", error)
        outbox = {}
    waits_s = waited(backend)
    try:
        text = render(backend.status(), outbox, backend.deliveries, waits_s)
    except (ValueError, OverflowError):  # figures that are none: the file was not written by a site
        text = render(None, outbox, backend.deliveries, waits_s)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def waited(backend: Backend) -> list[float]:
    """Seconds from opening to acknowledgement of the last day's incidents; none where the store is away."""
    since = datetime.now(UTC) - timedelta(days=1)
    try:
        found = backend.store.incidents(since=since, limit=1000)
    except JikimiError as error:
        log.warning("metrics without acknowledgements: %s", error)
        return []
    return [(i.acknowledged_at - i.opened_at).total_seconds() for i in found if i.acknowledged_at is not None]


def health(status: SiteStatus | None) -> HealthAnswer:
    """What the status says of watching; a stale one says that watching has died."""
    if status is None:
        return HealthAnswer(watching=False, detector="not started", blind=[], status_age_s=None)
    fresh = is_fresh(status)
    return HealthAnswer(
        watching=fresh and status.watching,
        detector=status.detector if fresh else "the site does not run",
        blind=blind(status),
        status_age_s=round(status.age_s(datetime.now(UTC)), 3),
    )


def blind(status: SiteStatus) -> list[str]:
    """Cameras that are due and have not been decided on lately: all that are due where the site has died."""
    fresh = is_fresh(status)
    return [
        camera.name
        for camera in status.cameras
        if camera.state != "disabled"
        and not camera.off_duty
        and (not fresh or camera.decided_age_s is None or camera.decided_age_s > BLIND_S)
    ]
