"""Incidents of a site: stored with whom to tell, closed once, also where their camera was lost."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jikimi.alert.message import Plant
from jikimi.settings import Settings
from jikimi.store import Store, open_store
from jikimi.watch.incident_book import IncidentBook
from jikimi.watch.messages import IncidentChanged
from jikimi.watch.scribe import Scribe

NOON = datetime(2026, 7, 1, 3, tzinfo=UTC)
TARGETS = [
    {"name": "hook", "kind": "webhook", "url": "http://127.0.0.1:9/x", "secret": "s"},
    {"name": "broker", "kind": "mqtt", "url": "mqtt://127.0.0.1:9"},
    {"name": "phone", "kind": "apprise", "url": "json://127.0.0.1:9"},
]
SETTINGS = Settings.model_validate(
    {"target": TARGETS, "alerts": {"lists": [["hook", "phone"], ["broker"]], "escalate_after_s": 60}}
)


def changed(kind: str, uid: str = "a" * 32, *, after_s: float = 0.0, peak: float = 0.9) -> IncidentChanged:
    at = NOON + timedelta(seconds=after_s)
    return IncidentChanged(uid, kind, "", "jam", at, peak, peak, 1.0, 1.1)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path / 'jikimi.db'}") as opened:
        yield opened


@pytest.fixture
def book(store: Store, tmp_path: Path) -> Iterator[IncidentBook]:
    scribe = Scribe(store, tmp_path / "spool")
    scribe.start()
    later = NOON + timedelta(seconds=30)
    yield IncidentBook(scribe, Plant(), SETTINGS, "demo", now=lambda: later)
    assert scribe.finish(5.0)


def written(book: IncidentBook, store: Store) -> Store:
    assert book.scribe.finish(5.0)
    return store


def test_incident_tells_the_first_list_and_ends_for_programs_alone(book: IncidentBook, store: Store) -> None:
    book.take("press-3", changed("opened"))
    assert len(book) == 1
    book.take("press-3", changed("updated", after_s=1, peak=0.95))
    book.take("press-3", changed("closed", after_s=2, peak=0.95))
    assert len(book) == 0
    incident = written(book, store).incident("a" * 32)
    assert (incident.camera, incident.behavior, incident.model) == ("press-3", "jam", "demo")
    assert (incident.opened_at, incident.closed_at) == (NOON, NOON + timedelta(seconds=2))
    assert incident.peak == 0.95
    told = {(one.target, one.kind) for one in store.deliveries(incident.uid)}
    assert told == {("hook", "opened"), ("phone", "opened"), ("hook", "closed"), ("broker", "closed")}
    assert [one.kind for one in store.transitions(incident.uid)] == ["opened", "updated", "closed"]


def test_end_says_when_it_began(book: IncidentBook, store: Store) -> None:
    book.take("press-3", changed("opened"))
    book.take("press-3", changed("closed", after_s=2))
    due = written(book, store).due(now=NOON + timedelta(days=1))
    payloads = [one.notice.payload for one in due if one.notice.kind == "closed"]
    assert payloads and all(
        str(payload["opened_at"]).startswith("2026-07-01T03:00:00") for payload in payloads
    )


def test_evidence_without_an_incident_is_told_late_and_once(book: IncidentBook, store: Store) -> None:
    uid = "c" * 32
    path = Path(f"press-3/20260701T030005Z_fall-off_{uid}.mp4")
    book.found_late(path, uid, "press-3")
    book.found_late(path, uid, "press-3")
    book.found_late(Path(f"press-3/20240101T030005Z_jam_{'d' * 32}.mp4"), "d" * 32, "press-3")
    book.found_late(Path("press-3/holiday.mp4"), "e" * 32, "press-3")
    (incident,) = written(book, store).incidents()
    assert (incident.uid, incident.behavior, incident.opened_at) == (
        uid,
        "fall-off",
        NOON + timedelta(seconds=5),
    )
    assert incident.closed_at == NOON + timedelta(seconds=30)
    assert [one.kind for one in store.deliveries(uid) if one.target == "hook"] == ["opened", "closed"]


def test_incident_of_an_earlier_run_ends_for_those_who_follow(book: IncidentBook, store: Store) -> None:
    book.take("press-3", changed("opened"))
    incident = written(book, store).incident("a" * 32)
    book.close_earlier(incident, store)
    assert store.incident("a" * 32).closed_at == NOON + timedelta(seconds=30)
    assert ("broker", "closed") in {(one.target, one.kind) for one in store.deliveries("a" * 32)}


def test_lost_camera_s_incidents_close_and_the_others_stay(book: IncidentBook, store: Store) -> None:
    book.take("press-3", changed("opened"))
    book.take("press-4", changed("opened", "b" * 32))
    book.close_all("press-3")
    book.take("press-3", changed("closed", after_s=40))  # what it still said comes too late
    assert len(book) == 1
    written(book, store)
    assert store.incident("a" * 32).closed_at == NOON + timedelta(seconds=30)
    assert store.incident("b" * 32).closed_at is None
