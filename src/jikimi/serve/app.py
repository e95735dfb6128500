"""The application: routes under /api, `/healthz` and `/metrics`, behind a gate, a limit and an edge."""

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from jikimi.serve import (
    cameras,
    demo,
    evidence,
    feedback,
    heat,
    incidents,
    live_routes,
    logins,
    me,
    models,
    overview,
    probes,
    reports,
    site,
    site_settings,
    targets,
    tokens,
    users,
)  # fmt: skip
from jikimi.serve.access import GUARDED, Gate
from jikimi.serve.backend import Backend
from jikimi.serve.desk import Desk
from jikimi.serve.edge import Edge, Problem, tell_problems
from jikimi.serve.evidence import Views
from jikimi.serve.heat import Heats
from jikimi.serve.limits import BodyLimit, Tries
from jikimi.serve.live import Live
from jikimi.serve.uploads import Uploads

# FastAPI's page of documentation loads its scripts from elsewhere; it is left out, the document is not.
_DOCUMENT = "/api/openapi.json"

# Whatever of the API asks who it is, in the order of its document.
PARTS = (
    *(incidents, evidence, heat, reports, feedback, cameras, demo, overview, live_routes),
    *(site, site_settings, targets, me, users, tokens, models),
)

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "What was sent cannot be read"},
    401: {"model": Problem, "description": "No token or session, or none that is known"},
    403: {
        "model": Problem,
        "description": "The role is too little, or a session's request lacks its CSRF token",
    },
    404: {"model": Problem, "description": "There is none, or none for this caller"},
    408: {"model": Problem, "description": "What was sent did not come in time"},
    409: {
        "model": Problem,
        "description": "What there is stands against it: it is set in jikimi.toml, or the last admin",
    },
    413: {"model": Problem, "description": "Too large"},
    422: {"model": Problem, "description": "What was sent cannot be used"},
    429: {"model": Problem, "description": "Too often; Retry-After says when"},
    502: {"model": Problem, "description": "A camera or target that was tried failed"},
    503: {"model": Problem, "description": "The store or the site is away; Retry-After says when"},
}


def create_app(backend: Backend) -> FastAPI:
    """Build the application. A request goes through edge, limit and gate, in this order."""
    app = FastAPI(
        title="Jikimi",
        version=version("jikimi"),
        openapi_url=_DOCUMENT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        description="A site that is watched: incidents, evidence, cameras, faults, coverage.",
    )
    app.state.backend = backend
    app.state.tries = Tries()
    app.state.views = Views()
    app.state.live_views = Views()
    app.state.heats = Heats()
    app.state.desk = Desk(backend.store, backend.passwords)
    app.state.live = Live(backend)
    app.state.uploads = Uploads(
        backend.settings.models_folder, lambda: int(backend.settings.evidence.min_free_gb * 1e9)
    )
    for part in PARTS:
        app.include_router(part.router, prefix=GUARDED, responses=_PROBLEMS)
    app.include_router(live_routes.sockets, prefix=GUARDED)
    app.include_router(logins.router, responses=_PROBLEMS)
    app.include_router(probes.router, responses={422: _PROBLEMS[422]})
    tell_problems(app)
    app.add_middleware(Gate, tokens=backend.settings.tokens, store=backend.store)
    app.add_middleware(BodyLimit)
    app.add_middleware(Edge)
    return app
