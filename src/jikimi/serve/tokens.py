"""Tokens for programs, made and taken back while the site runs. For admins of every camera."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request

from jikimi.serve.access import SiteAdmin
from jikimi.serve.answers import NewTokenAnswer, PersonName, TokenAnswer, TokenRequest
from jikimi.serve.backend import backend_of
from jikimi.serve.callers import hash_of, memory_of, new_token
from jikimi.serve.logins import refuse_token_name
from jikimi.serve.problems import Refusal
from jikimi.settings import Token
from jikimi.store import TokenRecord

router = APIRouter(prefix="/tokens", tags=["tokens"])

_Name = Annotated[PersonName, Path()]


@router.get("", summary="Every token")
def list_tokens(request: Request, _caller: SiteAdmin) -> list[TokenAnswer]:
    """Those of jikimi.toml (`fixed`) first, without their secrets."""
    backend = backend_of(request)
    return [*map(_fixed, backend.settings.tokens), *map(_made, backend.store.tokens())]


@router.post("", summary="Make a token", status_code=201)
def make_token(request: Request, caller: SiteAdmin, token: TokenRequest) -> NewTokenAnswer:
    """Its `secret` is shown this once; it is good at once. 409: a user or token has the name."""
    backend, secret = backend_of(request), new_token()
    refuse_token_name(request, token.name)
    if backend.store.find_user(token.name) is not None:
        raise Refusal(409, "user-named", name=token.name)
    now = datetime.now(UTC)
    made = TokenRecord(token.name, hash_of(secret), token.role, now, caller.name, cameras=token.cameras)
    if not backend.store.add_token(made):
        raise Refusal(409, "token-named", name=token.name)
    cameras = None if token.cameras is None else list(token.cameras)
    backend.note(caller, "made token", token.name, role=token.role, cameras=cameras)
    return NewTokenAnswer(**_made(made).model_dump(), secret=secret)


@router.delete("/{name}", summary="Take a token back", status_code=204)
def delete_token(request: Request, caller: SiteAdmin, name: _Name) -> None:
    """It is good for nothing at once. 409: it is in jikimi.toml."""
    backend = backend_of(request)
    if any(token.name == name for token in backend.settings.tokens):
        raise Refusal(409, "token-fixed", name=name)
    backend.store.remove_token(name)
    memory_of(backend.store).forget()
    backend.note(caller, "removed token", name)


def _fixed(token: Token) -> TokenAnswer:
    return TokenAnswer(
        name=token.name, role=token.role, cameras=token.cameras, fixed=True, created_at=None, created_by=""
    )


def _made(token: TokenRecord) -> TokenAnswer:
    return TokenAnswer(
        name=token.name,
        role=token.role,
        cameras=token.cameras,
        fixed=False,
        created_at=token.created_at,
        created_by=token.created_by,
    )
