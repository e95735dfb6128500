"""Cameras: what is watched and how it is now; adding, changing, shelving, trying."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, HTTPException, Request
from pydantic import ValidationError

from jikimi.serve.access import Admin, Caller, Operator, Viewer
from jikimi.serve.answers import CameraAnswer, CameraRequest, ShelveRequest, camera_answer
from jikimi.serve.incidents import backend_of, note
from jikimi.settings import CameraSettings
from jikimi.status import CameraStatus

router = APIRouter(tags=["cameras"])


def _known(request: Request) -> dict[str, CameraAnswer]:
    backend = backend_of(request)
    shelved = backend.store.shelved()
    fixed = {camera.name: camera for camera in backend.settings.cameras}
    stored = {camera.settings.name: camera.settings for camera in backend.store.cameras()}
    return {
        name: camera_answer(settings, fixed=name in fixed, shelved_until=shelved.get(name))
        for name, settings in sorted((stored | fixed).items())
    }


def _seen(request: Request, caller: Caller, name: str) -> CameraAnswer:
    camera = _known(request).get(name)
    if camera is None or not caller.may_see(name):
        raise HTTPException(404, f"camera {name!r}: there is none of that name; see the list of cameras")
    return camera


@router.get("/cameras", summary="Every camera")
def list_cameras(request: Request, caller: Viewer) -> list[CameraAnswer]:
    """Those of jikimi.toml (`fixed`) and those that were added."""
    return [camera for name, camera in _known(request).items() if caller.may_see(name)]


@router.get("/cameras/{name}", summary="One camera")
def show_camera(request: Request, caller: Viewer, name: str) -> CameraAnswer:
    """Its settings, its addresses without their log-in."""
    return _seen(request, caller, name)


@router.get("/cameras/{name}/status", summary="One camera now")
def show_status(request: Request, caller: Viewer, name: str) -> CameraStatus:
    """State, ages, scores, counters."""
    _seen(request, caller, name)
    status = backend_of(request).status()
    found = [camera for camera in status.cameras if camera.name == name] if status is not None else []
    if not found:
        raise HTTPException(503, f"camera {name!r} is not watched yet; look again in a moment")
    return found[0]


@router.put("/cameras/{name}", summary="Add or change a camera")
def put_camera(request: Request, caller: Admin, name: str, camera: CameraRequest) -> CameraAnswer:
    """Watched within two seconds. An address that comes back as it is shown (`***`) is kept as it was."""
    settings = _settings(request, name, camera)
    backend = backend_of(request)
    _may_change(request, name)
    backend.check_camera(settings)
    backend.store.put_camera(settings, at=datetime.now(UTC))
    note(request, caller, "put camera", name)
    return _known(request)[name]


@router.delete("/cameras/{name}", summary="Watch a camera no more", status_code=204)
def delete_camera(request: Request, caller: Admin, name: str) -> None:
    """Its incidents and evidence stay."""
    _may_change(request, name)
    backend_of(request).store.remove_camera(name)
    note(request, caller, "removed camera", name)


@router.post("/cameras/{name}/try", summary="Try a camera before adding it")
def try_camera(request: Request, caller: Admin, name: str, camera: CameraRequest) -> Mapping[str, object]:
    """Opens it → what it sends: size, codec, rate, seconds to the first picture."""
    settings = _settings(request, name, camera)
    note(request, caller, "tried camera", name)
    return backend_of(request).try_camera(settings)


@router.put("/cameras/{name}/shelf", summary="Raise no incidents for a while")
def shelve(request: Request, caller: Operator, name: str, shelf: ShelveRequest) -> CameraAnswer:
    """It ends by itself. The camera is watched meanwhile; 0 minutes ends it."""
    _seen(request, caller, name)
    until = datetime.now(UTC) + timedelta(minutes=shelf.minutes) if shelf.minutes else None
    backend_of(request).store.shelve(name, until=until, by=caller.name)
    note(request, caller, "shelved" if until else "unshelved", name, minutes=shelf.minutes)
    return _known(request)[name]


def _may_change(request: Request, name: str) -> None:
    if any(camera.name == name for camera in backend_of(request).settings.cameras):
        raise HTTPException(409, f"camera {name!r} is in jikimi.toml; change it there")


def _settings(request: Request, name: str, camera: CameraRequest) -> CameraSettings:
    """What was asked for, with the addresses as they are stored where only shown ones came."""
    values = camera.model_dump()
    stored = {c.settings.name: c.settings for c in backend_of(request).store.cameras()}
    before = stored.get(name)
    for key, known in (("address", before and before.address), ("sub", before and before.sub)):
        if known and values[key] == str(known):
            values[key] = known
    try:
        return CameraSettings.model_validate({"name": name, **values})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise HTTPException(422, f"camera {name!r}: {where}: {first['msg']}") from None
