"""Whatever is sent over the live connection: an answer to each message, and nobody else's camera.

`JIKIMI_FUZZ=500` sends so many messages a caller instead of a few.
"""

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from fuzz_plant import CAMERA, WATCHED, Asker, Fuzzed, fuzzed, say
from live_cameras import BLUE, GREEN, Page, ShownCamera, near, page
from sites import wait_for
from test_serve_plant import incident, open_plant
from test_serve_running import served

EXAMPLES = int(os.environ.get("JIKIMI_FUZZ", "40"))
CALLERS = ("limited", "one-eye", "viewer", "root")


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Fuzzed, int]]:
    folder = tmp_path_factory.mktemp("live")
    with ExitStack() as stack:
        plant = stack.enter_context(open_plant(folder))
        found = stack.enter_context(fuzzed(plant, folder))
        stack.enter_context(ShownCamera(folder, "press-3", GREEN))
        stack.enter_context(ShownCamera(folder, CAMERA, BLUE))
        stack.enter_context(said(found))
        port, _, _ = stack.enter_context(served(plant.app))
        yield found, port


@contextmanager
def said(at: Fuzzed) -> Iterator[None]:
    """The status is written as a site does, twice a second."""
    ended = threading.Event()

    def write() -> None:
        while not ended.wait(0.5):
            say(at.plant)

    say(at.plant)
    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def connected(at: tuple[Fuzzed, int], name: str) -> Iterator[tuple[Asker, Page]]:
    found, port = at
    asker = next(one for one in found.askers if one.name == name)
    with page(port, None, **asker.headers) as shown:
        yield asker, shown


names = st.sampled_from([*WATCHED, "", "none", "press-3\0", "../press-3", "PRESS-3", "press-3 "]) | st.text(
    max_size=20
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | names,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
rates = st.floats(-1, 40) | st.sampled_from([0, 1e308, 10**400, float("nan"), float("inf"), None, "8"])
choices = st.fixed_dictionaries(
    {"pictures": st.lists(names, max_size=70) | anything},
    optional={"rate_hz": rates, "camera": anything, "type": st.sampled_from(["snapshot", "status"])},
)
texts = st.one_of(
    choices.map(json.dumps), anything.map(json.dumps), st.text(max_size=200),
    st.sampled_from([
        "", "{", "[" * 20_000, '{"pictures": ["\\ud800"]}',
        '{"pictures": ["press-3"], "pictures": ["vault7-camera"]}',
        '{"pictures": [' + '"press-3",' * 5_000 + '""]}', '{"rate_hz": 8}', "9" * 5_000, "\0", "null",
    ]),
)  # fmt: skip
messages = texts | st.binary(max_size=200) | choices.map(lambda choice: json.dumps(choice).encode())


def told_too_much(at: Fuzzed, asker: Asker, shown: Page) -> list[str]:
    """What came that this caller may not see; it is taken out."""
    said_, pictures = json.dumps(shown.texts), list(shown.pictures)
    shown.texts.clear()
    shown.pictures.clear()
    if not asker.limited:
        return [secret for secret in at.secrets if secret in said_]
    others = [one.head for one in pictures if one.head["camera"] != "press-3" or not near(one.colour, GREEN)]
    return [*map(str, others), *(word for word in ("vault7", *at.secrets) if word in said_)]


def answer_to(shown: Page, message: str | bytes) -> dict[str, Any]:
    """The answer to a message; what comes besides is kept."""
    shown.socket.send(message)
    until = time.monotonic() + 10
    while time.monotonic() < until:
        shown.read(10)
        if shown.texts and shown.texts[-1]["type"] in ("choice", "problem"):
            return shown.texts.pop()
    raise AssertionError(f"no answer to {message!r}")


@pytest.mark.parametrize("name", CALLERS)
def test_every_message_is_answered_and_shows_nobody_elses_camera(
    at: tuple[Fuzzed, int], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with connected(at, name) as (asker, shown):
        shown.until("snapshot")

        @settings(
            max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(message=messages)
        def send(message: str | bytes) -> None:
            answer = answer_to(shown, message)
            chosen = set(answer.get("pictures", ()))
            assert not chosen or not asker.limited or chosen == {"press-3"}, answer
            assert told_too_much(at[0], asker, shown) == []

        send()
        shown.choose(*WATCHED)
        shown.until("choice")
        shown.seen(3, "press-3" if asker.limited else CAMERA)
        assert told_too_much(at[0], asker, shown) == []
    assert failures(caplog) == []


def test_what_happens_at_a_camera_is_told_to_those_who_may_see_it(at: tuple[Fuzzed, int]) -> None:
    store = at[0].plant.store
    with connected(at, "one-eye") as (asker, one), connected(at, "viewer") as (_, every):
        for shown in (one, every):
            shown.until("snapshot")
            shown.choose(CAMERA)
            shown.until("choice")
        store.open_incident(incident("vault7-new", CAMERA, 20.0), [])
        store.open_incident(incident("seen-new", "press-3", 21.0), [])
        assert every.until("incident")["incident"]["uid"] == "vault7-new"
        assert one.until("incident")["incident"]["uid"] == "seen-new"
        every.seen(3, CAMERA)
        one.read_for(0.5)
        assert told_too_much(at[0], asker, one) == []


def failures(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged as an error. uvicorn logs bytes that are no UTF-8 as one, and ends their connection."""
    found = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    return [words for words in found if words != "Invalid UTF-8 sequence received from client."]


HANDSHAKE = (
    b"GET /api/v1/live HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret-limited\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)


@pytest.mark.parametrize(
    "frame",
    [
        b"\xff" * 200, b"\x81\x05hello", b"\x81\xfe\xff\xff", b"\x82\xff" + b"\xff" * 8, b"\x88\x81\0\0\0\0x",
        b"\x80\x80\0\0\0\0", b"\x89\xff" + b"\0" * 12, b"\x81\x82\0\0\0\0\xff\xfe", b"GET / HTTP/1.1\r\n\r\n",
        b"\x01\x80\0\0\0\0\x01\x80\0\0\0\0",
    ],
)  # fmt: skip
def test_bytes_that_are_no_frame_end_their_own_connection_alone(
    at: tuple[Fuzzed, int], frame: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    found, port = at
    shared = found.plant.app.state.live
    with connected(at, "viewer") as (_, other), socket.create_connection(("127.0.0.1", port)) as raw:
        other.until("snapshot")
        raw.sendall(HANDSHAKE)
        wait_for(lambda: len(shared._onlookers) == 2)
        raw.sendall(frame)
        raw.shutdown(socket.SHUT_WR)
        wait_for(lambda: len(shared._onlookers) == 1, within_s=10)
        other.choose("press-3")
        other.seen(2)
    assert failures(caplog) == []


def test_a_message_that_is_too_large_ends_its_own_connection(at: tuple[Fuzzed, int]) -> None:
    with connected(at, "limited") as (_, shown), connected(at, "viewer") as (_, other):
        shown.socket.send("[" * (1 << 17))
        with pytest.raises(ConnectionClosed):
            shown.read_for(5)
        assert shown.socket.close_code == 1009
        other.choose("press-3")
        other.seen(2)


def test_who_is_logged_out_meanwhile_is_shown_nothing_more(
    at: tuple[Fuzzed, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jikimi.serve.live_routes.WHO_EVERY_S", 0.2)
    with connected(at, "hand") as (_, shown):
        shown.choose(CAMERA)
        shown.seen(1)
        at[0].plant.store.set_password("hand", "changed", at=datetime.now(UTC))
        at[0].plant.store.end_sessions("hand")
        with pytest.raises(ConnectionClosed):
            shown.read_for(10)
        assert shown.socket.close_code == 4401
