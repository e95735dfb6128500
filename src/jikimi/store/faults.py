"""Faults: what keeps a camera or the site from watching, from when to when."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import select

from jikimi.errors import NotFoundError
from jikimi.store.outbox import add_notices
from jikimi.store.records import FaultRecord, Notice
from jikimi.store.sessions import Sessions, fields, given, insert_new, one_or_many, read
from jikimi.store.tables import FaultRow


class Faults(Sessions):
    """The faults' part of the store."""

    def begin_fault(self, fault: FaultRecord, notices: Sequence[Notice]) -> bool:
        """Store a fault and what is to be told of it; False, and nothing is changed: it is known."""
        with self._writing() as session:
            if not insert_new(session, FaultRow, values=fields(fault)):
                return False
            add_notices(session, notices, at=fault.began_at)
            return True

    def end_fault(self, uid: str, *, at: datetime, notices: Sequence[Notice] = ()) -> bool:
        """End a fault; False, and nothing is changed: it has ended.

        Raises:
            NotFoundError: none has this uid.
        """
        with self._writing() as session:
            row = session.get(FaultRow, uid, with_for_update=True)
            if row is None:
                raise NotFoundError(f"fault {uid!r}: there is none of that uid; see the list of faults")
            if row.ended_at is not None:
                return False
            row.ended_at = at
            add_notices(session, notices, at=at)
            return True

    def faults(
        self,
        *,
        camera: str | Collection[str] | None = None,
        open: bool | None = None,
        since: datetime | None = None,
        limit: int = 100,
    ) -> list[FaultRecord]:
        """Return faults, newest first; `since` leaves out those that had ended by then."""
        wanted = one_or_many(FaultRow.camera, camera)
        wanted += given(FaultRow.ended_at, None if open is None else not open)
        if since is not None:
            wanted.append((FaultRow.ended_at.is_(None)) | (FaultRow.ended_at > since))
        query = select(FaultRow).where(*wanted).order_by(FaultRow.began_at.desc(), FaultRow.uid.desc())
        with self._reading() as session:
            return [read(FaultRecord, row) for row in session.scalars(query.limit(limit))]
