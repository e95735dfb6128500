"""Escalation: whom to tell next when nobody acknowledges. The decision is pure; `Escalation` carries it out.

How far an incident has come is in the store (`escalations`, `escalated_at`), so that a restart goes on there.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from jikimi.alert.message import Plant
from jikimi.alert.notices import notices_for_incident
from jikimi.alert.timing import Clock, SystemClock
from jikimi.errors import JikimiError
from jikimi.store.records import IncidentRecord, Notice

logger = logging.getLogger(__name__)

Lists = Sequence[Sequence[str]]
"""Names of targets, list by list in order of escalation."""

# Nobody is called for what happened the day before.
OLDEST = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Step:
    """An incident's next list: `level` counts from 0, which was told when it opened."""

    incident: IncidentRecord
    level: int
    targets: tuple[str, ...]
    waited_s: float


class EscalationStore(Protocol):
    """What escalation needs of the store."""

    def unacknowledged(
        self, *, before: datetime, escalations_below: int | None = None
    ) -> Sequence[IncidentRecord]:
        """Return incidents opened before a moment, not acknowledged and escalated less often."""

    def escalate(
        self, uid: str, *, level: int, at: datetime, notices: Sequence[Notice], by: str = ""
    ) -> bool:
        """Note the step and store its notices, together; False: acknowledged or escalated meanwhile."""


def next_step(
    incident: IncidentRecord, lists: Lists, *, after_s: float, now: datetime, known_s: float = 0.0
) -> Step | None:
    """Return whom to tell now, or None.

    `known_s` is how long, by the monotonic clock, the incident has been known to wait at its present list: a
    wall clock that was set back must not put anybody off.
    """
    level = incident.escalations + 1
    if incident.acknowledged_at is not None or level >= len(lists) or now - incident.opened_at >= OLDEST:
        return None
    since = incident.escalated_at or incident.opened_at
    if max((now - since).total_seconds(), known_s) < after_s:
        return None
    waited_s = max((now - incident.opened_at).total_seconds(), known_s, level * after_s)
    return Step(incident, level, tuple(lists[level]), waited_s)


def next_targets(incident: IncidentRecord, lists: Lists) -> tuple[str, ...]:
    """Return whom an incident goes to next; nobody: everybody was told."""
    level = incident.escalations + 1
    return tuple(lists[level]) if level < len(lists) else ()


def pass_on(
    store: EscalationStore, incident: IncidentRecord, lists: Lists, plant: Plant, *, by: str, now: datetime
) -> bool:
    """Tell the next list at once because somebody says so; False: it was escalated meanwhile.

    An incident may be acknowledged by then: whoever attends to it may need others. Raises StoreError.
    """
    level, waited_s = incident.escalations + 1, max(0.0, (now - incident.opened_at).total_seconds())
    notices = notices_for_incident(
        incident, "escalated", next_targets(incident, lists), plant, level=level, waited_s=waited_s, by=by
    )
    return store.escalate(incident.uid, level=level, at=now, notices=notices, by=by)


def told(lists: Lists, *, escalations: int) -> tuple[str, ...]:
    """Return everybody who was told of an incident: those to tell when it closes, each once."""
    return tuple(dict.fromkeys(name for row in lists[: escalations + 1] for name in row))


class Escalation:
    """Looks through the incidents that wait. Used by one thread, which calls `step` every second or so."""

    def __init__(
        self,
        store: EscalationStore,
        *,
        lists: Lists,
        after_s: float,
        plant: Plant,
        clock: Clock | None = None,
    ) -> None:
        self.errors = 0
        self._store, self._lists, self._after_s, self._plant = store, lists, after_s, plant
        self._clock = clock or SystemClock()
        self._known_s: dict[tuple[str, int], float] = {}

    def step(self) -> int:
        """Escalate what is due; return how many incidents. Trouble of the store is logged and counted.

        The outbox has something new when this is not 0: knock at the dispatcher.
        """
        last = len(self._lists) - 1
        if last < 1:
            return 0
        try:
            # A clock set back makes incidents of the future; they wait like the others.
            waiting = self._store.unacknowledged(before=self._clock.now() + OLDEST, escalations_below=last)
        except JikimiError as error:
            self._failed(error)
            return 0
        now_s = self._clock.monotonic_s()
        self._known_s = {_place(incident): self._known_s.get(_place(incident), now_s) for incident in waiting}
        return sum(self._escalate(incident, now_s) for incident in waiting)

    def _escalate(self, incident: IncidentRecord, now_s: float) -> bool:
        now = self._clock.now()
        known_s = now_s - self._known_s[_place(incident)]
        step = next_step(incident, self._lists, after_s=self._after_s, now=now, known_s=known_s)
        if step is None:
            return False
        notices = notices_for_incident(
            incident, "escalated", step.targets, self._plant, level=step.level, waited_s=step.waited_s
        )
        try:
            return self._store.escalate(incident.uid, level=step.level, at=now, notices=notices)
        except JikimiError as error:
            self._failed(error)
            return False

    def _failed(self, error: JikimiError) -> None:
        self.errors += 1
        logger.warning("escalation: %s; tried again", error)


def _place(incident: IncidentRecord) -> tuple[str, int]:
    return incident.uid, incident.escalations
