"""Values that hold in place of those of jikimi.toml, by key, as `evidence.keep_days`."""

import json

from sqlalchemy import delete, select

from jikimi.store.records import SettingRecord
from jikimi.store.sessions import Sessions, stamp, upsert
from jikimi.store.tables import MetaRow, SettingRow

VERSION = "settings-version"
"""Under which word of `meta` a change of values, or of targets, is noted."""


class StoredSettings(Sessions):
    """The values' part of the store."""

    def setting_values(self) -> list[SettingRecord]:
        """Return every value, by key."""
        query = select(SettingRow).order_by(SettingRow.key)
        with self._reading() as session:
            return [
                SettingRecord(row.key, json.loads(row.value), row.changed_at, row.changed_by)
                for row in session.scalars(query)
            ]

    def put_setting(self, setting: SettingRecord) -> None:
        """Let a value hold; one that was stored for its key before is replaced."""
        values = {
            "key": setting.key,
            "value": json.dumps(setting.value),
            "changed_at": setting.changed_at,
            "changed_by": setting.changed_by,
        }
        with self._writing() as session:
            upsert(session, SettingRow, values=[values], replace=("value", "changed_at", "changed_by"))
            stamp(session, VERSION)

    def remove_setting(self, key: str) -> bool:
        """Let the value of jikimi.toml hold again → whether one was stored."""
        with self._writing() as session:
            gone = session.execute(delete(SettingRow).where(SettingRow.key == key).returning(SettingRow.key))
            found = gone.first() is not None
            if found:
                stamp(session, VERSION)
            return found

    def settings_version(self) -> str:
        """Return a stamp that differs after every change of a value or a target; one row is read for it."""
        with self._reading() as session:
            return session.scalar(select(MetaRow.value).where(MetaRow.key == VERSION)) or ""
