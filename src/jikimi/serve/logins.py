"""Logging in, and the first admin of a new site: what is asked before there is anybody."""

import secrets
import time
from datetime import UTC, datetime

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from jikimi.passwords import check_password
from jikimi.serve import devices
from jikimi.serve.access import COOKIE, is_same_origin
from jikimi.serve.answers import LoginRequest, MeAnswer, SetUpAnswer, SetUpRequest
from jikimi.serve.backend import backend_of
from jikimi.serve.callers import LASTING, Caller, Session, begin_session, hash_of, memory_of
from jikimi.serve.desk import desk_of
from jikimi.serve.guard import Attempt
from jikimi.serve.problems import Refusal
from jikimi.store import AuditRecord, Store, UserRecord
from jikimi.store.setup_code import end_setup, is_setup_code

router = APIRouter(prefix="/api/session", tags=["session"])

_DEVICE_KEY = "device-key"

# A user's name has letters: nobody's counter is used up by tries of the code.
_SETUP = ""


def _from_here(request: Request) -> None:
    """Nobody is logged in by another site's page, under whatever name (login CSRF)."""
    if not is_same_origin(request.headers):
        raise Refusal(403, "foreign-page")


@router.get("", summary="Whether the first admin is still to be made")
def show_setup(request: Request) -> SetUpAnswer:
    """`setup_needed` until there is a user."""
    backend = backend_of(request)
    return SetUpAnswer(setup_needed=not backend.store.has_users(), language=backend.settings.site.language)


@router.post("/setup", summary="Make the first admin", status_code=201, dependencies=[Depends(_from_here)])
async def set_up(request: Request, response: Response, first: SetUpRequest) -> MeAnswer:
    """With the code that `jikimi serve` printed when it started. They are logged in. 409: there is a user."""
    backend, desk = backend_of(request), desk_of(request)
    attempt = Attempt(_SETUP, address_of(request))
    if await run_in_threadpool(backend.store.has_users):
        raise Refusal(409, "has-users")
    desk.take(attempt)
    if not await run_in_threadpool(is_setup_code, backend.store, first.code.get_secret_value()):
        raise Refusal(401, "wrong-code")
    desk.guard.undo(attempt)
    password = first.password.get_secret_value()
    check_password(password, name=first.name)
    await run_in_threadpool(refuse_token_name, request, first.name)
    now, kept = datetime.now(UTC), await desk.hash(password)
    user = UserRecord(first.name, kept, "admin", now, now, language=first.language)
    if not await run_in_threadpool(backend.store.add_user, user, only_first=True):
        raise Refusal(409, "has-users")
    await run_in_threadpool(end_setup, backend.store)
    await run_in_threadpool(_note, backend.store, user.name, "set up", request)
    return await admit(request, response, user)


@router.post("/login", summary="Log in", dependencies=[Depends(_from_here)])
async def log_in(request: Request, response: Response, login: LoginRequest) -> MeAnswer:
    """Sets the session's cookie. 401: name or password is wrong, and nobody is told which."""
    backend = backend_of(request)
    attempt = await _attempt(request, login.name)
    user = await desk_of(request).check(attempt, login.password.get_secret_value())
    if user is None:
        desk_of(request).later(lambda: _note_failed(backend.store, login.name, request))
        raise Refusal(401, "wrong-login")
    await run_in_threadpool(_note, backend.store, user.name, "logged in", request)
    return await admit(request, response, user)


async def admit(request: Request, response: Response, user: UserRecord) -> MeAnswer:
    """Begin a session in place of the one the browser had, and mark the browser as known.

    Raises:
        Refusal: 401, the user has changed meanwhile. StoreError.
    """
    store = backend_of(request).store
    if old := request.cookies.get(COOKIE):
        await run_in_threadpool(store.end_session, hash_of(old))
        memory_of(store).forget()
    begun = await run_in_threadpool(begin_session, store, user)
    if begun is None:
        raise Refusal(401, "wrong-login")
    secret, session = begun
    _set(request, response, COOKIE, secret, lasting_s=int(LASTING.total_seconds()))
    key = await run_in_threadpool(_device_key, request)
    marks = devices.with_mark(request.cookies.get(devices.COOKIE, ""), user.name, key=key, now_s=time.time())
    _set(request, response, devices.COOKIE, marks, lasting_s=devices.LASTING_S)
    return me(session.caller, session)


def me(caller: Caller, session: Session | None) -> MeAnswer:
    """Who asks, as they are told."""
    return MeAnswer(
        name=caller.name,
        kind="token" if session is None else "user",
        role=caller.role,
        cameras=caller.cameras,
        language="" if session is None else session.language,
        csrf=None if session is None else session.csrf,
        expires_at=None if session is None else session.expires_at,
    )


def leave(request: Request, response: Response) -> None:
    """Take the session's cookie back; the browser stays known."""
    response.delete_cookie(
        COOKIE, path="/", httponly=True, samesite="lax", secure=request.url.scheme == "https"
    )


def refuse_token_name(request: Request, name: str) -> None:
    """Raises Refusal 409 where a token has the name: the audit trail could not tell who it was."""
    backend = backend_of(request)
    taken = {one.name for one in backend.settings.tokens} | {one.name for one in backend.store.tokens()}
    if name in taken:
        raise Refusal(409, "token-named", name=name)


def address_of(request: Request) -> str:
    """The network address that asks; a proxy's own, unless it is one of [serve] trusted_proxies."""
    return request.client.host if request.client is not None else "unknown"


async def _attempt(request: Request, name: str) -> Attempt:
    key = await run_in_threadpool(_device_key, request)
    cookie = request.cookies.get(devices.COOKIE, "")
    device = devices.known_device(cookie, name, key=key, now_s=time.time())
    return Attempt(name, address_of(request), device)


def _device_key(request: Request) -> str:
    """What marks of browsers are signed with: made once, and read once by each process."""
    state = request.app.state
    if getattr(state, "device_key", None) is None:
        state.device_key = backend_of(request).store.keep_meta(_DEVICE_KEY, secrets.token_hex(32))
    key: str = state.device_key
    return key


def _set(request: Request, response: Response, name: str, value: str, *, lasting_s: int) -> None:
    """Lax and not Strict: a link in an alert must find its reader logged in; changes need a CSRF token."""
    response.set_cookie(
        name,
        value,
        max_age=lasting_s,
        path="/",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )


def _note(store: Store, who: str, what: str, request: Request) -> None:
    store.audit(AuditRecord(datetime.now(UTC), who, what, who, {"address": address_of(request)}))


def _note_failed(store: Store, name: str, request: Request) -> None:
    """Only the names of users: what else stands there may be a password in the wrong place."""
    if store.find_user(name) is not None:
        _note(store, name, "log-in failed", request)
