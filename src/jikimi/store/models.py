"""Models: the bundles a site has, which of them watches, and which runs beside it.

Those that were promoted are a pile: the one on top is the champion, rolling back takes it off. Below all of
them lies the bundle that Jikimi carries, which has no row until somebody promotes or challenges it.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import delete, select, text, update
from sqlalchemy.orm import Session

from jikimi.errors import ConflictError, NotFoundError
from jikimi.store.records import BothRecord, ModelRecord, ShadowRecord
from jikimi.store.sessions import Sessions, fields, insert_new, one_or_many, read, stamp, upsert
from jikimi.store.tables import MetaRow, ModelRow, ShadowCoverageRow, ShadowIncidentRow

_VERSION = "models-version"
_NEXT = timedelta(microseconds=1)


class Models(Sessions):
    """The models' part of the store."""

    def models(self) -> list[ModelRecord]:
        """Return every model, in the order in which they were added."""
        query = select(ModelRow).order_by(ModelRow.added_at, ModelRow.sha256)
        with self._reading() as session:
            return [read(ModelRecord, row) for row in session.scalars(query)]

    def find_model(self, sha256: str) -> ModelRecord | None:
        """Return the model with that hash; None: there is none."""
        with self._reading() as session:
            row = session.get(ModelRow, sha256)
            return None if row is None else read(ModelRecord, row)

    def champion(self) -> ModelRecord | None:
        """Return the model that was promoted last; None: none was, or all were rolled back."""
        with self._reading() as session:
            row = _in_state(session, "champion")
            return None if row is None else read(ModelRecord, row)

    def champion_before(self) -> ModelRecord | None:
        """Return the model that rolling back would let watch; None: the one that Jikimi carries."""
        with self._reading() as session:
            row = _promoted_last(session, but="champion")
            return None if row is None else read(ModelRecord, row)

    def models_version(self) -> str:
        """Return a stamp that differs after every change of any model; one row is read for it."""
        with self._reading() as session:
            return session.scalar(select(MetaRow.value).where(MetaRow.key == _VERSION)) or ""

    def add_model(self, model: ModelRecord) -> bool:
        """Add a model; False, and nothing is changed: it is known."""
        with self._choosing() as session:
            return insert_new(session, ModelRow, values=fields(model))

    def remove_model(self, sha256: str) -> None:
        """Forget a model and what it would have raised.

        Raises:
            NotFoundError: there is none. ConflictError: it watches, or runs beside.
        """
        with self._choosing() as session:
            row = _row(session, sha256)
            if row.state in ("champion", "challenger"):
                raise ConflictError(f"model {row.name!r} is {row.state}; it stays as long as it is")
            for table in (ShadowIncidentRow, ShadowCoverageRow):
                session.execute(delete(table).where(table.model == sha256))
            session.execute(delete(ModelRow).where(ModelRow.sha256 == sha256))

    def challenge(self, sha256: str, *, at: datetime) -> None:
        """Let a model run beside the champion, in place of any other that does.

        Raises:
            NotFoundError: there is none. ConflictError: it is the champion.
        """
        with self._choosing() as session:
            row = _row(session, sha256)
            if row.state == "champion":
                raise ConflictError(f"model {row.name!r} is champion; another is needed to challenge it")
            if row.state == "challenger":
                return
            _retire_challenger(session)
            row.state, row.challenged_at, row.problem = "challenger", at, ""

    def end_challenge(self, sha256: str) -> None:
        """Let a model run beside the champion no longer. Raises NotFoundError: it does not."""
        with self._choosing() as session:
            row = _row(session, sha256)
            if row.state != "challenger":
                raise NotFoundError(f"model {row.name!r} is no challenger; see the list of models")
            row.state = "kept"

    def promote(self, sha256: str, *, at: datetime) -> None:
        """Let a model watch.

        Raises:
            NotFoundError: there is none. ConflictError: it watches already.
        """
        with self._choosing() as session:
            row = _row(session, sha256)
            before = _in_state(session, "champion")
            if before is row:
                raise ConflictError(f"model {row.name!r} watches already")
            if before is not None:
                before.state = "kept"
                if before.promoted_at is not None:  # the pile is in this order, whatever the clock does
                    at = max(at, before.promoted_at + _NEXT)
            row.state, row.promoted_at, row.proven_at, row.problem = "champion", at, None, ""

    def roll_back(self, sha256: str, *, problem: str = "") -> ModelRecord | None:
        """Let the champion before this one watch again → that one; None: the bundle that Jikimi carries.

        With a `problem`, this one has failed.

        Raises:
            ConflictError: this one is no longer the champion.
        """
        with self._choosing() as session:
            row = _row(session, sha256)
            if row.state != "champion":
                raise ConflictError(f"model {row.name!r} is not champion; somebody was quicker, look again")
            row.state, row.promoted_at, row.problem = "failed" if problem else "kept", None, problem
            session.flush()
            before = _promoted_last(session)
            if before is None:
                return None
            before.state = "champion"
            return read(ModelRecord, before)

    def prove_model(self, sha256: str, *, at: datetime) -> None:
        """Note that a champion's detector has come up."""
        query = update(ModelRow).where(ModelRow.sha256 == sha256, ModelRow.proven_at.is_(None))
        with self._writing() as session:
            session.execute(query.values(proven_at=at))

    def open_shadow(self, shadow: ShadowRecord) -> bool:
        """Store what a challenger would have raised; False: it is known, or the model was removed."""
        with self._writing() as session:
            if session.get(ModelRow, shadow.model) is None:
                return False
            return insert_new(session, ShadowIncidentRow, values=fields(shadow))

    def close_shadow(self, uid: str, *, at: datetime, peak: float) -> None:
        """Close one; nothing happens where it is not open."""
        row = ShadowIncidentRow
        query = update(row).where(row.uid == uid, row.closed_at.is_(None))
        with self._writing() as session:
            session.execute(query.values(closed_at=at, peak=peak))

    def close_shadows(self, *, at: datetime) -> None:
        """Close all that an earlier run left open."""
        row = ShadowIncidentRow
        with self._writing() as session:
            session.execute(update(row).where(row.closed_at.is_(None)).values(closed_at=at))

    def shadows(
        self, model: str, *, since: datetime, camera: Collection[str] | None = None, limit: int = 100_000
    ) -> list[ShadowRecord]:
        """Return what a challenger would have raised since then, oldest first."""
        row = ShadowIncidentRow
        query = select(row).where(
            row.model == model, row.opened_at >= since, *one_or_many(row.camera, camera)
        )
        with self._reading() as session:
            rows = session.scalars(query.order_by(row.opened_at, row.uid).limit(limit))
            return [read(ShadowRecord, one) for one in rows]

    def add_both(self, records: Iterable[BothRecord]) -> None:
        """Add seconds to what the hour of a model and camera has already; none for a model that is gone."""
        with self._writing() as session:
            known = set(session.scalars(select(ModelRow.sha256)))
            values = [fields(record) for record in records if record.model in known]
            upsert(session, ShadowCoverageRow, values=values, add=["both_s"])

    def both(self, model: str, *, since: datetime, camera: Collection[str] | None = None) -> list[BothRecord]:
        """Return the hours that begin since then in which a challenger watched, too."""
        row = ShadowCoverageRow
        query = select(row).where(row.model == model, row.hour >= since, *one_or_many(row.camera, camera))
        with self._reading() as session:
            return [read(BothRecord, one) for one in session.scalars(query.order_by(row.camera, row.hour))]

    @contextmanager
    def _choosing(self) -> Iterator[Session]:
        """One change of models at a time: two promotions at once would leave two champions."""
        with self._writing() as session:
            if session.get_bind().dialect.name == "postgresql":
                session.execute(text("LOCK TABLE models IN SHARE ROW EXCLUSIVE MODE"))
            yield session
            stamp(session, _VERSION)


def _row(session: Session, sha256: str) -> ModelRow:
    row = session.get(ModelRow, sha256)
    if row is None:
        raise NotFoundError(f"model {sha256[:12]!r}: there is none of that hash; see the list of models")
    return row


def _in_state(session: Session, state: str) -> ModelRow | None:
    return session.scalar(select(ModelRow).where(ModelRow.state == state).limit(1))


def _promoted_last(session: Session, *, but: str = "") -> ModelRow | None:
    query = select(ModelRow).where(ModelRow.promoted_at.is_not(None), ModelRow.state != but)
    return session.scalar(query.order_by(ModelRow.promoted_at.desc(), ModelRow.sha256).limit(1))


def _retire_challenger(session: Session) -> None:
    row = _in_state(session, "challenger")
    if row is not None:
        row.state = "kept"
