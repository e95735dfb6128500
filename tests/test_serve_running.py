"""Serving for real: a port, a stop, connections that end."""

import http.client
import logging
import socket
import threading
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from jikimi.errors import SettingsError
from jikimi.serve.running import serve_app
from test_serve_plant import open_plant


@contextmanager
def served(
    app: Any, host: str = "127.0.0.1", **more: Any
) -> Iterator[tuple[int, threading.Event, threading.Thread]]:
    stop, started, ports = threading.Event(), threading.Event(), list[int]()

    def tell(port: int) -> None:
        ports.append(port)
        started.set()

    thread = threading.Thread(
        target=serve_app, args=(app,),
        kwargs={"host": host, "port": 0, "should_stop": stop.is_set, "on_started": tell} | more,
    )  # fmt: skip
    thread.start()
    try:
        assert started.wait(10)
        yield ports[0], stop, thread
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


def stopped_after_s(stop: threading.Event, thread: threading.Thread) -> float:
    begin_s = time.monotonic()
    stop.set()
    thread.join(10)
    return time.monotonic() - begin_s


def test_a_site_is_served_and_stops_within_a_second(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with (
        open_plant(tmp_path) as plant,
        served(plant.app) as (port, stop, thread),
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,  # its connection is kept open
    ):
        assert client.get("/healthz").status_code == 200
        answer = client.get("/api/v1/cameras", headers={"Authorization": "Bearer secret-viewer"})
        assert len(answer.json()) == 3 and "server" not in answer.headers
        part = client.get(
            "/api/v1/incidents/i1/evidence/0",
            headers={"Authorization": "Bearer secret-viewer", "Range": "bytes=0-3"},
        )
        assert part.status_code == 206 and part.content == bytes(range(4))
        assert stopped_after_s(stop, thread) < 1
    assert "secret-viewer" not in caplog.text and "GET /" not in caplog.text


def test_a_body_that_is_sent_in_pieces_without_an_end_is_cut_off(tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(64):
            yield b"x" * (1 << 16)

    with open_plant(tmp_path) as plant, served(plant.app) as (port, _, _):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            headers = {"Authorization": "Bearer secret-admin", "Content-Type": "application/json"}
            connection.request("PUT", "/api/v1/cameras/x", body=pieces(), headers=headers)
            code = connection.getresponse().status
        except (ConnectionResetError, BrokenPipeError):
            code = 413  # cut off before all of it was sent
        finally:
            connection.close()
        assert code == 413


def test_requests_that_hang_do_not_hold_up_a_stop() -> None:
    entered = threading.Event()

    async def hang(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        assert scope["type"] == "http"  # no part in the server's own beginning and end
        entered.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})

    with served(hang) as (port, stop, thread), socket.create_connection(("127.0.0.1", port)) as asking:
        asking.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert entered.wait(5)
        assert stopped_after_s(stop, thread) < 1.5


def test_a_try_that_hangs_does_not_hold_up_a_stop(tmp_path: Path) -> None:
    entered, leave = threading.Event(), threading.Event()

    def hang(_target: object) -> float:
        entered.set()
        leave.wait(20)
        return 0.0

    with (
        open_plant(tmp_path, try_target=hang) as plant,
        served(plant.app) as (port, stop, thread),
        socket.create_connection(("127.0.0.1", port)) as asking,
    ):
        asking.sendall(
            b"POST /api/v1/targets/hook/try HTTP/1.1\r\nHost: x\r\n"
            b"Authorization: Bearer secret-admin\r\nContent-Length: 0\r\n\r\n"
        )
        assert entered.wait(5)
        assert stopped_after_s(stop, thread) < 1.5
    leave.set()


def test_a_port_in_use_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"^serve\.port {port}: in use; [^\n]+$"):
            serve_app(None, host="127.0.0.1", port=port, should_stop=bool, on_started=print)  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["203.0.113.7", "no.such.invalid", "a" * 70 + "..b"])
def test_a_host_that_is_not_ours_is_one_clear_line(host: str) -> None:
    with pytest.raises(SettingsError, match=r"^serve\.host [^\n]+$"):
        serve_app(None, host=host, port=0, should_stop=bool, on_started=print)  # type: ignore[arg-type]
