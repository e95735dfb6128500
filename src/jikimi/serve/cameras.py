"""Cameras: what is watched and how it is now; adding, changing, shelving, trying."""

from datetime import UTC, datetime, timedelta
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from pydantic import ValidationError

from jikimi.address import Address, is_network
from jikimi.errors import JikimiError
from jikimi.serve.access import Admin, Caller, Operator, Viewer
from jikimi.serve.addresses import usable
from jikimi.serve.answers import (
    CameraAnswer,
    CameraName,
    CameraRequest,
    Moment,
    ReplayAnswer,
    ScoresAnswer,
    ShelveRequest,
    SpanAnswer,
    TrialAnswer,
    camera_answer,
    shown_camera,
)
from jikimi.serve.aside import aside_within
from jikimi.serve.backend import Backend, backend_of
from jikimi.serve.limits import TRY_LIMIT_S, count_try
from jikimi.serve.problems import Refusal, camera_code
from jikimi.serve.shown import veiled
from jikimi.settings import CameraSettings, first_problem
from jikimi.status import CameraStatus
from jikimi.store.records import SCORE_BINS

router = APIRouter(tags=["cameras"])

_Name = Annotated[CameraName, Path()]
# Every shift of a plant comes within a week.
_USUAL_SCORES = timedelta(days=7)


def settings_of(backend: Backend) -> dict[str, CameraSettings]:
    """Every camera by name; one of jikimi.toml goes before a stored one."""
    stored = {camera.settings.name: camera.settings for camera in backend.store.cameras()}
    return dict(sorted((stored | {camera.name: camera for camera in backend.settings.cameras}).items()))


def known_cameras(backend: Backend) -> dict[str, CameraAnswer]:
    """Every camera by name, as it is shown."""
    now, shelved = datetime.now(UTC), backend.store.shelved()
    lasting = {name: until for name, until in shelved.items() if until > now}
    fixed = {camera.name for camera in backend.settings.cameras}
    return {
        name: camera_answer(settings, fixed=name in fixed, shelved_until=lasting.get(name))
        for name, settings in settings_of(backend).items()
    }


def _none(name: str) -> Refusal:
    return Refusal(404, "no-camera", name=name)


def seen_camera(request: Request, caller: Viewer, name: _Name) -> CameraAnswer:
    """One camera, if the caller may see it; 404 otherwise: nobody else learns that it exists."""
    camera = known_cameras(backend_of(request)).get(name) if caller.may_see(name) else None
    if camera is None:
        raise _none(name)
    return _told(camera, caller)


def _told(camera: CameraAnswer, caller: Caller) -> CameraAnswer:
    """A camera as a caller is told of it: where recordings lie on this machine is for who adds cameras."""
    if caller.role == "admin":
        return camera
    sub = None if camera.sub is None else _without_folder(camera.sub)
    return camera.model_copy(update={"address": _without_folder(camera.address), "sub": sub})


def _without_folder(shown: str) -> str:
    return shown if is_network(shown) else FilePath(shown).name


@router.get("/cameras", summary="Every camera")
def list_cameras(request: Request, caller: Viewer) -> list[CameraAnswer]:
    """Those of jikimi.toml (`fixed`) and those that were added. Only admins are told where recordings lie."""
    found = known_cameras(backend_of(request))
    return [_told(camera, caller) for name, camera in found.items() if caller.may_see(name)]


@router.get("/cameras/{name}", summary="One camera")
def show_camera(request: Request, caller: Viewer, name: _Name) -> CameraAnswer:
    """Its settings, its addresses without their log-in."""
    return seen_camera(request, caller, name)


@router.get("/cameras/{name}/status", summary="One camera now")
def show_status(request: Request, caller: Viewer, name: _Name) -> CameraStatus:
    """State, ages, scores, counters, as /status has them; 404 for one that is not watched yet."""
    seen_camera(request, caller, name)
    status = backend_of(request).status()
    found = [camera for camera in status.cameras if camera.name == name] if status is not None else []
    if not found:
        raise Refusal(404, "camera-unwatched", name=name)
    return shown_camera(found[0])


@router.get("/cameras/{name}/scores", summary="How often scores were how high")
def show_scores(
    request: Request, caller: Viewer, name: _Name, since: Moment | None = None, until: Moment | None = None
) -> ScoresAnswer:
    """What a threshold would have let through: decisions by score, of the last 7 days; 35 are kept."""
    camera, backend = seen_camera(request, caller, name), backend_of(request)
    until = until or datetime.now(UTC)
    try:
        since = since or until - _USUAL_SCORES
    except OverflowError:
        since = until
    if since >= until:
        raise Refusal(422, "span")
    return ScoresAnswer(
        camera=name,
        since=since,
        until=until,
        bins=SCORE_BINS,
        counts=backend.store.score_counts(name, since=since, until=until),
        theta_on={key: camera.theta_on.get(key, theta) for key, theta in backend.theta_on().items()},
    )


@router.get("/cameras/{name}/replay", summary="What is still held of a camera")
def show_replay(request: Request, caller: Viewer, name: _Name) -> ReplayAnswer:
    """How far back something that was missed can be reported with its film."""
    seen_camera(request, caller, name)
    backend = backend_of(request)
    held = backend.replay(settings_of(backend)[name])
    return ReplayAnswer(
        camera=name,
        minutes=backend.settings.evidence.replay_minutes,
        spans=[SpanAnswer(start_at=start, end_at=end) for start, end in held],
    )


@router.put("/cameras/{name}", summary="Add or change a camera")
def put_camera(request: Request, caller: Admin, name: _Name, camera: CameraRequest) -> CameraAnswer:
    """Watched within two seconds. An address that comes back as it is shown (`***`) is kept as it was."""
    backend = backend_of(request)
    _may_change(backend, caller, name)
    settings = _settings(backend, name, camera)
    backend.check_camera(settings)
    backend.note(caller, "put camera", name)
    backend.store.put_camera(settings, at=datetime.now(UTC))
    return known_cameras(backend)[name]


@router.delete("/cameras/{name}", summary="Watch a camera no more", status_code=204)
def delete_camera(request: Request, caller: Admin, name: _Name) -> None:
    """Its incidents and evidence stay."""
    backend = backend_of(request)
    _may_change(backend, caller, name)
    seen_camera(request, caller, name)
    backend.note(caller, "removed camera", name)
    backend.store.remove_camera(name)


def _tried(request: Request, caller: Admin, name: _Name, camera: CameraRequest) -> CameraSettings:
    """The settings to try; the try is counted and noted."""
    backend = backend_of(request)
    if not caller.may_see(name):
        raise _none(name)
    count_try(request, caller)
    settings = _settings(backend, name, camera)
    backend.note(caller, "tried camera", name, address=str(settings.address))
    return settings


@router.post("/cameras/{name}/try", summary="Try a camera before adding it")
async def try_camera(
    request: Request, _caller: Admin, settings: Annotated[CameraSettings, Depends(_tried)]
) -> TrialAnswer:
    """Opens it → what its streams send: picture, size, codec, rate, seconds to the first picture.

    502: a stream does not open, or sends no picture.
    """
    backend = backend_of(request)
    addresses = [one for one in (settings.address, settings.sub) if one is not None]
    try:
        found = TrialAnswer.model_validate(
            await aside_within(lambda: backend.try_camera(settings), TRY_LIMIT_S)
        )
    except JikimiError as error:
        raise Refusal(502, camera_code(error), detail=veiled(str(error), addresses)) from None
    except TimeoutError:
        raise Refusal(503, "camera-late", {"Retry-After": "5"}) from None
    streams = [stream for stream in (found.main, found.sub) if stream is not None]
    for stream in streams:
        stream.address = veiled(stream.address, addresses)
    return found


@router.put("/cameras/{name}/shelf", summary="Raise no incidents for a while")
def shelve(request: Request, caller: Operator, name: _Name, shelf: ShelveRequest) -> CameraAnswer:
    """It ends by itself. The camera is watched meanwhile; 0 minutes ends it."""
    seen_camera(request, caller, name)
    backend = backend_of(request)
    until = datetime.now(UTC) + timedelta(minutes=shelf.minutes) if shelf.minutes else None
    backend.note(caller, "shelved" if until else "unshelved", name, minutes=shelf.minutes)
    backend.store.shelve(name, until=until, by=caller.name)
    return seen_camera(request, caller, name)


def _may_change(backend: Backend, caller: Caller, name: str) -> None:
    if not caller.may_see(name):
        raise _none(name)
    if any(camera.name == name for camera in backend.settings.cameras):
        raise Refusal(409, "camera-fixed", name=name)


def _settings(backend: Backend, name: str, camera: CameraRequest) -> CameraSettings:
    """What was asked for, with the addresses as they are stored where only shown ones came."""
    before = settings_of(backend).get(name)
    values = camera.model_dump()
    values["address"] = _address(backend, camera.address, before.address if before else None)
    if camera.sub is not None:
        values["sub"] = _address(backend, camera.sub, before.sub if before else None)
    try:
        return CameraSettings.model_validate({"name": name, **values})
    except ValidationError as error:  # its own words quote values
        where, what = first_problem(error)
        detail = ": ".join(filter(None, (f"camera {name!r}", where, what)))
        raise Refusal(422, "invalid", place=where, detail=detail) from None


def _address(backend: Backend, given: str, before: Address | None) -> Address:
    """What is entered must be usable; what is only put back was entered already, maybe in another way."""
    if before is not None and given in (str(before), before.reveal()):
        return before
    return usable(
        Address(given),
        media=backend.media_folder,
        allow_loopback=backend.allow_loopback,
        resolve=backend.resolve,
    )
