"""Which models are wanted, followed while watching goes on: another champion, and a challenger beside it."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jikimi.bundle import Card, read_card
from jikimi.champion import check_rival, hash_of
from jikimi.errors import BundleError, JikimiError, StoreError
from jikimi.settings import Settings
from jikimi.store import ModelRecord, Store
from jikimi.watch.messages import Rival

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the store says of models.

    `champion` is the hash of the one that is to watch, empty for the one that Jikimi carries. `rival` runs
    beside it, with its `bundle`; where one is wanted and cannot, `problem` says why. `failed` tells of a
    champion that was rolled back.
    """

    champion: str = ""
    rival: Rival | None = None
    bundle: Path | None = None
    problem: str = ""
    failed: str = ""


@dataclass(slots=True)
class Choosing:
    """Looks into the store in a thread of its own; a store that is away leaves everything as it is.

    `card` is that of the champion that watches here, `socket` where a challenger's detector listens. `chosen`
    is None before the first look: watching does not wait for a challenger's file to be read.
    """

    store: Store
    settings: Settings
    card: Card
    socket: Path
    chosen: Chosen | None = field(default=None, init=False)
    _version: str | None = field(default=None, init=False)
    _stop: threading.Event = field(default_factory=threading.Event, init=False)

    def start(self) -> None:
        """Look at once and again and again."""
        threading.Thread(target=self._run, name="choosing", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    def look(self) -> None:
        """Read which models are wanted. Raises StoreError."""
        version = self.store.models_version()
        if version == self._version:
            return
        self.chosen = self._choice(self.store.models())
        self._version = version

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
            except StoreError as error:
                log.warning("%s; models stay as they are", error)
            except Exception:  # the thread's outer edge: nobody would notice that it has ended
                log.error("looking for models failed; they stay as they are", exc_info=True)
            self._stop.wait(_LOOK_EVERY_S)

    def _choice(self, models: Sequence[ModelRecord]) -> Chosen:
        champion = next((one.sha256 for one in models if one.state == "champion"), "")
        failed = "; ".join(
            f"model {one.name!r} cannot watch, rolled back: {one.problem}; promote another, or remove it"
            for one in models
            if one.state == "failed"
        )
        for one in models:
            if one.state == "challenger":
                return self._challenged(one, Chosen(champion, failed=failed))
        return Chosen(champion, failed=failed)

    def _challenged(self, model: ModelRecord, chosen: Chosen) -> Chosen:
        path = self.settings.models_folder / model.file
        try:
            if hash_of(path) != model.sha256:
                raise BundleError(f"bundle {path}: damaged, its hash is another than when it was added")
            card = read_card(path)
            check_rival(self.card, card)
        except JikimiError as error:
            words = f"the challenger {model.name!r} does not run: {error}"
            return Chosen(chosen.champion, problem=words, failed=chosen.failed)
        rival = Rival(model.sha256, card, self.socket)
        return Chosen(chosen.champion, rival, path, failed=chosen.failed)
