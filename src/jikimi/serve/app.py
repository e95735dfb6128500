"""The application: routes under /api/v1, `/healthz` and `/metrics`, and one way to say what is wrong."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from jikimi.errors import JikimiError, NotFoundError, SettingsError, StoreBusyError
from jikimi.serve import cameras, incidents, site
from jikimi.serve.answers import HealthAnswer
from jikimi.serve.metrics import FRESH_S, render
from jikimi.settings import CameraSettings, Settings, Target
from jikimi.status import Histogram, SiteStatus, read_status
from jikimi.store import Store

# Decisions about a camera that is due come several times a second; none for this long is blindness.
BLIND_S = 3.0

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}

# FastAPI's page of documentation loads its scripts from elsewhere; it is left out, the document itself is
# not.
_DOCUMENT = "/api/openapi.json"


@dataclass(frozen=True, slots=True)
class Backend:
    """What the routes stand on. `check_camera` refuses settings that the model cannot serve."""

    settings: Settings
    store: Store
    status_file: Path
    check_camera: Callable[[CameraSettings], None]
    try_target: Callable[[Target], float]
    try_camera: Callable[[CameraSettings], Mapping[str, object]]
    deliveries: Mapping[str, Histogram] = field(default_factory=dict)

    def status(self) -> SiteStatus | None:
        """The watching half as it last said; None before it has."""
        return read_status(self.status_file)


def create_app(backend: Backend) -> FastAPI:
    """Build the application."""
    app = FastAPI(
        title="Jikimi",
        version=version("jikimi"),
        openapi_url=_DOCUMENT,
        docs_url=None,
        redoc_url=None,
        description="A site that is watched: incidents, evidence, cameras, faults, coverage.",
    )
    app.state.backend = backend
    app.state.tokens = backend.settings.tokens
    for router in (incidents.router, cameras.router, site.router):
        app.include_router(router, prefix="/api/v1")
    _add_probes(app, backend)
    app.middleware("http")(_with_headers)
    app.exception_handler(JikimiError)(_told)
    return app


def _add_probes(app: FastAPI, backend: Backend) -> None:
    @app.get("/healthz", tags=["probes"], summary="Whether the site is watching", responses={503: {}})
    def healthz(response: Response, strict: bool = False) -> HealthAnswer:
        """200 while the site lives and its detector runs; `strict` also wants every camera that is due."""
        found = health(backend.status())
        well = found.detector == "running" and (found.watching or not strict)
        response.status_code = 200 if well else 503
        return found

    @app.get("/metrics", tags=["probes"], summary="For Prometheus", response_class=Response)
    def metrics() -> Response:
        """Counters and latencies. No camera's address is in them."""
        try:
            outbox = backend.store.outbox_counts()
        except JikimiError:
            outbox = {}  # a store that is away must not hide the rest
        text = render(backend.status(), outbox, backend.deliveries)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def health(status: SiteStatus | None) -> HealthAnswer:
    """What the status says of watching; a stale one says that watching has died."""
    if status is None:
        return HealthAnswer(watching=False, detector="not started", blind=[], status_age_s=None)
    age_s = status.age_s(datetime.now(UTC))
    fresh = age_s < FRESH_S
    blind = [
        camera.name
        for camera in status.cameras
        if camera.state != "disabled"
        and not camera.off_duty
        and (not fresh or camera.decided_age_s is None or camera.decided_age_s > BLIND_S)
    ]
    detector = status.detector if fresh else "the site does not run"
    return HealthAnswer(
        watching=fresh and status.watching, detector=detector, blind=blind, status_age_s=round(age_s, 3)
    )


async def _with_headers(request: Request, call_next: Callable[..., object]) -> Response:
    response: Response = await call_next(request)  # type: ignore[misc]
    for key, value in _HEADERS.items():
        response.headers.setdefault(key, value)
    return response


async def _told(_request: Request, error: Exception) -> JSONResponse:
    """Our own errors are made to be read: they hold no secret."""
    status = 500
    if isinstance(error, NotFoundError):
        status = 404
    elif isinstance(error, StoreBusyError):
        status = 503
    elif isinstance(error, SettingsError):
        status = 422
    elif isinstance(error, JikimiError):
        status = 502
    headers = {"Retry-After": "2"} if status == 503 else None
    return JSONResponse({"detail": str(error)}, status_code=status, headers=headers)
