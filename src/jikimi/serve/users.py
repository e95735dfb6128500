"""Users: who may log in, and what they may. For admins of every camera."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from starlette.concurrency import run_in_threadpool

from jikimi.errors import NotFoundError
from jikimi.passwords import check_password
from jikimi.serve.access import SiteAdmin, session_of
from jikimi.serve.answers import PasswordReset, PersonName, UserAnswer, UserRequest
from jikimi.serve.backend import Backend, backend_of
from jikimi.serve.callers import Caller, memory_of
from jikimi.serve.desk import desk_of
from jikimi.serve.logins import admit, refuse_token_name
from jikimi.serve.problems import Refusal
from jikimi.store import UserRecord

router = APIRouter(prefix="/users", tags=["users"])

_Name = Annotated[PersonName, Path()]


@router.get("", summary="Every user")
def list_users(request: Request, _caller: SiteAdmin) -> list[UserAnswer]:
    """By name."""
    return [UserAnswer.model_validate(user) for user in backend_of(request).store.users()]


@router.put("/{name}", summary="Add or change a user")
async def put_user(
    request: Request, response: Response, caller: SiteAdmin, name: _Name, user: UserRequest
) -> UserAnswer:
    """What changes their role, cameras or `disabled` ends their sessions. 409: the last admin stays one."""
    backend = backend_of(request)
    if await run_in_threadpool(backend.store.find_user, name) is None:
        await _add(request, caller, name, user)
    elif user.password is not None:
        raise Refusal(409, "user-exists", name=name)
    elif await run_in_threadpool(_change, backend, caller, name, user):
        await _readmit(request, response, name)
    return UserAnswer.model_validate(await run_in_threadpool(_known, backend, name))


@router.delete("/{name}", summary="Remove a user", status_code=204)
def delete_user(request: Request, caller: SiteAdmin, name: _Name) -> None:
    """What they did stays in the audit trail; tokens they made stay, too. 409: the last admin stays."""
    backend = backend_of(request)
    backend.store.remove_user(name)
    memory_of(backend.store).forget()
    backend.note(caller, "removed user", name)


@router.put("/{name}/password", summary="Give a user another password", status_code=204)
async def reset_password(
    request: Request, response: Response, caller: SiteAdmin, name: _Name, reset: PasswordReset
) -> None:
    """Ends their sessions."""
    backend, password = backend_of(request), reset.password.get_secret_value()
    await run_in_threadpool(_known, backend, name)
    check_password(password, name=name)
    kept = await desk_of(request).hash(password)

    def store() -> None:
        backend.store.set_password(name, kept, at=datetime.now(UTC))
        memory_of(backend.store).forget()
        backend.note(caller, "reset password", name)

    await run_in_threadpool(store)
    await _readmit(request, response, name)


@router.delete("/{name}/sessions", summary="End a user's sessions", status_code=204)
def end_sessions(request: Request, caller: SiteAdmin, name: _Name) -> None:
    """In every browser of theirs."""
    backend = backend_of(request)
    _known(backend, name)
    ended = backend.store.end_sessions(name)
    memory_of(backend.store).forget()
    backend.note(caller, "ended sessions", name, sessions=ended)


def _known(backend: Backend, name: str) -> UserRecord:
    """Raises NotFoundError."""
    user = backend.store.find_user(name)
    if user is None:
        raise NotFoundError(f"user {name!r}: there is none of that name; see the list of users")
    return user


async def _add(request: Request, caller: Caller, name: str, user: UserRequest) -> None:
    backend = backend_of(request)
    if user.password is None:
        raise Refusal(422, "user-password", name=name)
    check_password(user.password.get_secret_value(), name=name)
    await run_in_threadpool(refuse_token_name, request, name)
    kept, now = await desk_of(request).hash(user.password.get_secret_value()), datetime.now(UTC)
    made = UserRecord(
        name, kept, user.role, now, now, cameras=user.cameras, language=user.language, disabled=user.disabled
    )
    if not await run_in_threadpool(backend.store.add_user, made):
        raise Refusal(409, "user-raced", name=name)
    await run_in_threadpool(_note, backend, caller, "added user", name, user)


def _change(backend: Backend, caller: Caller, name: str, user: UserRequest) -> bool:
    """Whether their sessions ended."""
    ended = backend.store.change_user(
        name,
        role=user.role,
        cameras=user.cameras,
        language=user.language,
        disabled=user.disabled,
        at=datetime.now(UTC),
    )
    memory_of(backend.store).forget()
    _note(backend, caller, "changed user", name, user)
    return ended


def _note(backend: Backend, caller: Caller, what: str, name: str, user: UserRequest) -> None:
    cameras = None if user.cameras is None else list(user.cameras)
    backend.note(caller, what, name, role=user.role, cameras=cameras, disabled=user.disabled)


async def _readmit(request: Request, response: Response, name: str) -> None:
    """Give whoever has changed themselves a new session: the one they asked with has ended."""
    session = session_of(request)
    if session is None or session.caller.name != name:
        return
    user = await run_in_threadpool(backend_of(request).store.find_user, name)
    if user is not None and not user.disabled:
        await admit(request, response, user)
