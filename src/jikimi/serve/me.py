"""Oneself: who I am, my password, my language, my sessions."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from jikimi.passwords import check_password
from jikimi.serve.access import Session, Viewer, session_of
from jikimi.serve.answers import LanguageRequest, MeAnswer, PasswordChange
from jikimi.serve.backend import backend_of
from jikimi.serve.callers import memory_of
from jikimi.serve.desk import desk_of
from jikimi.serve.guard import Attempt
from jikimi.serve.logins import address_of, admit, leave, me
from jikimi.serve.problems import Refusal

router = APIRouter(prefix="/me", tags=["me"])


def _own(request: Request) -> Session:
    """The caller's session. Raises Refusal 409 for a token, which has no password and no language."""
    session = session_of(request)
    if session is None:
        raise Refusal(409, "no-session")
    return session


@router.get("", summary="Who I am")
def show_me(request: Request, caller: Viewer) -> MeAnswer:
    """Name, role, cameras, language; for a session also its CSRF token."""
    return me(caller, session_of(request))


@router.put("/password", summary="Change my password")
async def change_password(
    request: Request, response: Response, caller: Viewer, change: PasswordChange
) -> MeAnswer:
    """Ends every session of mine; this browser gets a new one. 403: the old password is wrong."""
    session, desk, backend = _own(request), desk_of(request), backend_of(request)
    attempt = Attempt(caller.name, address_of(request), device=session.key)
    if await desk.check(attempt, change.old.get_secret_value()) is None:
        raise Refusal(403, "old-password")
    new = change.new.get_secret_value()
    check_password(new, name=caller.name)
    kept = await desk.hash(new)

    def store() -> None:
        backend.store.set_password(caller.name, kept, at=datetime.now(UTC))
        memory_of(backend.store).forget()
        backend.note(caller, "changed password", caller.name)

    await run_in_threadpool(store)
    user = await run_in_threadpool(backend.store.find_user, caller.name)
    if user is None:
        raise Refusal(401, "user-gone")
    return await admit(request, response, user)


@router.put("/language", summary="Change the language I read")
def change_language(request: Request, caller: Viewer, wanted: LanguageRequest) -> MeAnswer:
    """Empty: the site's."""
    session, backend = _own(request), backend_of(request)
    backend.store.set_language(caller.name, wanted.language)
    memory_of(backend.store).forget()
    backend.note(caller, "changed language", caller.name, language=wanted.language)
    return me(caller, session).model_copy(update={"language": wanted.language})


@router.delete("/session", summary="Log out", status_code=204)
def log_out(request: Request, response: Response, caller: Viewer) -> None:
    """Ends this session."""
    session, backend = _own(request), backend_of(request)
    backend.store.end_session(session.key)
    memory_of(backend.store).forget()
    leave(request, response)
    backend.note(caller, "logged out", caller.name)


@router.delete("/sessions", summary="End all my sessions", status_code=204)
def end_my_sessions(request: Request, response: Response, caller: Viewer) -> None:
    """In every browser, this one too."""
    _own(request)
    backend = backend_of(request)
    ended = backend.store.end_sessions(caller.name)
    memory_of(backend.store).forget()
    leave(request, response)
    backend.note(caller, "ended sessions", caller.name, sessions=ended)
