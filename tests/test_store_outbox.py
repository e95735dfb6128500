"""The outbox and faults, the same on SQLite and on PostgreSQL."""

from dataclasses import replace

import pytest

from jikimi.store import Delivery, Store
from store_values import NOON, fault, later, notice

pytest_plugins = ("postgres_server", "store_fixtures")


def keys(deliveries: list[Delivery]) -> list[str]:
    return [delivery.notice.key for delivery in deliveries]


def test_notice_is_due_at_once_and_comes_back_whole(store: Store) -> None:
    assert store.enqueue([notice("a")], at=NOON) == 1
    (delivery,) = store.due(now=NOON)
    assert delivery.notice == notice("a")
    assert (delivery.created_at, delivery.attempts) == (NOON, 0)
    assert store.due(now=later(-1)) == []


def test_notice_of_a_known_key_is_not_told_twice(store: Store) -> None:
    store.enqueue([notice("a"), notice("a")], at=NOON)
    store.delivered(store.due(now=NOON)[0].id, at=NOON)
    assert store.enqueue([notice("a", "other"), notice("b")], at=later(9)) == 1
    assert keys(store.due(now=later(9))) == ["b"]


def test_delivered_notice_is_no_longer_due(store: Store) -> None:
    store.enqueue([notice("a")], at=NOON)
    (delivery,) = store.due(now=NOON)
    store.delivered(delivery.id, at=later(2))
    assert store.due(now=later(99)) == []
    assert store.next_due_at() is None
    (shown,) = store.deliveries("i1")
    assert (shown.state, shown.attempts, shown.delivered_at) == ("delivered", 1, later(2))
    assert (shown.target, shown.kind, shown.created_at, shown.last_error) == ("phone", "opened", NOON, "")


def test_failed_notice_waits_for_its_retry(store: Store) -> None:
    store.enqueue([notice("a")], at=NOON)
    (delivery,) = store.due(now=NOON)
    store.failed(delivery.id, at=later(1), error="timed\nout", retry_at=later(31))
    assert store.due(now=later(30)) == []
    assert store.next_due_at() == later(31)
    (again,) = store.due(now=later(31))
    assert (again.id, again.attempts, again.created_at) == (delivery.id, 1, NOON)
    (shown,) = store.deliveries("i1")
    assert (shown.state, shown.next_at, shown.last_error) == ("due", later(31), "timed out")


def test_notice_that_is_given_up_is_shown_and_never_due(store: Store) -> None:
    store.enqueue([notice("a")], at=NOON)
    (delivery,) = store.due(now=NOON)
    store.failed(delivery.id, at=later(1), error="gone", retry_at=None)
    assert store.due(now=later(10**6)) == []
    assert [row.state for row in store.deliveries("i1")] == ["given-up"]


def test_settled_notice_stays_settled(store: Store) -> None:
    store.enqueue([notice("a")], at=NOON)
    (delivery,) = store.due(now=NOON)
    store.delivered(delivery.id, at=later(1))
    store.failed(delivery.id, at=later(2), error="late", retry_at=later(3))
    store.delivered(delivery.id, at=later(4))
    (shown,) = store.deliveries("i1")
    assert (shown.state, shown.attempts, shown.delivered_at) == ("delivered", 1, later(1))


def test_errors_of_targets_are_kept_short_and_without_credentials(store: Store) -> None:
    store.enqueue([notice("a")], at=NOON)
    error = "mqtt://user:zq1@broker refused " + "x" * 1000
    store.failed(store.due(now=NOON)[0].id, at=NOON, error=error, retry_at=None)
    (shown,) = store.deliveries("i1")
    assert shown.last_error.startswith("mqtt://***@broker refused")
    assert len(shown.last_error) == 300


def test_target_with_a_backlog_starves_no_other(store: Store) -> None:
    store.enqueue([notice(f"p{n}") for n in range(50)], at=NOON)
    store.enqueue([notice("s0", "siren"), notice("s1", "siren")], at=later(5))
    assert keys(store.due(now=later(5), limit=5)) == ["p0", "s0", "p1", "s1", "p2"]
    assert keys(store.due(now=later(5), target="siren")) == ["s0", "s1"]


def test_counts_are_by_target_and_state(store: Store) -> None:
    assert store.outbox_counts() == {}
    store.enqueue([notice("a"), notice("b"), notice("c", "siren")], at=NOON)
    store.delivered(store.due(now=NOON, target="siren")[0].id, at=NOON)
    assert store.outbox_counts() == {("phone", "due"): 2, ("siren", "delivered"): 1}


def test_fault_begins_and_ends_once_and_tells_of_both(store: Store) -> None:
    assert store.begin_fault(fault(), [replace(notice("b", uid="f1"), subject="fault")])
    assert not store.begin_fault(fault(), [notice("x", uid="f1")])
    assert store.faults(open=True) == [fault()]
    assert store.end_fault("f1", at=later(60), notices=[notice("e", uid="f1")])
    assert not store.end_fault("f1", at=later(90), notices=[notice("y", uid="f1")])
    assert store.faults() == [replace(fault(), ended_at=later(60))]
    assert [row.key for row in store.deliveries("f1")] == ["b", "e"]


def test_faults_are_found_newest_first_by_camera_state_and_time(store: Store) -> None:
    for number, name in enumerate(["", "belt", "press-3"]):
        store.begin_fault(fault(f"f{number}", number, name), [])
    store.end_fault("f0", at=later(10))
    assert [each.uid for each in store.faults()] == ["f2", "f1", "f0"]
    assert [each.uid for each in store.faults(limit=1)] == ["f2"]
    assert [each.uid for each in store.faults(camera="belt")] == ["f1"]
    assert [each.uid for each in store.faults(camera=["", "press-3"])] == ["f2", "f0"]
    assert [each.uid for each in store.faults(open=False)] == ["f0"]
    assert [each.uid for each in store.faults(since=later(10))] == ["f2", "f1"]


@pytest.mark.parametrize("limit", [0, 1])
def test_no_more_than_the_limit_is_due(store: Store, limit: int) -> None:
    store.enqueue([notice("a"), notice("b")], at=NOON)
    assert len(store.due(now=NOON, limit=limit)) == limit
