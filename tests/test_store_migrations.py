"""Schemas: every released one comes up to this one with its rows; a newer or foreign one is refused."""

import sqlite3
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, text

from jikimi.store import CoverageRecord, Store, StoreError, open_box, open_store
from jikimi.store.engine import connect, writer
from jikimi.store.migrations import settings, upgrade
from jikimi.store.tables import SCHEMA, Base
from store_values import ADDRESS, KEY, NOON, evidence, fill, later

if TYPE_CHECKING:
    from postgres_server import Postgres

pytest_plugins = ("postgres_server", "store_fixtures")

REVISIONS = [script.revision for script in ScriptDirectory.from_config(settings()).walk_revisions()][::-1]
RELEASED = ["0001"]  # a dump of each lies beside this file

HERE = Path(__file__).parent


def load(url: str, revision: str) -> None:
    """Put the dump of a released schema into an empty database."""
    if url.startswith("sqlite"):
        script = (HERE / f"store_schema_{revision}.sqlite.sql").read_text(encoding="utf-8")
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        connection.executescript(script)
        connection.close()
        return
    import psycopg

    script = (HERE / f"store_schema_{revision}.postgresql.sql").read_text(encoding="utf-8")
    with psycopg.connect(url) as other:
        other.execute(script)  # type: ignore[call-overload]


def differences(url: str) -> list[object]:
    """What Alembic would change to make the database equal to the tables."""
    engine = connect(url)
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            return list(compare_metadata(context, Base.metadata))
    finally:
        engine.dispose()


def shape(url: str) -> dict[str, object]:
    """Columns, keys and indexes of every table, as the database has them."""
    engine = connect(url)
    try:
        look = inspect(engine)
        return {
            table: (
                [(c["name"], str(c["type"]), c["nullable"]) for c in look.get_columns(table)],
                look.get_pk_constraint(table),
                look.get_foreign_keys(table),
                look.get_unique_constraints(table),
                sorted(look.get_indexes(table), key=str),
            )
            for table in sorted(look.get_table_names())
        }
    finally:
        engine.dispose()


def rows(store: Store) -> dict[str, list[str]]:
    with store._reading() as session:
        return {
            table.name: sorted(map(repr, session.execute(select(table))))
            for table in Base.metadata.sorted_tables
        }


def set_revision(url: str, revision: str) -> None:
    engine = connect(url)
    with writer(engine).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :new"), {"new": revision})
    engine.dispose()


def test_every_revision_is_a_released_one_with_a_dump_or_the_newest() -> None:
    assert REVISIONS[: len(RELEASED)] == RELEASED
    assert len(REVISIONS) <= len(RELEASED) + 1
    for revision in RELEASED:
        for kind in ("sqlite", "postgresql"):
            assert (HERE / f"store_schema_{revision}.{kind}.sql").exists()


def test_schema_of_the_tables_is_the_newest_revision() -> None:
    assert REVISIONS[-1] == SCHEMA


def test_new_database_equals_the_tables(database_url: str) -> None:
    open_store(database_url).close()
    assert differences(database_url) == []


def test_tables_made_at_once_and_step_by_step_are_the_same(database_url: str) -> None:
    open_store(database_url).close()
    stepwise = shape(database_url)
    engine = connect(database_url)
    with writer(engine).begin() as connection:
        Base.metadata.drop_all(connection)
        Base.metadata.create_all(connection)
    engine.dispose()
    assert shape(database_url) == stepwise


@pytest.mark.parametrize("revision", RELEASED)
def test_released_schema_comes_up_to_the_tables_and_keeps_its_rows(database_url: str, revision: str) -> None:
    load(database_url, revision)
    with open_store(database_url, box=open_box(Path("unused"), KEY)) as store:
        press, other = store.cameras()
        assert press.settings.address.reveal() == ADDRESS
        assert other.settings.zones[0].name == "벨트"
        assert store.shelved() == {"프레스 2": later(3600)}
        found = store.incident("i1")
        assert (found.answer, found.answer_behavior) == ("other-behavior", "jam")
        assert (found.locked, found.peak) == (True, 0.9)
        assert [each.kind for each in store.transitions("i2")] == ["opened", "escalated"]
        assert store.evidence("i1") == [evidence()]
        assert store.outbox_counts() == {
            ("phone", "delivered"): 1,
            ("phone", "due"): 1,
            ("siren", "due"): 1,
        }
        assert [each.uid for each in store.faults(open=True)] == ["f1"]
        hour = NOON.replace(microsecond=0)
        assert store.coverage(since=hour, until=later(1)) == [CoverageRecord("press-3", hour, 3500.5, 3600)]
        assert [each.details for each in store.audit_trail()] == [{"hours": 1}]
        assert store.meta("evidence-head") == "ab" * 32
        store.answer("i2", answer="correct", at=later(300), by="kim")
        assert store.transitions("i2")[-1].kind == "answered"  # numbers go on where the dump's end
    assert differences(database_url) == []


@pytest.mark.parametrize("start", [None, *REVISIONS])
def test_every_step_up_ends_at_the_tables(database_url: str, start: str | None) -> None:
    engine = connect(database_url)
    if start is not None:
        with writer(engine).begin() as connection:
            command.upgrade(settings(connection), start)
    upgrade(engine)
    engine.dispose()
    assert differences(database_url) == []


@pytest.mark.parametrize("revision", RELEASED)
def test_dump_of_a_released_schema_has_rows_in_every_table(database_url: str, revision: str) -> None:
    load(database_url, revision)
    released = set(shape(database_url))
    with open_store(database_url) as store:
        assert [name for name, each in rows(store).items() if not each and name in released] == []


def test_a_dump_of_these_tables_would_have_rows_in_every_one(store: Store) -> None:
    fill(store)
    assert [name for name, each in rows(store).items() if not each] == []


def test_opening_again_changes_nothing(database_url: str) -> None:
    load(database_url, RELEASED[-1])
    with open_store(database_url) as store:
        before = rows(store)
    with open_store(database_url) as store:
        assert rows(store) == before


def test_database_of_a_newer_program_is_refused_and_left_alone(database_url: str) -> None:
    open_store(database_url).close()
    set_revision(database_url, "9999")
    for _ in range(2):
        with pytest.raises(StoreError, match=r"schema 9999.* newer Jikimi .* update Jikimi$") as told:
            open_store(database_url)
        assert "\n" not in str(told.value)
    set_revision(database_url, REVISIONS[-1])
    open_store(database_url).close()


def test_database_of_another_program_is_refused_and_left_alone(database_url: str) -> None:
    engine = connect(database_url)
    with writer(engine).begin() as connection:
        connection.execute(text("CREATE TABLE incidents (cat TEXT)"))
    with pytest.raises(StoreError, match="another program's tables"):
        open_store(database_url)
    assert inspect(engine).get_table_names() == ["incidents"]
    engine.dispose()


def test_revision_that_fails_changes_nothing(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from jikimi.store import migrations

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("no room")

    engine = connect(database_url)
    real = migrations.command.upgrade

    def upgrade_then_fail(*args: object) -> None:
        real(*args)  # type: ignore[arg-type]
        fail()

    monkeypatch.setattr(migrations.command, "upgrade", upgrade_then_fail)
    with pytest.raises(StoreError, match="no room"):
        upgrade(engine)
    assert inspect(engine).get_table_names() == []
    engine.dispose()


def test_many_who_open_a_new_database_at_once_make_it_once(database_url: str) -> None:
    opened: list[Store] = []
    threads = [Thread(target=lambda: opened.append(open_store(database_url))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in opened:
        store.close()
    assert len(opened) == 6
    assert differences(database_url) == []


def test_migration_waits_for_another_process_that_migrates(postgres: "Postgres") -> None:
    """Two services that start together: the second waits instead of failing on half-made tables."""
    import psycopg

    from jikimi.store.migrations import _ADVISORY_LOCK

    with postgres.database() as url:
        engine = connect(url)
        with psycopg.connect(url) as other:
            other.execute("SELECT pg_advisory_xact_lock(%s)", [_ADVISORY_LOCK])
            thread = Thread(target=upgrade, args=(engine,))
            thread.start()
            thread.join(0.3)
            assert thread.is_alive()
        thread.join(10)
        assert not thread.is_alive()
        engine.dispose()
        assert differences(url) == []
