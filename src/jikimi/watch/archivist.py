"""Evidence after it is written: hashed into the manifest, given a still, entered in the store, swept.

A thread of its own, fed by the site: neither watching nor alerting waits for a disk.
"""

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

import psutil

from jikimi.archive import EvidenceKind, Limits, Manifest, Record, Swept, sweep
from jikimi.errors import JikimiError, NotFoundError, StoreError
from jikimi.settings import CameraSettings, Settings
from jikimi.store import EvidenceRecord, Store
from jikimi.video import blacken, recover, still
from jikimi.watch.keeping import uid_of
from jikimi.watch.messages import EvidenceKept
from jikimi.watch.naming import safe_name
from jikimi.watch.replay_room import sweep_replay
from jikimi.watch.scribe import Action, Scribe

log = logging.getLogger(__name__)

HEAD = "evidence-head"
"""Where the store remembers the manifest's newest hash: a manifest cut short is found by it."""

SWEEP_EVERY_S = 60.0

# A manifest of years takes seconds to read: all of it is looked at this often, and where room runs out.
_FULL_SWEEP = 10

# Cameras of an earlier run finish their files for some seconds after it (child.py): looked for again then.
_ORPHANS_S = 15.0

# Where a disk refuses, a file is tried again with each sweep, this often; then at the next start.
_TRIES = 10

# Below this much free space evidence is about to fail, whatever may still be deleted; with less wanted free,
# that, and below the last nothing can be written.
_NEARLY_FULL_BYTES, _LEAST_BYTES = 200 << 20, 1 << 20

# A file that was changed this long ago is finished, and whoever finished it had the time to tell.
_SETTLED_S = 5.0

_GB = 1_000_000_000
_ENDINGS: Mapping[str, EvidenceKind] = {
    ".strip.jpg": "strip",
    ".still.jpg": "still",
    ".scores.json": "scores",
    ".mp4": "video",
}

Trouble = tuple[str, bool, str]
"""A fault of the disk: its kind, whether it begins, and words."""


@dataclass(slots=True)
class Archivist:
    """Takes files in the order of `put`. `troubles` are faults of the disk that begin or end.

    `unknown` is told, once, of evidence whose incident is not in the store: its path, uid and camera.
    """

    settings: Settings
    store: Store
    scribe: Scribe
    unknown: Callable[[Path, str, str], None] = lambda _path, _uid, _camera: None
    sweep_every_s: float = SWEEP_EVERY_S
    evidence_bytes: int = field(default=0, init=False)
    orphans_s: float = _ORPHANS_S
    _files: "queue.Queue[tuple[CameraSettings, EvidenceKept] | Settings | None]" = field(
        default_factory=queue.Queue, init=False
    )
    _again: list[tuple[CameraSettings, EvidenceKept, int]] = field(default_factory=list, init=False)
    _mine: set[Path] = field(default_factory=set, init=False)
    _passes: int = field(default=0, init=False)
    _late: set[str] = field(default_factory=set, init=False)
    _lost: threading.Event = field(default_factory=threading.Event, init=False)
    _began: float = field(default_factory=time.time, init=False)
    _sweeps: int = field(default=0, init=False)
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
        if kept.path is not None:
            self._mine.add(kept.path)
        self._files.put((camera, kept))

    def change(self, settings: Settings) -> None:
        """Go on with other limits; what is over them goes now."""
        self._files.put(settings)

    def look_again(self) -> None:
        """A camera's process was lost: what it was writing is finished and entered soon."""
        self._lost.set()

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
        swept_at = looked_at = float("-inf")
        while True:
            now = time.monotonic()
            if self._lost.is_set():
                self._lost.clear()
                self._passes = 0
            if self._passes < 2 and now - looked_at >= self.orphans_s:
                looked_at = now
                self._passes += self._guarded(self._take_over)
            if now - swept_at >= self.sweep_every_s:
                swept_at = now
                self._guarded(self._tend)
            try:
                item = self._files.get(timeout=min(self.sweep_every_s, self.orphans_s))
            except queue.Empty:
                continue
            if item is None:
                return
            if isinstance(item, Settings):
                self.settings = item
                self._guarded(self._sweep)
            else:
                self._take(*item)

    def _take(self, camera: CameraSettings, kept: EvidenceKept, tries: int = 1) -> None:
        if not self._guarded(partial(self._archive, camera, kept)) and tries < _TRIES:
            self._again.append((camera, kept, tries + 1))

    def _guarded(self, step: Callable[[], None]) -> bool:
        """Do something with the disk → whether it went well; if not, it is a fault of the site.

        Nothing may end this thread: evidence and the disk's room depend on it.
        """
        try:
            step()
            return True
        except (JikimiError, OSError) as error:
            words = str(error) if isinstance(error, JikimiError) else f"{self.folder}: {error.strerror}"
            log.error("%s", words)
        except Exception as error:
            words = f"{self.folder}: archiving failed: {type(error).__name__}: {error}"
            log.error("%s", words, exc_info=True)
        self._set("evidence", True, words)
        try:
            full = not self._has_space()
        except OSError:  # a disk that does not even say
            full = False
        if full:
            self._say_full()
        return False

    def _take_over(self) -> None:
        """Archive what a run that was killed had not: unfinished files, and finished ones nobody entered."""
        self.folder.mkdir(parents=True, exist_ok=True)
        cameras = {safe_name(camera.name): camera for camera in self._cameras()}
        recovered = recover(self.folder)
        for path in recovered:
            log.warning("%s: finished after the process that wrote it had died", path.name)
        listed = Manifest(self.folder).listed()
        for path in sorted(self.folder.rglob("*")):
            uid, kind = uid_of(path), _kind(path)
            if _is_dead(path):
                path.unlink(missing_ok=True)
            elif (
                uid is not None
                and kind is not None
                and path.relative_to(self.folder).as_posix() not in listed
                and path not in self._mine
                and path.is_file()
                and (path in recovered or self._is_settled(path))
            ):
                kept = EvidenceKept(uid, kind, path, problem="the process that wrote it died; found later")
                camera = cameras.get(path.parent.name)
                self._guarded(partial(self._keep, camera, kept, path.parent.name))
        self._enter_lost(Manifest(self.folder).listed())

    def _is_settled(self, path: Path) -> bool:
        """Whether whoever wrote it is of an earlier run, or had the time to tell. Clocks may be put back."""
        written = path.stat().st_mtime
        return written < self._began or abs(time.time() - written) > _SETTLED_S

    def _cameras(self) -> list[CameraSettings]:
        """All there are: what a camera's masks hide stays hidden. Raises StoreError."""
        return [*(stored.settings for stored in self.store.cameras()), *self.settings.cameras]

    def _enter_lost(self, listed: Mapping[str, Record]) -> None:
        """Enter into the store what is in the manifest alone."""
        known: dict[str, set[str]] = {}
        for record in listed.values():
            if record.kind and record.incident:
                if record.incident not in known:
                    stored = self.store.evidence(record.incident)
                    known[record.incident] = {one.path.as_posix() for one in stored}
                if record.path not in known[record.incident]:
                    kept = EvidenceKept(record.incident, record.kind, None)
                    self._store(_evidence(record, kept), record.camera)

    def _archive(self, camera: CameraSettings, kept: EvidenceKept) -> None:
        if kept.path is None or kept.problem:
            self._set("evidence", True, f"camera {camera.name!r}: evidence suffers: {kept.problem}")
            if not self._has_room():
                self._sweep()
        if kept.path is None:
            return
        self._keep(camera, kept, camera.name)
        if not kept.problem and kept.kind != "scores":  # a few kB fit where the video just did not
            self._set("evidence", False, "")

    def _keep(self, camera: CameraSettings | None, kept: EvidenceKept, name: str) -> None:
        """Blacken what must not be seen, enter the file, give it a still."""
        assert kept.path is not None
        masks = camera.masks if camera is not None else ()
        hidden = [mask.polygon for mask in masks if mask.kind == "blacken"]
        if hidden and kept.kind == "video":
            blacken(kept.path, hidden)
        name = camera.name if camera is not None else name
        self._enter(kept, name)
        if kept.kind == "video":
            self._guarded(partial(self._keep_still, kept.path, kept, name))

    def _keep_still(self, path: Path, kept: EvidenceKept, camera: str) -> None:
        out = path.with_name(path.name.removesuffix(".mp4") + ".still.jpg")
        still(path, max(0.0, -kept.start_s), out)
        self._enter(EvidenceKept(kept.uid, "still", out), camera)

    def _enter(self, kept: EvidenceKept, camera: str) -> None:
        assert kept.path is not None
        record = Manifest(self.folder).add(kept.path, camera=camera, incident=kept.uid, kind=kept.kind)
        self.evidence_bytes += record.size_bytes
        self._store(_evidence(record, kept), camera)
        self.scribe.put(Action(lambda store: store.set_meta(HEAD, record.hash)))

    def _store(self, evidence: EvidenceRecord, camera: str) -> None:
        def write(store: Store) -> None:
            try:
                store.add_evidence(evidence)
            except NotFoundError:
                log.warning("%s: belongs to no incident of the store", evidence.path)
                if evidence.incident not in self._late:
                    self._late.add(evidence.incident)
                    self.unknown(evidence.path, evidence.incident, camera)
                    self.scribe.put(Action(write))  # once the incident is there

        self.scribe.put(Action(write))

    def _has_room(self) -> bool:
        """Whether nothing need be deleted."""
        limits = self.settings.evidence
        free = shutil.disk_usage(self.folder).free
        return free > limits.min_free_gb * _GB and self.evidence_bytes <= limits.max_gb * _GB

    def _has_space(self) -> bool:
        """Whether something can still be written."""
        wanted = min(_NEARLY_FULL_BYTES, max(_LEAST_BYTES, self.settings.evidence.min_free_gb * _GB))
        return not self.folder.exists() or shutil.disk_usage(self.folder).free >= wanted

    def _tend(self) -> None:
        """Sweep where that is due, and try again what the disk has refused."""
        if self._sweeps % _FULL_SWEEP == 0 or self._on or not self._has_room():
            self._sweep()
        self._sweeps += 1
        again, self._again = self._again, []
        for camera, kept, tries in again:
            self._take(camera, kept, tries)

    def _sweep(self) -> None:
        """Delete what is too old or too much, oldest first, locked never; say when that does not help.

        Replay gives way first.
        """
        try:
            sweep_replay(self.settings)
        except OSError as error:
            log.warning("%s: %s", self.settings.replay_folder, error.strerror)
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
        if not self._has_space() or (not self._has_room() and not files):
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
            for path in swept.deleted:
                self.scribe.put(Action(partial(_note_deleted, Path(path), at=now)))
            head = Manifest(self.folder).head()
            self.scribe.put(Action(lambda store: store.set_meta(HEAD, head)))

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


def _note_deleted(path: Path, store: Store, *, at: datetime) -> None:
    try:
        store.evidence_deleted(path, at=at)
    except NotFoundError:
        log.warning("%s: was deleted, and the store did not know it", path)


def _is_dead(path: Path) -> bool:
    """Whether this is what a process that has died had begun: `.NAME.PID.tmp`."""
    words = path.name.split(".")
    if not (path.name.startswith(".") and words[-1] == "tmp" and words[-2].isdecimal()):
        return False
    return not psutil.pid_exists(int(words[-2]))


def _kind(path: Path) -> EvidenceKind | None:
    if path.name.startswith("."):
        return None
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
