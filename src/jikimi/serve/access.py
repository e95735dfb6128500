"""Who asks, and what they may: bearer tokens of `jikimi.toml`, roles, and cameras one by one."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from jikimi.settings import Role, Token

# All below here needs a token, whatever its routes say.
GUARDED = "/api/v1"

_RANK: dict[str, int] = {"viewer": 0, "operator": 1, "admin": 2}

_ASK = "a token is needed: Authorization: Bearer TOKEN; jikimi token makes one"
_ASK_HEADERS = {"WWW-Authenticate": "Bearer"}

_bearer = HTTPBearer(
    scheme_name="token", auto_error=False, description="A token of jikimi.toml's [[token]] tables."
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `cameras` None: all of them."""

    name: str
    role: Role
    cameras: tuple[str, ...] | None = None

    def may_see(self, camera: str) -> bool:
        """Whether a camera is theirs to see; what concerns the whole site has no camera."""
        return self.cameras is None or camera in self.cameras


def find_caller(tokens: Sequence[Token], secret: str) -> Caller | None:
    """The token's owner; every token is compared, in constant time."""
    digest = hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
    found = [token for token in tokens if hmac.compare_digest(token.sha256, digest)]
    return Caller(found[0].name, found[0].role, found[0].cameras) if found else None


class Gate:
    """Asks for a token before anything of a request is read: a route that forgot to is not open."""

    def __init__(self, app: ASGIApp, tokens: Sequence[Token]) -> None:
        self._app, self._tokens = app, tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through with its caller, or answer 401."""
        if scope["type"] != "http" or not scope["path"].startswith(GUARDED):
            await self._app(scope, receive, send)
            return
        kind, _, secret = Headers(scope=scope).get("authorization", "").partition(" ")
        caller = find_caller(self._tokens, secret.strip()) if kind.lower() == "bearer" else None
        if caller is None:
            answer = JSONResponse({"detail": _ASK}, status_code=401, headers=_ASK_HEADERS)
            await answer(scope, receive, send)
            return
        scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)


def _caller(
    request: Request,
    roles: SecurityScopes,
    _shown: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],  # for the OpenAPI document
) -> Caller:
    """Whom the gate let through, if their role is enough."""
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is None:
        raise HTTPException(401, _ASK, headers=_ASK_HEADERS)
    needed = max(roles.scopes, key=_RANK.__getitem__)
    if _RANK[caller.role] < _RANK[needed]:
        raise HTTPException(403, f"{caller.name} is {caller.role}; this needs {needed}")
    return caller


Viewer = Annotated[Caller, Security(_caller, scopes=["viewer"])]
Operator = Annotated[Caller, Security(_caller, scopes=["operator"])]
Admin = Annotated[Caller, Security(_caller, scopes=["admin"])]
