"""How much a caller may ask: bytes of a body, and tries, which make this box do things."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jikimi.serve.access import GUARDED, Caller
from jikimi.serve.problems import Refusal, problem

MAX_BODY_BYTES = 1 << 20

# ResNet-101 in float32 has 170 MB.
MAX_BUNDLE_BYTES = 512 << 20

# All other routes take JSON, which is read whole into memory; this one is written to a file as it comes.
_LARGER = {("POST", f"{GUARDED}/models"): MAX_BUNDLE_BYTES}

# Nobody reads the rest of it: the connection ends with the answer.
_CLOSE = {"Connection": "close"}

# Someone who sets up cameras tries a few in a row; a program that walks through addresses is slowed down.
TRIES_AT_ONCE = 5
TRY_EVERY_S = 6.0

# What is tried has its own time-outs, of about 10 s; this is for when they fail.
TRY_LIMIT_S = 30.0


class BodyLimit:
    """Answers 413 to a body that is too large, whether its size is announced or not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through while it is small enough."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        most = _LARGER.get((scope["method"], scope["path"]), MAX_BODY_BYTES)
        if announced.isdecimal() and (len(announced) > 18 or int(announced) > most):
            answer = problem(413, "too-large", _CLOSE, most=most)
            await answer(scope, receive, send)
            return
        await self._app(scope, _counting(receive, most), send)


def _counting(receive: Receive, most: int) -> Receive:
    taken = 0

    async def counted() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > most:
            raise Refusal(413, "too-large", _CLOSE, most=most)
        return message

    return counted


@dataclass(slots=True)
class Bucket:
    """Tokens of one caller: `left` of them at `at_s`, monotonic seconds."""

    left: float
    at_s: float

    def take(self, now_s: float) -> float:
        """Take a token → 0; or, where there is none, the seconds until there is one. Pure but for itself."""
        self.left = min(TRIES_AT_ONCE, self.left + max(0.0, now_s - self.at_s) / TRY_EVERY_S)
        self.at_s = now_s
        if self.left < 1:
            return (1 - self.left) * TRY_EVERY_S
        self.left -= 1
        return 0.0


class Tries:
    """A bucket for each caller. Thread-safe; as large as the lists of users and tokens at most."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}
        self._lock = Lock()

    def take(self, name: str) -> float:
        """Count a try → 0, or the seconds to wait instead."""
        now_s = self._clock()
        with self._lock:
            return self._buckets.setdefault(name, Bucket(TRIES_AT_ONCE, now_s)).take(now_s)


def count_try(request: Request, caller: Caller) -> None:
    """Raise Refusal 429 where a caller tries too much."""
    tries: Tries = request.app.state.tries
    if wait_s := tries.take(caller.name):
        headers = {"Retry-After": str(int(wait_s) + 1)}
        raise Refusal(429, "too-often", headers, name=caller.name, seconds=f"{wait_s:.0f}")
