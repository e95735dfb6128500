"""Cameras as they are kept: settings in the open, addresses sealed; and which are shelved."""

from datetime import datetime

from pydantic import ValidationError
from sqlalchemy import delete, select

from jikimi.address import Address
from jikimi.errors import NotFoundError, StoreError
from jikimi.settings import CameraSettings, first_problem
from jikimi.store.records import StoredCamera
from jikimi.store.sessions import Sessions, stamp, upsert
from jikimi.store.tables import CameraRow, MetaRow, ShelfRow

_VERSION = "cameras-version"
_SECRETS = {"address", "sub"}


class Cameras(Sessions):
    """The cameras' part of the store."""

    def cameras(self) -> list[StoredCamera]:
        """Return every camera, by name.

        Raises:
            StoreError: addresses cannot be opened: no key, a lost or another one.
        """
        with self._reading() as session:
            rows = session.scalars(select(CameraRow).order_by(CameraRow.name)).all()
        return [self._stored(row) for row in rows]

    def put_camera(self, settings: CameraSettings, *, at: datetime) -> None:
        """Add a camera, or replace the settings of the one with its name; a shelved one stays shelved."""
        values = {
            "name": settings.name,
            "settings": settings.model_dump(mode="json", exclude=_SECRETS),
            "address": self._seal(settings.name, settings.address),
            "sub": self._seal(settings.name, settings.sub) if settings.sub else None,
            "changed_at": at,
        }
        replaced = ("settings", "address", "sub", "changed_at")
        with self._writing() as session:
            upsert(session, CameraRow, values=[values], replace=replaced)
            stamp(session, _VERSION)

    def remove_camera(self, name: str) -> None:
        """Forget a camera; its incidents stay.

        Raises:
            NotFoundError: there is none of that name.
        """
        with self._writing() as session:
            session.execute(delete(ShelfRow).where(ShelfRow.camera == name))
            gone = session.execute(delete(CameraRow).where(CameraRow.name == name).returning(CameraRow.name))
            _must(gone.first() is not None, name)
            stamp(session, _VERSION)

    def shelve(self, name: str, *, until: datetime | None, by: str) -> None:
        """Let a camera raise nothing until then; None ends it. Also one that is in the site's file alone."""
        with self._writing() as session:
            if until is None:
                session.execute(delete(ShelfRow).where(ShelfRow.camera == name))
            else:
                values = {"camera": name, "until": until, "by": by}
                upsert(session, ShelfRow, values=[values], replace=("until", "by"))
            stamp(session, _VERSION)

    def shelved(self) -> dict[str, datetime]:
        """Return until when each shelved camera is, by name; some of it may have passed."""
        with self._reading() as session:
            return {row.camera: row.until for row in session.scalars(select(ShelfRow))}

    def cameras_version(self) -> str:
        """Return a stamp that differs after every change of any camera; one row is read for it."""
        with self._reading() as session:
            return session.scalar(select(MetaRow.value).where(MetaRow.key == _VERSION)) or ""

    def _seal(self, name: str, address: Address) -> str:
        try:
            return self._box.seal(address.reveal(), about=_about(name))
        except UnicodeEncodeError:
            raise StoreError(f"{_about(name)}: its address is no text") from None

    def _stored(self, row: CameraRow) -> StoredCamera:
        sealed = {"address": row.address, "sub": row.sub}
        opened = {
            key: Address(self._box.open(text, about=_about(row.name))) for key, text in sealed.items() if text
        }
        try:
            settings = CameraSettings.model_validate(row.settings | opened)
        except ValidationError as error:  # its own words quote values
            key, _ = first_problem(error)
            raise StoreError(
                f"{_about(row.name)}: its stored setting {key!r} does not fit this version; enter it again"
            ) from None
        return StoredCamera(settings, changed_at=row.changed_at)


def _about(name: str) -> str:
    return f"camera {name!r}"


def _must(found: bool, name: str) -> None:
    if not found:
        raise NotFoundError(f"{_about(name)}: there is none of that name; see the list of cameras")
