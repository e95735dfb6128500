"""Those who are alerted: who they are, trying them, adding and changing those that are not in jikimi.toml.

Where to and with which secret goes in and never comes out again: neither answers nor the audit trail hold it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from pydantic import SecretStr, ValidationError

from jikimi.address import HIDDEN
from jikimi.errors import AlertError, JikimiError, SettingsError
from jikimi.in_force import InForce
from jikimi.serve.access import Operator, SiteAdmin, Viewer
from jikimi.serve.addresses import check_hosts
from jikimi.serve.answers import CameraName, TryAnswer
from jikimi.serve.aside import aside_within
from jikimi.serve.backend import Backend, backend_of
from jikimi.serve.limits import TRY_LIMIT_S, count_try
from jikimi.serve.problems import Refusal
from jikimi.serve.setting_answers import NewTargetRequest, TargetAnswer, TargetRequest
from jikimi.serve.shown import veiled
from jikimi.settings import Target, first_problem

router = APIRouter(prefix="/targets", tags=["targets"])

_Name = Annotated[CameraName, Path()]

_OPEN = ("kind", "topic", "discovery", "faults")
_SEALED = ("url", "secret")


@router.get("", summary="Everybody who is alerted")
def list_targets(request: Request, _caller: Viewer) -> list[TargetAnswer]:
    """Those of jikimi.toml (`fixed`) and those that were added, without their urls and secrets."""
    return list(known_targets(backend_of(request)).values())


def known_targets(backend: Backend) -> dict[str, TargetAnswer]:
    """Every target by name, as it is shown."""
    now, fixed = backend.followed.now, {target.name for target in backend.followed.base.targets}
    changed = {stored.name: stored.changed_at for stored in backend.store.targets()}
    found = {
        target.name: TargetAnswer(
            name=target.name,
            **_shown(target),
            signed=target.secret is not None,
            fixed=target.name in fixed,
            changed_at=None if target.name in fixed else changed.get(target.name),
        )
        for target in now.settings.targets
    }
    found |= {
        name: TargetAnswer(name=name, problem=problem, fixed=False, changed_at=changed.get(name))
        for name, problem in now.lost.items()
    }
    return dict(sorted(found.items()))


@router.put("/{name}", summary="Add or change somebody to alert")
def put_target(request: Request, caller: SiteAdmin, name: _Name, target: TargetRequest) -> TargetAnswer:
    """Alerted within two seconds. A `url` or `secret` that is left out stays as it is stored.

    409: in jikimi.toml.
    """
    backend = backend_of(request)
    now = backend.followed.look()
    before = _changeable(backend, now, name)
    made = _made(backend, name, target, before)
    backend.note(caller, "put target", name, **_difference(before, made))
    backend.store.put_target(made, at=datetime.now(UTC))
    backend.followed.look()
    return known_targets(backend)[name]


@router.delete("/{name}", summary="Alert somebody no more", status_code=204)
def delete_target(request: Request, caller: SiteAdmin, name: _Name) -> None:
    """What they were told stays. 409: in jikimi.toml, or in the lists of [alerts]."""
    backend = backend_of(request)
    now = backend.followed.look()
    if _changeable(backend, now, name) is None and name not in now.lost:
        raise _none(name)
    if any(name in row for row in now.settings.alerts.lists):
        raise Refusal(409, "target-listed", name=name)
    backend.note(caller, "removed target", name)
    backend.store.remove_target(name)
    backend.followed.look()


def _drafted(request: Request, caller: SiteAdmin, target: NewTargetRequest) -> Target:
    """The target to try as it would be stored; the try is counted and noted."""
    backend = backend_of(request)
    count_try(request, caller)
    now = backend.followed.look()
    made = _made(backend, target.name, target, _changeable(backend, now, target.name))
    backend.note(caller, "tried target", target.name, draft=True)
    return made


@router.post("/try", summary="Send a test alert before saving")
async def try_draft(
    request: Request, _caller: SiteAdmin, target: Annotated[Target, Depends(_drafted)]
) -> TryAnswer:
    """As it would be saved. Arrives marked as a test → seconds it took. 502: it did not arrive."""
    return await _try(backend_of(request), target)


def _tried(request: Request, caller: Operator, name: _Name) -> Target:
    """The target to try; the try is counted and noted."""
    backend = backend_of(request)
    found = _found(backend.followed.look(), name)
    if found is None:
        raise _none(name)
    count_try(request, caller)
    backend.note(caller, "tried target", name)
    return found


@router.post("/{name}/try", summary="Send a test alert")
async def try_target(
    request: Request, _caller: Operator, target: Annotated[Target, Depends(_tried)]
) -> TryAnswer:
    """Arrives at the target marked as a test → seconds it took. 502: it did not arrive."""
    return await _try(backend_of(request), target)


async def _try(backend: Backend, target: Target) -> TryAnswer:
    try:
        return TryAnswer(seconds=await aside_within(lambda: backend.try_target(target), TRY_LIMIT_S))
    except JikimiError as error:
        words = str(error).replace(target.url.get_secret_value(), HIDDEN)
        raise Refusal(502, "target-fails", detail=veiled(words)) from None
    except TimeoutError:
        raise Refusal(503, "target-late", {"Retry-After": "5"}) from None


def _none(name: str) -> Refusal:
    return Refusal(404, "no-target", name=name)


def _found(now: InForce, name: str) -> Target | None:
    return next((target for target in now.settings.targets if target.name == name), None)


def _changeable(backend: Backend, now: InForce, name: str) -> Target | None:
    """The stored target of that name, where there is one that can be opened. Raises Refusal."""
    if any(target.name == name for target in backend.followed.base.targets):
        raise Refusal(409, "target-fixed", name=name)
    return _found(now, name)


def _made(backend: Backend, name: str, asked: TargetRequest, before: Target | None) -> Target:
    """What was asked for, checked as one of jikimi.toml is; what is sealed stays where nothing came.

    Raises:
        SettingsError: in words that begin with the field.
    """
    values: dict[str, Any] = {"name": name, **{key: getattr(asked, key) for key in _OPEN}}
    same = before is not None and before.kind == asked.kind  # of another kind's url nothing is kept
    for key in _SEALED:
        given: SecretStr | None = getattr(asked, key)
        kept = getattr(before, key) if same else None
        values[key] = given if given is not None and given.get_secret_value() else kept
    if values["url"] is None:
        raise SettingsError("url: missing; give it a value")
    try:
        made = Target.model_validate(values)
    except ValidationError as error:  # its own words quote values
        raise SettingsError(": ".join(filter(None, first_problem(error)))) from None
    _check(backend, made, new_url=before is None or made.url != before.url)
    return made


def _check(backend: Backend, target: Target, *, new_url: bool) -> None:
    """Refuse what can never work, and what may not be reached: that first, since trying begins to connect."""
    try:
        check_hosts(
            backend.target_hosts(target) if new_url else (),
            must_be_known=target.kind != "apprise",
            allow_loopback=backend.allow_local_targets,
            resolve=backend.resolve,
        )
        backend.check_target(target)
    except AlertError as error:
        words = str(error).removeprefix(f"target {target.name!r}: ")
        raise SettingsError(f"{'topic' if 'topic' in words else 'url'}: {words}") from None


def _shown(target: Target) -> dict[str, Any]:
    return {key: getattr(target, key) for key in _OPEN}


def _difference(before: Target | None, after: Target) -> Mapping[str, object]:
    """What the audit trail holds of a change: all that is open, and which of the sealed were entered."""
    old, new = ({} if before is None else _shown(before)), _shown(after)
    changed = [key for key in _OPEN if old.get(key) != new[key]]
    entered = [key for key in _SEALED if getattr(before, key, None) != getattr(after, key)]
    return {
        "from": {key: old[key] for key in changed if key in old},
        "to": {key: new[key] for key in changed},
        "entered": entered,
    }
