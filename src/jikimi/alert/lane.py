"""One target's lane: a queue and a thread of its own, so that its trouble is nobody else's.

Order holds within an incident: its later notices wait for its earlier ones. Retries are timed by the
monotonic clock; the store's own stamps matter only to the next process.
"""

import logging
import random
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from jikimi.alert.channels import Channel
from jikimi.alert.message import message_of
from jikimi.alert.queue import Queue, Waiting
from jikimi.alert.timing import Clock, retry_at
from jikimi.errors import AlertError, JikimiError
from jikimi.store.records import Delivery

logger = logging.getLogger(__name__)

POLL_S = 0.5

OnDelivered = Callable[[str, float, float], None]
"""(target, seconds from storing to telling, seconds of the sending itself)"""

OnGivenUp = Callable[[Delivery, str], None]


class Outbox(Protocol):
    """What the dispatcher needs of the store. Every method may raise StoreError and is then called again."""

    def due(self, *, now: datetime, limit: int = 100, target: str | None = None) -> list[Delivery]:
        """Return what is due at `now` for one target or for all, none of them crowding out another."""

    def delivered(self, id: int, *, at: datetime) -> None:
        """Settle a notice as told."""

    def failed(self, id: int, *, at: datetime, error: str, retry_at: datetime | None) -> None:
        """Note a failure; `retry_at` None gives up."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a try and is not yet in the store. `error` None: delivered."""

    id: int
    at: datetime
    error: str | None = None
    retry_at: datetime | None = None


class Lane:
    """Sends one target's notices, one at a time, in a thread of its own."""

    def __init__(
        self,
        name: str,
        channel: Channel,
        outbox: Outbox,
        *,
        clock: Clock,
        rng: random.Random,
        on_delivered: OnDelivered,
        on_given_up: OnGivenUp,
    ) -> None:
        self.name = name
        self.errors = 0
        self._channel, self._outbox, self._clock, self._rng = channel, outbox, clock, rng
        self._on_delivered, self._on_given_up = on_delivered, on_given_up
        self._queue = Queue()
        self._known: set[int] = set()  # in the queue, or with an outcome that the store does not have yet
        self._settled: set[int] = set()  # in the store, but perhaps not yet seen so by a fetch under way
        self._outcomes: deque[Outcome] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"alert-{name}", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self, *, timeout_s: float) -> None:
        """Finish what is being sent and end."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout=timeout_s)

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    @property
    def held(self) -> int:
        """How many notices it knows of."""
        return len(self._known)

    def before_fetch(self) -> None:
        """Forget what was settled before a fetch begins: that fetch cannot return it any more."""
        with self._changed:
            self._settled.clear()

    def offer(self, deliveries: Iterable[Delivery]) -> None:
        """Take in what a fetch returned; what is known already is left alone."""
        now_s = self._clock.monotonic_s()
        with self._changed:
            for delivery in deliveries:
                if delivery.id not in self._known and delivery.id not in self._settled:
                    self._known.add(delivery.id)
                    self._queue.add(delivery, now_s=now_s)
            self._changed.notify_all()

    def retry_now(self) -> None:
        """Try everything that waits: the target is known to be back."""
        with self._changed:
            self._queue.streak = 0
            self._queue.hurry(self._clock.monotonic_s())
            self._changed.notify_all()

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._store_outcomes()
                waiting = self._await_next()
                if waiting is not None:
                    self._try(waiting)
            except Exception as error:  # noqa: BLE001 - the thread's outer edge: logged and counted
                self.errors += 1
                logger.error("target %r: sending stumbled (%s); it goes on", self.name, type(error).__name__)
                self._pause()
        self._store_outcomes()

    def _pause(self) -> None:
        with self._changed:
            if not self._stopping:
                self._changed.wait(timeout=POLL_S)

    def _await_next(self) -> Waiting | None:
        """Return what to try; None after a short wait in which nothing came."""
        with self._changed:
            now_s = self._clock.monotonic_s()
            waiting = self._queue.next(now_s)
            if waiting is None and not self._stopping:
                wait_s = min(POLL_S, max(self._queue.next_s() - now_s, 0.02))
                self._changed.wait(timeout=wait_s)
                waiting = self._queue.next(self._clock.monotonic_s())
            return None if self._stopping else waiting

    def _try(self, waiting: Waiting) -> None:
        start_s = self._clock.monotonic_s()
        notice = waiting.delivery.notice
        try:
            self._channel.send(message_of(notice), key=notice.key)
        except AlertError as error:  # a refusal too: whoever answers 404 may be mended within the day
            self._failed(waiting, start_s, str(error))
        except Exception as error:  # noqa: BLE001 - a channel's bug costs a retry, not the notice
            self.errors += 1
            words = f"target {self.name!r}: failed ({type(error).__name__})"
            self._failed(waiting, start_s, words)
        else:
            self._succeeded(waiting, start_s)

    def _succeeded(self, waiting: Waiting, start_s: float) -> None:
        now, now_s = self._clock.now(), self._clock.monotonic_s()
        with self._changed:
            self._queue.remove(waiting)
            self._queue.succeeded(now_s)
        self._outcomes.append(Outcome(waiting.delivery.id, now))
        age_s = max((now - waiting.delivery.created_at).total_seconds(), now_s - waiting.came_s)
        self._on_delivered(self.name, age_s, now_s - start_s)

    def _failed(self, waiting: Waiting, start_s: float, error: str) -> None:
        now, now_s = self._clock.now(), self._clock.monotonic_s()
        waiting.attempts += 1
        created = waiting.delivery.created_at
        again = retry_at(created, attempts=waiting.attempts, now=now, rng=self._rng)
        logger.warning("%s (%s)", error, "tried again later" if again else "given up")
        with self._changed:
            self._queue.failed(now_s, started_s=start_s)
            if again is None:
                self._queue.remove(waiting)
            else:
                waiting.due_s = now_s + (again - now).total_seconds()
        self._outcomes.append(Outcome(waiting.delivery.id, now, error, again))
        if again is None:
            self._on_given_up(waiting.delivery, error)

    def _store_outcomes(self) -> None:
        """Write what the store does not know yet; what it cannot take now is kept and written later."""
        while self._outcomes:
            outcome = self._outcomes[0]
            try:
                self._store(outcome)
            except Exception as error:  # noqa: BLE001 - whatever ails the store, the outcome is not lost
                self.errors += 1
                words = str(error) if isinstance(error, JikimiError) else type(error).__name__
                logger.warning("target %r: not noted yet: %s", self.name, words)
                return
            self._outcomes.popleft()
            if outcome.error is None or outcome.retry_at is None:
                with self._changed:
                    self._known.discard(outcome.id)
                    self._settled.add(outcome.id)

    def _store(self, outcome: Outcome) -> None:
        if outcome.error is None:
            self._outbox.delivered(outcome.id, at=outcome.at)
        else:
            self._outbox.failed(outcome.id, at=outcome.at, error=outcome.error, retry_at=outcome.retry_at)
