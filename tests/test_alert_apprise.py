"""Apprise at a real server, by its json:// form, and tries and pulses."""

import json
import logging
import time

import pytest
from apprise import Apprise
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from alert_servers import OPENED, incident, target, web_server
from jikimi.alert.apprise_channel import AppriseChannel
from jikimi.alert.message import Plant, fault_message, incident_message
from jikimi.alert.pulse import Pulse
from jikimi.alert.trying import try_target
from jikimi.errors import AlertError, RefusedError
from jikimi.store.records import FaultRecord
from mosquitto_server import Listener, Mosquitto, free_port, wait_until
from mosquitto_server import mosquitto as mosquitto

MESSAGE = incident_message(incident(), "opened", Plant())
DEAD_PORT = free_port()


def by_json(url: str) -> str:
    return url.replace("http://", "json://")


def test_apprise_delivers_title_text_and_gravity() -> None:
    fault = fault_message(FaultRecord("f", "", "disk-full", "full", OPENED), "opened", Plant())
    with web_server() as web:
        channel = AppriseChannel(target("apprise", by_json(web.url)))
        channel.send(MESSAGE, key="k1")
        channel.send(fault, key="k2")
        channel.close()
    first, second = (json.loads(request.body) for request in web.requests)
    assert (first["title"], first["message"]) == (MESSAGE.title, MESSAGE.text)
    assert (first["type"], second["type"]) == ("failure", "warning")


@pytest.mark.parametrize("status", [400, 500])
def test_apprise_that_could_not_deliver_is_tried_again(status: int) -> None:
    with web_server(statuses=[status]) as web, pytest.raises(AlertError, match="could not deliver") as raised:
        AppriseChannel(target("apprise", by_json(web.url))).send(MESSAGE, key="k")
    assert not isinstance(raised.value, RefusedError)


def test_service_that_hangs_is_left_in_time() -> None:
    with web_server(delay_s=20) as web:
        channel = AppriseChannel(target("apprise", f"{by_json(web.url)}?rto=60"), limit_s=0.5)
        start_s = time.monotonic()
        with pytest.raises(AlertError, match="no answer"):
            channel.send(MESSAGE, key="k")
        assert time.monotonic() - start_s < 1.5


@pytest.mark.parametrize("url", ["nonsense://T0KEN", "T0KEN", "json://", "slack://T0KEN", "tgram://T0KEN"])
def test_address_that_apprise_does_not_know_is_refused_at_once(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(1), pytest.raises(RefusedError, match="target 'phone'") as raised:
        AppriseChannel(target("apprise", url))
    assert "T0KEN" not in str(raised.value) + caplog.text


@given(password=st.text(st.characters(exclude_categories=["Cs"]), min_size=6, max_size=30))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_secrets_are_in_no_error_log_or_repr(password: str, caplog: pytest.LogCaptureFixture) -> None:
    secret = f"Zq{password}qZ"
    where = target("apprise", f"json://user:{secret}@127.0.0.1:{DEAD_PORT}/{secret}")
    caplog.clear()
    with caplog.at_level(1):
        try:
            channel = AppriseChannel(where)
            said = repr(channel) + str(vars(channel))
            channel.send(MESSAGE, key="k")
        except AlertError as error:
            said = f"{error!r} {error.__cause__!r}"
    assert secret not in said + caplog.text + repr(where)


def test_wall_clock_set_back_does_not_make_apprise_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in = type(Apprise.instantiate("json://localhost"))
    monkeypatch.setattr(plug_in, "request_rate_per_sec", 0.2)
    with web_server() as web:
        channel = AppriseChannel(target("apprise", by_json(web.url)))
        start_s = time.monotonic()
        for _ in range(3):
            channel.send(MESSAGE, key="k")
        took_s = time.monotonic() - start_s
    assert 0.4 <= took_s < 3  # two pauses of its own, by the monotonic clock


def test_trying_a_target_sends_a_test_alert_in_its_language() -> None:
    with web_server() as web:
        took_s = try_target(target("webhook", web.url), language="en")
        try_target(target("apprise", by_json(web.url)), language="ko")
    first, second = (json.loads(request.body) for request in web.requests)
    assert first["subject"] == "test" and "Test alert" in first["title"]
    assert "시험 알림" in second["title"]
    assert 0 < took_s < 10


def test_trying_a_broker_leaves_the_running_channel_s_status_alone(mosquitto: Mosquitto) -> None:
    with Listener(mosquitto) as listener:
        try_target(target("mqtt", mosquitto.url()), language="ko")
        wait_until(lambda: listener.on("jikimi/test"))
        assert {topic for topic, _ in listener.heard} == {"jikimi/test"}


@pytest.mark.parametrize("kind, scheme", [("webhook", "http"), ("apprise", "json")])
def test_trying_a_dead_target_says_what_is_wrong(kind: str, scheme: str) -> None:
    with pytest.raises(AlertError, match="target 'phone'"):
        try_target(target(kind, f"{scheme}://127.0.0.1:{DEAD_PORT}"), language="ko")


def test_pulse_pings_while_the_site_watches() -> None:
    healthy = [True]
    with web_server() as web:
        pulse = Pulse(SecretStr(f"{web.url}/ping"), every_s=0.05, healthy=lambda: healthy[0])
        pulse.start()
        wait_until(lambda: len(web.requests) >= 3)
        healthy[0] = False
        wait_until(lambda: pulse.withheld >= 2)
        before = len(web.requests)
        wait_until(lambda: pulse.withheld >= 5)
        assert len(web.requests) == before
        pulse.stop()
    assert web.requests[0].method == "GET"
    assert pulse.sent == before and pulse.failed == 0


def test_pulse_that_fails_is_counted_and_told_without_its_address(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), web_server(statuses=[500, 404, 302, 200]) as web:
        pulse = Pulse(SecretStr(f"{web.url}/UU1D"), every_s=1, healthy=lambda: True)
        assert [pulse.beat() for _ in range(4)] == [False, False, False, True]
        pulse.stop()
    assert (pulse.sent, pulse.failed) == (1, 3)
    assert "HTTP 500" in caplog.text and "UU1D" not in caplog.text


def test_pulse_is_withheld_when_health_cannot_be_told() -> None:
    def unknown() -> bool:
        raise OSError("gone")

    with web_server() as web:
        pulse = Pulse(SecretStr(web.url), every_s=1, healthy=unknown)
        assert not pulse.beat()
        pulse.stop()
        assert web.requests == []


def test_pulse_at_a_dead_address_goes_on() -> None:
    pulse = Pulse(SecretStr(f"http://127.0.0.1:{DEAD_PORT}"), every_s=0.02, healthy=lambda: True)
    pulse.start()
    wait_until(lambda: pulse.failed >= 3)
    pulse.stop()
