"""Users: who may log in. Where there are any, one at least may do everything: the store sees to that."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import delete, select, text, update
from sqlalchemy.orm import Session

from jikimi.errors import ConflictError, NotFoundError
from jikimi.settings import Role
from jikimi.store.records import Language, UserRecord
from jikimi.store.sessions import Sessions, fields, insert_new, read
from jikimi.store.tables import SessionRow, UserRow


class Users(Sessions):
    """The users' part of the store."""

    def users(self) -> list[UserRecord]:
        """Return everybody who may log in, by name."""
        with self._reading() as session:
            return [read(UserRecord, row) for row in session.scalars(select(UserRow).order_by(UserRow.name))]

    def find_user(self, name: str) -> UserRecord | None:
        """Return the user of that name; None: there is none."""
        with self._reading() as session:
            row = session.get(UserRow, name)
            return None if row is None else read(UserRecord, row)

    def has_users(self) -> bool:
        """Whether there is any user."""
        with self._reading() as session:
            return session.scalar(select(UserRow.name).limit(1)) is not None

    def add_user(self, user: UserRecord, *, only_first: bool = False) -> bool:
        """Add a user; False, and nothing is changed: there is one of that name, or for `only_first` anyone.

        Raises:
            ConflictError: the first user, and not one who may do everything.
        """
        with self._changing() as session:
            first = session.scalar(select(UserRow.name).limit(1)) is None
            if only_first and not first:
                return False
            if first and not user.rules:
                raise ConflictError(f"user {user.name!r}: the first user is an admin of every camera")
            return insert_new(session, UserRow, values=fields(user))

    def change_user(
        self,
        name: str,
        *,
        role: Role,
        cameras: tuple[str, ...] | None,
        language: Language,
        disabled: bool,
        at: datetime,
    ) -> bool:
        """Change what a user may; where that differs from before, their sessions end → whether they did.

        Raises:
            NotFoundError: there is none of that name. ConflictError: nobody else may do everything.
        """
        with self._changing() as session:
            row = _row(session, name)
            before = (row.role, row.cameras, row.disabled)
            row.role, row.cameras, row.language, row.disabled = role, cameras, language, disabled
            row.changed_at = at
            session.flush()
            _keep_one_who_rules(session, name)
            if differs := before != (role, cameras, disabled):
                _end_sessions(session, name)
            return differs

    def set_language(self, name: str, language: Language) -> None:
        """Change the language that a user reads. Raises NotFoundError."""
        with self._writing() as session:
            _row(session, name).language = language

    def set_password(self, name: str, password_hash: str, *, at: datetime) -> None:
        """Give a user another password, which ends their sessions. Raises NotFoundError."""
        with self._changing() as session:
            row = _row(session, name)
            row.password_hash, row.changed_at = password_hash, at
            _end_sessions(session, name)

    def rehash_password(self, name: str, *, old: str, new: str) -> bool:
        """Keep the same password in another hash; False, and nothing is changed: it is another by now."""
        query = update(UserRow).where(UserRow.name == name, UserRow.password_hash == old)
        with self._writing() as session:
            changed = session.execute(query.values(password_hash=new).returning(UserRow.name))
            return changed.first() is not None

    def remove_user(self, name: str) -> None:
        """Forget a user and their sessions; what they did stays in the audit trail.

        Raises:
            NotFoundError: there is none of that name. ConflictError: nobody else may do everything.
        """
        with self._changing() as session:
            _row(session, name)
            _end_sessions(session, name)
            session.execute(delete(UserRow).where(UserRow.name == name))
            _keep_one_who_rules(session, name)

    @contextmanager
    def _changing(self) -> Iterator[Session]:
        """One change of users at a time: two admins who demote each other at once would leave none."""
        with self._writing() as session:
            if session.get_bind().dialect.name == "postgresql":
                session.execute(text("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE"))
            yield session


def _row(session: Session, name: str) -> UserRow:
    row = session.get(UserRow, name, with_for_update=True)
    if row is None:
        raise NotFoundError(f"user {name!r}: there is none of that name; see the list of users")
    return row


def _end_sessions(session: Session, name: str) -> None:
    session.execute(delete(SessionRow).where(SessionRow.user == name))


def _keep_one_who_rules(session: Session, name: str) -> None:
    if not any(read(UserRecord, row).rules for row in session.scalars(select(UserRow))):
        raise ConflictError(
            f"user {name!r}: the last admin of every camera stays one; make another user admin first"
        )
