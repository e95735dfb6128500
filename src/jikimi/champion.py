"""Which bundle watches: the one of `jikimi.toml`, else the store's champion, else the one Jikimi carries."""

import hashlib
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal

from jikimi.bundle import Card
from jikimi.errors import BundleError, ConflictError, NotFoundError, SettingsError
from jikimi.settings import Settings
from jikimi.shipped import shipped_model
from jikimi.store import AuditRecord, ModelRecord, Store

log = logging.getLogger(__name__)

Origin = Literal["file", "store", "shipped"]


@dataclass(frozen=True, slots=True)
class Champion:
    """The bundle that watches; `model` where it is one of the store's."""

    path: Path
    origin: Origin
    model: ModelRecord | None = None


def champion_of(settings: Settings, store: Store | None) -> Champion:
    """The bundle that watches; without a `store`, as for a new site.

    Raises:
        StoreError: the store cannot be read. ShippedError: this install carries none.
    """
    if settings.model.bundle is not None:
        return Champion(settings.model.bundle, "file")
    model = store.champion() if store is not None else None
    if model is not None:
        return Champion(settings.models_folder / model.file, "store", model)
    return Champion(shipped_model(), "shipped")


def check_whole(champion: Champion) -> None:
    """Hold a champion of the store against its hash. Raises BundleError: its file is damaged or gone."""
    if champion.model is None:
        return
    if hash_of(champion.path) != champion.model.sha256:
        raise BundleError(f"bundle {champion.path}: damaged, its hash is another than when it was added")


def hash_of(path: Path) -> str:
    """SHA-256, in hex, of a file; one that has not changed is read once. Raises BundleError."""
    try:
        facts = path.stat()
        return _hash(path, facts.st_mtime_ns, facts.st_size, facts.st_ino)
    except OSError as error:
        raise BundleError(f"bundle {path}: {error.strerror}") from error


def check_rival(champion: Card, rival: Card) -> None:
    """Refuse a challenger that cannot be asked about the champion's pictures.

    Raises:
        SettingsError: it wants them at another rate or of another size.
    """
    for what, theirs, ours, unit in (
        ("pictures a second", rival.rate_hz, champion.rate_hz, "Hz"),
        ("a short side", rival.short_side_px, champion.short_side_px, "px"),
    ):
        if theirs != ours:
            raise SettingsError(
                f"model {rival.name!r} wants {what} of {theirs:g} {unit} and the champion {ours:g} {unit}; "
                "only a model with the champion's can challenge it"
            )


def roll_back(store: Store, model: ModelRecord, problem: str) -> None:
    """Let the champion before this one watch again, since this one cannot; a fault says so. StoreError."""
    log.error("model %r cannot watch and is rolled back: %s", model.name, problem)
    try:
        store.roll_back(model.sha256, problem=problem)
    except (ConflictError, NotFoundError):  # somebody was quicker
        return
    details = {"sha256": model.sha256, "problem": problem}
    store.audit(AuditRecord(datetime.now(UTC), "jikimi", "rolled back model", model.name, details))


@lru_cache(maxsize=8)
def _hash(path: Path, _mtime_ns: int, _size: int, _inode: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
