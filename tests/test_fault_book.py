"""Faults: each is told once when it begins and once when it ends."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from jikimi.alert.message import Plant
from jikimi.behaviors import BEHAVIORS
from jikimi.store import Store
from jikimi.watch.fault_book import SITE, FaultBook
from jikimi.watch.scribe import Scribe
from sites import wait_for
from store_values import NOON

pytest_plugins = ("store_fixtures",)

PLANT = Plant(site="Plant", language="en", zone=None, behaviors=BEHAVIORS)


@dataclass
class Book:
    book: FaultBook
    scribe: Scribe
    store: Store
    now: list[float] = field(default_factory=lambda: [0.0])

    def settle(self) -> None:
        wait_for(lambda: not self.scribe.waiting)

    def told(self) -> list[tuple[str, str]]:
        due = self.store.due(now=NOON + timedelta(days=400), limit=100)
        return [(delivery.notice.target, delivery.notice.kind) for delivery in due]


@pytest.fixture
def kept(sqlite_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Book]:
    scribe = Scribe(sqlite_store, tmp_path_factory.mktemp("spool"))
    scribe.start()
    now = [0.0]
    book = FaultBook(scribe, PLANT, ("phone",), now=lambda: NOON + timedelta(seconds=now[0]))
    yield Book(book, scribe, sqlite_store, now)
    scribe.finish(5)


def test_fault_is_told_once_when_it_begins_and_once_when_it_ends(kept: Book) -> None:
    for _ in range(5):
        kept.book.set("press-3", "offline", True, "camera 'press-3': no picture for 10 s")
    kept.settle()
    assert kept.told() == [("phone", "opened")]
    kept.now[0] = 60.0
    for _ in range(5):
        kept.book.set("press-3", "offline", False, "")
    kept.settle()
    assert kept.told() == [("phone", "opened"), ("phone", "closed")]
    (fault,) = kept.store.faults()
    assert fault.ended_at is not None and (fault.ended_at - fault.began_at).total_seconds() == 60
    assert fault.message == "camera 'press-3': no picture for 10 s"


def test_fault_that_begins_again_is_another(kept: Book) -> None:
    for on in (True, False, True):
        kept.book.set(SITE, "detector", on, "the detector does not run")
    kept.settle()
    assert len(kept.store.faults()) == 2 and len(kept.store.faults(open=True)) == 1


def test_same_kind_of_two_cameras_is_two_faults(kept: Book) -> None:
    kept.book.begin("a", "offline", "a")
    kept.book.begin("b", "offline", "b")
    kept.book.begin("a", "dark", "a")
    assert kept.book.kinds("a") == ["dark", "offline"] and kept.book.kinds("b") == ["offline"]
    kept.book.forget("a")
    kept.settle()
    assert kept.book.kinds("a") == [] and [f.camera for f in kept.store.faults(open=True)] == ["b"]


def test_end_of_what_was_not_there_is_nothing(kept: Book) -> None:
    kept.book.end("a", "offline")
    kept.settle()
    assert not kept.store.faults() and not kept.told()


def test_clock_that_is_put_back_ends_no_fault_before_its_beginning(kept: Book) -> None:
    kept.now[0] = 3600.0
    kept.book.begin("a", "offline", "a")
    kept.now[0] = 0.0
    kept.book.end("a", "offline")
    kept.settle()
    (fault,) = kept.store.faults()
    assert fault.ended_at == fault.began_at
