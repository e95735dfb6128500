"""Which cameras are wanted: those of `jikimi.toml` and of the store, followed while watching goes on."""

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from jikimi.errors import SettingsError, StoreError
from jikimi.settings import CameraSettings
from jikimi.store import Store

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A camera that is to be watched, and until when it is shelved."""

    settings: CameraSettings
    shelved_until: datetime | None = None


@dataclass(slots=True)
class Following:
    """Looks into the store in a thread of its own; a store that is away leaves everything as it is."""

    store: Store
    fixed: Sequence[CameraSettings]
    wanted: Mapping[str, Wanted] = field(default_factory=dict, init=False)
    _version: str | None = field(default=None, init=False)
    _stop: threading.Event = field(default_factory=threading.Event, init=False)

    def start(self) -> None:
        """Look once, then go on looking. Raises as `look` does."""
        self.look()
        threading.Thread(target=self._run, name="following", daemon=True).start()

    def look(self) -> None:
        """Read which cameras are wanted.

        Raises:
            SettingsError: a camera of the file is in the store as well.
            StoreError: the store cannot be read.
        """
        self._look(strict=True)

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_EVERY_S):
            try:
                self._look(strict=False)
            except StoreError as error:
                log.warning("%s; cameras stay as they are", error)
            except Exception:  # the thread's outer edge: nobody would notice that it has ended
                log.error("looking for cameras failed; they stay as they are", exc_info=True)

    def _look(self, *, strict: bool) -> None:
        version = self.store.cameras_version()
        if version == self._version:
            return
        names = {camera.name for camera in self.fixed}
        stored = {camera.settings.name: camera.settings for camera in self.store.cameras()}
        if strict and (twice := sorted(names & set(stored))):
            raise SettingsError(
                f"camera {twice[0]!r} is in jikimi.toml and in the store; keep one: "
                f"jikimi camera remove {twice[0]!r}, or delete it from the file"
            )
        shelved = self.store.shelved()
        self.wanted = {
            name: Wanted(settings, shelved.get(name))
            for name, settings in (stored | {camera.name: camera for camera in self.fixed}).items()
        }
        self._version = version
