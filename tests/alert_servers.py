"""What alerts are tested against: a web server, an outbox in memory, channels and a clock of the test."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from jikimi.alert.message import Message
from jikimi.errors import StoreBusyError
from jikimi.settings import Target
from jikimi.store.records import Delivery, IncidentRecord, Notice

OPENED = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def incident(uid: str = "inc-1", **changes: object) -> IncidentRecord:
    """An incident as the store holds it."""
    known = {"camera": "press-3", "behavior": "jam", "opened_at": OPENED, "peak": 0.91234, "model": "m1"}
    return IncidentRecord(uid, **{**known, **changes})  # type: ignore[arg-type]


def notice(number: int, target: str = "a", *, uid: str | None = None, kind: str = "opened") -> Notice:
    """A row of the outbox."""
    uid = uid or f"inc-{number}"
    payload = {
        "subject": "incident",
        "event": kind,
        "uid": uid,
        "camera": "press-3",
        "title": "t",
        "text": "x",
    }
    return Notice(f"{uid}:{kind}:{target}", target, "incident", uid, kind, payload)  # type: ignore[arg-type]


def target(kind: str, url: str, *, name: str = "phone", **more: object) -> Target:
    """A target as the settings read it."""
    secret = {"secret": "s3cret"} if kind == "webhook" else {}
    return Target.model_validate({"name": name, "kind": kind, "url": url, **secret, **more})


@dataclass(frozen=True, slots=True)
class Request:
    """What a server got; header names are lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class WebServer:
    """Answers with `statuses` in turn, the last for ever, after `delay_s`; `drip` never ends its headers."""

    url: str = ""
    statuses: list[int] = field(default_factory=lambda: [200])
    delay_s: float = 0.0
    drip: bool = False
    requests: list[Request] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Take one request."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.requests.append(Request(handler.command, handler.path, headers, body))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        self.released.wait(self.delay_s)
        handler.close_connection = True
        try:
            if self.drip:
                handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
                while not self.released.wait(0.1):
                    handler.wfile.write(b"X-Slow: 1\r\n")
            handler.send_response(status)
            handler.send_header("Location", f"{self.url}/elsewhere")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        except OSError:
            return  # the client had enough


@contextmanager
def web_server(**how: object) -> Iterator[WebServer]:
    """A real HTTP server on a free port."""
    web = WebServer(**how)  # type: ignore[arg-type]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            web.answer(self)

        do_GET = do_POST

        def log_message(self, *parts: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        web.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


class FakeClock:
    """Two clocks that the test sets; both go on by themselves, `pace` times as fast as real time."""

    def __init__(self, now: datetime = OPENED, *, pace: float = 1.0) -> None:
        self._wall, self._ahead_s, self._start_s, self._pace = now, 0.0, time.monotonic(), pace

    def now(self) -> datetime:
        return self._wall + timedelta(seconds=self.monotonic_s())

    def monotonic_s(self) -> float:
        return (time.monotonic() - self._start_s) * self._pace + self._ahead_s

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._ahead_s += seconds

    def step(self, seconds: float) -> None:
        """Set the wall clock forward or back; no time passes."""
        self._wall += timedelta(seconds=seconds)


@dataclass(slots=True)
class Row:
    """A row of the outbox in memory."""

    delivery: Delivery
    next_at: datetime
    state: str = "due"
    error: str = ""


class MemoryOutbox:
    """The store's outbox as its documentation describes it; `busy` makes that many calls fail."""

    def __init__(self, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.rows: dict[int, Row] = {}
        self.busy = 0
        self._lock = threading.Lock()

    def enqueue(self, notices: list[Notice], *, at: datetime | None = None) -> int:
        at = at or self.clock.now()
        with self._lock:
            keys = {row.delivery.notice.key for row in self.rows.values()}
            new = [each for each in notices if each.key not in keys]
            for each in new:
                id = len(self.rows) + 1
                self.rows[id] = Row(Delivery(id, each, at), at)
            return len(new)

    def due(self, *, now: datetime, limit: int = 100, target: str | None = None) -> list[Delivery]:
        with self._lock:
            self._check()
            ready = [row for row in self.rows.values() if row.state == "due" and row.next_at <= now]
            ready = [row for row in ready if target in (None, row.delivery.notice.target)]
            turns: dict[str, int] = {}
            ranked = []
            for row in sorted(ready, key=lambda each: (each.next_at, each.delivery.id)):
                turns[row.delivery.notice.target] = turns.get(row.delivery.notice.target, 0) + 1
                ranked.append((turns[row.delivery.notice.target], row.delivery.id, row.delivery))
            return [delivery for _, _, delivery in sorted(ranked, key=lambda each: each[:2])[:limit]]

    def delivered(self, id: int, *, at: datetime) -> None:
        with self._lock:
            self._check()
            self.rows[id].state = "delivered"

    def failed(self, id: int, *, at: datetime, error: str, retry_at: datetime | None) -> None:
        with self._lock:
            self._check()
            row = self.rows[id]
            row.delivery = Delivery(
                id, row.delivery.notice, row.delivery.created_at, attempts=row.delivery.attempts + 1
            )
            row.next_at, row.error = retry_at or at, error
            row.state = "due" if retry_at else "given-up"

    def states(self) -> list[str]:
        """Every row's state in the order of storing."""
        with self._lock:
            return [row.state for row in self.rows.values()]

    def _check(self) -> None:
        if self.busy:
            self.busy -= 1
            raise StoreBusyError("store: is locked")


class FakeChannel:
    """Takes messages, or does what `act` does with the number of the try (from 0)."""

    def __init__(self, act: Callable[[int], None] | None = None) -> None:
        self.keys: list[str] = []
        self.tries: list[str] = []
        self._act = act

    def send(self, message: Message, *, key: str) -> None:
        self.tries.append(key)
        if self._act is not None:
            self._act(len(self.tries) - 1)
        self.keys.append(key)

    def close(self) -> None:
        return


def seeded() -> random.Random:
    """Jitter that is the same every time."""
    return random.Random(7)
