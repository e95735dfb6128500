"""What must reach the store: nothing is lost and order is kept, whatever the store, the disk or a kill do."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from jikimi.errors import NotFoundError, StoreBusyError, StoreError
from jikimi.store import Store, open_store
from jikimi.watch import scribe as scribe_module
from jikimi.watch.scribe import Action, BegunFault, OpenedIncident, Scribe
from sites import wait_for
from store_values import NOON, fault, incident, notice

pytest_plugins = ("store_fixtures",)


def opened(uid: str = "i1") -> OpenedIncident:
    return OpenedIncident(incident(uid), [notice(f"{uid}:opened:phone", uid=uid)], noticed_s=time.monotonic())


def closed(uid: str = "i1") -> Action:
    return Action(lambda store: store.close_incident(uid, at=NOON, peak=0.9, score=0.1))


@dataclass
class Moody:
    """A store that fails as `error` says, for every call or for those about one uid. `wrote` is the order."""

    store: Store
    error: Exception | None = None
    about: str = ""
    slow_s: float = 0.0
    wrote: list[str] = field(default_factory=list)

    def _call(self, name: str, *args: Any, **more: Any) -> Any:
        time.sleep(self.slow_s)
        uid = str(getattr(args[0], "uid", args[0]))
        if self.error is not None and self.about in ("", uid):
            raise self.error
        self.wrote.append(f"{name} {uid}")
        return getattr(self.store, name)(*args, **more)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **more: self._call(name, *args, **more)


@dataclass
class Writing:
    scribe: Scribe
    moody: Moody
    woken: list[str]

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.scribe.spool.glob("*")) if self.scribe.spool.exists() else []

    def settle(self) -> None:
        wait_for(lambda: not self.scribe.waiting)
        wait_for(lambda: not [name for name in self.files if name.endswith((".json", ".tmp"))])

    def stored(self) -> list[str]:
        return sorted(each.uid for each in self.moody.store.incidents())


@pytest.fixture
def writing(sqlite_store: Store, tmp_path: Path) -> Iterator[Writing]:
    moody, woken = Moody(sqlite_store), list[str]()
    scribe = Scribe(cast(Store, moody), tmp_path / "spool", lambda entry: woken.append(entry.uid))
    yield Writing(scribe, moody, woken)
    moody.error = None
    scribe.finish(2 if scribe._thread is not None and not scribe._ended else 0)


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses as in life, but never of seconds."""
    monkeypatch.setattr(scribe_module, "_LONGEST_PAUSE_S", 0.2)


def test_incident_is_stored_told_of_and_its_file_goes(writing: Writing) -> None:
    writing.scribe.start()
    writing.scribe.put(opened())
    writing.scribe.put(closed())
    writing.settle()
    assert writing.woken == ["i1"] and writing.moody.wrote == ["open_incident i1", "close_incident i1"]
    assert writing.moody.store.incident("i1").closed_at == NOON
    assert len(writing.moody.store.deliveries("i1")) == 1 and writing.files == []


def test_entry_lies_on_disk_before_the_store_is_tried(writing: Writing) -> None:
    writing.scribe.put(opened())
    writing.scribe.put(BegunFault(fault(), []))
    assert writing.files == ["fault-f1.json", "incident-i1.json"]
    assert writing.scribe.spool.stat().st_mode & 0o077 == 0  # closed to others
    assert writing.scribe.waiting == 2 and writing.scribe.waiting_s >= 0


def test_store_that_is_away_loses_nothing_and_order_is_kept(writing: Writing) -> None:
    writing.scribe.start()
    writing.moody.error = StoreBusyError("database x: is locked by another program")
    for number in range(5):
        writing.scribe.put(opened(f"i{number}"))
    wait_for(lambda: writing.scribe.retries >= 3)
    assert "is locked" in writing.scribe.problem and writing.scribe.waiting == 5
    assert len(writing.files) == 5 and writing.scribe.waiting_s > 0.2
    writing.moody.error = None
    writing.settle()
    assert writing.moody.wrote == [f"open_incident i{number}" for number in range(5)]
    assert writing.scribe.problem == ""


def test_database_that_another_program_holds_loses_nothing(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scribe = Scribe(sqlite_store, tmp_path / "spool")
    scribe.start()
    other = sqlite3.connect(tmp_path / "jikimi.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    scribe.put(opened())
    assert time.monotonic() - began < 2  # whoever watches waits for no database
    wait_for(lambda: scribe.retries, within_s=20)
    other.execute("ROLLBACK")
    other.close()
    wait_for(lambda: not scribe.waiting)
    assert [each.uid for each in sqlite_store.incidents()] == ["i1"]
    scribe.finish(2)


def test_alert_waits_for_no_bookkeeping(writing: Writing) -> None:
    writing.moody.slow_s = 0.02
    for number in range(30):
        writing.scribe.put(Action(lambda store, n=number: store.set_meta(f"key {n}", "x")))
    writing.scribe.put(opened())
    writing.scribe.start()
    writing.settle()
    assert writing.moody.wrote.index("open_incident i1") <= 1


def test_entry_that_is_refused_always_is_set_aside_and_holds_up_nobody(writing: Writing) -> None:
    writing.moody.error, writing.moody.about = StoreError("database x: a value is too large"), "bad"
    writing.scribe.start()
    writing.scribe.put(opened("bad"))
    writing.scribe.put(opened("good"))
    writing.settle()
    assert writing.stored() == ["good"] and writing.files == ["incident-bad.refused"]


def test_store_that_takes_nothing_is_no_entrys_fault(writing: Writing) -> None:
    """A read-only disk refuses everything: no alert may be thrown away for it."""
    writing.moody.error = StoreError("database x: may not be written")
    writing.scribe.start()
    writing.scribe.put(opened())
    wait_for(lambda: writing.scribe.retries >= 6, within_s=30)
    assert writing.scribe.waiting == 1 and writing.files == ["incident-i1.json"]
    writing.moody.error = None
    writing.settle()
    assert writing.stored() == ["i1"]


@pytest.mark.parametrize("error", [NotFoundError("no such incident"), KeyError("a bug"), ValueError("a bug")])
def test_nothing_ends_the_thread_that_every_alert_goes_through(writing: Writing, error: Exception) -> None:
    def fails(_store: Store) -> None:
        raise error

    writing.scribe.start()
    began = time.monotonic()
    writing.scribe.put(Action(fails))
    writing.scribe.put(opened())
    writing.settle()
    assert writing.stored() == ["i1"] and time.monotonic() - began < 5


def test_whoever_is_woken_may_fail(sqlite_store: Store, tmp_path: Path) -> None:
    def wakes(_entry: object) -> None:
        raise RuntimeError("a bug")

    scribe = Scribe(sqlite_store, tmp_path / "spool", wakes)
    scribe.start()
    for uid in ("i1", "i2"):
        scribe.put(opened(uid))
    wait_for(lambda: not scribe.waiting)
    assert len(sqlite_store.incidents()) == 2
    scribe.finish(2)


def test_spool_that_cannot_be_written_leaves_memory_and_the_store(writing: Writing) -> None:
    writing.scribe.spool.write_text("a file where the folder should be")
    writing.scribe.start()
    writing.moody.error, writing.moody.about = StoreError("refused"), "bad"
    for uid in ("bad", "i1"):
        writing.scribe.put(opened(uid))
    wait_for(lambda: not writing.scribe.waiting, within_s=30)
    assert writing.stored() == ["i1"] and writing.woken == ["i1"]


def test_disk_that_hangs_holds_up_whoever_watches_for_half_a_second(
    writing: Writing, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    monkeypatch.setattr(os, "fsync", lambda _fd: over.wait(30))
    writing.scribe.start()
    began = time.monotonic()
    writing.scribe.put(opened())
    assert time.monotonic() - began < 2
    wait_for(lambda: writing.woken == ["i1"])  # the alert goes out all the same
    over.set()
    writing.settle()


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*"))


def test_what_an_earlier_run_left_is_stored_told_and_closed(writing: Writing, sqlite_store: Store) -> None:
    earlier = Scribe(sqlite_store, writing.scribe.spool)
    earlier.put(opened())
    earlier.put(BegunFault(fault(), [notice("f1:opened:phone", uid="f1")]))
    sqlite_store.open_incident(opened("i0").incident, [])
    earlier.put(opened("i0"))  # it was stored, and the kill came before its file went
    writing.scribe.start()
    writing.settle()
    assert writing.stored() == ["i0", "i1"] and not sqlite_store.open_incidents()
    assert sqlite_store.faults()[0].ended_at is not None  # who knew of them has gone
    assert len(sqlite_store.deliveries("i1")) == len(sqlite_store.deliveries("f1")) == 1
    assert sqlite_store.deliveries("i0") == []


def test_file_that_cannot_be_read_is_set_aside(writing: Writing) -> None:
    writing.scribe.spool.mkdir()
    (writing.scribe.spool / "incident-x.json").write_text('{"incident": {"uid"')
    (writing.scribe.spool / "fault-y.json").write_bytes(b"\xff\xfe")
    Scribe(writing.moody.store, writing.scribe.spool).put(opened())
    (writing.scribe.spool / "incident-i1.json").rename(writing.scribe.spool / "incident-i1.tmp")
    writing.scribe.start()
    wait_for(lambda: writing.stored() == ["i1"])  # whole, though power failed before it had its name
    wait_for(lambda: writing.files[:1] == ["fault-y.damaged"])
    assert "incident-x.damaged" in writing.files


SCRIPT = """
import sys, time
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_scribe import *
store = open_store(sys.argv[1])
other = sqlite3.connect(sys.argv[2], isolation_level=None)
other.execute("BEGIN IMMEDIATE")  # nothing reaches the store
scribe = Scribe(store, Path(sys.argv[3]))
scribe.start()
for number in range(3):
    scribe.put(opened(f"i{{number}}"))
print("put", flush=True)
time.sleep(60)
"""


def test_kill_between_put_and_write_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    url, spool = f"sqlite:///{tmp_path / 'jikimi.db'}", tmp_path / "spool"
    open_store(url).close()
    script = SCRIPT.format(tests=str(Path(__file__).parent))
    command = [sys.executable, "-c", script, url, str(tmp_path / "jikimi.db"), str(spool)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "put\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(left_behind(spool)) == 3
    with open_store(url) as store:
        assert store.incidents() == []
        for _ in range(2):  # and at the start after it there is nothing left to do
            scribe = Scribe(store, spool)
            scribe.start()
            wait_for(lambda: not left_behind(spool))
            scribe.finish(2)
        assert sorted(each.uid for each in store.incidents()) == ["i0", "i1", "i2"]
        assert all(len(store.deliveries(uid)) == 1 for uid in ("i0", "i1", "i2"))


def test_finish_says_whether_everything_is_written(writing: Writing) -> None:
    writing.scribe.start()
    writing.moody.error = StoreBusyError("locked")
    writing.scribe.put(opened())
    assert not writing.scribe.finish(0.3)
    assert writing.files == ["incident-i1.json"]
