"""Alerts over the real store: from an incident's transaction to its target, over restarts and escalation."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alert_servers import FakeChannel, FakeClock, incident, notice, target, web_server
from jikimi.alert.channels import open_channel
from jikimi.alert.dispatch import Dispatcher
from jikimi.alert.escalation import Escalation
from jikimi.alert.message import Plant
from jikimi.alert.notices import notices_for_fault, notices_for_incident
from jikimi.errors import AlertError
from jikimi.store import FaultRecord, Store, open_store
from mosquitto_server import wait_until

PLANT = Plant()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A site's store in SQLite."""
    opened = open_store(f"sqlite:///{tmp_path / 'jikimi.db'}")
    yield opened
    opened.close()


def now() -> datetime:
    return datetime.now(UTC)


def always_fail(tried: int) -> None:
    raise AlertError("target 'a': HTTP 500")


def test_incident_and_fault_reach_a_webhook_and_are_settled(store: Store) -> None:
    told: list[tuple[str, float, float]] = []

    def on_delivered(name: str, created_s: float, send_s: float) -> None:
        told.append((name, created_s, send_s))

    with web_server() as web:
        channel = open_channel(target("webhook", web.url, name="a"), plant=PLANT)
        with Dispatcher(store, {"a": channel}, on_delivered=on_delivered) as dispatcher:
            time.sleep(0.2)
            opened = incident(opened_at=now())
            store.open_incident(opened, notices_for_incident(opened, "opened", ["a"], PLANT))
            dispatcher.knock()
            wait_until(lambda: len(told) == 1)
            fault = FaultRecord("flt-1", "", "disk-full", "full", now())
            store.begin_fault(fault, notices_for_fault(fault, "opened", ["a"], PLANT))
            wait_until(lambda: len(told) == 2)
        channel.close()
    assert told[0][1] < 0.5
    assert [request.headers["jikimi-key"] for request in web.requests] == ["inc-1:opened:a", "flt-1:opened:a"]
    assert store.outbox_counts() == {("a", "delivered"): 2}


def test_next_process_goes_on_where_one_ended(store: Store) -> None:
    failing, working = FakeChannel(always_fail), FakeChannel()
    store.enqueue([notice(number) for number in range(10)], at=now())
    with Dispatcher(store, {"a": failing}):
        wait_until(lambda: failing.tries)
    with Dispatcher(store, {"a": working}):
        wait_until(lambda: store.outbox_counts() == {("a", "delivered"): 10})
    assert sorted(working.keys) == sorted(f"inc-{number}:opened:a" for number in range(10))


def test_restart_after_the_clock_was_set_back_sends_at_once(store: Store) -> None:
    store.enqueue([notice(1)], at=now() + timedelta(hours=1))
    channel = FakeChannel()
    with Dispatcher(store, {"a": channel}):
        wait_until(lambda: channel.keys, timeout_s=2)


def test_storm_is_sent_once_each_in_order(store: Store) -> None:
    storm, calm = FakeChannel(), FakeChannel()
    store.enqueue([notice(number, "storm") for number in range(1000)], at=now())
    with Dispatcher(store, {"storm": storm, "calm": calm}) as dispatcher:
        wait_until(lambda: storm.keys)
        store.enqueue([notice(1, "calm")], at=now())
        dispatcher.knock()
        wait_until(lambda: calm.keys, timeout_s=2)
        wait_until(lambda: store.outbox_counts().get(("storm", "delivered")) == 1000, timeout_s=60)
    assert storm.tries == [f"inc-{number}:opened:storm" for number in range(1000)]


def test_escalation_tells_list_after_list_until_acknowledged(store: Store) -> None:
    clock = FakeClock()
    opened = incident(opened_at=clock.now())
    store.open_incident(opened, notices_for_incident(opened, "opened", ["a"], PLANT))
    steps = Escalation(store, lists=(("a",), ("b",), ("c",)), after_s=120, plant=PLANT, clock=clock)
    clock.advance(121)
    assert (steps.step(), steps.step()) == (1, 0)
    assert {each.key for each in store.deliveries("inc-1")} == {"inc-1:opened:a", "inc-1:escalated-1:b"}
    store.acknowledge("inc-1", at=clock.now(), by="kim")
    clock.advance(121)
    assert steps.step() == 0


def test_notices_made_twice_are_stored_once(store: Store) -> None:
    made = notices_for_incident(incident(), "opened", ["a", "b"], PLANT)
    again = notices_for_incident(replace(incident(), peak=0.95), "opened", ["a", "b"], PLANT)
    assert (store.enqueue(made, at=now()), store.enqueue(again, at=now())) == (2, 0)
