"""The tables' history: what brings a database of any released Jikimi up to this one.

A new revision is written by hand or, from a database of the last one, by
`alembic.command.revision(settings(connection), autogenerate=True, rev_id="0002")`. It is called
`versions/schema_0002.py`; a released revision is never changed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text

from jikimi.errors import StoreError
from jikimi.store.engine import where, writer
from jikimi.store.failures import told
from jikimi.store.tables import Base

# Alembic keeps the migration at work in a module.
_ONE_AT_A_TIME = Lock()

# Held by whoever migrates PostgreSQL; the number only has to be Jikimi's own ("jikimi" in ASCII).
_ADVISORY_LOCK = 0x6A696B696D69


def upgrade(engine: Engine) -> None:
    """Bring the tables up to date; a database that is so already is only read.

    Raises:
        StoreError: a newer Jikimi made the tables, or another program.
    """
    with told(where(engine)):
        with engine.connect() as connection:
            if _is_current(connection, where(engine)):
                return
        with _ONE_AT_A_TIME, _alone(engine) as connection:
            if not _is_current(connection, where(engine)):  # another process may have been first
                command.upgrade(settings(connection), "head")


def settings(connection: Connection | None = None) -> Config:
    """Return Alembic's settings, which stand in no file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _is_current(connection: Connection, place: str) -> bool:
    scripts = ScriptDirectory.from_config(settings())
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision is None:
        if set(inspect(connection).get_table_names()) & set(Base.metadata.tables):
            raise StoreError(f"{place}: holds another program's tables; give Jikimi a database of its own")
        return False
    if revision not in {script.revision for script in scripts.walk_revisions()}:
        raise StoreError(
            f"{place}: its tables (schema {revision}) are of a newer Jikimi than this one; update Jikimi"
        )
    return revision == scripts.get_current_head()


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A transaction that no other migration runs beside, in one piece on both databases."""
    with writer(engine).connect() as connection:
        sqlite = engine.dialect.name == "sqlite"
        if sqlite:  # a table made anew must not take its rows' children along; only possible before BEGIN
            _set_foreign_keys(connection, on=False)
        try:
            with connection.begin():
                if not sqlite:
                    connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
                yield connection
        finally:
            if sqlite:
                _set_foreign_keys(connection, on=True)


def _set_foreign_keys(connection: Connection, *, on: bool) -> None:
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA foreign_keys={'ON' if on else 'OFF'}")
    cursor.close()
