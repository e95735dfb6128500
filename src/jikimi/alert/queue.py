"""What one target is still to be told, and which of it is tried next. Pure: knows no clock and no thread."""

from collections import deque
from dataclasses import dataclass, field

from jikimi.store.records import Delivery

# While a target fails, its queue is tried this much apart at most; what is new is tried at once.
LONGEST_QUIET_S = 30.0


@dataclass(slots=True, eq=False)
class Waiting:
    """A notice in the lane. `due_s` and `came_s` are monotonic seconds."""

    delivery: Delivery
    attempts: int
    due_s: float
    came_s: float


@dataclass(slots=True)
class Queue:
    """What waits, incident by incident in the order of storing. Not thread-safe."""

    incidents: dict[str, deque[Waiting]] = field(default_factory=dict)
    streak: int = 0
    failed_s: float = 0.0
    tried_s: float = 0.0
    hurried_s: float = float("-inf")

    def add(self, delivery: Delivery, *, now_s: float) -> None:
        """Put a notice in its place, due at once."""
        waiting = Waiting(delivery, delivery.attempts, due_s=now_s, came_s=now_s)
        row = self.incidents.setdefault(delivery.notice.uid, deque())
        row.append(waiting)
        if len(row) > 1 and row[-2].delivery.id > delivery.id:
            self.incidents[delivery.notice.uid] = deque(sorted(row, key=lambda each: each.delivery.id))

    def next(self, now_s: float) -> Waiting | None:
        """Return what to try now: what was never tried before retries, older before newer."""
        quiet = self.streak > 0 and now_s < self.failed_s + self._quiet_s()
        ready = [
            row[0]
            for row in self.incidents.values()
            if row[0].due_s <= now_s and not (quiet and row[0].came_s <= self.tried_s)
        ]
        return min(ready, key=lambda each: (each.attempts > 0, each.delivery.id), default=None)

    def remove(self, waiting: Waiting) -> None:
        """Take out a notice that is settled."""
        uid = waiting.delivery.notice.uid
        self.incidents[uid].remove(waiting)
        if not self.incidents[uid]:
            del self.incidents[uid]

    def succeeded(self, now_s: float) -> None:
        """Note that the target works; when it did not before, what waits for its retry is due now.

        At most every half minute, so that a notice that it never takes is not tried over and over.
        """
        if self.streak > 0 and now_s - self.hurried_s >= LONGEST_QUIET_S:
            self.hurry(now_s)
            self.hurried_s = now_s
        self.streak = 0

    def failed(self, now_s: float, *, started_s: float) -> None:
        """Note that the target does not work. What came after the try began is still new."""
        self.streak, self.failed_s, self.tried_s = self.streak + 1, now_s, started_s

    def hurry(self, now_s: float) -> None:
        """Make everything due now."""
        for row in self.incidents.values():
            for waiting in row:
                waiting.due_s = min(waiting.due_s, now_s)

    def next_s(self) -> float:
        """Return when the first retry is due, monotonic; infinity when nothing waits."""
        return min((row[0].due_s for row in self.incidents.values()), default=float("inf"))

    def __len__(self) -> int:
        return sum(map(len, self.incidents.values()))

    def _quiet_s(self) -> float:
        return float(min(2.0 ** (self.streak - 1), LONGEST_QUIET_S))
