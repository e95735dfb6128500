"""Reports: what people saw and nothing was raised for, and the films of it."""

from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import select, tuple_

from jikimi.errors import NotFoundError
from jikimi.store.records import ReportEvidence, ReportKind, ReportRecord
from jikimi.store.sessions import Sessions, fields, insert_new, one_or_many, read
from jikimi.store.tables import ReportEvidenceRow, ReportRow


class Reports(Sessions):
    """The reports' part of the store. Those that were taken back are found by their uid alone."""

    def add_report(self, report: ReportRecord) -> bool:
        """Store a report; False, and nothing is changed: it is known."""
        with self._writing() as session:
            return insert_new(session, ReportRow, values=fields(report))

    def report(self, uid: str) -> ReportRecord:
        """Return one report.

        Raises:
            NotFoundError: none has this uid.
        """
        with self._reading() as session:
            return read(ReportRecord, _found(session.get(ReportRow, uid), uid))

    def reports(
        self,
        *,
        camera: str | Collection[str] | None = None,
        kind: ReportKind | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: tuple[datetime, str] | None = None,
        limit: int = 100,
    ) -> list[ReportRecord]:
        """Return reports of times that begin in [since, until), newest first.

        `before` is the (start_at, uid) of the last one of the page before.
        """
        row = ReportRow
        wanted = [row.withdrawn_at.is_(None), *one_or_many(row.camera, camera), *one_or_many(row.kind, kind)]
        if since is not None:
            wanted.append(row.start_at >= since)
        if until is not None:
            wanted.append(row.start_at < until)
        if before is not None:
            wanted.append(tuple_(row.start_at, row.uid) < before)
        query = select(row).where(*wanted).order_by(row.start_at.desc(), row.uid.desc()).limit(limit)
        with self._reading() as session:
            return [read(ReportRecord, each) for each in session.scalars(query)]

    def uncut_reports(self, *, limit: int = 100) -> list[ReportRecord]:
        """Return those whose film was not looked for yet, oldest first."""
        row = ReportRow
        query = select(row).where(row.cut_at.is_(None), row.withdrawn_at.is_(None))
        with self._reading() as session:
            return [
                read(ReportRecord, each)
                for each in session.scalars(query.order_by(row.at, row.uid).limit(limit))
            ]

    def report_cut(
        self, uid: str, *, at: datetime, files: Sequence[ReportEvidence] = (), problem: str = ""
    ) -> None:
        """Store what came of looking for a report's film; files that are known stay as they are.

        Raises:
            NotFoundError: none has this uid.
        """
        with self._writing() as session:
            row = _found(session.get(ReportRow, uid, with_for_update=True), uid)
            row.cut_at, row.problem = at, problem
            for file in files:
                values = fields(file) | {"path": file.path.as_posix()}
                insert_new(session, ReportEvidenceRow, values=values)

    def withdraw_report(self, uid: str, *, at: datetime) -> bool:
        """Take a report back: its files may be deleted by age. False: it was taken back before.

        Raises:
            NotFoundError: none has this uid.
        """
        with self._writing() as session:
            row = _found(session.get(ReportRow, uid, with_for_update=True), uid)
            if row.withdrawn_at is not None:
                return False
            row.withdrawn_at = at
            return True

    def report_evidence(self, uid: str) -> list[ReportEvidence]:
        """Return a report's files, deleted ones too, oldest first."""
        query = select(ReportEvidenceRow).where(ReportEvidenceRow.report == uid)
        with self._reading() as session:
            rows = session.scalars(query.order_by(ReportEvidenceRow.created_at, ReportEvidenceRow.path))
            return [_file(row) for row in rows]

    def report_videos(self, uids: Collection[str]) -> list[ReportEvidence]:
        """Return the videos of these reports that are still there."""
        row = ReportEvidenceRow
        query = select(row).where(row.report.in_(uids), row.kind == "video", row.deleted_at.is_(None))
        with self._reading() as session:
            return [_file(each) for each in session.scalars(query.order_by(row.path))]


def _file(row: ReportEvidenceRow) -> ReportEvidence:
    columns = {name: getattr(row, name) for name in ReportEvidence.__dataclass_fields__}
    return ReportEvidence(**(columns | {"path": Path(row.path)}))


def _found(row: ReportRow | None, uid: str) -> ReportRow:
    if row is None:
        raise NotFoundError(f"report {uid!r}: there is none of that uid; see the list of reports")
    return row
