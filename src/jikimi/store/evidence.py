"""Evidence: which files an incident has, and which of them must not be deleted."""

from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from sqlalchemy import select

from jikimi.errors import NotFoundError
from jikimi.store.incident_queries import found
from jikimi.store.records import EvidenceRecord
from jikimi.store.sessions import Sessions, fields, insert_new
from jikimi.store.tables import EvidenceRow, IncidentRow, ReportEvidenceRow, ReportRow


class Evidence(Sessions):
    """The evidence's part of the store; paths are relative to the evidence folder."""

    def add_evidence(self, record: EvidenceRecord) -> bool:
        """Store a file of an incident; False, and nothing is changed: its path is known.

        Raises:
            NotFoundError: the incident is not stored.
        """
        with self._writing() as session:
            found(session.get(IncidentRow, record.incident), record.incident)
            return insert_new(session, EvidenceRow, values=fields(record) | {"path": record.path.as_posix()})

    def evidence(self, uid: str) -> list[EvidenceRecord]:
        """Return an incident's files, deleted ones too, oldest first."""
        query = select(EvidenceRow).where(EvidenceRow.incident == uid)
        with self._reading() as session:
            rows = session.scalars(query.order_by(EvidenceRow.created_at, EvidenceRow.path))
            return [_record(row) for row in rows]

    def videos(self, uids: Collection[str]) -> list[EvidenceRecord]:
        """Return the videos of these incidents that are still there."""
        row = EvidenceRow
        query = select(row).where(row.incident.in_(uids), row.kind == "video", row.deleted_at.is_(None))
        with self._reading() as session:
            return [_record(each) for each in session.scalars(query.order_by(row.path))]

    def evidence_deleted(self, path: Path, *, at: datetime) -> None:
        """Note that a file of an incident or a report was deleted; the first time stays.

        Raises:
            NotFoundError: no evidence has this path.
        """
        name = path.as_posix()
        with self._writing() as session:
            row: EvidenceRow | ReportEvidenceRow | None = session.get(EvidenceRow, name, with_for_update=True)
            row = row or session.get(ReportEvidenceRow, name, with_for_update=True)
            if row is None:
                raise NotFoundError(f"evidence {name!r}: there is none of that path")
            row.deleted_at = row.deleted_at or at

    def locked_paths(self) -> set[Path]:
        """Return the files of locked incidents, and of reports, that are still there."""
        of_incidents = select(EvidenceRow.path).join(IncidentRow, EvidenceRow.incident == IncidentRow.uid)
        of_incidents = of_incidents.where(IncidentRow.locked, EvidenceRow.deleted_at.is_(None))
        of_reports = select(ReportEvidenceRow.path).join(ReportRow, ReportEvidenceRow.report == ReportRow.uid)
        of_reports = of_reports.where(
            ReportRow.withdrawn_at.is_(None), ReportEvidenceRow.deleted_at.is_(None)
        )
        with self._reading() as session:
            return {Path(path) for query in (of_incidents, of_reports) for path in session.scalars(query)}


def _record(row: EvidenceRow) -> EvidenceRecord:
    columns = {name: getattr(row, name) for name in EvidenceRecord.__dataclass_fields__}
    return EvidenceRecord(**(columns | {"path": Path(row.path)}))
