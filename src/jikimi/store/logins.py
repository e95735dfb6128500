"""Sessions of browsers that have logged in. Their secrets are not here: a copy of the database opens none."""

from datetime import datetime

from sqlalchemy import delete, select, update

from jikimi.store.records import SessionRecord, UserRecord
from jikimi.store.sessions import Sessions, fields, read
from jikimi.store.tables import SessionRow, UserRow

# Somebody with more browsers than this loses the session that was seen longest ago.
MOST_SESSIONS = 32


class Logins(Sessions):
    """The sessions' part of the store."""

    def begin_session(self, session: SessionRecord, *, password_hash: str) -> bool:
        """Store a session of a user whose password was found to fit `password_hash`.

        False, and nothing is changed: they are gone, disabled, or have another password by now. Expired
        sessions of everybody are removed.
        """
        with self._writing() as work:
            user = work.get(UserRow, session.user, with_for_update=True)
            if user is None or user.disabled or user.password_hash != password_hash:
                return False
            work.execute(delete(SessionRow).where(SessionRow.expires_at <= session.created_at))
            oldest = select(SessionRow.key).where(SessionRow.user == session.user)
            oldest = oldest.order_by(SessionRow.seen_at.desc()).offset(MOST_SESSIONS - 1)
            work.execute(delete(SessionRow).where(SessionRow.key.in_(work.scalars(oldest).all())))
            work.add(SessionRow(**fields(session)))
            return True

    def session(self, key: str) -> tuple[SessionRecord, UserRecord] | None:
        """Return a session and its user, whether it has expired or not; None: there is none of that key."""
        query = select(SessionRow, UserRow).join(UserRow, SessionRow.user == UserRow.name)
        with self._reading() as work:
            found = work.execute(query.where(SessionRow.key == key)).first()
            return None if found is None else (read(SessionRecord, found[0]), read(UserRecord, found[1]))

    def sessions(self, user: str) -> list[SessionRecord]:
        """Return a user's sessions, the one seen last first."""
        query = select(SessionRow).where(SessionRow.user == user).order_by(SessionRow.seen_at.desc())
        with self._reading() as work:
            return [read(SessionRecord, row) for row in work.scalars(query)]

    def see_session(self, key: str, *, at: datetime) -> None:
        """Note that a session is in use; one that has ended meanwhile stays ended."""
        with self._writing() as work:
            work.execute(update(SessionRow).where(SessionRow.key == key).values(seen_at=at))

    def end_session(self, key: str) -> None:
        """End one session; one that has ended is well."""
        with self._writing() as work:
            work.execute(delete(SessionRow).where(SessionRow.key == key))

    def end_sessions(self, user: str) -> int:
        """End every session of a user → how many there were."""
        with self._writing() as work:
            ended = work.execute(delete(SessionRow).where(SessionRow.user == user).returning(SessionRow.key))
            return len(ended.all())
