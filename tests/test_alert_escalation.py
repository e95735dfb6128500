"""Whom to tell next, and when to try again: decisions without threads."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_servers import OPENED, FakeClock, incident, notice
from jikimi.alert.escalation import Escalation, next_step, told
from jikimi.alert.message import Plant
from jikimi.alert.queue import Queue
from jikimi.alert.timing import FEWEST_ATTEMPTS, LONGEST_DELAY_S, retry_at
from jikimi.errors import StoreBusyError
from jikimi.store.records import Delivery, IncidentRecord, Notice

LISTS = (("a", "b"), ("c",), ("d", "a"))


def after(seconds: float) -> datetime:
    return OPENED + timedelta(seconds=seconds)


class Incidents:
    """The store's incidents in memory."""

    def __init__(self, *incidents: IncidentRecord) -> None:
        self.known = {each.uid: each for each in incidents}
        self.notices: list[Notice] = []
        self.busy = False

    def unacknowledged(
        self, *, before: datetime, escalations_below: int | None = None
    ) -> list[IncidentRecord]:
        if self.busy:
            raise StoreBusyError("store: is locked")
        most = 10**9 if escalations_below is None else escalations_below
        waiting = [each for each in self.known.values() if each.acknowledged_at is None]
        return [each for each in waiting if each.opened_at < before and each.escalations < most]

    def escalate(
        self, uid: str, *, level: int, at: datetime, notices: Sequence[Notice], by: str = ""
    ) -> bool:
        known = self.known[uid]
        if known.escalations != level - 1 or (known.acknowledged_at is not None and not by):
            return False
        self.known[uid] = replace(known, escalations=level, escalated_at=at)
        self.notices += notices
        return True


def escalation(store: Incidents, clock: FakeClock) -> Escalation:
    return Escalation(store, lists=LISTS, after_s=120, plant=Plant(), clock=clock)


@pytest.mark.parametrize(
    "waited_s, due", [(0, False), (119.9, False), (120, True), (86399, True), (86400, False)]
)
def test_next_list_is_told_when_nobody_acknowledged_in_time(waited_s: float, due: bool) -> None:
    step = next_step(incident(), LISTS, after_s=120, now=after(waited_s))
    assert (step is not None) is due


def test_each_list_has_its_time_from_the_one_before() -> None:
    told_second = incident(escalations=1, escalated_at=after(500))
    assert next_step(told_second, LISTS, after_s=120, now=after(600)) is None
    step = next_step(told_second, LISTS, after_s=120, now=after(620))
    assert step is not None and (step.level, step.targets, step.waited_s) == (2, ("d", "a"), 620)


def test_last_list_is_the_end() -> None:
    last = incident(escalations=2, escalated_at=after(240))
    assert next_step(last, LISTS, after_s=120, now=after(4000)) is None


def test_acknowledged_incident_goes_no_further() -> None:
    known = incident(acknowledged_at=after(60), acknowledged_by="kim")
    assert next_step(known, LISTS, after_s=120, now=after(4000)) is None


def test_closing_tells_everybody_who_was_told() -> None:
    assert told(LISTS, escalations=0) == ("a", "b")
    assert told(LISTS, escalations=2) == ("a", "b", "c", "d")


def test_incident_goes_from_list_to_list_until_acknowledged() -> None:
    clock, store = FakeClock(), Incidents(incident())
    steps = escalation(store, clock)
    assert steps.step() == 0
    clock.advance(121)
    assert (steps.step(), steps.step()) == (1, 0)
    assert [each.key for each in store.notices] == ["inc-1:escalated-1:c"]
    clock.advance(121)
    assert (steps.step(), steps.step()) == (1, 0)
    assert [each.target for each in store.notices] == ["c", "d", "a"]
    clock.advance(1000)
    assert steps.step() == 0


def test_acknowledging_stops_it() -> None:
    clock, store = FakeClock(), Incidents(incident())
    steps = escalation(store, clock)
    clock.advance(121)
    steps.step()
    store.known["inc-1"] = replace(store.known["inc-1"], acknowledged_at=clock.now())
    clock.advance(1000)
    assert steps.step() == 0


def test_restart_goes_on_where_it_was() -> None:
    clock, store = FakeClock(), Incidents(incident())
    clock.advance(121)
    escalation(store, clock).step()
    clock.advance(60)
    again = escalation(store, clock)
    assert again.step() == 0
    clock.advance(61)
    assert again.step() == 1
    assert store.known["inc-1"].escalations == 2


def test_clock_set_back_puts_nobody_off() -> None:
    clock, store = FakeClock(), Incidents(incident())
    steps = escalation(store, clock)
    steps.step()
    clock.step(-3600)
    clock.advance(121)
    assert steps.step() == 1
    assert store.notices[0].payload["waited_s"] >= 120


def test_busy_store_is_asked_again() -> None:
    clock, store = FakeClock(), Incidents(incident())
    steps = escalation(store, clock)
    clock.advance(121)
    store.busy = True
    assert (steps.step(), steps.errors) == (0, 1)
    store.busy = False
    assert steps.step() == 1


@given(attempts=st.integers(1, 3000), age_s=st.floats(-1e6, 1e6), seed=st.integers())
def test_retry_is_one_second_to_ten_minutes_away_or_given_up(attempts: int, age_s: float, seed: int) -> None:
    now = after(age_s)
    again = retry_at(OPENED, attempts=attempts, now=now, rng=random.Random(seed))
    if again is None:
        assert attempts >= FEWEST_ATTEMPTS
        assert age_s >= 86399 or attempts >= 2880
    else:
        assert 0.7 <= (again - now).total_seconds() <= LONGEST_DELAY_S


def test_delays_double_and_differ() -> None:
    def delay_s(attempts: int, seed: int = 1) -> float:
        again = retry_at(OPENED, attempts=attempts, now=OPENED, rng=random.Random(seed))
        assert again is not None
        return (again - OPENED).total_seconds()

    assert delay_s(3) == pytest.approx(4 * delay_s(1), rel=0.01)
    assert len({delay_s(5, seed) for seed in range(20)}) == 20
    assert delay_s(500) <= 600


def test_age_alone_gives_nothing_up() -> None:
    years = OPENED + timedelta(days=20000)
    assert retry_at(OPENED, attempts=FEWEST_ATTEMPTS - 1, now=years, rng=random.Random(1)) is not None
    assert retry_at(OPENED, attempts=FEWEST_ATTEMPTS, now=years, rng=random.Random(1)) is None


def test_queue_keeps_the_order_of_storing_within_an_incident() -> None:
    queue = Queue()
    for id in (5, 3, 4):
        queue.add(Delivery(id, notice(1), OPENED), now_s=0)
    order = []
    while (waiting := queue.next(0)) is not None:
        order.append(waiting.delivery.id)
        queue.remove(waiting)
    assert order == [3, 4, 5] and len(queue) == 0
