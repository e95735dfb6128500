"""The outbox's dispatcher: fetches what is due and hands it to one lane a target.

A notice is at-least-once: it leaves the store only after its target took it. The wall clock may be set at any
time: every wait is monotonic, and after a step of the clock everything in the store is looked through.
"""

import hashlib
import logging
import random
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from jikimi.alert.channels import Channel
from jikimi.alert.lane import POLL_S, Lane, OnDelivered, OnGivenUp, Outbox
from jikimi.alert.timing import Clock, SystemClock
from jikimi.errors import JikimiError
from jikimi.store.records import Delivery, FaultRecord

logger = logging.getLogger(__name__)

# How many new notices one fetch brings at most.
BATCH = 100

# A lane with this many is fetched for no more until it has sent some: the rest is not read again and again.
FULL = 200

# The first look takes everything, so that what an incident told first is known before what it told later.
FIRST_BATCH = 100_000

# A look at everything, whenever it is due: what a clock set back has put off is at most this late.
LOOK_EVERY_S = 30.0
LOOK_AHEAD = timedelta(days=3650)

# A target may have been added a moment ago, and whoever made the notice learned of it first.
UNKNOWN_FOR = timedelta(seconds=30)

# Wall and monotonic clock drift apart by well under this between two polls unless somebody sets the clock.
STEP_S = 1.0


class Dispatcher:
    """Empties the outbox. One thread fetches, one a target sends.

    `beats` grows with every round that reached the end, at least every half second while the store answers
    and every lane's thread lives: a parent that sees it stand still knows that alerts do.
    """

    def __init__(
        self,
        outbox: Outbox,
        channels: Mapping[str, Channel],
        *,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        on_delivered: OnDelivered = lambda target, created_s, send_s: None,
        on_given_up: OnGivenUp = lambda delivery, error: None,
    ) -> None:
        """Take the store and the channels by target; `start` begins.

        `on_delivered(target, seconds_from_created, seconds_of_send)` and `on_given_up(delivery, error)` are
        called in the threads of the lanes.
        """
        self.beats = 0
        self._store_errors = 0
        self._outbox, self._clock = outbox, clock or SystemClock()
        self._on_given_up = on_given_up
        self._lanes = {
            name: Lane(
                name,
                channel,
                outbox,
                clock=self._clock,
                rng=rng or random.Random(),
                on_delivered=on_delivered,
                on_given_up=on_given_up,
            )
            for name, channel in channels.items()
        }
        self._knocked, self._stopping = threading.Event(), threading.Event()
        self._looked_s = float("-inf")
        self._offset_s = self._offset()
        self._thread = threading.Thread(target=self._run, name="alert-dispatch", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def errors(self) -> int:
        """How often the store or a callback failed since the start."""
        return self._store_errors + sum(lane.errors for lane in self._lanes.values())

    @property
    def waiting(self) -> dict[str, int]:
        """How many notices each target still has to be told."""
        return {name: lane.held for name, lane in self._lanes.items()}

    def start(self) -> None:
        """Begin: everything in the outbox is tried at once, whatever its retry was put off to."""
        for lane in self._lanes.values():
            lane.start()
        self._thread.start()

    def stop(self, *, timeout_s: float = 12.0) -> None:
        """End; what is being sent may take its 10 s. What is not told stays in the outbox."""
        self._stopping.set()
        self._knocked.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=timeout_s)
        for lane in self._lanes.values():
            lane.stop(timeout_s=timeout_s)

    def knock(self) -> None:
        """Say that the outbox has something new; otherwise it is seen within half a second."""
        self._knocked.set()

    def retry_now(self, target: str) -> None:
        """Say that a target is back: its retries do not wait for their time."""
        if (lane := self._lanes.get(target)) is not None:
            lane.retry_now()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._round()
            except JikimiError as error:
                self._store_errors += 1
                logger.warning("outbox: %s; tried again", error)
            except Exception as error:  # noqa: BLE001 - the thread's outer edge: logged and counted
                self._store_errors += 1
                logger.error("outbox: fetching stumbled (%s); tried again", type(error).__name__)
            self._knocked.wait(timeout=POLL_S)
            self._knocked.clear()

    def _round(self) -> None:
        for lane in self._lanes.values():
            lane.before_fetch()
        found: dict[str, list[Delivery]] = {}
        for delivery in self._fetch():
            found.setdefault(delivery.notice.target, []).append(delivery)
        for target, deliveries in found.items():
            if target in self._lanes:
                self._lanes[target].offer(deliveries)
            else:
                self._give_up(deliveries)
        if all(lane.alive for lane in self._lanes.values()):
            self.beats += 1

    def _fetch(self) -> list[Delivery]:
        now, now_s, offset_s = self._clock.now(), self._clock.monotonic_s(), self._offset()
        stepped = abs(offset_s - self._offset_s) > STEP_S
        if not stepped and now_s - self._looked_s < LOOK_EVERY_S:
            return self._fetch_new(now)
        held = sum(lane.held for lane in self._lanes.values())
        first = self._looked_s == float("-inf")
        found = self._outbox.due(now=now + LOOK_AHEAD, limit=FIRST_BATCH if first else held + BATCH)
        self._looked_s, self._offset_s = now_s, offset_s
        return found

    def _fetch_new(self, now: datetime) -> list[Delivery]:
        held = sum(lane.held for lane in self._lanes.values())
        if held < FULL:
            return self._outbox.due(now=now, limit=held + BATCH)
        found: list[Delivery] = []
        for lane in self._lanes.values():
            if (count := lane.held) < FULL:
                found += self._outbox.due(now=now, limit=count + BATCH, target=lane.name)
        return found

    def _offset(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic_s()

    def _give_up(self, deliveries: list[Delivery]) -> None:
        """Nobody is there any more by the name that these are for; new ones may be for a new target."""
        now = self._clock.now()
        for delivery in deliveries:
            if timedelta(0) <= now - delivery.created_at < UNKNOWN_FOR:
                continue
            error = f"target {delivery.notice.target!r}: not in the settings any more"
            self._outbox.failed(delivery.id, at=now, error=error, retry_at=None)
            self._on_given_up(delivery, error)


def undelivered(delivery: Delivery, *, error: str, at: datetime) -> FaultRecord:
    """Return the site's fault for a notice that was given up: one a target and day, however many there are.

    Who is told of it is the caller's choice; telling the same target only adds to what it does not get.
    """
    target = delivery.notice.target
    mark = hashlib.sha256(target.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    message = f"an alert did not reach target {target!r}: {error}"
    return FaultRecord(f"undelivered-{mark}-{at:%Y%m%d}", "", "undelivered", message, at)
