"""The part that watches: what it opens, and its stand-in."""

import logging
import socket
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.reduction import recv_handle
from pathlib import Path

from jikimi.bundle import Card, read_card
from jikimi.picture_wire import PATTERN
from jikimi.running import alone, follow_settings, open_site_store, run_folder, usable_champion
from jikimi.settings import Settings
from jikimi.watch.analysis import camera_rule
from jikimi.watch.child import fork_server
from jikimi.watch.site import Site

log = logging.getLogger(__name__)


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


def _fitting(bundle: Path, settings: Settings) -> Card:
    """The card of a bundle that knows what the cameras of jikimi.toml are to raise. Raises JikimiError."""
    card = read_card(bundle)
    for camera in settings.cameras:
        camera_rule(card, camera)
    return card


def run_site(pipe: Connection, settings: Settings) -> None:
    """The part that watches."""
    context = _fork_server()
    forkserver.ensure_running()  # it loads while the store is opened
    folder = run_folder(settings)
    with alone(folder, "site"):
        for left in folder.glob(PATTERN):  # of cameras that may be watched no more
            left.unlink(missing_ok=True)
        store = open_site_store(settings)
        try:
            knocker = Knocker(folder / "dispatch.sock")
            champion, card = usable_champion(settings, store, lambda path: _fitting(path, settings))
            followed = follow_settings(settings, store)
            Site(followed, store, champion, card, context, folder, knocker.knock).run(pipe)
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
