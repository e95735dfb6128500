"""Evidence after it is written: hashed into the manifest, given a still, entered in the store, swept.

A thread of its own, fed by the site: neither watching nor alerting waits for a disk.
"""

import errno
import logging
import queue
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from jikimi.archive import EvidenceKind, Limits, Manifest, Record, Swept, sweep
from jikimi.errors import JikimiError, NotFoundError, StoreError
from jikimi.settings import CameraSettings, Settings
from jikimi.store import EvidenceRecord, Store
from jikimi.video import blacken, recover, still
from jikimi.watch.keeping import uid_of
from jikimi.watch.messages import EvidenceKept
from jikimi.watch.naming import safe_name
from jikimi.watch.scribe import Action, Scribe

log = logging.getLogger(__name__)

HEAD = "evidence-head"
"""Where the store remembers the manifest's newest hash: a manifest cut short is found by it."""

SWEEP_EVERY_S = 60.0

# Below this much free space evidence is about to fail, whatever may still be deleted.
_NEARLY_FULL_BYTES = 200 << 20

_GB = 1_000_000_000
_ENDINGS: Mapping[str, EvidenceKind] = {".strip.jpg": "strip", ".still.jpg": "still", ".mp4": "video"}

Trouble = tuple[str, bool, str]
"""A fault of the disk: its kind, whether it begins, and words."""


@dataclass(slots=True)
class Archivist:
    """Takes files in the order of `put`. `troubles` are faults of the disk that begin or end."""

    settings: Settings
    store: Store
    scribe: Scribe
    sweep_every_s: float = SWEEP_EVERY_S
    evidence_bytes: int = field(default=0, init=False)
    _files: "queue.Queue[tuple[CameraSettings, EvidenceKept] | None]" = field(
        default_factory=queue.Queue, init=False
    )
    _troubles: deque[Trouble] = field(default_factory=deque, init=False)
    _on: set[str] = field(default_factory=set, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    @property
    def folder(self) -> Path:
        """Where evidence lies."""
        return self.settings.evidence_folder

    def start(self) -> None:
        """Finish what an earlier run left, then take files."""
        self._thread = threading.Thread(target=self._run, name="archivist", daemon=True)
        self._thread.start()

    def put(self, camera: CameraSettings, kept: EvidenceKept) -> None:
        """Archive this file."""
        self._files.put((camera, kept))

    def troubles(self) -> list[Trouble]:
        """What has begun and ended since the last call."""
        found = []
        while self._troubles:
            found.append(self._troubles.popleft())
        return found

    def finish(self, patience_s: float) -> None:
        """Take no more; what is queued is archived now, or at the next start."""
        self._files.put(None)
        if self._thread is not None:
            self._thread.join(patience_s)

    def _run(self) -> None:
        self._guarded(self._take_over)
        swept_at = float("-inf")
        while True:
            if time.monotonic() - swept_at >= self.sweep_every_s:
                self._guarded(self._sweep)
                swept_at = time.monotonic()
            try:
                item = self._files.get(timeout=self.sweep_every_s)
            except queue.Empty:
                continue
            if item is None:
                return
            camera, kept = item
            self._guarded(partial(self._archive, camera, kept))

    def _guarded(self, step: Callable[[], None]) -> None:
        """Do something with the disk; what goes wrong is a fault of the site, and the thread goes on."""
        try:
            step()
        except (JikimiError, OSError) as error:
            words = str(error) if isinstance(error, JikimiError) else f"{self.folder}: {error.strerror}"
            log.error("%s", words)
            self._set("evidence", True, words)
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                self._say_full()

    def _take_over(self) -> None:
        """Archive what a run that was killed had not: unfinished files, and finished ones nobody entered."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in recover(self.folder):
            log.warning("%s: finished after the process that wrote it had died", path.name)
        listed = Manifest(self.folder).listed()
        cameras = {safe_name(camera.name): camera for camera in self.settings.cameras}
        for path in sorted(self.folder.rglob("*")):
            relative = path.relative_to(self.folder).as_posix()
            uid, kind = uid_of(path), _kind(path)
            if relative in listed or uid is None or kind is None or not path.is_file():
                continue
            camera = cameras.get(path.parent.name)
            kept = EvidenceKept(
                uid, kind, path, problem="the process that wrote it died; found at the next start"
            )
            self._enter(kept, camera.name if camera is not None else path.parent.name)
        self._enter_lost(Manifest(self.folder).listed())

    def _enter_lost(self, listed: Mapping[str, Record]) -> None:
        """Enter into the store what is in the manifest alone."""
        for record in listed.values():
            if record.kind and record.incident:
                self._store(_evidence(record, EvidenceKept(record.incident, record.kind, None)))

    def _archive(self, camera: CameraSettings, kept: EvidenceKept) -> None:
        if kept.path is None or kept.problem:
            self._set("evidence", True, f"camera {camera.name!r}: evidence suffers: {kept.problem}")
            if not self._has_room():
                self._sweep()
        if kept.path is None:
            return
        hidden = [mask.polygon for mask in camera.masks if mask.kind == "blacken"]
        if hidden and kept.kind == "video":
            blacken(kept.path, hidden)
        self._enter(kept, camera.name)
        if kept.kind == "video":
            out = kept.path.with_name(kept.path.name.removesuffix(".mp4") + ".still.jpg")
            still(kept.path, max(0.0, -kept.start_s), out)
            self._enter(EvidenceKept(kept.uid, "still", out), camera.name)
        if not kept.problem:
            self._set("evidence", False, "")

    def _enter(self, kept: EvidenceKept, camera: str) -> None:
        assert kept.path is not None
        record = Manifest(self.folder).add(kept.path, camera=camera, incident=kept.uid, kind=kept.kind)
        self.evidence_bytes += record.size_bytes
        self._store(_evidence(record, kept))
        self.scribe.put(Action(lambda store: store.set_meta(HEAD, record.hash)))

    def _store(self, evidence: EvidenceRecord) -> None:
        def write(store: Store) -> None:
            try:
                store.add_evidence(evidence)
            except NotFoundError:
                log.warning("%s: belongs to no incident of the store", evidence.path)

        self.scribe.put(Action(write))

    def _has_room(self) -> bool:
        return shutil.disk_usage(self.folder).free > self.settings.evidence.min_free_gb * _GB

    def _sweep(self) -> None:
        """Delete what is too old or too much, oldest first, locked never; say when that does not help."""
        limits = self.settings.evidence
        swept = sweep(
            self.folder,
            Limits(limits.keep_days, round(limits.max_gb * _GB), round(limits.min_free_gb * _GB)),
            now=datetime.now(UTC),
            is_locked=self._locked(),
        )
        self._forget(swept)
        files = Manifest(self.folder).listed().values()
        self.evidence_bytes = sum(record.size_bytes for record in files)
        free = shutil.disk_usage(self.folder).free
        if free < min(_NEARLY_FULL_BYTES, limits.min_free_gb * _GB) or (not self._has_room() and not files):
            self._say_full()
        else:
            self._set("disk-full", False, "")

    def _locked(self) -> Callable[[Record], bool]:
        """Which records stay; all of them while the store does not say."""
        try:
            paths = {path.as_posix() for path in self.store.locked_paths()}
        except StoreError as error:
            log.warning("%s; nothing is deleted meanwhile", error)
            return lambda _record: True
        return lambda record: record.path in paths

    def _forget(self, swept: Swept) -> None:
        now = datetime.now(UTC)
        for problem in swept.problems:
            log.error("%s", problem)
        if swept.deleted:
            log.info("retention: %d files, %.1f MB", len(swept.deleted), swept.freed_bytes / 1e6)
            paths = [Path(path) for path in swept.deleted]
            head = Manifest(self.folder).head()

            def write(store: Store) -> None:
                for path in paths:
                    store.evidence_deleted(path, at=now)
                store.set_meta(HEAD, head)

            self.scribe.put(Action(write))

    def _say_full(self) -> None:
        words = (
            f"the disk of {self.folder} is full and nothing more may be deleted; watching and alerting go "
            "on, evidence is lost: make room, or unlock incidents"
        )
        self._set("disk-full", True, words)

    def _set(self, kind: str, on: bool, words: str) -> None:
        if (kind in self._on) != on:
            (self._on.add if on else self._on.discard)(kind)
            self._troubles.append((kind, on, words))


def _kind(path: Path) -> EvidenceKind | None:
    return next((kind for ending, kind in _ENDINGS.items() if path.name.endswith(ending)), None)


def _evidence(record: Record, kept: EvidenceKept) -> EvidenceRecord:
    assert record.kind
    return EvidenceRecord(
        record.incident,
        record.kind,
        Path(record.path),
        record.sha256,
        record.size_bytes,
        datetime.fromisoformat(record.at),
        start_s=kept.start_s,
        end_s=kept.end_s,
        complete=kept.complete,
        problem=kept.problem,
    )
