"""Looking at incidents: one, a page of them, those that nobody attends to."""

from collections.abc import Collection
from dataclasses import fields
from datetime import datetime

from sqlalchemy import func, select, tuple_

from jikimi.errors import NotFoundError
from jikimi.store.incident_filter import IncidentFilter, conditions
from jikimi.store.records import Answer, ChangeRecord, IncidentRecord, TransitionRecord
from jikimi.store.sessions import Sessions, one_or_many, read
from jikimi.store.tables import IncidentRow, TransitionRow


class IncidentQueries(Sessions):
    """The incidents' part of the store that changes nothing."""

    def incident(self, uid: str) -> IncidentRecord:
        """Return one incident.

        Raises:
            NotFoundError: none has this uid.
        """
        with self._reading() as session:
            return read(IncidentRecord, found(session.get(IncidentRow, uid), uid))

    def incidents(
        self,
        *,
        camera: str | Collection[str] | None = None,
        behavior: str | Collection[str] | None = None,
        answer: Answer | None = None,
        answered: bool | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        open: bool | None = None,
        before: tuple[datetime, str] | None = None,
        limit: int = 100,
    ) -> list[IncidentRecord]:
        """Return incidents opened in [since, until), newest first.

        `before` is the (opened_at, uid) of the last one of the page before: pages neither repeat nor skip
        one, whatever is stored meanwhile.
        """
        wanted = IncidentFilter(
            camera=camera,
            behavior=behavior,
            answers=None if answer is None else (answer,),
            answered=answered,
            open=open,
            since=since,
            until=until,
        )
        return self.page(wanted, before=before, limit=limit)

    def page(
        self, wanted: IncidentFilter, *, before: tuple[datetime, str] | None = None, limit: int = 100
    ) -> list[IncidentRecord]:
        """Return what is wanted, newest first, `before` as above."""
        row, fits = IncidentRow, conditions(wanted)
        if before is not None:
            fits.append(tuple_(row.opened_at, row.uid) < tuple_(*before))
        columns = [getattr(row, field.name) for field in fields(IncidentRecord)]  # no objects to build first
        query = select(*columns).where(*fits).order_by(row.opened_at.desc(), row.uid.desc()).limit(limit)
        with self._reading() as session:
            return [IncidentRecord(*each) for each in session.execute(query)]

    def count(self, wanted: IncidentFilter, *, most: int) -> int:
        """Return how many are wanted, at most `most`: there counting stops."""
        some = select(IncidentRow.uid).where(*conditions(wanted)).limit(most).subquery()
        with self._reading() as session:
            return session.scalar(select(func.count()).select_from(some)) or 0

    def open_incidents(self) -> list[IncidentRecord]:
        """Return every incident that lasts, oldest first."""
        query = select(IncidentRow).where(IncidentRow.closed_at.is_(None))
        query = query.order_by(IncidentRow.opened_at, IncidentRow.uid)
        with self._reading() as session:
            return [read(IncidentRecord, row) for row in session.scalars(query)]

    def unacknowledged(
        self, *, before: datetime, escalations_below: int | None = None
    ) -> list[IncidentRecord]:
        """Return what was opened before then and nobody acknowledged, oldest first.

        `escalations_below` leaves out what was escalated so often already: with the number of lists after the
        first, those that nobody is left to be told of.
        """
        row = IncidentRow
        wanted = [row.acknowledged_at.is_(None), row.opened_at < before]
        if escalations_below is not None:
            wanted.append(row.escalations < escalations_below)
        query = select(row).where(*wanted).order_by(row.opened_at, row.uid)
        with self._reading() as session:
            return [read(IncidentRecord, each) for each in session.scalars(query)]

    def unsettled(
        self, *, camera: str | Collection[str] | None = None, limit: int = 100
    ) -> list[IncidentRecord]:
        """Return what lasts or nobody acknowledged, newest first."""
        row = IncidentRow
        wanted = [*one_or_many(row.camera, camera), row.closed_at.is_(None) | row.acknowledged_at.is_(None)]
        query = select(row).where(*wanted).order_by(row.opened_at.desc(), row.uid.desc()).limit(limit)
        with self._reading() as session:
            return [read(IncidentRecord, each) for each in session.scalars(query)]

    def last_change(self) -> int:
        """Return the number of the newest change of any incident; 0: there was none."""
        with self._reading() as session:
            return session.scalar(select(func.max(TransitionRow.id))) or 0

    def changes(self, *, after: int, limit: int = 1000) -> list[ChangeRecord]:
        """Return changes of all incidents with a number above `after`, in the order of their numbers.

        PostgreSQL hands out numbers before it stores: a lower one may come to be seen after a higher one.
        """
        query = select(TransitionRow, IncidentRow).join(
            IncidentRow, TransitionRow.incident == IncidentRow.uid
        )
        query = query.where(TransitionRow.id > after).order_by(TransitionRow.id).limit(limit)
        with self._reading() as session:
            return [
                ChangeRecord(row.id, read(TransitionRecord, row), read(IncidentRecord, incident))
                for row, incident in session.execute(query)
            ]

    def transitions(self, uid: str) -> list[TransitionRecord]:
        """Return an incident's changes in the order in which they were stored."""
        query = select(TransitionRow).where(TransitionRow.incident == uid).order_by(TransitionRow.id)
        with self._reading() as session:
            return [read(TransitionRecord, row) for row in session.scalars(query)]


def found(row: IncidentRow | None, uid: str) -> IncidentRow:
    """Return the row.

    Raises:
        NotFoundError: there is none.
    """
    if row is None:
        raise NotFoundError(f"incident {uid!r}: there is none of that uid; see the list of incidents")
    return row
