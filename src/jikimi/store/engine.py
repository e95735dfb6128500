"""Connections: SQLite that survives a power cut, or PostgreSQL that heals. No password is ever shown."""

import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from jikimi.errors import StoreError
from jikimi.store.failures import told

BUSY_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 3
# A peer that is silent this long is gone: without it a pulled cable would hold a call for 15 minutes.
SILENCE_S = 10

# The execution option of connections that write: SQLite must take its lock before it reads, since a reader
# that becomes a writer fails at once where another wrote in between, whatever the timeout.
WRITES = "jikimi_writes"

_SECRET_OPTIONS = ("password", "sslpassword", "passfile")


def connect(url: str) -> Engine:
    """Return an engine that has reached its database.

    `sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://user:password@host:5432/name`.

    Raises:
        StoreError: the URL is wrong, or the database cannot be reached or is none.
    """
    engine = _sqlite(url) if url.startswith("sqlite:") else _postgres(url)
    try:
        with told(where(engine)), engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")
    except StoreError:
        engine.dispose()
        raise
    return engine


def where(engine: Engine) -> str:
    """Name an engine's database as messages do."""
    url = engine.url
    if engine.dialect.name == "sqlite":
        return f"database {url.database}"
    user = f"{url.username}@" if url.username else ""
    port = f":{url.port}" if url.port else ""
    return f"database postgresql://{user}{url.host or ''}{port}/{url.database or ''}"


def schema_of(engine: Engine) -> str | None:
    """The revision a database says it is of; None where it does not say, for whatever reason."""
    try:
        with engine.connect() as connection:
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except SQLAlchemyError:
        return None


def writer(engine: Engine) -> Engine:
    """Return the engine whose transactions may write."""
    return engine.execution_options(**{WRITES: True})


def _sqlite(url: str) -> Engine:
    path = url.removeprefix("sqlite:").removeprefix("//").removeprefix("/")
    if path in ("", ":memory:"):
        raise StoreError(f"[store] url {url}: a database in memory forgets alerts; name a file")
    if not Path(path).parent.is_dir():
        raise StoreError(f"database {path}: there is no folder {Path(path).parent}; create it")
    # The path is taken literally: it may hold '?' and '%'. Transactions are begun below, not by the driver.
    engine = create_engine(
        URL.create("sqlite", database=path),
        connect_args={"timeout": BUSY_TIMEOUT_S, "isolation_level": None},
        pool_timeout=BUSY_TIMEOUT_S,
        hide_parameters=True,
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    try:
        _use_wal(connection)
        connection.execute("PRAGMA synchronous=FULL")  # WAL's usual NORMAL may lose the last commits
        connection.execute("PRAGMA foreign_keys=ON")
    except sqlite3.Error:
        connection.close()  # the pool does not know it yet
        raise


def _use_wal(connection: sqlite3.Connection) -> None:
    """Where two make a new database a WAL one at once, SQLite refuses one of them without waiting."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgres(url: str) -> Engine:
    parsed, secrets = _parse_postgres(url)
    args: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": SILENCE_S * 1000,
    }
    args = {name: value for name, value in args.items() if name not in parsed.query} | secrets
    try:
        engine = create_engine(
            parsed,
            connect_args=args,
            pool_pre_ping=True,
            pool_timeout=BUSY_TIMEOUT_S,
            hide_parameters=True,
        )
    except ImportError as error:
        raise StoreError(
            'PostgreSQL needs psycopg; install it with: pip install "jikimi[postgres]"'
        ) from error
    event.listen(engine, "begin", _begin_postgres)
    return engine


def _begin_postgres(connection: Connection) -> None:
    if connection.get_execution_options().get(WRITES, False):
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{BUSY_TIMEOUT_S:.0f}s'")


def _parse_postgres(url: str) -> tuple[URL, dict[str, str]]:
    """Return the URL for SQLAlchemy and, apart from it, the secrets of its query, which a URL would show."""
    scheme, _, rest = url.partition("://")
    if scheme not in ("postgres", "postgresql", "postgresql+psycopg"):
        raise StoreError("[store] url: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME is expected")
    if rest.count("@") > 1:  # whatever follows the first would be taken for the host, and shown
        raise StoreError("[store] url: write '@' in a user or password as %40")
    try:
        parsed = make_url(f"postgresql+psycopg://{rest}")
    except (ArgumentError, ValueError):
        raise StoreError("[store] url: postgresql://USER:PASSWORD@HOST:PORT/NAME is expected") from None
    secrets = {key: str(value) for key, value in parsed.query.items() if key in _SECRET_OPTIONS}
    return parsed.difference_update_query(_SECRET_OPTIONS), secrets
