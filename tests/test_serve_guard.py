"""Tries of passwords: guessing gets slow, and nobody gets locked out by somebody else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jikimi.serve.devices import LASTING_S, known_device, with_mark
from jikimi.serve.guard import (
    ADDRESS_AT_ONCE,
    ADDRESS_EVERY_S,
    FORGOTTEN_AFTER_S,
    FREE_FAILURES,
    MOST_DELAY_S,
    Attempt,
    LoginGuard,
    delay_s,
    network_of,
)

EVIL = "203.0.113.9"
KIM = Attempt("kim", "10.0.0.3")
KIMS_BROWSER = Attempt("kim", "10.0.0.3", device="d1")


class Clock:
    """Monotonic seconds that a test sets."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def guard(clock: Clock) -> LoginGuard:
    return LoginGuard(clock)


def hammer(guard: LoginGuard, clock: Clock, attempt: Attempt, *, for_s: float) -> int:
    """Try whenever it is allowed → how often it was."""
    taken, end_s = 0, clock.now_s + for_s
    while clock.now_s < end_s:
        wait_s = guard.take(attempt)
        taken += wait_s == 0
        clock.now_s += wait_s
    return taken


def test_a_few_failures_cost_nothing_and_more_of_them_double_the_wait(
    guard: LoginGuard, clock: Clock
) -> None:
    assert [guard.take(KIM) for _ in range(FREE_FAILURES)] == [0] * FREE_FAILURES
    waits_s = []
    for _ in range(12):
        waits_s.append(guard.take(KIM))
        clock.now_s += waits_s[-1]
        assert guard.take(KIM) == 0
    assert waits_s == [min(MOST_DELAY_S, 2.0**n) for n in range(12)]


def test_what_is_refused_does_not_prolong_the_wait(guard: LoginGuard, clock: Clock) -> None:
    for _ in range(FREE_FAILURES):
        guard.take(KIM)
    assert {guard.take(KIM) for _ in range(100)} == {1.0}
    clock.now_s += 1.0
    assert guard.take(KIM) == 0


def test_guessing_one_name_from_one_address_comes_to_a_hundred_tries_a_day(
    guard: LoginGuard, clock: Clock
) -> None:
    assert hammer(guard, clock, Attempt("kim", EVIL), for_s=86_400) < 120


def test_whoever_hammers_a_name_locks_nobody_else_out(guard: LoginGuard, clock: Clock) -> None:
    hammer(guard, clock, Attempt("kim", EVIL), for_s=3600)
    hammer(guard, clock, KIM, for_s=3600)  # from the same network, too
    guard.take(KIM)
    assert guard.take(KIM) == MOST_DELAY_S
    assert guard.take(KIMS_BROWSER) == 0
    assert guard.take(Attempt("kim", "10.0.0.4")) == 0
    assert guard.take(Attempt("lee", KIM.address)) == 0


def test_a_known_browser_is_let_in_from_an_address_that_is_used_up(guard: LoginGuard) -> None:
    for n in range(ADDRESS_AT_ONCE):
        guard.take(Attempt(f"u{n}", KIM.address))
    assert guard.take(KIM) == ADDRESS_EVERY_S
    assert guard.take(KIMS_BROWSER) == 0


def test_a_stolen_mark_of_a_browser_is_slowed_down_by_itself(guard: LoginGuard, clock: Clock) -> None:
    assert hammer(guard, clock, KIMS_BROWSER, for_s=86_400) < 120
    assert guard.take(KIM) == 0


def test_an_address_that_walks_through_names_is_slowed_down(guard: LoginGuard, clock: Clock) -> None:
    taken = sum(guard.take(Attempt(f"u{n}", EVIL)) == 0 for n in range(1000))
    assert taken == ADDRESS_AT_ONCE
    clock.now_s += 10 * ADDRESS_EVERY_S
    assert sum(guard.take(Attempt(f"v{n}", EVIL)) == 0 for n in range(1000)) == 10
    assert guard.take(KIM) == 0


def test_a_shift_that_logs_in_through_one_router_is_not_held_up(guard: LoginGuard) -> None:
    for n in range(500):
        attempt = Attempt(f"u{n}", "10.0.0.1")
        assert guard.take(attempt) == 0
        guard.succeeded(attempt)


def test_success_begins_the_name_anew_and_no_other(guard: LoginGuard, clock: Clock) -> None:
    for _ in range(FREE_FAILURES):
        guard.take(KIM)
        guard.take(Attempt("lee", KIM.address))
    clock.now_s += 1.0
    assert guard.take(KIM) == 0
    guard.succeeded(KIM)
    assert [guard.take(KIM) for _ in range(FREE_FAILURES)] == [0] * FREE_FAILURES
    assert guard.take(Attempt("lee", KIM.address)) == 0
    assert guard.take(Attempt("lee", KIM.address)) > 0


def test_many_at_once_do_not_all_find_the_counter_at_zero(guard: LoginGuard) -> None:
    assert [guard.take(KIM) == 0 for _ in range(50)].count(True) == FREE_FAILURES


def test_what_came_to_no_check_does_not_count(guard: LoginGuard) -> None:
    for _ in range(100):
        assert guard.take(KIM) == 0
        guard.undo(KIM)


def test_failures_are_forgotten_after_a_day(guard: LoginGuard, clock: Clock) -> None:
    hammer(guard, clock, KIM, for_s=3600)
    clock.now_s += FORGOTTEN_AFTER_S
    assert [guard.take(KIM) for _ in range(FREE_FAILURES)] == [0] * FREE_FAILURES


def test_memory_is_bounded(clock: Clock) -> None:
    guard = LoginGuard(clock, most=100)
    for n in range(1000):
        guard.take(Attempt(f"u{n}", f"10.{n % 250}.{n // 250}.1"))
    assert len(guard) == 100


@given(st.integers(0, 10_000))
def test_the_wait_grows_and_has_an_end(failures: int) -> None:
    assert 0 <= delay_s(failures) <= delay_s(failures + 1) <= MOST_DELAY_S


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.0.0.3", "10.0.0.3"), ("::ffff:10.0.0.3", "10.0.0.3"), ("fe80::1%eth0", "fe80::/64"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("testclient", "testclient"), ("", ""),
    ],
)  # fmt: skip
def test_addresses_of_one_party_are_one(address: str, network: str) -> None:
    assert network_of(address) == network


def test_a_browser_is_known_for_its_users_alone_until_a_year_has_passed() -> None:
    cookie = with_mark("", "kim", key="k", now_s=0)
    cookie = with_mark(cookie, "이", key="k", now_s=10)
    kim, lee = (known_device(cookie, name, key="k", now_s=20) for name in ("kim", "이"))
    assert kim and lee and kim != lee
    assert not known_device(cookie, "park", key="k", now_s=20)
    assert not known_device(cookie, "kim", key="another", now_s=20)
    assert not known_device(cookie, "kim", key="k", now_s=LASTING_S + 1)
    again = with_mark(cookie, "kim", key="k", now_s=30)
    assert known_device(again, "kim", key="k", now_s=40) not in ("", kim)
    assert known_device(again, "이", key="k", now_s=40) == lee


def test_a_browsers_marks_are_bounded() -> None:
    cookie = ""
    for n in range(50):
        cookie = with_mark(cookie, f"u{n}", key="k", now_s=0)
    assert len(cookie) < 1500 and known_device(cookie, "u49", key="k", now_s=1)
    assert not known_device(cookie, "u0", key="k", now_s=1)


@given(st.text(), st.text())
def test_what_nobody_signed_is_no_mark(cookie: str, name: str) -> None:
    assert known_device(cookie, name, key="k", now_s=0) == ""
    assert known_device(with_mark(cookie, name, key="k", now_s=0), name, key="k", now_s=1)
