"""When an alert is tried again, and the two clocks that decide it."""

import random
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 600.0
JITTER = 0.25
GIVE_UP_AFTER = timedelta(hours=24)

# Age alone must not end an alert: a wall clock set forward would make it old at once. Twenty tries take at
# least 1.7 hours by the delays above.
FEWEST_ATTEMPTS = 20

# Nor may a clock set back by years keep one for ever: a day's tries, one every half minute.
MOST_ATTEMPTS = 2880


class Clock(Protocol):
    """Wall time for what people read, monotonic time for every wait: the wall clock may be set any time."""

    def now(self) -> datetime:
        """Return the present moment, UTC and aware."""

    def monotonic_s(self) -> float:
        """Return seconds that only ever grow."""


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        """Return the present moment, UTC and aware."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Return seconds since some moment before this process."""
        return time.monotonic()


def retry_at(created_at: datetime, *, attempts: int, now: datetime, rng: random.Random) -> datetime | None:
    """Return when to try again after `attempts` (≥ 1) failures, or None to give up.

    The delay doubles from 1 s to 10 minutes, ± 25 % so that targets which failed together do not return
    together. Given up after 24 hours and 20 attempts, whichever comes later.
    """
    old = now - created_at >= GIVE_UP_AFTER
    if (old and attempts >= FEWEST_ATTEMPTS) or attempts >= MOST_ATTEMPTS:
        return None
    doubled_s = FIRST_DELAY_S * 2.0 ** min(attempts - 1, 30)
    delay_s = min(doubled_s, LONGEST_DELAY_S) * rng.uniform(1 - JITTER, 1 + JITTER)
    return now + timedelta(seconds=min(delay_s, LONGEST_DELAY_S))
