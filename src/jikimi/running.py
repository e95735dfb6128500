"""The parts of a running site, each a process: what it opens, and its loop that beats.

`site` watches, `dispatch` delivers. They meet in the store alone; a knock on a socket only saves waiting.
"""

import fcntl
import hashlib
import logging
import os
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.reduction import recv_handle
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from jikimi.alert.channels import open_channels
from jikimi.alert.dispatch import Dispatcher, undelivered
from jikimi.alert.escalation import Escalation
from jikimi.alert.home import Standing
from jikimi.alert.message import Plant
from jikimi.alert.pulse import Pulse
from jikimi.alert.trying import try_target
from jikimi.bundle import Card, read_card
from jikimi.errors import SettingsError
from jikimi.settings import CameraSettings, Settings, secret_key
from jikimi.shipped import shipped_model
from jikimi.status import Histogram, read_status
from jikimi.store import Delivery, Store, open_box, open_store
from jikimi.watch.analysis import camera_rule
from jikimi.watch.child import BEAT_S, Beat, fork_server, send
from jikimi.watch.site import Site
from jikimi.watch.trying import try_camera

if TYPE_CHECKING:
    from jikimi.serve.backend import Backend

log = logging.getLogger(__name__)

# A Unix socket's path has at most 107 bytes; ours are named `detector.sock` and `dispatch.sock`.
_SOCKET_PATH = 107 - len("/dispatch.sock")

# The status is written twice a second; older than this, the site has hung or died.
FRESH_S = 3.0


def run_folder(settings: Settings) -> Path:
    """The folder of sockets and status, closed to others: in the data folder where that is short enough.

    Raises:
        SettingsError: it cannot be made.
    """
    folder = settings.site.data.absolute() / "run"
    if len(os.fsencode(folder)) > _SOCKET_PATH:
        mark = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"jikimi-{os.getuid()}-{mark}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise SettingsError(f"data folder {settings.site.data}: {error.strerror}; choose another") from error
    return folder


@contextmanager
def alone(folder: Path, what: str) -> Iterator[None]:
    """Hold the folder for one process: two sites would write the same evidence.

    Raises:
        SettingsError: another process holds it.
    """
    with (folder / f"{what}.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(
                f"{folder.parent}: another jikimi runs with this data folder; stop it, or choose another"
            ) from None
        yield


def bundle_path(settings: Settings) -> Path:
    """The bundle that watches."""
    return settings.model.bundle or shipped_model()


def open_site_store(settings: Settings) -> Store:
    """Open the site's store with the key of its addresses. Raises StoreError."""
    settings.site.data.mkdir(parents=True, exist_ok=True)
    return open_store(settings.store_url, box=open_box(settings.key_file, secret_key()))


def stand_in(control: Connection) -> Connection:
    """Load what watching takes, then wait to be handed the pipe of the part that this becomes.

    Raises:
        SystemExit: whoever would hand it over has gone.
    """
    _fork_server()
    forkserver.ensure_running()
    try:
        return Connection(recv_handle(control))
    except (EOFError, OSError) as error:
        raise SystemExit(0) from error


def _fork_server() -> ForkServerContext:
    return fork_server("jikimi.watch.camera_process", "jikimi.watch.detecting")


def run_site(pipe: Connection, settings: Settings) -> None:
    """The part that watches."""
    context = _fork_server()
    forkserver.ensure_running()  # it loads while the store is opened
    folder = run_folder(settings)
    bundle = bundle_path(settings)
    with alone(folder, "site"):
        store = open_site_store(settings)
        try:
            knocker = Knocker(folder / "dispatch.sock")
            Site(settings, store, bundle, read_card(bundle), context, folder, knocker.knock).run(pipe)
        finally:
            store.close()


class Knocker:
    """Wakes the dispatcher. Nobody there is no trouble: it looks by itself twice a second."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def knock(self) -> None:
        """Say that there is something in the outbox."""
        try:
            self._socket.sendto(b"!", self._path)
        except OSError as error:
            log.debug("the dispatcher does not hear a knock: %s", error.strerror)


def run_dispatch(pipe: Connection, settings: Settings) -> None:
    """The part that delivers alerts, escalates and gives the sign of life."""
    folder, card = run_folder(settings), read_card(bundle_path(settings))
    with alone(folder, "dispatch"):
        store = open_site_store(settings)
        try:
            _Dispatch(settings, store, folder, card).run(pipe)
        finally:
            store.close()


class _Dispatch:
    """The dispatcher with what it stands on."""

    def __init__(self, settings: Settings, store: Store, folder: Path, card: Card) -> None:
        self._settings, self._store, self._folder = settings, store, folder
        self._plant = _plant(settings, card)
        self._latency: dict[str, Histogram] = {}
        self._latencies = Latencies(folder / "deliveries.json")
        self._lock = threading.Lock()
        channels = open_channels(
            settings.targets, plant=self._plant, cameras=self._cameras(), standing=self._standing,
            on_connected=lambda name: self._dispatcher.retry_now(name),
        )  # fmt: skip
        self._channels = channels
        self._dispatcher = Dispatcher(
            store, channels, on_delivered=self._delivered, on_given_up=self._given_up
        )
        self._escalation = Escalation(
            store,
            lists=settings.alert_lists,
            after_s=settings.alerts.escalate_after_s,
            plant=self._plant,
        )

    def run(self, pipe: Connection) -> None:
        """Deliver until the pipe's other end closes or says so."""
        path = self._folder / "dispatch.sock"
        path.unlink(missing_ok=True)
        pulse = self._pulse()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell, self._dispatcher:
            bell.bind(str(path))
            bell.settimeout(BEAT_S)
            if pulse is not None:
                pulse.start()
            while not _told_to_end(pipe):
                self._wait(bell)
                if self._escalation.step():
                    self._dispatcher.knock()
                send(pipe, Beat())
        if pulse is not None:
            pulse.stop()
        for channel in self._channels.values():
            channel.close()

    def _wait(self, bell: socket.socket) -> None:
        try:
            bell.recv(16)
            self._dispatcher.knock()
        except TimeoutError:
            return

    def _pulse(self) -> Pulse | None:
        pulse = self._settings.pulse
        if pulse.url is None:
            return None
        return Pulse(pulse.url, every_s=pulse.every_s, healthy=self._healthy)

    def _healthy(self) -> bool:
        status = read_status(self._folder / "status.json")
        return status is not None and status.age_s() < FRESH_S and status.detector == "running"

    def _cameras(self) -> list[str]:
        stored = [camera.settings.name for camera in self._store.cameras()]
        return sorted({*stored, *(camera.name for camera in self._settings.cameras)})

    def _standing(self) -> Standing:
        return Standing.of(self._store.open_incidents(), self._store.faults(open=True, limit=1000))

    def _delivered(self, target: str, created_s: float, send_s: float) -> None:
        with self._lock:  # every target has a thread of its own
            self._latency.setdefault(target, Histogram()).add(created_s)
            try:
                self._latencies.write(self._latency)
            except OSError as error:
                log.warning("latencies are not written: %s", error.strerror)
        log.info("told %s after %.3f s (sent in %.3f s)", target, created_s, send_s)

    def _given_up(self, delivery: Delivery, error: str) -> None:
        at = delivery.created_at
        self._store.begin_fault(undelivered(delivery, error=error, at=at), [])


def _plant(settings: Settings, card: Card) -> Plant:
    site = settings.site
    return Plant(site=site.name, language=site.language, zone=settings.zone(), behaviors=card.behaviors)


def _told_to_end(pipe: Connection) -> bool:
    try:
        return bool(pipe.poll()) and pipe.recv() is None
    except (EOFError, OSError):
        return True


def run_api(pipe: Connection, settings: Settings) -> None:
    """The part that serves."""
    from jikimi.serve.app import create_app
    from jikimi.serve.running import serve_app

    folder, card = run_folder(settings), read_card(bundle_path(settings))
    store = open_site_store(settings)
    ended = threading.Event()

    def should_stop() -> bool:
        send(pipe, Beat())  # from the server's own loop: a server that hangs does not beat
        if _told_to_end(pipe):
            ended.set()
        return ended.is_set()

    try:
        serve_app(
            create_app(_backend(settings, store, folder, card)),
            host=settings.serve.host,
            port=settings.serve.port,
            should_stop=should_stop,
            on_started=lambda port: log.info("API: http://%s:%d/api/v1", settings.serve.host, port),
        )
    finally:
        store.close()


def _backend(settings: Settings, store: Store, folder: Path, card: Card) -> "Backend":
    from jikimi.serve.backend import Backend

    def check_camera(camera: CameraSettings) -> None:
        camera_rule(card, camera)

    plant = _plant(settings, card)
    return Backend(
        settings=settings,
        store=store,
        status_file=folder / "status.json",
        check_camera=check_camera,
        try_target=lambda target: try_target(target, language=settings.site.language, plant=plant),
        try_camera=lambda camera: asdict(try_camera(camera)),
        deliveries=Latencies(folder / "deliveries.json"),
    )


class Latencies(Mapping[str, Histogram]):
    """How long telling each target took, written by the part that delivers, read when asked."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __getitem__(self, target: str) -> Histogram:
        return self._read()[target]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def _read(self) -> dict[str, Histogram]:
        try:
            return _LATENCIES.validate_json(self._path.read_bytes())
        except (OSError, ValidationError):
            return {}

    def write(self, latencies: Mapping[str, Histogram]) -> None:
        """Put these in place of those before. Raises OSError."""
        temporary = self._path.with_suffix(".tmp")
        temporary.write_bytes(_LATENCIES.dump_json(dict(latencies)))
        temporary.replace(self._path)


_LATENCIES = TypeAdapter(dict[str, Histogram])
