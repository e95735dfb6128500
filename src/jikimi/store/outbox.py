"""The outbox: what must be told, kept until it is told. Rows are written with the change they tell of."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from jikimi.address import redact_text
from jikimi.store.records import Delivery, DeliveryRecord, Notice, OutboxState
from jikimi.store.sessions import Sessions, insert_new
from jikimi.store.tables import OutboxRow

_MAX_ERROR = 300


class Outbox(Sessions):
    """The outbox's part of the store."""

    def enqueue(self, notices: Sequence[Notice], *, at: datetime) -> int:
        """Store notices, due at once; return how many were new: a known key is stored already."""
        with self._writing() as session:
            return add_notices(session, notices, at=at)

    def due(self, *, now: datetime, limit: int = 100, target: str | None = None) -> list[Delivery]:
        """Return what is due, oldest first and target by target in turn, so that none starves another."""
        turn = func.row_number().over(
            partition_by=OutboxRow.target, order_by=(OutboxRow.next_at, OutboxRow.id)
        )
        chosen = select(OutboxRow.id, turn.label("turn")).where(
            OutboxRow.state == "due", OutboxRow.next_at <= now
        )
        if target is not None:
            chosen = chosen.where(OutboxRow.target == target)
        ranked = chosen.subquery()
        query = (
            select(OutboxRow)
            .join(ranked, OutboxRow.id == ranked.c.id)
            .order_by(ranked.c.turn, OutboxRow.next_at, OutboxRow.id)
            .limit(limit)
        )
        with self._reading() as session:
            return [_delivery(row) for row in session.scalars(query)]

    def next_due_at(self) -> datetime | None:
        """Return when the next notice is due (it may have been already); None: nothing waits."""
        with self._reading() as session:
            query = select(OutboxRow.next_at).where(OutboxRow.state == "due").order_by(OutboxRow.next_at)
            return session.scalar(query.limit(1))

    def delivered(self, id: int, *, at: datetime) -> None:
        """Settle a notice as told; one that is settled stays as it is."""
        values = {
            "state": "delivered",
            "delivered_at": at,
            "attempts": OutboxRow.attempts + 1,
        }
        with self._writing() as session:
            session.execute(
                update(OutboxRow).where(OutboxRow.id == id, OutboxRow.state == "due").values(values)
            )

    def failed(self, id: int, *, at: datetime, error: str, retry_at: datetime | None) -> None:
        """Put a notice off until `retry_at`; None gives it up. One that is settled stays as it is."""
        state: OutboxState = "given-up" if retry_at is None else "due"
        values = {
            "state": state,
            "next_at": retry_at or at,
            "attempts": OutboxRow.attempts + 1,
            "last_error": " ".join(redact_text(error, []).split())[:_MAX_ERROR],
        }
        with self._writing() as session:
            session.execute(
                update(OutboxRow).where(OutboxRow.id == id, OutboxRow.state == "due").values(values)
            )

    def outbox_counts(self) -> dict[tuple[str, OutboxState], int]:
        """Return how many notices each target has in each state."""
        columns = (OutboxRow.target, OutboxRow.state)
        with self._reading() as session:
            rows = session.execute(select(*columns, func.count()).group_by(*columns))
            return {(target, state): count for target, state, count in rows}

    def deliveries(self, uid: str) -> list[DeliveryRecord]:
        """Return how far the notices about an incident or fault have come, in the order of storing."""
        with self._reading() as session:
            rows = session.scalars(select(OutboxRow).where(OutboxRow.uid == uid).order_by(OutboxRow.id))
            return [_shown(row) for row in rows]


def add_notices(session: Session, notices: Sequence[Notice], *, at: datetime) -> int:
    """Store notices within a transaction that stores what they tell of; return how many were new."""
    return sum(insert_new(session, OutboxRow, values=_values(notice, at)) for notice in notices)


def _values(notice: Notice, at: datetime) -> dict[str, object]:
    return {
        "key": notice.key,
        "target": notice.target,
        "subject": notice.subject,
        "uid": notice.uid,
        "kind": notice.kind,
        "payload": dict(notice.payload),
        "state": "due",
        "attempts": 0,
        "next_at": at,
        "created_at": at,
        "last_error": "",
    }


def _delivery(row: OutboxRow) -> Delivery:
    notice = Notice(
        key=row.key,
        target=row.target,
        subject=row.subject,
        uid=row.uid,
        kind=row.kind,
        payload=row.payload,
    )
    return Delivery(row.id, notice, row.created_at, attempts=row.attempts)


def _shown(row: OutboxRow) -> DeliveryRecord:
    return DeliveryRecord(
        key=row.key,
        target=row.target,
        kind=row.kind,
        state=row.state,
        attempts=row.attempts,
        created_at=row.created_at,
        delivered_at=row.delivered_at,
        next_at=row.next_at if row.state == "due" else None,
        last_error=row.last_error,
    )
