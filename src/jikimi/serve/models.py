"""Models: which watches, what each is, adding one, trying it beside the one that watches, promoting it."""

import shutil
from datetime import UTC, datetime
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from starlette.concurrency import run_in_threadpool

from jikimi.bundle import Card, read_card
from jikimi.champion import Champion, champion_of, check_rival, hash_of
from jikimi.errors import BundleError
from jikimi.serve.access import SiteAdmin, Viewer
from jikimi.serve.answers import Moment
from jikimi.serve.aside import aside_within
from jikimi.serve.backend import Backend, backend_of
from jikimi.serve.callers import Caller
from jikimi.serve.cameras import settings_of
from jikimi.serve.comparing import comparison
from jikimi.serve.model_answers import ComparisonAnswer, ModelAnswer, ModelsAnswer
from jikimi.serve.model_list import carried_model, every_model, one_model
from jikimi.serve.problems import Refusal
from jikimi.serve.uploads import Received, Uploads
from jikimi.serve.wanted import visible
from jikimi.store import ModelRecord

router = APIRouter(prefix="/models", tags=["models"])

_Sha = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]

_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}

# A check has a time-out of its own, of two minutes; this is for when that fails.
_CHECK_S = 150.0


@router.get("", summary="Every model")
def list_models(request: Request, _caller: Viewer) -> ModelsAnswer:
    """With its card: what it tells apart, its thresholds, figures and training."""
    return every_model(backend_of(request))


@router.post(
    "",
    summary="Add a model",
    status_code=201,
    openapi_extra=_BODY,
    responses={200: {"model": ModelAnswer, "description": "It was there already"}},
)
async def add_model(request: Request, response: Response, caller: SiteAdmin) -> ModelAnswer:
    """The body is a bundle of at most 512 MiB. It is tested in a process apart, and kept.

    200: it was there already. 422: it is no bundle, or one that cannot be used.
    """
    backend = backend_of(request)
    uploads: Uploads = request.app.state.uploads
    async with uploads.received(request) as received:
        try:
            await aside_within(lambda: backend.check_bundle(received.path), _CHECK_S)
        except BundleError as error:
            raise Refusal(422, "bundle", detail=_without(received, error)) from None
        except TimeoutError:
            raise Refusal(503, "model-late", {"Retry-After": "60"}) from None
        new = await run_in_threadpool(_keep, backend, caller, received)
    response.status_code = 201 if new else 200
    return await run_in_threadpool(one_model, backend, received.sha256)


def _without(received: Received, error: BundleError) -> str:
    """What is wrong with a bundle, without the file that only this process knows."""
    return str(error).replace(str(received.path), "that was sent")


def _keep(backend: Backend, caller: Caller, received: Received) -> bool:
    """Whether it is a new one. Raises Refusal, StoreError."""
    place = backend.settings.models_folder / f"{received.sha256}.jikimi"
    try:
        name = read_card(received.path).name
        received.keep(place)  # also where it is known: its file may be damaged
    except BundleError as error:  # a bundle that was checked is none of these
        raise Refusal(422, "bundle", detail=_without(received, error)) from None
    except OSError as error:
        raise Refusal(409, "model-unkept", why=error.strerror) from None
    now = datetime.now(UTC)
    model = ModelRecord(received.sha256, name, place.name, received.size_bytes, now, caller.name)
    new = backend.store.add_model(model)
    if new:
        backend.note(caller, "added model", name, sha256=received.sha256, size_bytes=received.size_bytes)
    return new


@router.get("/comparison", summary="Champion and challenger beside each other")
def compare(request: Request, caller: Viewer, since: Moment | None = None) -> ComparisonAnswer:
    """By camera and behaviour: what each raised, what both did, and what was answered, where both watched."""
    return comparison(backend_of(request), since=since, cameras=visible(caller, None))


@router.delete("/{sha256}", summary="Remove a model", status_code=204)
def delete_model(request: Request, caller: SiteAdmin, sha256: _Sha) -> None:
    """With what it would have raised. 409: it watches, or runs beside the one that does."""
    backend = backend_of(request)
    model = _known(backend, sha256)
    backend.store.remove_model(sha256)
    backend.note(caller, "removed model", model.name, sha256=sha256)
    try:
        (backend.settings.models_folder / model.file).unlink(missing_ok=True)
    except OSError as error:
        raise Refusal(409, "model-file-stays", name=model.name, why=error.strerror) from None


@router.put("/{sha256}/challenge", summary="Run a model beside the one that watches")
def challenge(request: Request, caller: SiteAdmin, sha256: _Sha) -> ModelsAnswer:
    """On live cameras, within two seconds; nobody is alerted of what it raises. Any other challenger ends.

    422: it takes pictures at another rate or of another size, or a camera asks for what it does not know.
    """
    backend = backend_of(request)
    champion = champion_of(backend.settings, backend.store)
    if champion.model is None and hash_of(champion.path) == sha256:
        raise Refusal(409, "model-itself")
    model = _adopted(backend, sha256)
    card = _checked(backend, model)
    check_rival(read_card(champion.path), card)
    backend.store.challenge(sha256, at=datetime.now(UTC))
    backend.note(caller, "began challenge", model.name, sha256=sha256)
    return every_model(backend)


@router.delete("/{sha256}/challenge", summary="Run it no longer")
def end_challenge(request: Request, caller: SiteAdmin, sha256: _Sha) -> ModelsAnswer:
    """What it has raised so far stays until it is removed."""
    backend = backend_of(request)
    model = _known(backend, sha256)
    backend.store.end_challenge(sha256)
    backend.note(caller, "ended challenge", model.name, sha256=sha256)
    return every_model(backend)


@router.post("/{sha256}/promote", summary="Let a model watch")
def promote(request: Request, caller: SiteAdmin, sha256: _Sha) -> ModelsAnswer:
    """It watches within seconds, in which nothing is seen. One that does not come up is rolled back.

    409: it watches already, or jikimi.toml names the one that does.
    """
    backend = backend_of(request)
    champion = _changeable(backend)
    if champion.model is None and hash_of(champion.path) == sha256:
        raise Refusal(409, "model-watches")
    model = _adopted(backend, sha256)
    _checked(backend, model)
    backend.store.promote(sha256, at=datetime.now(UTC))
    backend.note(caller, "promoted model", model.name, sha256=sha256)
    return every_model(backend)


@router.post("/roll-back", summary="Let the model before watch again")
def roll_back(request: Request, caller: SiteAdmin) -> ModelsAnswer:
    """As far as there is one before; below all of them is the one that Jikimi carries."""
    backend = backend_of(request)
    champion = _changeable(backend)
    if champion.model is None:
        raise Refusal(409, "no-model-before")
    before = backend.store.champion_before()
    path = carried_model() if before is None else backend.settings.models_folder / before.file
    if path is not None and (card := _read(path)) is not None:  # a damaged one is rolled back in its turn
        _check_cameras(backend, card)
    backend.store.roll_back(champion.model.sha256)
    backend.note(caller, "rolled back model", champion.model.name, sha256=champion.model.sha256)
    return every_model(backend)


def _changeable(backend: Backend) -> Champion:
    """The champion, where it can be another. Raises Refusal."""
    champion = champion_of(backend.settings, backend.store)
    if champion.origin == "file":
        raise Refusal(409, "model-fixed")
    return champion


def _known(backend: Backend, sha256: str) -> ModelRecord:
    """Raises Refusal."""
    model = backend.store.find_model(sha256)
    if model is None:
        raise Refusal(404, "no-model", sha256=sha256[:12])
    return model


def _adopted(backend: Backend, sha256: str) -> ModelRecord:
    """A model of the store; the one that Jikimi carries becomes one, since an upgrade may bring another.

    Raises:
        Refusal: there is none, or it cannot be copied.
    """
    model, carried = backend.store.find_model(sha256), carried_model()
    if model is not None or carried is None or hash_of(carried) != sha256:
        return model or _known(backend, sha256)
    folder = backend.settings.models_folder
    temporary, place = folder / f".{sha256}.tmp", folder / f"{sha256}.jikimi"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(carried, temporary)
        temporary.replace(place)
    except OSError as error:
        raise Refusal(409, "model-unkept", why=error.strerror) from None
    name, size = read_card(place).name, place.stat().st_size
    backend.store.add_model(ModelRecord(sha256, name, place.name, size, datetime.now(UTC), "jikimi"))
    return _known(backend, sha256)


def _checked(backend: Backend, model: ModelRecord) -> Card:
    """The card of a model whose file is whole, and which knows what every camera is to raise.

    Raises:
        Refusal: its file is damaged or gone. SettingsError: a camera asks for what it does not know.
    """
    path = backend.settings.models_folder / model.file
    card = _read(path)
    if card is None or hash_of(path) != model.sha256:
        raise Refusal(409, "model-damaged", name=model.name)
    _check_cameras(backend, card)
    return card


def _read(path: FilePath) -> Card | None:
    """The card of a bundle, where it can be read."""
    try:
        return read_card(path)
    except BundleError:
        return None


def _check_cameras(backend: Backend, card: Card) -> None:
    """Raises SettingsError: a camera asks for what a model does not know."""
    for camera in settings_of(backend).values():
        backend.check_rule(card, camera)
