"""What is new in the store, looked up once for all who look on: changes of incidents, and faults."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from jikimi.serve.live_messages import fault_text, incident_text
from jikimi.store import Store

# A change may be stored after one of a higher number (PostgreSQL): numbers are looked at again for as long as
# a transaction may wait for its lock.
_AGAIN_S = 6.0

# A fault that ended is looked for this far back; beyond, it was seen to begin and the status says the rest.
_FAULTS_BACK_S = 60.0
_MOST_FAULTS = 1000


@dataclass(frozen=True, slots=True)
class Event:
    """Something new, as it is sent; of a camera, or of the site (""), as callers may see."""

    camera: str
    text: str


@dataclass(slots=True)
class News:
    """Used by one thread. A store in trouble loses nothing: the next look goes on where the last ended."""

    store: Store
    clock: Callable[[], float]
    _seen: dict[int, float] = field(default_factory=dict, init=False)
    _floor: int | None = field(default=None, init=False)
    _faults: dict[str, bool] = field(default_factory=dict, init=False)

    def look(self) -> list[Event]:
        """What is new since the last look; at the first, nothing is. Raises StoreError."""
        if self._floor is None:
            floor = self.store.last_change()
            self._look_at_faults()
            self._floor = floor
            return []
        return [*self._changes(self._floor), *self._look_at_faults()]

    def _changes(self, floor: int) -> list[Event]:
        now_s = self.clock()
        rows = self.store.changes(after=floor)
        fresh = [row for row in rows if row.id not in self._seen]
        self._seen |= {row.id: now_s for row in fresh}
        old = [number for number, seen_s in self._seen.items() if now_s - seen_s > _AGAIN_S]
        if old:
            self._floor = max(floor, *old)
            self._seen = {number: s for number, s in self._seen.items() if number > self._floor}
        return [Event(row.incident.camera, incident_text(row)) for row in fresh]

    def _look_at_faults(self) -> list[Event]:
        """Faults that have begun or ended; each is told as it is now."""
        since = datetime.now(UTC) - timedelta(seconds=_FAULTS_BACK_S)
        rows = self.store.faults(since=since, limit=_MOST_FAULTS)
        found = {row.uid: row.ended_at is not None for row in rows}
        fresh = [row for row in rows if self._faults.get(row.uid) is not found[row.uid]]
        lasting = {uid: False for uid, ended in self._faults.items() if not ended and uid not in found}
        self._faults = lasting | found
        return [Event(row.camera, fault_text(row)) for row in reversed(fresh)]
