"""The ledger: hours watched, who did what, and single words that must be remembered."""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime

from sqlalchemy import select

from jikimi.store.records import AuditRecord, CoverageRecord
from jikimi.store.sessions import Sessions, fields, insert_new, one_or_many, read, upsert
from jikimi.store.tables import AuditRow, CoverageRow, MetaRow


class Ledger(Sessions):
    """Coverage, audit and meta."""

    def add_coverage(self, records: Iterable[CoverageRecord]) -> None:
        """Add seconds to what the hour of a camera has already."""
        # In one order everywhere: two writers that lock rows crosswise would wait for each other.
        values = sorted(
            (_coverage(record) for record in records), key=lambda row: (row["camera"], row["hour"])
        )
        with self._writing() as session:
            upsert(session, CoverageRow, values=values, add=["seen_s", "due_s"])

    def coverage(
        self, *, since: datetime, until: datetime, camera: str | Collection[str] | None = None
    ) -> list[CoverageRecord]:
        """Return the hours that begin in [since, until), by camera and hour."""
        wanted = [CoverageRow.hour >= since, CoverageRow.hour < until]
        query = select(CoverageRow).where(*wanted, *one_or_many(CoverageRow.camera, camera))
        with self._reading() as session:
            rows = session.scalars(query.order_by(CoverageRow.camera, CoverageRow.hour))
            return [read(CoverageRecord, row) for row in rows]

    def audit(self, record: AuditRecord) -> None:
        """Note who did what."""
        values = fields(record) | {"details": dict(record.details)}
        del values["id"]
        with self._writing() as session:
            session.add(AuditRow(**values))

    def audit_trail(self, *, limit: int = 100, before: int | None = None) -> list[AuditRecord]:
        """Return who did what, newest first; `before` is the id of the last one of the page before."""
        query = select(AuditRow).order_by(AuditRow.id.desc()).limit(limit)
        if before is not None:
            query = query.where(AuditRow.id < before)
        with self._reading() as session:
            return [read(AuditRecord, row) for row in session.scalars(query)]

    def audit_of(self, about: str, what: str, *, limit: int = 1000) -> list[AuditRecord]:
        """Return who did one thing with one subject, newest first."""
        query = select(AuditRow).where(AuditRow.about == about, AuditRow.what == what)
        with self._reading() as session:
            rows = session.scalars(query.order_by(AuditRow.id.desc()).limit(limit))
            return [read(AuditRecord, row) for row in rows]

    def meta(self, key: str) -> str | None:
        """Return what is remembered under `key`."""
        with self._reading() as session:
            return session.scalar(select(MetaRow.value).where(MetaRow.key == key))

    def keep_meta(self, key: str, value: str) -> str:
        """Remember a word where none is remembered yet → the word that is remembered now."""
        with self._writing() as session:
            insert_new(session, MetaRow, values={"key": key, "value": value})
            return session.scalars(select(MetaRow.value).where(MetaRow.key == key)).one()

    def set_meta(self, key: str, value: str) -> None:
        """Remember a word; what was there is replaced."""
        with self._writing() as session:
            upsert(session, MetaRow, values=[{"key": key, "value": value}], replace=["value"])


def _coverage(record: CoverageRecord) -> dict[str, object]:
    hour = record.hour.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return fields(record) | {"hour": hour}
