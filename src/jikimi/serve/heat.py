"""Where the model looked: a picture that is made when somebody asks, one at a time, and kept for a while."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from jikimi.errors import BundleError, InferenceError, VideoError
from jikimi.serve.access import Caller, Viewer
from jikimi.serve.aside import aside
from jikimi.serve.backend import Backend, Heat, Sight, backend_of
from jikimi.serve.cameras import settings_of
from jikimi.serve.evidence import Views, inside
from jikimi.serve.incidents import VIEWED, Uid, seen
from jikimi.serve.problems import Refusal

log = logging.getLogger(__name__)

router = APIRouter(tags=["incidents"])

# A map takes 5 s on one core, more where watching needs the cores; this is for when something hangs.
LIMIT_S = 30.0

# A map is a JPEG of 30 kB.
_MOST_KEPT = 32

_AGAIN = {"Retry-After": "3"}


class BusyError(Exception):
    """Another map is being made."""


class Heats:
    """The maps made last, and the one that is being made. Used by the server's loop alone."""

    def __init__(self, most: int = _MOST_KEPT) -> None:
        self._most = most
        self._made: OrderedDict[Sight, Heat] = OrderedDict()
        self._making: tuple[Sight, Future[Heat]] | None = None

    async def get(self, sight: Sight, make: Callable[[Sight], Heat]) -> Heat:
        """The map, made in a thread aside where it is not at hand; who asks for the same one waits for it.

        Raises:
            BusyError: another one is being made.
            TimeoutError: it takes too long; it is at hand once it is made.
            JikimiError: as `make` does.
        """
        self._take_in()
        if sight in self._made:
            self._made.move_to_end(sight)
            return self._made[sight]
        if self._making is None:
            self._making = sight, aside(lambda: make(sight))
        what, future = self._making
        if what != sight:
            raise BusyError
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), LIMIT_S)
        finally:
            self._take_in()

    def _take_in(self) -> None:
        """Keep what is made by now."""
        if self._making is None or not self._making[1].done():
            return
        (sight, future), self._making = self._making, None
        if future.exception() is None:
            self._made[sight] = future.result()
            while len(self._made) > self._most:
                self._made.popitem(last=False)


def _sight(request: Request, caller: Viewer, uid: Uid) -> Sight:
    """What is to be explained; 404 where there is no video of it."""
    incident, backend = seen(request, caller, uid), backend_of(request)
    folder = backend.settings.evidence_folder
    for record in backend.store.evidence(uid):
        if record.kind != "video" or record.deleted_at is not None or not record.start_s <= 0 < record.end_s:
            continue
        path = inside(folder, record.path)
        if path is not None:
            camera = settings_of(backend).get(incident.camera)
            return Sight(
                uid=uid,
                video=path,
                moment_s=-record.start_s,
                behavior=incident.behavior,
                zone=incident.zone,
                zones=camera.zones if camera is not None else (),
                masks=camera.masks if camera is not None else (),
            )
    raise Refusal(404, "no-opening", uid=uid)


@router.get(
    "/incidents/{uid}/heat",
    summary="Where the model looked",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}},
)
async def get_heat(request: Request, caller: Viewer, sight: Annotated[Sight, Depends(_sight)]) -> Response:
    """The deciding picture, red where hiding a part takes most of the score: a JPEG, as the model saw it.

    `Jikimi-Score` is the score with nothing hidden. It takes some seconds, one incident at a time; 503:
    another one's is being made. Looking at it is audited, as looking at its video is.
    """
    backend, heats = backend_of(request), _heats(request)
    try:
        heat = await heats.get(sight, backend.explain)
    except (BusyError, TimeoutError):
        raise Refusal(503, "heat-busy", _AGAIN) from None
    except VideoError as error:
        log.warning("%s", error)
        raise Refusal(404, "opening-unseen", uid=sight.uid) from None
    except (BundleError, InferenceError) as error:
        log.error("%s", error)
        raise Refusal(503, "model-fails", _AGAIN) from None
    await run_in_threadpool(_note, request, backend, caller, sight)
    return Response(heat.jpeg, media_type="image/jpeg", headers={"Jikimi-Score": f"{heat.score:.3f}"})


def _heats(request: Request) -> Heats:
    heats: Heats = request.app.state.heats
    return heats


def _note(request: Request, backend: Backend, caller: Caller, sight: Sight) -> None:
    """Note the look, once for a while, as `evidence.get_evidence` does for the video itself."""
    file = str(sight.video.relative_to(backend.settings.evidence_folder.resolve()))
    views: Views = request.app.state.views
    if views.is_new(caller.name, file):
        backend.note(caller, VIEWED, sight.uid, file=file)
        views.add(caller.name, file)
