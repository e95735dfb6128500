"""What a page needs of now: one picture, or everything over one connection."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from jikimi.errors import JikimiError, StoreError
from jikimi.serve.access import UNKNOWN, Caller, Viewer
from jikimi.serve.answers import CameraAnswer
from jikimi.serve.backend import Backend
from jikimi.serve.callers import memory_of
from jikimi.serve.cameras import seen_camera
from jikimi.serve.evidence import Views
from jikimi.serve.live import Live
from jikimi.serve.live_messages import Choice, choice_text, picture_message, problem_text
from jikimi.serve.live_pictures import LivePicture
from jikimi.serve.onlooker import Onlooker
from jikimi.serve.problems import Refusal
from jikimi.serve.shown import veiled

log = logging.getLogger(__name__)

router = APIRouter(tags=["live"])
sockets = APIRouter()

# A picture of now is at most so old; a camera that works gives one within a second.
NOW_S = 1.5
_WAIT_S, _LOOK_EVERY_S = 2.0, 0.03

# How often it is asked whether who is connected still may be.
WHO_EVERY_S = 5.0

# A control room looks for days: an hour of it is one look.
LOOK_S = 3600.0

# After a store in trouble, a connection asks for its snapshot again.
_AGAIN_S = 2.0

TOO_MANY = 4429

_BAD = 'send {"pictures": ["CAMERA", …], "rate_hz": 8}: at most 64 cameras, 0.1 to 30 a second'


@router.get(
    "/cameras/{name}/picture",
    summary="What a camera sees now",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}},
)
async def get_picture(
    request: Request, caller: Viewer, camera: Annotated[CameraAnswer, Depends(seen_camera)]
) -> Response:
    """A JPEG, blackened where it must be. `Jikimi-At` says of when it is, `Jikimi-Age` how old, in s.

    Looking at it is audited, once an hour.
    """
    live: Live = request.app.state.live
    picture = await _picture_of_now(live, camera.name)
    if picture is None:
        raise Refusal(503, "camera-dark", {"Retry-After": "2"}, name=camera.name)
    await run_in_threadpool(_note_look, request.app, caller, [camera.name])
    at = datetime.fromtimestamp(picture.at_s, UTC).isoformat(timespec="milliseconds")
    age_s = max(0.0, time.monotonic() - picture.arrived_s)
    headers = {"Jikimi-At": at, "Jikimi-Age": f"{age_s:.3f}"}
    return Response(picture.jpeg, media_type="image/jpeg", headers=headers)


async def _picture_of_now(live: Live, camera: str) -> LivePicture | None:
    """The picture, as soon as there is one that is new enough; None where none comes."""
    who, until_s = object(), time.monotonic() + _WAIT_S
    live.pictures.look(camera, who, 1 / NOW_S)
    try:
        while (now_s := time.monotonic()) < until_s:
            picture = live.pictures.newest(camera)
            if picture is not None and now_s - picture.arrived_s < NOW_S:
                return picture
            await asyncio.sleep(_LOOK_EVERY_S)
        return None
    finally:
        live.pictures.look_away(camera, who)


@sockets.websocket("/live")
async def follow(socket: WebSocket) -> None:
    """Pictures, status, incidents and faults for one page; docs/operations.md says in what form."""
    live: Live = socket.app.state.live
    caller: Caller | None = getattr(socket.state, "caller", None)
    if caller is None:  # no gate: not open
        await socket.close(UNKNOWN)
        return
    await socket.accept()
    onlooker = live.join(caller)
    if onlooker is None:
        await socket.close(TOO_MANY)
        return
    try:
        code = await _first(
            _send(socket, onlooker),
            _receive(socket, live, onlooker),
            _tell_how_things_are(live, onlooker),
            _ask_who(socket, onlooker),
        )
        if code is not None:
            await socket.close(code)
    except WebSocketDisconnect:
        return
    finally:
        live.leave(onlooker)


async def _first(*work: Coroutine[None, None, int | None]) -> int | None:
    """What the first of them to end returns; the others are ended."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        code: int | None = next(iter(done)).result()
        return code
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _send(socket: WebSocket, onlooker: Onlooker) -> int | None:
    """Send what is next, whenever the browser takes it: what it does not take is replaced by newer."""
    writable: Callable[[], Awaitable[object]] = getattr(socket.state, "writable", _at_once)
    while True:
        await onlooker.news.wait()
        onlooker.news.clear()
        while True:
            await writable()  # what is chosen before then would be old when it is sent
            now_s = time.monotonic()
            what = onlooker.next(now_s)
            if what is None:
                break
            if isinstance(what, str):
                await socket.send_text(what)
            else:
                await socket.send_bytes(picture_message(what, now_s))
            await asyncio.sleep(0)  # nothing above waits while the browser is quick: others get their turn


async def _at_once() -> None:
    """What a server other than ours says of being writable."""


async def _receive(socket: WebSocket, live: Live, onlooker: Onlooker) -> int | None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        text = message.get("text")
        try:
            choice = Choice.model_validate_json(text if text is not None else b"")
        except ValidationError:
            onlooker.reply(problem_text(_BAD))
            continue
        chosen = onlooker.choose(choice.pictures, choice.rate_hz, live.known)
        onlooker.reply(choice_text(chosen, choice.rate_hz))
        await _note_looks(socket, onlooker)


async def _note_looks(socket: WebSocket, onlooker: Onlooker) -> None:
    """Note which cameras somebody looks at, of those that there are."""
    if onlooker.watched:
        await run_in_threadpool(_note_look, socket.app, onlooker.caller, sorted(onlooker.watched))


def _note_look(app: FastAPI, caller: Caller, cameras: Sequence[str]) -> None:
    """Note a look at live pictures in the audit log, each camera once an hour.

    A store in trouble stops nobody from looking: above all then somebody must.
    """
    views: Views = app.state.live_views
    backend: Backend = app.state.backend
    new = [camera for camera in cameras if views.is_new(caller.name, camera)]
    memory = memory_of(backend.store)
    if not new or not memory.may_note():
        return
    try:
        backend.note(caller, "viewed live", ", ".join(new), cameras=new)
    except StoreError as error:
        memory.note_failed()
        log.warning("a look at live pictures is not noted: %s", veiled(str(error)))
        return
    for camera in new:
        views.add(caller.name, camera, for_s=LOOK_S)


async def _tell_how_things_are(live: Live, onlooker: Onlooker) -> int | None:
    """A snapshot at the beginning, and whenever events were too many."""
    while True:
        await onlooker.lost.wait()
        await live.begun()
        onlooker.lost.clear()
        try:
            onlooker.tell_snapshot(await run_in_threadpool(live.snapshot, onlooker.caller))
        except JikimiError:  # the store; who looks for news has logged it
            onlooker.lost.set()
            await asyncio.sleep(_AGAIN_S)


async def _ask_who(socket: WebSocket, onlooker: Onlooker) -> int | None:
    """Who was logged out or is somebody else by now has to connect anew. Who goes on looking is noted."""
    while True:
        await asyncio.sleep(WHO_EVERY_S)
        await _note_looks(socket, onlooker)
        try:
            if await socket.state.who() != onlooker.caller:
                return UNKNOWN
        except StoreError:  # who looks on must go on seeing, above all while the store is in trouble
            continue
