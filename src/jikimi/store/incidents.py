"""Incidents: each change is one transaction with its transition and with the notices that tell of it."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from jikimi.store.incident_queries import found
from jikimi.store.outbox import add_notices
from jikimi.store.records import Answer, IncidentRecord, Notice, TransitionRecord
from jikimi.store.sessions import Sessions, fields, insert_new
from jikimi.store.tables import IncidentRow, TransitionRow


class Incidents(Sessions):
    """What happens to incidents. Every method raises NotFoundError for a uid that is not stored."""

    def open_incident(self, incident: IncidentRecord, notices: Sequence[Notice]) -> bool:
        """Store an incident and what is to be told of it; False, and nothing is changed: it is known."""
        at = incident.opened_at
        with self._writing() as session:
            if not insert_new(session, IncidentRow, values=fields(incident)):
                return False
            _log(session, TransitionRecord(incident.uid, "opened", at, score=incident.peak))
            add_notices(session, notices, at=at)
            return True

    def update_incident(self, uid: str, *, at: datetime, peak: float, score: float) -> None:
        """Note a new score; a lower peak than the stored one does not lower it."""
        with self._writing() as session:
            row = _locked(session, uid)
            row.peak = max(row.peak, peak)
            _log(session, TransitionRecord(uid, "updated", at, score=score))

    def close_incident(
        self, uid: str, *, at: datetime, peak: float, score: float, notices: Sequence[Notice] = ()
    ) -> bool:
        """Close an incident; False, and nothing is changed: it is closed."""
        with self._writing() as session:
            row = _locked(session, uid)
            if row.closed_at is not None:
                return False
            row.closed_at, row.peak = at, max(row.peak, peak)
            _log(session, TransitionRecord(uid, "closed", at, score=score))
            add_notices(session, notices, at=at)
            return True

    def acknowledge(self, uid: str, *, at: datetime, by: str) -> bool:
        """Note that somebody attends to it; False: somebody was first and stays it."""
        with self._writing() as session:
            row = _locked(session, uid)
            if row.acknowledged_at is not None:
                return False
            row.acknowledged_at, row.acknowledged_by = at, by
            _log(session, TransitionRecord(uid, "acknowledged", at, by=by))
            return True

    def escalate(
        self, uid: str, *, level: int, at: datetime, notices: Sequence[Notice], by: str = ""
    ) -> bool:
        """Tell list `level`; False, and nothing is told: it was told, or somebody acknowledged meanwhile.

        `by` is somebody who passes it on, which they may do with one that is acknowledged.
        """
        with self._writing() as session:
            row = _locked(session, uid)
            if row.escalations != level - 1 or (row.acknowledged_at is not None and not by):
                return False
            row.escalations, row.escalated_at = level, at
            _log(session, TransitionRecord(uid, "escalated", at, by=by))
            add_notices(session, notices, at=at)
            return True

    def answer(
        self, uid: str, *, answer: Answer, at: datetime, by: str, behavior: str = "", note: str = ""
    ) -> None:
        """Note what it really was; a later answer replaces it, and the transitions keep both.

        Whoever answers has seen it: it counts as acknowledged.
        """
        with self._writing() as session:
            row = _locked(session, uid)
            row.answer, row.answered_by, row.answer_behavior, row.answer_note = answer, by, behavior, note
            if row.acknowledged_at is None:
                row.acknowledged_at, row.acknowledged_by = at, by
            details = {"answer": answer, "behavior": behavior, "note": note}
            _log(session, TransitionRecord(uid, "answered", at, by=by, details=details))

    def lock(self, uid: str, *, locked: bool, at: datetime, by: str) -> None:
        """Keep its evidence from being deleted, or no longer."""
        with self._writing() as session:
            row = _locked(session, uid)
            if row.locked == locked:
                return
            row.locked = locked
            _log(session, TransitionRecord(uid, "locked" if locked else "unlocked", at, by=by))


def _locked(session: Session, uid: str) -> IncidentRow:
    """The row, held against every other writer until the transaction ends."""
    return found(session.get(IncidentRow, uid, with_for_update=True), uid)


def _log(session: Session, transition: TransitionRecord) -> None:
    session.add(TransitionRow(**(fields(transition) | {"details": dict(transition.details)})))
