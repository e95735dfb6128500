"""What every part of a running site stands on: its folder, its lock, its bundle, its store.

The parts are processes: `site` watches, `dispatch` delivers, `api` serves. They meet in the store alone;
the status is a file, and a knock on a socket only saves waiting.
"""

import fcntl
import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock

from pydantic import TypeAdapter, ValidationError

from jikimi.alert.message import Plant
from jikimi.bundle import Card, read_card
from jikimi.champion import Champion, champion_of, check_whole, roll_back
from jikimi.errors import BundleError, JikimiError, SettingsError, StoreError
from jikimi.in_force import Followed
from jikimi.picture_wire import picture_socket
from jikimi.settings import Settings
from jikimi.settings_file import pinned_keys, secret_key
from jikimi.shipped import shipped_model
from jikimi.status import Histogram
from jikimi.store import Store, open_box, open_store

log = logging.getLogger(__name__)

# A Unix socket's path has at most 107 bytes; a camera's has the longest name of ours, and a dot before it
# while it is being put in place.
_SOCKET_PATH = 107 - len(f"/.{picture_socket(Path(), '').name}")

# The status is written twice a second; older than this, the site has hung or died.
FRESH_S = 3.0

# How soon the parts that deliver and serve notice that another model watches.
_LOOK_EVERY_S = 1.0


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


def usable_champion(settings: Settings, store: Store, check: Callable[[Path], Card]) -> tuple[Champion, Card]:
    """The bundle that watches, with its card. One of the store's that cannot is rolled back, until one can.

    `check` looks at a bundle more closely → its card; what it raises is a bundle that cannot watch.

    Raises:
        JikimiError: a bundle that cannot watch, and nothing to roll back to. StoreError.
    """
    while True:
        champion = champion_of(settings, store)
        try:
            check_whole(champion)
            return champion, check(champion.path)
        except StoreError:
            raise
        except JikimiError as error:
            if champion.model is None:
                raise
            roll_back(store, champion.model, str(error))


class ChampionsCard:
    """The card of the bundle that watches, followed while another is promoted. Thread-safe."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store = settings, store
        self._lock = Lock()
        self._path: Path | None = None
        self._card = self._first()
        self._look_at_s = time.monotonic() + _LOOK_EVERY_S

    def __call__(self) -> Card:
        """The card now; where it cannot be read, the last one that could."""
        with self._lock:
            if time.monotonic() >= self._look_at_s:
                self._look_at_s = time.monotonic() + _LOOK_EVERY_S
                self._look()
            return self._card

    def _first(self) -> Card:
        champion = champion_of(self._settings, self._store)
        try:
            self._path, card = champion.path, read_card(champion.path)
        except BundleError as error:
            if champion.model is None:
                raise
            log.warning("%s; the part that watches rolls it back", error)
            self._path, card = None, read_card(shipped_model())
        return card

    def _look(self) -> None:
        try:
            path = champion_of(self._settings, self._store).path
            if path != self._path:
                self._card, self._path = read_card(path), path
        except JikimiError as error:
            log.warning("%s; the model is taken to be %r", error, self._card.name)


def open_site_store(settings: Settings) -> Store:
    """Open the site's store with the key of its addresses. Raises StoreError."""
    settings.site.data.mkdir(parents=True, exist_ok=True)
    return open_store(settings.store_url, box=open_box(settings.key_file, secret_key()))


def follow_settings(settings: Settings, store: Store) -> Followed:
    """What holds, followed once it is started. Raises StoreError."""
    return Followed(settings, store, pinned=pinned_keys())


def plant_of(settings: Settings, card: Card) -> Plant:
    site = settings.site
    return Plant(site=site.name, language=site.language, zone=settings.zone(), behaviors=card.behaviors)


def told_to_end(pipe: Connection) -> bool:
    try:
        return bool(pipe.poll()) and pipe.recv() is None
    except (EOFError, OSError):
        return True


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
