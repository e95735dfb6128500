"""Serving: uvicorn in the calling thread, which starts on a known port and stops when told."""

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from jikimi.errors import SettingsError
from jikimi.tls import check_tls

log = logging.getLogger(__name__)

# With uvicorn's own pauses (a tick and a tenth of a second each way) a stop stays within a second.
_GRACE_S = 0.6
_KEEP_ALIVE_S = 5
_BACKLOG = 128

# Of what is sent, the kernel keeps so much ahead for who is slow; its own limit is megabytes, which for live
# pictures are seconds. Throughput does not suffer: it counts what was not sent at all yet.
_AHEAD_BYTES = 128 << 10

# A browser says a few hundred bytes at a time. Who does not answer a ping is gone.
_SOCKET_MESSAGE_BYTES = 64 << 10
_PING_S = 15.0


class _Sockets(WebSocketsSansIOProtocol):
    """Websockets that say when they can be written to (`writable` of the scope's state, to be awaited).

    None outlives a browser that has gone or has stopped taking what is sent.
    """

    async def run_asgi(self) -> None:
        """Serve one."""
        self.scope["state"]["writable"] = self.writable.wait
        await super().run_asgi()

    def keepalive_timeout(self) -> None:
        """No answer to a ping. A mere close would wait until what was sent before is taken: for ever."""
        super().keepalive_timeout()
        self.transport.abort()


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: who calls knows when to stop."""

    def __init__(self, config: uvicorn.Config, should_stop: Callable[[], bool]) -> None:
        super().__init__(config)
        self._should_stop = should_stop

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the process."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: whether to stop."""
        return self._should_stop() or await super().on_tick(counter)


def serve_app(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    should_stop: Callable[[], bool],
    on_started: Callable[[int], None],
    tls: tuple[Path, Path] | None = None,
    trusted_proxies: Sequence[str] = (),
) -> None:
    """Serve in this thread until `should_stop`, which is asked ten times a second, says so.

    `on_started` gets the port (0 asks for any) once connections are taken. On stopping, requests under way
    have 0.6 s to end, idle connections none; a call that waits for the store is waited for. `tls` are a
    certificate and its key. What X-Forwarded-For and -Proto say is believed of `trusted_proxies` alone.

    Raises:
        SettingsError: host or port cannot be listened on, or certificate and key cannot be used.
    """
    if tls is not None:
        check_tls(*tls)  # uvicorn would fail on it without saying which file
    listener = _listen(host, port)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",  # below, websockets are logged with their headers: tokens and cookies
        access_log=False,
        server_header=False,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        ssl_certfile=tls[0] if tls is not None else None,
        ssl_keyfile=tls[1] if tls is not None else None,
        lifespan="auto",
        ws=_Sockets,
        ws_max_size=_SOCKET_MESSAGE_BYTES,
        ws_ping_interval=_PING_S,
        ws_ping_timeout=_PING_S,
        ws_per_message_deflate=False,  # a JPEG becomes no smaller
        http="h11",
        loop="asyncio",
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,  # type: ignore[arg-type]  # any seconds that asyncio can wait
    )
    with listener:
        asyncio.run(_serve(_Server(config, should_stop), listener, on_started))


async def _serve(server: _Server, listener: socket.socket, on_started: Callable[[int], None]) -> None:
    # The kernel has taken connections since `listen`: they wait until uvicorn has started.
    listening = int(listener.getsockname()[1])
    log.info("serving on port %d", listening)
    on_started(listening)
    await server.serve(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    """Raises SettingsError."""
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, *_, where = rows[0]
        listener = socket.create_server(where[:2], family=family, backlog=_BACKLOG)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _AHEAD_BYTES)  # connections inherit
        return listener
    except socket.gaierror:
        raise SettingsError(f"serve.host {host}: not known; give an IP of this machine") from None
    except (OSError, UnicodeError) as error:
        raise SettingsError(_refused(host, port, error)) from None


def _refused(host: str, port: int, error: OSError | UnicodeError) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return f"serve.port {port}: in use; stop what listens there, or choose another"
    if number == errno.EACCES:
        return f"serve.port {port}: not allowed; choose one above 1023"
    if number == errno.EADDRNOTAVAIL:
        return f"serve.host {host}: not an address of this machine; choose one, or 0.0.0.0 for all"
    return f"serve.host {host}: cannot be listened on; give an IP of this machine"
