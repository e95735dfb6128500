"""The desk where passwords are checked: not too many at once, not too often, and aside the event loop."""

import asyncio
import logging
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from jikimi.errors import StoreError
from jikimi.passwords import Passwords
from jikimi.serve.guard import Attempt, LoginGuard
from jikimi.serve.problems import Refusal
from jikimi.store import Store, UserRecord

log = logging.getLogger(__name__)

Result = TypeVar("Result")

# A check takes 64 MiB and 0.2 s: so many wait a few seconds, and more of them mean an attack.
MOST_WAITING = 16


class Lane:
    """Does one thing after the other, in a thread of its own."""

    def __init__(self, name: str) -> None:
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._waiting = 0

    async def do(self, work: Callable[[], Result]) -> Result:
        """Raises Refusal 503 where too many wait already, and whatever `work` does."""
        if self._waiting >= MOST_WAITING:
            raise Refusal(503, "crowded", {"Retry-After": "5"})
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1


class Desk:
    """Checks and makes passwords."""

    def __init__(self, store: Store, passwords: Passwords, guard: LoginGuard | None = None) -> None:
        self.guard = guard or LoginGuard()
        self._store, self._passwords = store, passwords
        # Known browsers do not stand in the line that strangers can fill.
        self._known, self._strangers = Lane("password"), Lane("password")
        self._notes = ThreadPoolExecutor(max_workers=1, thread_name_prefix="notes")

    async def check(self, attempt: Attempt, password: str) -> UserRecord | None:
        """The user whose password it is; None: it is not, or there is no such user, or they are disabled.

        Raises:
            Refusal: 429 too often, 503 too many at once. StoreError.
        """
        self.take(attempt)
        try:
            user = await run_in_threadpool(self._store.find_user, attempt.name)
            kept = user.password_hash if user is not None and not user.disabled else None
            lane = self._known if attempt.device else self._strangers
            fits = await lane.do(lambda: self._passwords.fits(password, kept))
        except (StoreError, Refusal):
            self.guard.undo(attempt)
            raise
        if user is None or not fits:
            return None
        self.guard.succeeded(attempt)
        return await self._renewed(user, password)

    async def hash(self, password: str) -> str:
        """A new password as it is kept. Raises Refusal 503."""
        return await self._known.do(lambda: self._passwords.hash(password))

    def take(self, attempt: Attempt) -> None:
        """Count an attempt. Raises Refusal 429."""
        if wait_s := self.guard.take(attempt):
            seconds = math.ceil(wait_s)
            raise Refusal(429, "failed-tries", {"Retry-After": str(seconds)}, seconds=seconds)

    def later(self, work: Callable[[], None]) -> None:
        """Do `work` after the answer, whose time must not tell that there is such a user."""
        self._notes.submit(_logged, work)

    async def _renewed(self, user: UserRecord, password: str) -> UserRecord | None:
        """The user with a hash of today's parameters; None: the password is another by now."""
        if not self._passwords.is_old(user.password_hash):
            return user
        new = await self.hash(password)
        await run_in_threadpool(self._store.rehash_password, user.name, old=user.password_hash, new=new)
        return await run_in_threadpool(self._store.find_user, user.name)


def _logged(work: Callable[[], None]) -> None:
    try:
        work()
    except StoreError as error:
        log.warning("a failed log-in is not noted: %s", error)


def desk_of(request: Request) -> Desk:
    """Where passwords are checked."""
    desk: Desk = request.app.state.desk
    return desk
