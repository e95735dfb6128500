"""Emptying the outbox: nothing lost, nobody held up by another, whatever store, targets and clocks do."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from alert_servers import FakeChannel, FakeClock, MemoryOutbox, notice, seeded, target, web_server
from jikimi.alert.channels import Unusable, open_channel, open_channels
from jikimi.alert.dispatch import Dispatcher, undelivered
from jikimi.alert.message import Plant
from jikimi.errors import AlertError, RefusedError
from jikimi.store.records import Delivery
from mosquitto_server import Listener, Mosquitto, wait_until
from mosquitto_server import mosquitto as mosquitto

Start = Callable[..., Dispatcher]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start dispatchers that end with the test."""
    running: list[Dispatcher] = []

    def begin(outbox: MemoryOutbox, channels: dict[str, FakeChannel], **more: object) -> Dispatcher:
        dispatcher = Dispatcher(outbox, channels, clock=outbox.clock, rng=seeded(), **more)  # type: ignore[arg-type]
        running.append(dispatcher)
        dispatcher.start()
        return dispatcher

    yield begin
    for dispatcher in running:
        dispatcher.stop()


def fail_until(number: int) -> Callable[[int], None]:
    def act(tried: int) -> None:
        if tried < number:
            raise AlertError("target 'a': HTTP 500")

    return act


def always_fail(tried: int) -> None:
    raise AlertError("target 'a': HTTP 500")


def test_knock_sends_at_once_and_latency_is_told(start: Start) -> None:
    told: list[tuple[str, float, float]] = []
    outbox, channel = MemoryOutbox(), FakeChannel()
    dispatcher = start(outbox, {"a": channel}, on_delivered=lambda *numbers: told.append(numbers))
    time.sleep(0.1)
    outbox.enqueue([notice(1)])
    dispatcher.knock()
    wait_until(lambda: told, timeout_s=0.45)
    wait_until(lambda: outbox.states() == ["delivered"])
    name, created_s, send_s = told[0]
    assert name == "a" and 0 <= send_s <= created_s < 0.45
    assert channel.keys == ["inc-1:opened:a"]


def test_without_a_knock_new_notices_are_seen_within_a_second(start: Start) -> None:
    outbox, channel = MemoryOutbox(), FakeChannel()
    start(outbox, {"a": channel})
    time.sleep(0.1)
    outbox.enqueue([notice(1)])
    wait_until(lambda: channel.keys, timeout_s=2)


def test_failure_is_tried_again_with_the_same_key(start: Start) -> None:
    outbox, channel = MemoryOutbox(FakeClock(pace=10)), FakeChannel(fail_until(2))
    outbox.enqueue([notice(1)])
    start(outbox, {"a": channel})
    wait_until(lambda: outbox.states() == ["delivered"])
    assert channel.tries == ["inc-1:opened:a"] * 3
    assert outbox.rows[1].delivery.attempts == 2


def test_refusal_is_tried_again_since_a_receiver_may_be_mended(start: Start) -> None:
    def refuse_once(tried: int) -> None:
        if tried == 0:
            raise RefusedError("target 'a': HTTP 404")

    given_up: list[tuple[Delivery, str]] = []
    outbox, channel = MemoryOutbox(), FakeChannel(refuse_once)
    outbox.enqueue([notice(1)])
    start(outbox, {"a": channel}, on_given_up=lambda *what: given_up.append(what))
    wait_until(lambda: outbox.states() == ["delivered"])
    assert not given_up and len(channel.tries) == 2


def test_given_up_after_a_day_of_tries(start: Start) -> None:
    given_up: list[Delivery] = []
    outbox, channel = MemoryOutbox(), FakeChannel(always_fail)
    outbox.enqueue([notice(1)])
    dispatcher = start(outbox, {"a": channel}, on_given_up=lambda delivery, error: given_up.append(delivery))
    clock = outbox.clock
    begin_s = clock.monotonic_s()
    for _ in range(400):
        before = len(channel.tries)
        clock.advance(601)
        dispatcher.knock()
        wait_until(lambda before=before: len(channel.tries) > before or given_up)  # type: ignore[misc]
        if given_up:
            break
    assert timedelta(hours=24) <= timedelta(seconds=clock.monotonic_s() - begin_s) < timedelta(hours=25)
    wait_until(lambda: outbox.states() == ["given-up"])


def test_target_that_hangs_does_not_delay_another(start: Start) -> None:
    release = threading.Event()

    def hang(tried: int) -> None:
        release.wait(10)

    outbox, hanging, quick = MemoryOutbox(), FakeChannel(hang), FakeChannel()
    outbox.enqueue([notice(number, "slow") for number in range(5)])
    dispatcher = start(outbox, {"slow": hanging, "quick": quick})
    wait_until(lambda: hanging.tries)
    for number in range(20):
        outbox.enqueue([notice(number, "quick")])
        dispatcher.knock()
        wait_until(lambda number=number: len(quick.keys) > number, timeout_s=2)  # type: ignore[misc]
    assert hanging.keys == []
    release.set()


def test_storm_for_one_target_does_not_starve_another(start: Start) -> None:
    outbox = MemoryOutbox()
    storm, calm = FakeChannel(lambda tried: time.sleep(0.005)), FakeChannel()
    outbox.enqueue([notice(number, "storm") for number in range(1000)])
    dispatcher = start(outbox, {"storm": storm, "calm": calm})
    wait_until(lambda: storm.keys)
    outbox.enqueue([notice(1, "calm")])
    dispatcher.knock()
    wait_until(lambda: calm.keys, timeout_s=2)
    assert len(storm.keys) < 1000
    wait_until(lambda: "due" not in outbox.states(), timeout_s=30)
    assert storm.tries == [f"inc-{number}:opened:storm" for number in range(1000)]


def test_storm_for_a_dead_target_lets_new_ones_of_others_through(start: Start) -> None:
    outbox, dead, calm = MemoryOutbox(), FakeChannel(always_fail), FakeChannel()
    outbox.enqueue([notice(number, "dead") for number in range(1000)])
    dispatcher = start(outbox, {"dead": dead, "calm": calm})
    for number in range(5):
        outbox.enqueue([notice(number, "calm")])
        dispatcher.knock()
        wait_until(lambda number=number: len(calm.keys) > number, timeout_s=1)  # type: ignore[misc]
    assert len(dead.tries) < 20  # it is left in peace between tries


def test_target_that_is_back_gets_everything_at_once(start: Start) -> None:
    outbox, channel = MemoryOutbox(FakeClock(pace=10)), FakeChannel(fail_until(3))
    outbox.enqueue([notice(number) for number in range(50)])
    dispatcher = start(outbox, {"a": channel})
    wait_until(lambda: len(channel.tries) >= 2)
    dispatcher.retry_now("a")
    wait_until(lambda: set(outbox.states()) == {"delivered"}, timeout_s=8)


def test_new_notice_for_a_failing_target_is_tried_at_once(start: Start) -> None:
    outbox, channel = MemoryOutbox(FakeClock(pace=2)), FakeChannel(fail_until(5))
    outbox.enqueue([notice(1)])
    dispatcher = start(outbox, {"a": channel})
    wait_until(lambda: len(channel.tries) == 4, timeout_s=20)  # its next try is 3 s away
    for number in (2, 3):
        outbox.enqueue([notice(number)])
        dispatcher.knock()
        wait_until(lambda number=number: f"inc-{number}:opened:a" in channel.tries, timeout_s=1.5)  # type: ignore[misc]
    wait_until(
        lambda: set(outbox.states()) == {"delivered"}, timeout_s=1.5
    )  # the success pulled the first along


def test_notice_that_came_during_a_hanging_try_is_tried_right_after_it(start: Start) -> None:
    release = threading.Event()

    def hang_first(tried: int) -> None:
        if tried < 4:
            release.wait(10 if tried == 3 else 0)
            raise AlertError("target 'a': no answer")

    outbox, channel = MemoryOutbox(FakeClock(pace=2)), FakeChannel(hang_first)
    outbox.enqueue([notice(1)])
    dispatcher = start(outbox, {"a": channel})
    wait_until(lambda: len(channel.tries) == 4)
    outbox.enqueue([notice(2)])
    dispatcher.knock()
    time.sleep(0.1)
    release.set()
    wait_until(lambda: "inc-2:opened:a" in channel.keys, timeout_s=1.5)


def test_order_within_an_incident_holds_over_failures(start: Start) -> None:
    outbox, channel = MemoryOutbox(), FakeChannel(fail_until(1))
    dispatcher = start(outbox, {"a": channel})
    for kind in ("opened", "closed"):
        outbox.enqueue([notice(1, kind=kind, uid="one")])
        dispatcher.knock()
        time.sleep(0.1)
    outbox.enqueue([notice(2)])
    dispatcher.knock()
    wait_until(lambda: set(outbox.states()) == {"delivered"})
    assert channel.keys == ["inc-2:opened:a", "one:opened:a", "one:closed:a"]


def test_busy_store_loses_nothing_and_sends_nothing_twice(start: Start) -> None:
    outbox, channel = MemoryOutbox(), FakeChannel()
    outbox.enqueue([notice(number) for number in range(20)])
    outbox.busy = 8
    dispatcher = start(outbox, {"a": channel})
    wait_until(lambda: set(outbox.states()) == {"delivered"}, timeout_s=30)
    assert sorted(channel.tries) == sorted(f"inc-{number}:opened:a" for number in range(20))
    assert dispatcher.errors > 0


def test_bug_in_a_channel_or_callback_costs_neither_notice_nor_thread(start: Start) -> None:
    def stumble(tried: int) -> None:
        if tried == 0:
            raise KeyError("a bug")

    def told(*numbers: object) -> None:
        raise ValueError("another bug")

    outbox, channel = MemoryOutbox(FakeClock(pace=10)), FakeChannel(stumble)
    outbox.enqueue([notice(1), notice(2)])
    start(outbox, {"a": channel}, on_delivered=told)
    wait_until(lambda: outbox.states() == ["delivered", "delivered"])
    assert outbox.rows[1].error == "target 'a': failed (KeyError)"


def test_target_that_left_the_settings_is_given_up(start: Start) -> None:
    given_up: list[str] = []
    outbox = MemoryOutbox()
    outbox.enqueue([notice(1, "gone")])
    outbox.clock.advance(31)
    start(outbox, {}, on_given_up=lambda delivery, error: given_up.append(error))
    wait_until(lambda: outbox.states() == ["given-up"])
    assert "'gone'" in given_up[0]


@pytest.mark.parametrize("step_s", [-3600, 3600])
def test_clock_steps_delay_nothing_and_give_nothing_up(start: Start, step_s: float) -> None:
    outbox, channel = MemoryOutbox(FakeClock(pace=10)), FakeChannel(fail_until(2))
    outbox.enqueue([notice(1)])
    dispatcher = start(outbox, {"a": channel})
    wait_until(lambda: channel.tries)
    outbox.clock.step(step_s)
    outbox.enqueue([notice(2)], at=outbox.clock.now() - timedelta(seconds=step_s))  # stamped before the step
    dispatcher.knock()
    wait_until(lambda: outbox.states() == ["delivered", "delivered"], timeout_s=6)


def test_clock_set_forward_by_days_gives_up_nothing_young(start: Start) -> None:
    outbox, channel = MemoryOutbox(FakeClock(pace=10)), FakeChannel(fail_until(3))
    outbox.enqueue([notice(1)])
    start(outbox, {"a": channel})
    wait_until(lambda: channel.tries)
    outbox.clock.step(3 * 86400)
    wait_until(lambda: outbox.states() == ["delivered"], timeout_s=12)


def test_restart_tries_at_once_what_was_put_off(start: Start) -> None:
    outbox, channel = MemoryOutbox(), FakeChannel()
    outbox.enqueue([notice(1)])
    outbox.failed(1, at=outbox.clock.now(), error="x", retry_at=outbox.clock.now() + timedelta(hours=1))
    start(outbox, {"a": channel})
    wait_until(lambda: outbox.states() == ["delivered"], timeout_s=2)


def test_beats_go_on_while_the_store_answers(start: Start) -> None:
    outbox = MemoryOutbox()
    dispatcher = start(outbox, {"a": FakeChannel()})
    wait_until(lambda: dispatcher.beats >= 3, timeout_s=3)
    outbox.busy = 10**9
    time.sleep(0.1)
    before = dispatcher.beats
    time.sleep(1.2)
    assert dispatcher.beats <= before + 1
    outbox.busy = 0
    wait_until(lambda: dispatcher.beats > before + 2, timeout_s=3)


def test_given_up_alerts_make_one_fault_a_target_and_day() -> None:
    clock = FakeClock()
    deliveries = [Delivery(number, notice(number, "관제실"), clock.now()) for number in range(3)]
    faults = {undelivered(each, error="HTTP 404", at=clock.now()).uid for each in deliveries}
    assert len(faults) == 1


def test_webhook_in_trouble_gets_the_same_key_until_it_takes_it(start: Start) -> None:
    with web_server(statuses=[500, 503, 200]) as web:
        channel = open_channel(target("webhook", web.url, name="a"), plant=Plant())
        outbox = MemoryOutbox(FakeClock(pace=10))
        outbox.enqueue([notice(1)])
        start(outbox, {"a": channel})
        wait_until(lambda: outbox.states() == ["delivered"])
        channel.close()
    assert [request.headers["jikimi-key"] for request in web.requests] == ["inc-1:opened:a"] * 3


def test_broker_killed_and_back_gets_every_notice(start: Start, mosquitto: Mosquitto) -> None:
    dispatchers: list[Dispatcher] = []

    def back() -> None:
        for dispatcher in dispatchers:
            dispatcher.retry_now("a")

    channel = open_channel(target("mqtt", mosquitto.url(), name="a"), plant=Plant(), on_connected=back)
    outbox = MemoryOutbox()
    dispatchers.append(start(outbox, {"a": channel}))
    with Listener(mosquitto) as listener:
        outbox.enqueue([notice(0)])
        wait_until(lambda: outbox.states() == ["delivered"])
        wait_until(lambda: listener.on("jikimi/incident"))
        mosquitto.kill()
        outbox.enqueue([notice(number) for number in range(1, 6)])
        wait_until(lambda: outbox.rows[2].error)
        mosquitto.start()
        wait_until(lambda: set(outbox.states()) == {"delivered"}, timeout_s=30)
        wait_until(lambda: len(listener.on("jikimi/incident")) >= 6)
        channel.close()
    keys = [event["key"] for event in listener.events("jikimi/incident")]
    assert set(keys) == {f"inc-{number}:opened:a" for number in range(6)}


def test_notice_for_a_target_that_was_just_added_is_not_given_up(start: Start) -> None:
    given_up: list[Delivery] = []
    outbox = MemoryOutbox()
    outbox.enqueue([notice(1)])
    dispatcher = start(
        outbox, {"b": FakeChannel()}, on_given_up=lambda delivery, _: given_up.append(delivery)
    )
    beats = dispatcher.beats
    wait_until(lambda: dispatcher.beats > beats + 2)
    assert outbox.states() == ["due"] and not given_up
    outbox.clock.advance(31)
    dispatcher.knock()
    wait_until(lambda: outbox.states() == ["given-up"])
    assert len(given_up) == 1


def test_what_is_for_an_unusable_target_waits_and_is_told_when_it_can_be(start: Start) -> None:
    outbox, other = MemoryOutbox(), FakeChannel()
    outbox.enqueue([notice(1)])
    channels = {"a": Unusable("target 'a': sealed with another key"), "b": other}
    first = start(outbox, channels)  # type: ignore[arg-type]
    wait_until(lambda: outbox.rows[1].delivery.attempts > 0)
    first.stop()
    assert outbox.states() == ["due"]
    channel = FakeChannel()
    start(outbox, {"a": channel})
    wait_until(lambda: outbox.states() == ["delivered"])


def test_refused_target_has_a_stand_in_and_the_others_their_channels() -> None:
    good, bad = target("webhook", "http://a.test/"), target("webhook", "http://u:s3cr3t:x/", name="b")
    told: list[str] = []

    def stand_in(error: RefusedError) -> Unusable:
        told.append(str(error))
        return Unusable(str(error))

    channels = open_channels([bad, good], plant=Plant(), on_refused=stand_in)
    assert isinstance(channels["b"], Unusable) and not isinstance(channels[good.name], Unusable)
    assert "s3cr3t" not in told[0]
    with pytest.raises(RefusedError):
        open_channels([bad, good], plant=Plant())
