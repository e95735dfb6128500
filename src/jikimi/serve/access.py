"""What callers may: a gate before everything below /api/v1, and roles, route by route.

Pages and websockets find who looks with `find_session(store, cookies.get(COOKIE, ""))`, and a websocket's
upgrade or a form is ours only where `is_same_origin(headers)`.
"""

import hmac
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from jikimi.errors import StoreError
from jikimi.serve.callers import Caller, Session, find_caller, find_session, find_token
from jikimi.serve.problems import Refusal, problem
from jikimi.serve.shown import veiled
from jikimi.settings import Token
from jikimi.store import Store

__all__ = [
    "COOKIE",
    "GUARDED",
    "Admin",
    "Caller",
    "Gate",
    "Operator",
    "Session",
    "SiteAdmin",
    "Viewer",
    "find_caller",
    "find_session",
    "is_same_origin",
    "session_of",
]

log = logging.getLogger(__name__)

# All below here needs a token or a session, whatever its routes say.
GUARDED = "/api/v1"

COOKIE = "jikimi-session"
CSRF_HEADER = "X-CSRF-Token"

# How a websocket is closed: without a known caller, opened by another site's page, while the store is away.
UNKNOWN, FOREIGN, AWAY = 4401, 4403, 1013

# What pages ask for over and over, as long as they are open.
_BY_ITSELF = "/picture"

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

_RANK: dict[str, int] = {"viewer": 0, "operator": 1, "admin": 2}

_ASK_HEADERS = {"WWW-Authenticate": "Bearer"}

_bearer = HTTPBearer(scheme_name="token", auto_error=False, description="A token of the API.")
_cookie = APIKeyCookie(
    name=COOKIE,
    scheme_name="session",
    auto_error=False,
    description=f"A browser's session; what is not GET also sends {CSRF_HEADER}.",
)


class Gate:
    """Asks who it is before anything of a request is read: a route that forgot to is not open."""

    def __init__(self, app: ASGIApp, tokens: Sequence[Token], store: Store) -> None:
        self._app, self._tokens, self._store = app, tokens, store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through with its caller, or answer 401, 403, 503."""
        if scope["type"] not in ("http", "websocket") or not scope["path"].startswith(GUARDED):
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            code = await self._close_code(scope)
            await (self._app if code is None else WebSocketClose(code))(scope, receive, send)
            return
        try:
            refusal = await self._refusal(scope)
        except StoreError as error:
            refusal = problem(503, "store", {"Retry-After": "2"}, detail=str(error))
        await (refusal or self._app)(scope, receive, send)

    async def _refusal(self, scope: Scope) -> Response | None:
        """The answer to whom it does not know; None: whoever it is stands in the scope. Raises StoreError."""
        headers = Headers(scope=scope)
        caller, session = await self._who(headers, is_use=not scope["path"].endswith(_BY_ITSELF))
        if caller is None:
            return problem(401, "unknown-caller", _ASK_HEADERS)
        if session is not None and scope["method"] not in _SAFE:
            if not is_same_origin(headers):
                return problem(403, "foreign-page")
            if not hmac.compare_digest(headers.get(CSRF_HEADER, "").encode(), session.csrf.encode()):
                return problem(403, "no-csrf")
        scope.setdefault("state", {}).update(caller=caller, session=session)
        return None

    async def _close_code(self, scope: Scope) -> int | None:
        """Why a websocket is closed at once; None: whoever opens it stands in the scope.

        It may live for days: who serves it asks `who` of the scope's state whether its caller still is one.
        """
        headers = Headers(scope=scope)

        async def who() -> Caller | None:
            return (await self._who(headers, is_use=False))[0]

        if not is_same_origin(headers):  # any page may open one to anywhere, and our cookies come with it
            return FOREIGN
        try:
            caller, session = await self._who(headers, is_use=False)
        except StoreError as error:
            log.warning("nobody can be let in: %s", veiled(str(error)))
            return AWAY
        if caller is None:
            return UNKNOWN
        scope.setdefault("state", {}).update(caller=caller, session=session, who=who)
        return None

    async def _who(self, headers: Headers, *, is_use: bool) -> tuple[Caller | None, Session | None]:
        """Whose token or session a request comes with; `is_use` as of `find_session`. Raises StoreError."""
        kind, _, secret = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            caller = find_caller(self._tokens, secret.strip())
            return caller or await run_in_threadpool(find_token, self._store, secret.strip()), None
        secret = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        look = partial(find_session, self._store, secret, is_use=is_use)
        session = await run_in_threadpool(look) if secret else None
        return (session.caller if session is not None else None), session


def is_same_origin(headers: Mapping[str, str]) -> bool:
    """Whether a browser sent this from a page of ours, or no browser did. `headers` ignore case. Pure.

    Sec-Fetch-Site decides where it is: pages cannot forge it. Browsers leave it out without TLS; then Origin
    must name the host that was asked. The scheme is not compared: a proxy with TLS speaks HTTP to us.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site in ("same-origin", "none")
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc.lower() == headers.get("host", "").lower() != ""
    except ValueError:
        return False


def session_of(request: Request) -> Session | None:
    """The session by which the gate knew the caller; None: it was a token."""
    session: Session | None = getattr(request.state, "session", None)
    return session


def _caller(
    request: Request,
    roles: SecurityScopes,
    _token: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],  # for the OpenAPI document
    _session: Annotated[str | None, Depends(_cookie)],
) -> Caller:
    """Whom the gate let through, if their role is enough."""
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is None:
        raise Refusal(401, "unknown-caller", _ASK_HEADERS)
    needed = max(roles.scopes, key=_RANK.__getitem__)
    if _RANK[caller.role] < _RANK[needed]:
        raise Refusal(403, "role", name=caller.name, role=caller.role, needed=needed)
    return caller


Viewer = Annotated[Caller, Security(_caller, scopes=["viewer"])]
Operator = Annotated[Caller, Security(_caller, scopes=["operator"])]
Admin = Annotated[Caller, Security(_caller, scopes=["admin"])]


def _of_the_site(caller: Admin) -> Caller:
    if caller.cameras is not None:
        raise Refusal(403, "some-cameras", name=caller.name)
    return caller


SiteAdmin = Annotated[Caller, Depends(_of_the_site)]
"""An admin of every camera: whoever could make users of all cameras has them all."""
