"""SQLite under what happens to it in a plant: other programs, power cuts, full disks, wrong files."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest

from jikimi.store import Store, StoreBusyError, StoreError, open_store
from store_values import NOON, incident, notice

pytest_plugins = ("postgres_server", "store_fixtures")

PREAMBLE = """
import sys
sys.path.insert(0, {tests!r})
from store_values import *
from jikimi.store import *
store = open_store(sys.argv[1])
print("open", flush=True)
sys.stdin.readline()
"""


def start(url: str, code: str) -> "subprocess.Popen[str]":
    """Start a process that opens the store and waits; a line on its stdin lets it go on."""
    script = PREAMBLE.format(tests=str(Path(__file__).parent)) + textwrap.dedent(code)
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    opened = process.stdout.readline()
    if opened != "open\n":
        pytest.fail(process.communicate()[1])
    return process


def finish(process: "subprocess.Popen[str]") -> str:
    """Let it go on, and return what it printed."""
    out, err = process.communicate("\n", timeout=60)
    assert process.returncode == 0, err
    return out


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'jikimi.db'}"


def test_database_keeps_every_commit_through_a_power_cut(sqlite_store: Store) -> None:
    with sqlite_store._writing() as session:
        connection = session.connection()
        asked = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    full = 2  # https://www.sqlite.org/pragma.html#pragma_synchronous
    assert asked == {"journal_mode": "wal", "synchronous": full, "foreign_keys": 1, "busy_timeout": 5000}


def test_two_processes_that_write_at_once_lose_nothing(url: str) -> None:
    code = """
        for n in range(25):
            store.open_incident(incident(f"{os.getpid()}-{n}", n), [notice(f"{os.getpid()}-{n}")])
        store.close()
    """
    processes = [start(url, "import os\n" + textwrap.dedent(code)) for _ in range(2)]
    threads = [Thread(target=finish, args=(process,)) for process in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.returncode for process in processes] == [0, 0]
    with open_store(url) as store:
        assert len(store.incidents(limit=1000)) == 50
        assert len(store.due(now=NOON.replace(year=2027), limit=1000)) == 50


def test_write_waits_for_another_program_that_holds_the_lock_for_2_s(
    sqlite_store: Store, tmp_path: Path
) -> None:
    other = sqlite3.connect(tmp_path / "jikimi.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")

    def let_go() -> None:
        time.sleep(2)
        other.execute("COMMIT")

    thread = Thread(target=let_go)
    thread.start()
    began = time.monotonic()
    assert sqlite_store.incidents() == []  # readers wait for nobody
    assert time.monotonic() - began < 1
    assert sqlite_store.open_incident(incident(), [notice("a")])
    assert time.monotonic() - began > 1.5
    thread.join()
    other.close()


def test_write_that_waits_in_vain_says_so_and_works_later(sqlite_store: Store, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "jikimi.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusyError, match=r"jikimi\.db: is locked by another program; try again"):
        sqlite_store.open_incident(incident(), [])
    other.execute("ROLLBACK")
    other.close()
    assert sqlite_store.open_incident(incident(), [])


def test_sigkill_in_mid_writing_loses_nothing_committed(url: str) -> None:
    code = """
        for n in range(100_000):
            store.open_incident(incident(str(n), n), [notice(str(n), uid=str(n))])
            print(n, flush=True)
    """
    for _ in range(2):
        process = start(url, code)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n")
        process.stdin.flush()
        told = [process.stdout.readline() for _ in range(15)]
        process.send_signal(signal.SIGKILL)
        told += process.communicate()[0].splitlines()
        committed = {line.strip() for line in told if line.strip()}
        with open_store(url) as store:
            stored = {each.uid for each in store.incidents(limit=200_000)}
            assert committed <= stored
            assert all(len(store.deliveries(uid)) == 1 for uid in stored)


@pytest.fixture
def small_disk(need: Callable[[str, bool], None], tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB. Mounting takes root; without it, the test of a limited file stands alone."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], capture_output=True, check=False
    )
    need("tmpfs", mounted.returncode == 0)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_says_so_and_the_store_works_when_there_is_room(small_disk: Path) -> None:
    with open_store(f"sqlite:///{small_disk / 'jikimi.db'}") as store:
        (small_disk / "film").write_bytes(b"x" * (os.statvfs(small_disk).f_bavail * 4096 - 100_000))
        stored = fill_up(store, "no room left on its disk; make room")
        assert [each.uid for each in store.incidents(limit=10_000)] == stored[::-1]
        (small_disk / "film").unlink()
        assert store.open_incident(incident("after", 10_000), [notice("after")])
    with open_store(f"sqlite:///{small_disk / 'jikimi.db'}") as store:
        assert [each.uid for each in store.incidents(limit=10_000)] == ["after", *stored[::-1]]


def fill_up(store: Store, message: str) -> list[str]:
    """Open incidents until that fails; return those that were stored."""
    stored: list[str] = []
    with pytest.raises(StoreBusyError, match=message) as told:
        for number in range(10_000):
            store.open_incident(incident(str(number), number), [notice(str(number))])
            stored.append(str(number))
    assert "\n" not in str(told.value)
    assert stored
    return stored


def test_file_that_may_not_grow_is_told_and_the_store_works_afterwards(url: str) -> None:
    code = """
        import resource
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
        stored = 0
        try:
            while True:
                store.open_incident(incident(str(stored), stored), [notice(str(stored))])
                stored += 1
        except StoreBusyError as error:
            print(str(error).partition(": ")[2])
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        store.open_incident(incident("after", -1), [])
        assert len(store.incidents(limit=10_000)) == stored + 1 > 5
        store.close()
    """
    assert finish(start(url, code)).splitlines() == [
        "cannot be read or written (disk I/O error); check its disk"
    ]


def cases(folder: Path) -> dict[str, tuple[str, str]]:
    """What is wrong with a file → its URL and what is said."""
    (folder / "text.db").write_text("camera list of 2019\n" * 100)
    (folder / "folder.db").mkdir()
    whole = folder / "whole.db"
    open_store(f"sqlite:///{whole}").close()
    (folder / "torn.db").write_bytes(whole.read_bytes()[:4096] + os.urandom(40_000))
    return {
        "no folder": (f"sqlite:///{folder}/none/a.db", "there is no folder .*none; create it"),
        "no database": (f"sqlite:///{folder}/text.db", "is not a database; name another file"),
        "a folder": (f"sqlite:///{folder}/folder.db", "cannot be opened"),
        "torn": (f"sqlite:///{folder}/torn.db", "is damaged; restore it from a backup"),
        "memory": ("sqlite:///:memory:", "in memory forgets alerts; name a file"),
        "nothing": ("sqlite://", "in memory forgets alerts; name a file"),
        "another kind": ("mysql://root:zq1@db/x", r"sqlite:///FILE or postgresql://"),
    }


@pytest.mark.parametrize(
    "case", ["no folder", "no database", "a folder", "torn", "memory", "nothing", "another kind"]
)
def test_file_that_is_no_database_is_one_line_with_the_cure(tmp_path: Path, case: str) -> None:
    url, words = cases(tmp_path)[case]
    with pytest.raises(StoreError, match=words) as told:
        open_store(url)
    assert "\n" not in str(told.value)
    assert "zq1" not in str(told.value)
    assert not isinstance(told.value, StoreBusyError)


@pytest.mark.parametrize("name", ["a?b=c.db", "100%.db", "지킴이 #1.db", "x@y:z.db"])
def test_path_is_taken_as_it_is_written(tmp_path: Path, name: str) -> None:
    open_store(f"sqlite:///{tmp_path / name}").close()
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_relative_path_counts_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    open_store("sqlite:///jikimi.db").close()
    assert (tmp_path / "jikimi.db").exists()
