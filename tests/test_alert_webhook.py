"""Webhooks at a real server: signed, bounded in time, and silent about secrets."""

import json
import logging
import time
from urllib.parse import quote, unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alert_servers import OPENED, incident, target, web_server
from jikimi.alert.channels import open_channel, open_channels
from jikimi.alert.message import Plant, incident_message
from jikimi.alert.webhook import WebhookChannel, sign, verify_signature
from jikimi.errors import AlertError, RefusedError
from mosquitto_server import free_port

MESSAGE = incident_message(incident(), "opened", Plant())
KEY = "inc-1:opened:사무실"
DEAD_PORT = free_port()


def test_webhook_is_signed_and_carries_the_key() -> None:
    with web_server() as web:
        channel = WebhookChannel(target("webhook", f"{web.url}/hook"))
        channel.send(MESSAGE, key=KEY)
        channel.close()
    got = web.requests[0]
    stamp, signature = got.headers["jikimi-timestamp"], got.headers["jikimi-signature"]
    assert (got.method, got.path) == ("POST", "/hook")
    assert unquote(got.headers["jikimi-key"]) == json.loads(got.body)["key"] == KEY
    assert abs(int(stamp) - time.time()) < 5
    assert verify_signature(secret="s3cret", body=got.body, timestamp=stamp, signature=signature)


def test_signature_is_the_documented_one() -> None:
    # printf '1700000000.{}' | openssl dgst -sha256 -hmac key
    expected = "v1=9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae"
    assert sign(secret="key", body=b"{}", timestamp="1700000000") == expected


@pytest.mark.parametrize("age_s, good", [(0, True), (299, True), (301, False), (-299, True), (-301, False)])
def test_signature_holds_for_five_minutes(age_s: int, good: bool) -> None:
    signature = sign(secret="key", body=b"{}", timestamp="1700000000")
    given = {"secret": "key", "body": b"{}", "timestamp": "1700000000", "signature": signature}
    assert verify_signature(**given, now_s=1_700_000_000 + age_s) is good  # type: ignore[arg-type]


@given(secret=st.text(), body=st.binary(), timestamp=st.text(max_size=15), signature=st.text(max_size=80))
def test_any_forgery_is_refused_and_never_raises(
    secret: str, body: bytes, timestamp: str, signature: str
) -> None:
    forged = {"secret": secret, "body": body, "timestamp": timestamp, "signature": signature}
    assert not verify_signature(**forged, now_s=1_700_000_000)  # type: ignore[arg-type]


@pytest.mark.parametrize("part", ["secret", "body", "timestamp"])
def test_signature_covers_secret_body_and_time(part: str) -> None:
    good = {"secret": "key", "body": b"{}", "timestamp": "1700000000"}
    signature = sign(**good)  # type: ignore[arg-type]
    bad = {**good, part: {"secret": "kex", "body": b"{} ", "timestamp": "1700000001"}[part]}
    assert not verify_signature(**bad, signature=signature, now_s=1_700_000_000)  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422])
def test_refusal_of_the_receiver_says_so(status: int) -> None:
    with web_server(statuses=[status]) as web, pytest.raises(RefusedError, match=f"HTTP {status}"):
        WebhookChannel(target("webhook", web.url)).send(MESSAGE, key=KEY)


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503])
def test_trouble_of_the_receiver_may_pass(status: int) -> None:
    with web_server(statuses=[status]) as web, pytest.raises(AlertError, match=f"HTTP {status}") as raised:
        WebhookChannel(target("webhook", web.url)).send(MESSAGE, key=KEY)
    assert not isinstance(raised.value, RefusedError)


def test_redirects_are_not_followed() -> None:
    with web_server(statuses=[307]) as web:
        with pytest.raises(RefusedError, match="redirects are not followed"):
            WebhookChannel(target("webhook", web.url)).send(MESSAGE, key=KEY)
        assert len(web.requests) == 1


@pytest.mark.parametrize("how", [{"delay_s": 30.0}, {"drip": True}])
def test_receiver_that_hangs_or_drips_is_left_in_time(how: dict[str, object]) -> None:
    with web_server(**how) as web:
        channel = WebhookChannel(target("webhook", web.url), limit_s=0.6)
        start_s = time.monotonic()
        with pytest.raises(AlertError, match="no answer"):
            channel.send(MESSAGE, key=KEY)
        assert time.monotonic() - start_s < 1.5


def test_tries_that_hang_do_not_pile_up() -> None:
    with web_server(drip=True) as web:
        channel = WebhookChannel(target("webhook", web.url), limit_s=0.2)
        said = []
        for _ in range(6):
            with pytest.raises(AlertError) as raised:
                channel.send(MESSAGE, key=KEY)
            said.append(str(raised.value))
        assert len(web.requests) <= 4
        assert "earlier tries still hang" in said[-1]


def test_dead_receiver_is_told_in_one_line_without_its_address() -> None:
    port = free_port()
    with pytest.raises(AlertError) as raised:
        WebhookChannel(target("webhook", f"http://127.0.0.1:{port}/T0KEN")).send(MESSAGE, key=KEY)
    assert "Connection refused" in str(raised.value)
    assert not any(part in str(raised.value) for part in ("T0KEN", str(port), "127.0.0.1", "\n"))


def test_tls_failure_says_so() -> None:
    with web_server() as web, pytest.raises(AlertError, match="TLS"):
        WebhookChannel(target("webhook", web.url.replace("http", "https"))).send(MESSAGE, key=KEY)


@given(password=st.text(st.characters(exclude_categories=["Cs"]), min_size=6, max_size=30))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("encode", [True, False])
def test_secrets_are_in_no_error_log_or_repr(
    password: str, encode: bool, caplog: pytest.LogCaptureFixture
) -> None:
    secret = f"Zq{password}qZ"
    shown = quote(secret, safe="") if encode else secret
    url = f"http://user:{shown}@127.0.0.1:{DEAD_PORT}/{shown}?token={shown}"
    where = target("webhook", url, secret=secret)
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        try:
            channel = WebhookChannel(where)
            said = repr(channel) + str(vars(channel))
            channel.send(MESSAGE, key=KEY)
        except AlertError as error:
            said = f"{error!r} {error.__cause__!r}"
    for text in (said, caplog.text, repr(where)):
        assert secret not in text
        assert shown not in text


def test_requests_are_not_logged_even_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), web_server() as web:
        WebhookChannel(target("webhook", f"{web.url}/T0KEN")).send(MESSAGE, key=KEY)
    assert "T0KEN" not in caplog.text


def test_all_targets_are_opened_by_name_and_a_bad_one_is_named() -> None:
    good = target("webhook", "http://127.0.0.1/x", name="a")
    channels = open_channels([good], plant=Plant())
    assert list(channels) == ["a"]
    bad = target("apprise", "nonsense://s3cretword", name="관제실")
    with pytest.raises(RefusedError, match="관제실") as raised:
        open_channels([good, bad], plant=Plant())
    assert "s3cretword" not in str(raised.value)


@pytest.mark.parametrize("url", ["http://ho st/", "http://host:notaport/", "http://[::1/", "http://\ud800/"])
def test_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(RefusedError, match="phone"):
        open_channel(target("webhook", url), plant=Plant())


def test_time_of_the_try_is_signed_not_of_the_incident() -> None:
    with web_server() as web:
        WebhookChannel(target("webhook", web.url), unix_s=lambda: 1234567.9).send(MESSAGE, key=KEY)
    assert web.requests[0].headers["jikimi-timestamp"] == "1234567"
    assert OPENED.timestamp() > 1234567
