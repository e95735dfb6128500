"""Stores for tests, on SQLite and on PostgreSQL: a plugin, since every test of the store takes them.

A test module says `pytest_plugins = ("postgres_server", "store_fixtures")`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, text

from jikimi.store import SecretBox, Store, open_box, open_store
from jikimi.store.tables import Base


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'jikimi.db'}"
        return
    with request.getfixturevalue("postgres").database() as url:
        yield url


@pytest.fixture
def box(tmp_path: Path) -> SecretBox:
    """A box whose key lies beside the database."""
    return open_box(tmp_path / "jikimi.key", None)


@pytest.fixture(scope="session")
def postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database that tests use one after the other: making one for each would take longer than they do."""
    with request.getfixturevalue("postgres").database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path, box: SecretBox) -> Iterator[Store]:
    """An empty store on each kind of database."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'jikimi.db'}"
    else:
        url = request.getfixturevalue("postgres_url")
    with open_store(url, box=box) as opened:
        _empty(opened)
        yield opened


@pytest.fixture
def sqlite_store(tmp_path: Path, box: SecretBox) -> Iterator[Store]:
    """An empty store in a file `jikimi.db`."""
    with open_store(f"sqlite:///{tmp_path / 'jikimi.db'}", box=box) as opened:
        yield opened


def _empty(store: Store) -> None:
    """Delete every row, and count from 1 again."""
    with store._writing() as session:
        tables = Base.metadata.sorted_tables
        if session.get_bind().dialect.name == "postgresql":
            session.execute(text(f"TRUNCATE {', '.join(table.name for table in tables)} RESTART IDENTITY"))
        else:
            for table in reversed(tables):
                session.execute(delete(table))
