"""Those to alert as they are kept: settings in the open, where to and with which secret sealed."""

from datetime import datetime

from pydantic import SecretStr, ValidationError
from sqlalchemy import delete, select

from jikimi.errors import NotFoundError, StoreError
from jikimi.settings import Target, first_problem
from jikimi.store.records import StoredTarget
from jikimi.store.sessions import Sessions, stamp, upsert
from jikimi.store.stored_settings import VERSION
from jikimi.store.tables import TargetRow

_SECRETS = {"url", "secret"}


class Targets(Sessions):
    """The targets' part of the store."""

    def targets(self) -> list[StoredTarget]:
        """Return every target, by name; one that cannot be opened says why and keeps no other from it."""
        with self._reading() as session:
            rows = session.scalars(select(TargetRow).order_by(TargetRow.name)).all()
        return [self._stored_target(row) for row in rows]

    def put_target(self, target: Target, *, at: datetime) -> None:
        """Add a target, or replace the one with its name."""
        values = {
            "name": target.name,
            "settings": target.model_dump(mode="json", exclude=_SECRETS),
            "url": self._seal_secret(target.name, "url", target.url),
            "secret": self._seal_secret(target.name, "secret", target.secret) if target.secret else None,
            "changed_at": at,
        }
        with self._writing() as session:
            upsert(session, TargetRow, values=[values], replace=("settings", "url", "secret", "changed_at"))
            stamp(session, VERSION)

    def remove_target(self, name: str) -> None:
        """Forget a target; what it was told stays.

        Raises:
            NotFoundError: there is none of that name.
        """
        with self._writing() as session:
            gone = session.execute(delete(TargetRow).where(TargetRow.name == name).returning(TargetRow.name))
            if gone.first() is None:
                raise NotFoundError(f"target {name!r}: there is none of that name; see the list of targets")
            stamp(session, VERSION)

    def _seal_secret(self, name: str, key: str, secret: SecretStr) -> str:
        try:
            return self._box.seal(secret.get_secret_value(), about=_about(name, key))
        except UnicodeEncodeError:
            raise StoreError(f"{_about(name, key)} is no text") from None

    def _stored_target(self, row: TargetRow) -> StoredTarget:
        sealed = {"url": row.url, "secret": row.secret}
        try:
            opened = {
                key: self._box.open(text, about=_about(row.name, key)) for key, text in sealed.items() if text
            }
            settings = Target.model_validate(row.settings | opened)
        except StoreError as error:
            return StoredTarget(row.name, None, row.changed_at, problem=str(error))
        except ValidationError as error:  # its own words quote values
            where, what = first_problem(error)
            why = where or what
            problem = f"target {row.name!r}: what is stored does not fit this version ({why}); enter it again"
            return StoredTarget(row.name, None, row.changed_at, problem=problem)
        return StoredTarget(row.name, settings, row.changed_at)


def _about(name: str, key: str) -> str:
    return f"target {name!r}: its {key}"
