"""The application: routes under /api/v1, `/healthz` and `/metrics`, behind a gate, a limit and an edge."""

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from jikimi.serve import cameras, evidence, incidents, probes, site
from jikimi.serve.access import GUARDED, Gate
from jikimi.serve.backend import Backend
from jikimi.serve.edge import Edge, Problem, tell_problems
from jikimi.serve.evidence import Views
from jikimi.serve.limits import BodyLimit, Tries

# FastAPI's page of documentation loads its scripts from elsewhere; it is left out, the document is not.
_DOCUMENT = "/api/openapi.json"

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "What was sent cannot be read"},
    401: {"model": Problem, "description": "No token, or none that is known"},
    403: {"model": Problem, "description": "The token's role is too little"},
    404: {"model": Problem, "description": "There is none, or none for this caller"},
    409: {"model": Problem, "description": "It is set in jikimi.toml and changed there"},
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
    for router in (incidents.router, evidence.router, cameras.router, site.router):
        app.include_router(router, prefix=GUARDED, responses=_PROBLEMS)
    app.include_router(probes.router, responses={422: _PROBLEMS[422]})
    tell_problems(app)
    app.add_middleware(Gate, tokens=backend.settings.tokens)
    app.add_middleware(BodyLimit)
    app.add_middleware(Edge)
    return app
