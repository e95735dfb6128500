"""PostgreSQL: reached, refused, lost and found again; no message shows a password."""

import socket
import sys
import time
import traceback
from collections.abc import Iterator
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from jikimi.store import SecretBox, Store, StoreBusyError, StoreError, open_store
from jikimi.store.engine import connect
from jikimi.store.failures import failure
from store_values import NOON, camera, incident, notice

if TYPE_CHECKING:
    from postgres_server import Postgres

pytest_plugins = ("postgres_server", "store_fixtures")

SECRET = "zq1/zq2:zq3"
MARKS = ("zq1", "zq2", "zq3")


@pytest.fixture
def url(postgres: "Postgres") -> Iterator[str]:
    with postgres.database() as each:
        yield each


def told_by(url: str) -> StoreError:
    """The error of opening, after a look that neither it nor its trace shows the secret."""
    with pytest.raises(StoreError) as told:
        open_store(url)
    assert "\n" not in str(told.value)
    shown = "".join(traceback.format_exception(told.value))
    assert not [mark for mark in MARKS if mark in shown]
    return told.value


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_usual_schemes_are_taken(url: str, scheme: str) -> None:
    with open_store(f"{scheme}:{url.partition(':')[2]}") as store:
        store.ping()


def test_wrong_password_is_told_with_the_cure(postgres: "Postgres") -> None:
    error = told_by(postgres.url("postgres", password=SECRET))
    assert "refuses the log-in; check user and password" in str(error)
    assert not isinstance(error, StoreBusyError)


def test_missing_database_is_told_with_the_cure(postgres: "Postgres") -> None:
    error = told_by(postgres.url("nothing"))
    assert "/nothing: does not exist; create it" in str(error)
    assert not isinstance(error, StoreBusyError)


def test_server_that_is_not_there_may_come_back() -> None:
    error = told_by(f"postgresql://kim:{SECRET}@127.0.0.1:1/jikimi")
    assert isinstance(error, StoreBusyError)
    assert str(error).startswith(
        "database postgresql://kim@127.0.0.1:1/jikimi: cannot be reached (Connection"
    )


def test_server_that_says_nothing_is_given_up_after_3_s() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        error = told_by(f"postgresql://kim:{SECRET}@127.0.0.1:{silent.getsockname()[1]}/jikimi")
    assert isinstance(error, StoreBusyError)
    assert 2 < time.monotonic() - began < 8


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://kim:{SECRET}@host:port/jikimi",
        f"postgresql://kim:a@{SECRET}@127.0.0.1/jikimi",
        f"postgresql://127.0.0.1:1/jikimi?user=kim&password={SECRET}",
        f"postgresql://127.0.0.1:1/jikimi?sslpassword={SECRET}&odd=1",
        f"postgresql:/{SECRET}",
        f"{SECRET}",
        f"oracle://kim:{SECRET}@host/jikimi",
    ],
)
def test_password_anywhere_in_an_unfit_url_is_not_shown(url: str) -> None:
    told_by(url)


def test_password_in_the_query_opens_the_database_and_is_not_shown(postgres: "Postgres", url: str) -> None:
    user, _, rest = url.removeprefix("postgresql://").partition(":")
    password, _, rest = rest.partition("@")
    with open_store(f"postgresql://{user}@{rest}?password={password}") as store:
        store.ping()
        assert password not in repr(store) + repr(store._engine) + repr(store._engine.url)


def test_store_and_engine_print_without_the_password(postgres: "Postgres", url: str) -> None:
    with open_store(url) as store:
        assert "p%40ss" not in repr(store) + repr(store._engine)
        assert repr(store).startswith("Store(database postgresql://지킴이@127.0.0.1:")


def test_missing_psycopg_is_told_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=r'pip install "jikimi\[postgres\]"$'):
        connect("postgresql://kim@127.0.0.1/jikimi")


def test_restart_of_the_server_heals_without_a_word(postgres: "Postgres", url: str, box: SecretBox) -> None:
    with open_store(url, box=box) as store:
        store.put_camera(camera(), at=NOON)
        postgres.stop()
        try:
            for _ in range(2):
                with pytest.raises(StoreBusyError, match="cannot be reached"):
                    store.open_incident(incident(), [notice("a")])
        finally:
            postgres.start()
        assert store.open_incident(incident(), [notice("a")])
        assert len(store.cameras()) == 1


def test_connection_cut_in_mid_transaction_stores_nothing_and_heals(postgres: "Postgres", url: str) -> None:
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'jikimi%'"
    with open_store(url) as store:
        with pytest.raises(StoreBusyError, match="try again"), store._writing() as session:
            session.connection().exec_driver_sql("INSERT INTO meta VALUES ('a', 'b')")
            postgres.execute(cut)
            session.connection().exec_driver_sql("INSERT INTO meta VALUES ('c', 'd')")
        assert (store.meta("a"), store.meta("c")) == (None, None)
        postgres.execute(cut)
        store.set_meta("a", "b")


def test_row_locked_by_another_is_told_after_5_s(url: str) -> None:
    with open_store(url) as store, open_store(url) as other:
        store.open_incident(incident(), [])
        with other._writing() as session:
            session.connection().exec_driver_sql("SELECT * FROM incidents FOR UPDATE")
            began = time.monotonic()
            with pytest.raises(StoreBusyError, match="is locked by another program"):
                store.acknowledge("i1", at=NOON, by="kim")
            assert 4 < time.monotonic() - began < 8
        assert store.acknowledge("i1", at=NOON, by="kim")


def test_two_stores_that_write_at_once_lose_nothing(url: str) -> None:
    def write(store: Store, name: str) -> None:
        for number in range(50):
            store.open_incident(incident(f"{name}{number}", number), [notice(f"{name}{number}")])

    with open_store(url) as one, open_store(url) as two:
        threads = [Thread(target=write, args=(store, name)) for store, name in ((one, "a"), (two, "b"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(one.incidents(limit=1000)) == 100
        assert two.outbox_counts() == {("phone", "due"): 100}


def test_what_passes_by_itself_is_told_apart_from_what_does_not(postgres: "Postgres") -> None:
    from psycopg import errors

    passing = [errors.DiskFull, errors.TooManyConnections, errors.AdminShutdown, errors.CannotConnectNow]
    passing += [errors.SerializationFailure, errors.DeadlockDetected, errors.LockNotAvailable]
    passing += [errors.ConnectionFailure, errors.QueryCanceled, errors.ReadOnlySqlTransaction]
    lasting = [errors.InvalidPassword, errors.InvalidCatalogName, errors.NotNullViolation, errors.DataError]
    for kind in passing:
        assert type(failure(kind("x"), "database a")) is StoreBusyError, kind
    for kind in lasting:
        assert type(failure(kind("x\nDETAIL: zq1"), "database a")) is StoreError, kind
