"""Who asks, and what they may: bearer tokens of `jikimi.toml`, roles, and cameras one by one."""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from jikimi.settings import Role, Token

_RANK: dict[Role, int] = {"viewer": 0, "operator": 1, "admin": 2}

_bearer = HTTPBearer(auto_error=False, description="A token of jikimi.toml's [[token]] tables.")


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
    digest = hashlib.sha256(secret.encode()).hexdigest()
    found = [token for token in tokens if hmac.compare_digest(token.sha256, digest)]
    return Caller(found[0].name, found[0].role, found[0].cameras) if found else None


def needs_role(role: Role) -> Callable[..., Caller]:
    """A dependency that lets callers of at least `role` through: 401 without a token, 403 with too little."""

    def check(
        request: Request,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> Caller:
        tokens: Sequence[Token] = request.app.state.tokens
        caller = find_caller(tokens, credentials.credentials) if credentials is not None else None
        if caller is None:
            raise HTTPException(
                401,
                "a token is needed: Authorization: Bearer TOKEN; jikimi token makes one",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if _RANK[caller.role] < _RANK[role]:
            raise HTTPException(403, f"{caller.name} is {caller.role}; this needs {role}")
        return caller

    check.role = role  # type: ignore[attr-defined]  # what tests hold routes against
    return check


Viewer = Annotated[Caller, Depends(needs_role("viewer"))]
Operator = Annotated[Caller, Depends(needs_role("operator"))]
Admin = Annotated[Caller, Depends(needs_role("admin"))]
