"""Incidents and their evidence, the same on SQLite and on PostgreSQL."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jikimi.store import IncidentRecord, NotFoundError, Store, StoreError
from store_values import NOON, evidence, incident, later, notice

pytest_plugins = ("postgres_server", "store_fixtures")


def kinds(store: Store, uid: str = "i1") -> list[str]:
    return [transition.kind for transition in store.transitions(uid)]


def uids(incidents: list[IncidentRecord]) -> list[str]:
    return [each.uid for each in incidents]


def test_opened_incident_comes_back_with_its_transition_and_its_notices(store: Store) -> None:
    assert store.open_incident(incident(), [notice("a"), notice("b", "siren")])
    assert store.incident("i1") == incident()
    (opened,) = store.transitions("i1")
    assert (opened.kind, opened.at, opened.score) == ("opened", NOON, 0.7)
    assert [delivery.notice for delivery in store.due(now=NOON)] == [notice("a"), notice("b", "siren")]


def test_changes_of_all_incidents_are_numbered_and_come_with_the_incident_as_it_is(store: Store) -> None:
    assert store.last_change() == 0 and store.changes(after=0) == []
    store.open_incident(incident("i1"), [])
    first = store.last_change()
    store.open_incident(replace(incident("i2"), camera="gate"), [])
    store.acknowledge("i1", at=later(5), by="kim")
    every = store.changes(after=0)
    assert [(row.transition.incident, row.transition.kind) for row in every] == [
        ("i1", "opened"), ("i2", "opened"), ("i1", "acknowledged"),
    ]  # fmt: skip
    assert every[0].incident == every[2].incident == store.incident("i1")
    assert [row.id for row in every] == sorted({row.id for row in every})
    assert store.changes(after=first) == every[1:] and store.changes(after=first, limit=1) == every[1:2]
    assert store.last_change() == every[-1].id and store.changes(after=every[-1].id) == []


def test_unsettled_is_what_lasts_or_nobody_acknowledged(store: Store) -> None:
    for number in range(4):
        store.open_incident(replace(incident(f"i{number}"), opened_at=later(number)), [])
    store.open_incident(replace(incident("g"), camera="gate", opened_at=later(9)), [])
    for uid in ("i1", "i2"):
        store.acknowledge(uid, at=NOON, by="kim")
    for uid in ("i2", "i3"):
        store.close_incident(uid, at=later(20), peak=0.9, score=0.1)
    assert uids(store.unsettled()) == ["g", "i3", "i1", "i0"]  # i2 is over, and somebody has seen it
    assert uids(store.unsettled(limit=2)) == ["g", "i3"]
    assert uids(store.unsettled(camera=["gate"])) == ["g"] and store.unsettled(camera=[]) == []


def test_known_incident_is_not_stored_again_and_tells_nobody_again(store: Store) -> None:
    store.open_incident(incident(), [notice("a")])
    assert not store.open_incident(replace(incident(), peak=0.1), [notice("new")])
    assert store.incident("i1").peak == 0.7
    assert kinds(store) == ["opened"]
    assert [row.key for row in store.deliveries("i1")] == ["a"]


def test_incident_whose_notices_cannot_be_stored_is_not_stored_either(store: Store) -> None:
    unfit = replace(notice("b"), target=None)  # type: ignore[arg-type]
    with pytest.raises(StoreError):
        store.open_incident(incident(), [notice("a"), unfit])
    assert store.incidents() == []
    assert store.next_due_at() is None
    assert store.open_incident(incident(), [notice("a")])


def test_update_raises_the_peak_and_never_lowers_it(store: Store) -> None:
    store.open_incident(incident(), [])
    store.update_incident("i1", at=later(1), peak=0.9, score=0.9)
    store.update_incident("i1", at=later(2), peak=0.8, score=0.5)
    assert store.incident("i1").peak == 0.9
    assert [t.score for t in store.transitions("i1")] == [0.7, 0.9, 0.5]


def test_incident_closes_once(store: Store) -> None:
    store.open_incident(incident(), [])
    assert uids(store.open_incidents()) == ["i1"]
    assert store.close_incident("i1", at=later(9), peak=0.8, score=0.1, notices=[notice("c")])
    assert not store.close_incident("i1", at=later(99), peak=1.0, score=0.1, notices=[notice("d")])
    assert (store.incident("i1").closed_at, store.incident("i1").peak) == (later(9), 0.8)
    assert store.open_incidents() == []
    assert [(row.key, row.created_at) for row in store.deliveries("i1")] == [("c", later(9))]


def test_first_to_acknowledge_wins(store: Store) -> None:
    store.open_incident(incident(), [])
    assert store.acknowledge("i1", at=later(5), by="kim")
    assert not store.acknowledge("i1", at=later(6), by="lee")
    found = store.incident("i1")
    assert (found.acknowledged_at, found.acknowledged_by) == (later(5), "kim")
    assert kinds(store) == ["opened", "acknowledged"]


def test_of_many_who_acknowledge_at_once_one_wins(store: Store) -> None:
    store.open_incident(incident(), [])
    together, won = Barrier(4), []

    def acknowledge(name: str) -> None:
        together.wait()
        if store.acknowledge("i1", at=later(5), by=name):
            won.append(name)

    threads = [Thread(target=acknowledge, args=(name,)) for name in ("a", "b", "c", "d")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [store.incident("i1").acknowledged_by]
    assert kinds(store) == ["opened", "acknowledged"]


def test_same_incident_from_many_threads_is_stored_once(store: Store) -> None:
    together, new = Barrier(4), []

    def open_it() -> None:
        together.wait()
        new.append(store.open_incident(incident(), [notice("a")]))

    threads = [Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(new) == [False, False, False, True]
    assert kinds(store) == ["opened"]


def test_escalation_is_counted_and_stops_with_acknowledgement(store: Store) -> None:
    store.open_incident(incident(), [])
    assert store.escalate("i1", level=1, at=later(120), notices=[notice("e1", "siren")])
    found = store.incident("i1")
    assert (found.escalations, found.escalated_at) == (1, later(120))
    store.acknowledge("i1", at=later(130), by="kim")
    assert not store.escalate("i1", level=2, at=later(240), notices=[notice("e2", "boss")])
    assert store.incident("i1").escalations == 1
    assert [row.key for row in store.deliveries("i1")] == ["e1"]


def test_unacknowledged_are_the_old_ones_that_somebody_is_left_to_be_told_of(store: Store) -> None:
    for number in range(4):
        store.open_incident(incident(f"i{number}", number), [])
    store.acknowledge("i1", at=later(9), by="kim")
    store.escalate("i2", level=1, at=later(9), notices=[])
    assert uids(store.unacknowledged(before=later(3))) == ["i0", "i2"]
    assert [each.escalations for each in store.unacknowledged(before=later(3))] == [0, 1]
    assert uids(store.unacknowledged(before=later(9), escalations_below=1)) == ["i0", "i3"]


def test_answer_is_kept_with_its_history_and_counts_as_acknowledged(store: Store) -> None:
    store.open_incident(incident(), [])
    store.answer("i1", answer="unsure", at=later(5), by="kim")
    store.answer("i1", answer="other-behavior", at=later(6), by="lee", behavior="jam", note="걸림")
    found = store.incident("i1")
    assert (found.answer, found.answered_by) == ("other-behavior", "lee")
    assert (found.answer_behavior, found.answer_note) == ("jam", "걸림")
    assert (found.acknowledged_at, found.acknowledged_by) == (later(5), "kim")
    details = [(t.by, t.details["answer"]) for t in store.transitions("i1") if t.kind == "answered"]
    assert details == [("kim", "unsure"), ("lee", "other-behavior")]


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.incident("x"),
        lambda store: store.update_incident("x", at=NOON, peak=1, score=1),
        lambda store: store.close_incident("x", at=NOON, peak=1, score=1, notices=[notice("n")]),
        lambda store: store.acknowledge("x", at=NOON, by="kim"),
        lambda store: store.escalate("x", level=1, at=NOON, notices=[notice("n")]),
        lambda store: store.answer("x", answer="correct", at=NOON, by="kim"),
        lambda store: store.lock("x", locked=True, at=NOON, by="kim"),
        lambda store: store.add_evidence(evidence(incident="x")),
        lambda store: store.evidence_deleted(Path("x"), at=NOON),
        lambda store: store.end_fault("x", at=NOON, notices=[notice("n")]),
    ],
)
def test_what_is_not_stored_is_not_found_and_nothing_is_told(
    store: Store, call: Callable[[Store], object]
) -> None:
    with pytest.raises(NotFoundError, match="'x': there is none"):
        call(store)
    assert store.next_due_at() is None


def test_incidents_are_found_by_what_they_are(store: Store) -> None:
    store.open_incident(incident("a", 0, "press-3"), [])
    store.open_incident(incident("b", 1, "belt"), [])
    store.open_incident(replace(incident("c", 2, "belt"), behavior="jam"), [])
    store.close_incident("b", at=later(9), peak=0, score=0)
    store.answer("c", answer="correct", at=later(9), by="kim")
    assert uids(store.incidents()) == ["c", "b", "a"]
    assert uids(store.incidents(camera="belt")) == ["c", "b"]
    assert uids(store.incidents(camera=("press-3", "oven"))) == ["a"]
    assert store.incidents(camera=()) == []
    assert uids(store.incidents(behavior="fall")) == ["b", "a"]
    assert uids(store.incidents(answer="correct")) == ["c"]
    assert uids(store.incidents(answered=False)) == ["b", "a"]
    assert uids(store.incidents(answered=True)) == ["c"]
    assert uids(store.incidents(since=later(1), until=later(2))) == ["b"]
    assert uids(store.incidents(open=True)) == ["c", "a"]
    assert uids(store.incidents(open=False, camera="belt")) == ["b"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=10)
@given(moments=st.lists(st.integers(0, 3), max_size=12), limit=st.integers(1, 5))
def test_pages_neither_repeat_nor_skip(store: Store, moments: list[int], limit: int) -> None:
    camera = f"c{len(store.incidents(limit=100_000))}"  # of this example alone
    for number, moment in enumerate(moments):
        store.open_incident(incident(f"{camera}-{number}", moment, camera), [])
    whole, before = [], None
    while page := store.incidents(camera=camera, before=before, limit=limit):
        assert len(page) <= limit
        whole += page
        before = (page[-1].opened_at, page[-1].uid)
    assert whole == store.incidents(camera=camera)
    assert len(whole) == len(moments)
    assert [each.opened_at for each in whole] == sorted((each.opened_at for each in whole), reverse=True)


def test_evidence_is_stored_once_by_path(store: Store) -> None:
    store.open_incident(incident(), [])
    assert store.add_evidence(evidence())
    assert not store.add_evidence(replace(evidence(), sha256="cd" * 32))
    assert store.evidence("i1") == [evidence()]
    assert store.evidence("other") == []


def test_deleted_evidence_stays_listed_with_the_moment_of_its_deletion(store: Store) -> None:
    store.open_incident(incident(), [])
    store.add_evidence(evidence())
    store.evidence_deleted(evidence().path, at=later(5))
    store.evidence_deleted(evidence().path, at=later(50))
    assert [each.deleted_at for each in store.evidence("i1")] == [later(5)]


def test_locked_paths_are_the_files_of_locked_incidents_that_are_there(store: Store) -> None:
    for uid in ("i1", "i2"):
        store.open_incident(incident(uid), [])
        store.add_evidence(evidence(f"{uid}.mp4", uid))
    store.add_evidence(evidence("i1.jpg", "i1"))
    store.lock("i1", locked=True, at=later(5), by="kim")
    store.lock("i1", locked=True, at=later(6), by="lee")
    assert store.locked_paths() == {Path("i1.mp4"), Path("i1.jpg")}
    store.evidence_deleted(Path("i1.jpg"), at=later(7))
    assert store.locked_paths() == {Path("i1.mp4")}
    store.lock("i1", locked=False, at=later(8), by="kim")
    assert store.locked_paths() == set()
    assert kinds(store) == ["opened", "locked", "unlocked"]
