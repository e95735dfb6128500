"""Work that may hang (a name server, a camera, a broker), in threads that nobody must wait for."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from threading import BoundedSemaphore, Thread
from typing import TypeVar

Result = TypeVar("Result")

# Threads that hang cannot be ended; so many of them mean that something else is wrong.
_MOST = 16
_room = BoundedSemaphore(_MOST)


def aside(work: Callable[[], Result]) -> "Future[Result]":
    """Begin `work` in a daemon thread → its future. It ends when it ends, and holds up no stop.

    Raises:
        TimeoutError: too much is hanging already.
    """
    room = _room
    if not room.acquire(blocking=False):
        raise TimeoutError(f"{_MOST} tries are under way already; try again in a moment")
    future: Future[Result] = Future()
    future.set_running_or_notify_cancel()
    Thread(target=_run, args=(work, future, room), name="aside", daemon=True).start()
    return future


async def aside_within(work: Callable[[], Result], limit_s: float) -> Result:
    """Do `work` aside and wait for it. Raises TimeoutError, and whatever `work` does."""
    return await asyncio.wait_for(asyncio.wrap_future(aside(work)), limit_s)


def _run(work: Callable[[], Result], future: "Future[Result]", room: BoundedSemaphore) -> None:
    try:
        future.set_result(work())
    except Exception as error:  # noqa: BLE001  (a thread's outer edge: whoever waits is told)
        future.set_exception(error)
    finally:
        room.release()
