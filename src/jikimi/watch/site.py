"""A site: every camera in a process of its own, one detector, and one thread that never waits for anything.

It starts what is wanted, ends and restarts what hangs or dies, hands incidents and faults to the scribe,
evidence to the archivist, and writes down twice a second how everything is.
"""

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from operator import add
from pathlib import Path
from typing import Any, get_args

from jikimi.alert.message import Plant
from jikimi.alert.notices import fault_targets
from jikimi.bundle import Card
from jikimi.champion import Champion, roll_back
from jikimi.errors import JikimiError
from jikimi.hours import due
from jikimi.in_force import Followed
from jikimi.picture_wire import picture_socket
from jikimi.settings import CameraSettings, Settings
from jikimi.status import Histogram, SiteStatus, write_status
from jikimi.store import CoverageRecord, ScoreCountRecord, Store
from jikimi.watch.analysis import camera_rule
from jikimi.watch.archivist import Archivist
from jikimi.watch.ballast import Ballast
from jikimi.watch.camera_process import run_camera
from jikimi.watch.child import BEAT_S, Beat, Child, Forked, send
from jikimi.watch.choosing import Choosing
from jikimi.watch.detecting import DetectorBeat, DetectorConfig, run_detector
from jikimi.watch.fault_book import SITE, FaultBook
from jikimi.watch.following import Following, Wanted
from jikimi.watch.health import HealthKind
from jikimi.watch.incident_book import IncidentBook
from jikimi.watch.messages import (
    CameraConfig,
    Compare,
    EvidenceKept,
    IncidentChanged,
    Roll,
    ScoresCounted,
    ShadowChanged,
    Shelve,
    TroubleChanged,
)
from jikimi.watch.naming import safe_name
from jikimi.watch.replay_room import shelf_of
from jikimi.watch.reporting import Reporter
from jikimi.watch.rivalry import Rivalry
from jikimi.watch.scribe import Action, BegunFault, OpenedIncident, Scribe
from jikimi.watch.sources import check_scheme
from jikimi.watch.watched import Watch, WatchedCamera

log = logging.getLogger(__name__)

_VERSION = version("jikimi")

_STATUS_S = 0.5
_COVERAGE_S = 60.0
_WAIT_S = 0.1

# A detector beats four times in this; then it hangs. Loading a model takes seconds on a busy machine.
_DETECTOR_SILENT_S = 1.0

# A camera that hangs is ended within a second, so that it is seen again within three, its keyframe included.
_CAMERA_SILENT_S = 0.85

# A camera counts as blind when nothing has been decided about it for this long.
BLIND_S = 3.0

# SIGTERM to end: cameras finish their evidence, then what is queued is written (5 s in all).
_CAMERAS_END_S, _QUEUES_END_S = 3.0, 1.5

# A camera that is watched no more, or otherwise, has this long to finish its evidence.
_DROP_S = 1.0

# An entry that has waited this long for the store is a fault of the store.
_STORE_WAITS_S = 5.0

# A new champion's detector that is lost so often before it ever ran will not run: the one before did.
_TRIES_OF_A_NEW_MODEL = 2

# Faults that a camera's own process tells of, and takes back.
_OWN = frozenset(get_args(HealthKind)) | {"inference", "overload", "not-recording"}


@dataclass(slots=True)
class Site:
    """Watches until `stop` says so. Everything here runs in the caller's thread of `run`."""

    followed: Followed
    store: Store
    champion: Champion
    card: Card
    context: ForkServerContext
    run_folder: Path
    knock: Callable[[], None]
    clock: Callable[[], float] = time.monotonic
    settings: Settings = field(init=False)
    stages: dict[str, Histogram] = field(default_factory=dict, init=False)
    scribe: Scribe = field(init=False)
    archivist: Archivist = field(init=False)
    faults: FaultBook = field(init=False)
    incidents: IncidentBook = field(init=False)
    following: Following = field(init=False)
    reporter: Reporter = field(init=False)
    choosing: Choosing = field(init=False)
    rivalry: Rivalry = field(init=False)
    _cameras: dict[str, WatchedCamera] = field(default_factory=dict, init=False)
    _refused: set[str] = field(default_factory=set, init=False)
    _detector: Child = field(init=False)
    _detector_watch: Watch = field(init=False)
    _detector_beat: DetectorBeat | None = field(default=None, init=False)
    _started_at: datetime = field(init=False)
    ballast: Ballast = field(init=False)
    _free_bytes: int = field(default=0, init=False)
    _status_at: float = field(default=0.0, init=False)
    _beat_at: float = field(default=0.0, init=False)
    _coverage_at: float = field(default=0.0, init=False)
    _covered: dict[str, tuple[float, float, float]] = field(default_factory=dict, init=False)
    _scores: dict[tuple[str, str], tuple[int, ...]] = field(default_factory=dict, init=False)
    _settled: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.settings = self.followed.now.settings
        plant = self._plant()
        self.scribe = Scribe(
            self.store, self.settings.site.data / "spool", self._stored, self._end_left_behind
        )
        self.faults = FaultBook(self.scribe, plant, fault_targets(self.settings.targets))
        self.incidents = IncidentBook(self.scribe, plant, self.settings, self.card.name)
        self.archivist = Archivist(self.settings, self.store, self.scribe, self.incidents.found_late)
        self.following = Following(self.store, self.settings.cameras)
        self.reporter = Reporter(self.settings, self.store, self.scribe, lambda: self.following.wanted)
        challenger = self.run_folder / "challenger.sock"
        self.choosing = Choosing(self.store, self.settings, self.card, challenger)
        self.rivalry = Rivalry(self.scribe, self.context, self.settings.model, self.clock)
        self.ballast = Ballast(self.settings.site.data / "room-for-alerts")
        model = self.settings.model
        config = DetectorConfig(
            self.champion.path,
            self._socket,
            threads=model.threads,
            batch_wait_s=model.batch_wait_ms / 1000,
            card=self.card,
        )
        launch = Forked(self.context, "detector", run_detector, (config,))
        self._detector = Child("detector", launch, silent_s=_DETECTOR_SILENT_S)
        self._detector_watch = Watch(self._detector, self.clock)
        self._started_at = datetime.now(UTC)

    def _plant(self) -> Plant:
        site = self.settings.site
        return Plant(
            site=site.name, language=site.language, zone=self.settings.zone(), behaviors=self.card.behaviors
        )

    @property
    def _ours(self) -> str:
        """The hash of the store's model that watches; empty: it is not one of the store's."""
        return self.champion.model.sha256 if self.champion.model is not None else ""

    @property
    def _socket(self) -> Path:
        return self.run_folder / "detector.sock"

    def run(self, pipe: Connection) -> None:
        """Watch until the pipe's other end closes or says so, or another champion is to watch.

        It ends in good order; the guardian starts the part again, and with it the champion of then.
        """
        self._check_cameras()
        self._take_over()
        self.scribe.start()
        self.archivist.start()
        self.following.start()
        self.followed.start()
        self.reporter.start()
        self.choosing.start()
        self._coverage_at = self.clock() + _COVERAGE_S
        try:
            while not self._told_to_end(pipe) and not self._is_deposed():
                self._step(pipe)
        finally:
            self._end()

    def _check_cameras(self) -> None:
        """Refuse a camera that asks for what the model does not know, before anything starts."""
        for camera in self.settings.cameras:
            camera_rule(self.card, camera)

    def _take_over(self) -> None:
        """Close what an earlier run left open: its cameras are gone, and what still happens opens anew."""
        for fault in self.store.faults(open=True, limit=10_000):
            self.faults.end_earlier(fault, self.store)
        for incident in self.store.open_incidents():
            self.incidents.close_earlier(incident, self.store)
        self.store.close_shadows(at=datetime.now(UTC))

    def _told_to_end(self, pipe: Connection) -> bool:
        try:
            return pipe.poll() and pipe.recv() is None
        except (EOFError, OSError):
            return True

    def _is_deposed(self) -> bool:
        """Whether another model is to watch than the one that this process was started with."""
        chosen = self.choosing.chosen
        if self.champion.origin == "file" or chosen is None:
            return False
        if deposed := chosen.champion != self._ours:
            log.info("another model is to watch than %r; changing over", self.card.name)
        return deposed

    def _step(self, pipe: Connection) -> None:
        self._follow_settings()
        self._follow()
        self._follow_models()
        pipes = [child.pipe for child in self._children() if child.pipe is not None]
        wait([*pipes, pipe], _WAIT_S)
        self._poll_detector()
        for camera in list(self._cameras.values()):
            self._poll_camera(camera)
        for kind, on, message in self.archivist.troubles():
            self.faults.set(SITE, kind, on, message)
        self._judge_store()
        self._write_status()
        self._write_coverage()
        if self.clock() >= self._beat_at:
            self._beat_at = self.clock() + BEAT_S
            send(pipe, Beat())

    def _children(self) -> list[Child]:
        return [
            self._detector,
            *self.rivalry.children,
            *(camera.child for camera in self._cameras.values()),
        ]

    def _follow_settings(self) -> None:
        """Go on with other settings where they have changed; cameras begin anew only where they must."""
        settings, before = self.followed.now.settings, self.settings
        if settings is before:
            return
        self.settings = settings
        self.faults.plant = self.incidents.plant = self._plant()
        self.faults.targets = fault_targets(settings.targets)
        self.incidents.settings = self.reporter.settings = settings
        if settings.evidence != before.evidence:
            self.archivist.change(settings)
        if _of_cameras(settings) != _of_cameras(before):
            self._put_coverage()
            self._drop(list(self._cameras.values()))
            return
        for camera in self._cameras.values():
            roll = self._roll_of(camera.settings)
            if roll != camera.roll:
                camera.roll = roll
                camera.child.tell(roll)

    def _roll_of(self, camera: CameraSettings) -> Roll:
        """What is kept from before and after this camera's incidents."""
        evidence, pre_s, post_s = self.settings.evidence, camera.pre_roll_s, camera.post_roll_s
        return Roll(
            evidence.pre_roll_s if pre_s is None else pre_s,
            evidence.post_roll_s if post_s is None else post_s,
        )

    def _follow(self) -> None:
        """Start cameras that are wanted, end those that are not, tell the others what has changed."""
        wanted: Mapping[str, Wanted] = self.following.wanted
        gone = [
            camera
            for name, camera in self._cameras.items()
            if name not in wanted or wanted[name].settings != camera.settings
        ]
        self._drop(gone)
        for name in self._refused - set(wanted):
            self._refused.discard(name)
            self.faults.end(name, "settings")
        for name, wish in wanted.items():
            camera = self._cameras.get(name)
            if camera is None:
                camera = self._add(wish)
            if camera is not None and camera.shelved_until != wish.shelved_until:
                camera.shelved_until = wish.shelved_until
                camera.child.tell(Shelve(wish.shelved_until))

    def _follow_models(self) -> None:
        """Let cameras ask the challenger that is wanted, and tell what is wrong with models."""
        chosen = self.choosing.chosen
        if chosen is None:
            return
        if chosen.rival != self.rivalry.rival:
            self._put_coverage()  # of the one before
        if self.rivalry.follow(chosen):
            for camera in self._cameras.values():
                camera.rival = self.rivalry.rival_for(camera.settings)
                camera.child.tell(Compare(camera.rival))
        trouble = self.rivalry.poll()
        self.faults.set(SITE, "challenger", bool(trouble), trouble)
        self.faults.set(SITE, "model", bool(chosen.failed), chosen.failed)

    def _add(self, wish: Wanted) -> WatchedCamera | None:
        settings, roll = wish.settings, self._roll_of(wish.settings)
        try:
            camera_rule(self.card, settings)
            for address in filter(None, (settings.address, settings.sub)):
                check_scheme(address)
        except JikimiError as error:
            self._refused.add(settings.name)
            self.faults.begin(settings.name, "settings", str(error))
            return None
        config = CameraConfig(
            settings,
            self.card,
            self._socket,
            self.settings.evidence_folder / safe_name(settings.name),
            picture_socket(self.run_folder, settings.name),
            roll.pre_roll_s,
            roll.post_roll_s,
            offline_s=self.settings.health.offline_s,
            frozen_s=self.settings.health.frozen_s,
            time_zone=self.settings.site.time_zone,
            shelved_until=wish.shelved_until,
            replay=shelf_of(self.settings, settings),
        )
        name = f"camera {settings.name!r}"
        launch = Forked(self.context, name, run_camera, (config,))
        child = Child(name, launch, silent_s=_CAMERA_SILENT_S)
        rival = self.rivalry.rival_for(settings)
        camera = WatchedCamera(settings, child, self.clock, wish.shelved_until, rival, roll)
        self._cameras[settings.name] = camera
        self._refused.discard(settings.name)
        self.faults.end(settings.name, "settings")
        return camera

    def _drop(self, cameras: Sequence[WatchedCamera]) -> None:
        """End cameras, all at once: however many there are, the loop waits a second at most."""
        for camera in cameras:
            camera.child.tell(None)
        until = self.clock() + _DROP_S
        for camera in cameras:
            del self._cameras[camera.name]
            for message in camera.child.let_go(max(0.0, until - self.clock())):
                self._take(camera, message)
            self._covered.pop(camera.name, None)  # its next process counts from zero
            self.incidents.close_all(camera.name)
            self.rivalry.forget(camera.name)
            self.faults.forget(camera.name)

    def _poll_detector(self) -> None:
        for beat in self._detector.poll():
            self._detector_beat = beat
            self.stages.setdefault("inference", Histogram()).merge(beat.inference)
        trouble = self._detector_watch.trouble()
        words = f"the detector does not run: {trouble}; see the log, and check memory and the bundle"
        self.faults.set(SITE, "detector", bool(trouble), words)
        self._settle()
        problem = self._detector_beat.problem if self._detector_beat is not None else ""
        self.faults.set(SITE, "self-test", bool(problem), problem)

    def _settle(self) -> None:
        """Note that a new champion has come up; roll back one that does not, so that some model watches."""
        model = self.champion.model
        if self._settled or model is None or model.proven_at is not None:
            return
        if self._detector.running:
            self._settled = True
            self.scribe.put(Action(lambda store: store.prove_model(model.sha256, at=datetime.now(UTC))))
        elif self._detector.restarts >= _TRIES_OF_A_NEW_MODEL:
            self._settled = True
            problem = f"its {self._detector.problem}, {_TRIES_OF_A_NEW_MODEL} times; the log says why"
            self.scribe.put(Action(lambda store: roll_back(store, model, problem)))

    def _poll_camera(self, camera: WatchedCamera) -> None:
        if not camera.settings.enabled:
            return
        for message in camera.poll():
            self._take(camera, message)
        if camera.lost():
            self.incidents.close_all(camera.name)
            self.rivalry.close_all(camera.name)
            self.archivist.look_again()
        camera.count_idle(due=self._is_due(camera.settings))
        trouble = camera.watch.trouble()
        words = f"camera {camera.name!r}: {trouble}; see the log, and try the address with jikimi camera test"
        self.faults.set(camera.name, "process", bool(trouble), words)
        heard = camera.heard()
        if heard is not None and heard.state == "live":
            for kind in set(self.faults.kinds(camera.name)) & _OWN - set(heard.faults):
                self.faults.end(camera.name, kind)  # of a process that has gone

    def _is_due(self, settings: CameraSettings) -> bool:
        return due(settings.hours, datetime.now(UTC).astimezone(self.settings.zone()))

    def _take(self, camera: WatchedCamera, message: Any) -> None:
        if isinstance(message, IncidentChanged):
            if message.kind == "opened":
                camera.stages.setdefault("noticed", Histogram()).add(message.noticed_s - message.arrived_s)
            self.incidents.take(camera.name, message)
        elif isinstance(message, ShadowChanged):
            self.rivalry.take(camera.name, message)
        elif isinstance(message, EvidenceKept):
            self.archivist.put(camera.settings, message)
        elif isinstance(message, TroubleChanged):
            self.faults.set(camera.name, message.kind, message.begins, message.message)
        elif isinstance(message, ScoresCounted):
            self._add_scores(camera.name, message)

    def _end_left_behind(self, entry: OpenedIncident | BegunFault, store: Store) -> None:
        """End what an earlier run had noticed and not yet stored."""
        if isinstance(entry, OpenedIncident):
            self.incidents.close_earlier(entry.incident, store)
        else:
            self.faults.end_earlier(entry.fault, store)

    def _stored(self, entry: OpenedIncident | BegunFault) -> None:
        """An alert is in the store: whoever delivers is woken. In the scribe's thread."""
        self.knock()
        if isinstance(entry, OpenedIncident) and entry.noticed_s is not None:
            self.stages.setdefault("stored", Histogram()).add(self.clock() - entry.noticed_s)

    def _judge_store(self) -> None:
        waits = self.scribe.waiting_s > _STORE_WAITS_S or self.scribe.refused > 0
        words = (
            f"the store does not take what is written ({self.scribe.problem}); nothing is lost, alerts wait"
        )
        self.faults.set(SITE, "store", waits, words)

    def status(self) -> SiteStatus:
        """The whole site now."""
        cameras = [camera.status() for camera in self._cameras.values()]
        awaited = [c for c in self._cameras.values() if c.settings.enabled and self._is_due(c.settings)]
        ages = {status.name: status.decided_age_s for status in cameras}
        seeing = all((age := ages[c.name]) is not None and age < BLIND_S for c in awaited)
        for status in cameras:
            status.faults = self.faults.kinds(status.name)
        return SiteStatus(
            at=datetime.now(UTC),
            started_at=self._started_at,
            name=self.settings.site.name,
            version=_VERSION,
            model=self.card.name,
            model_sha256=self._ours,
            challenger=self.rivalry.name,
            challenger_running=self.rivalry.running,
            detector="running" if self._detector.running else self._detector.problem or "starting",
            watching=self._detector.running and seeing,
            cameras=cameras,
            faults=self.faults.kinds(SITE),
            open_incidents=len(self.incidents),
            store_retries=self.scribe.retries,
            waiting_for_store=self.scribe.waiting,
            detector_restarts=self._detector.restarts,
            free_bytes=self._free_bytes,
            evidence_bytes=self.archivist.evidence_bytes,
            pids={"site": os.getpid()}
            | {child.name: child.pid for child in self._children() if child.pid is not None},
            stages=self.stages,
        )

    def _write_status(self) -> None:
        if self.clock() < self._status_at:
            return
        self._status_at = self.clock() + _STATUS_S
        try:
            self._free_bytes = self.ballast.look()
        except OSError as error:
            log.warning("%s: its free space cannot be told: %s", self.settings.site.data, error.strerror)
        words = f"the disk of {self.settings.site.data} is full; the room kept for alerts is used: make room"
        self.faults.set(SITE, "disk-low", self.ballast.used, words)
        try:
            write_status(self.run_folder / "status.json", self.status())
        except OSError as error:
            log.warning("%s: the status cannot be written: %s", self.run_folder, error.strerror)

    def _write_coverage(self) -> None:
        if self.clock() < self._coverage_at:
            return
        self._coverage_at = self.clock() + _COVERAGE_S
        self._put_coverage()
        self._put_scores()

    def _put_coverage(self) -> None:
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        rows, both = list[CoverageRecord](), dict[str, float]()
        for name, camera in self._cameras.items():
            now, before = camera.status(), self._covered.get(name, (0.0, 0.0, 0.0))
            seen_s, due_s = now.seen_s - before[0], now.due_s - before[1]
            both[name] = now.both_s - before[2]
            self._covered[name] = (now.seen_s, now.due_s, now.both_s)
            if due_s > 0:
                rows.append(CoverageRecord(name, hour, min(seen_s, due_s), due_s))
        self.rivalry.count(both, seen_s=sum(row.seen_s for row in rows), hour=hour)
        if rows:
            self.scribe.put(Action(lambda store: store.add_coverage(rows)))

    def _add_scores(self, camera: str, told: ScoresCounted) -> None:
        for behavior, counts in told.counts.items():
            before = self._scores.get((camera, behavior), (0,) * len(counts))
            self._scores[camera, behavior] = tuple(map(add, before, counts))

    def _put_scores(self) -> None:
        """Counts of scores go into the hour in which they are written, as coverage does."""
        scores, self._scores = self._scores, {}
        hour = datetime.now(UTC)
        rows = [
            ScoreCountRecord(camera, hour, behavior, counts) for (camera, behavior), counts in scores.items()
        ]
        if rows:
            self.scribe.put(Action(lambda store: store.add_score_counts(rows)))

    def _end(self) -> None:
        """Let cameras finish their evidence, all at once, then write what is queued."""
        self.following.stop()
        self.followed.stop()
        self.choosing.stop()
        for camera in self._cameras.values():
            camera.child.tell(None)
        until = self.clock() + _CAMERAS_END_S
        for camera in self._cameras.values():
            for message in camera.child.let_go(max(0.1, until - self.clock())):
                self._take(camera, message)
            self.incidents.close_all(camera.name)
        self._detector.let_go(0.2)
        self._put_coverage()
        self._put_scores()
        self.rivalry.end()
        until = self.clock() + _QUEUES_END_S
        self.reporter.finish(_QUEUES_END_S / 4)
        self.archivist.finish(_QUEUES_END_S / 2)
        if not self.scribe.finish(max(0.1, until - self.clock())):
            log.error("the store did not take everything; what was not written is told at the next start")
        try:
            write_status(self.run_folder / "status.json", self.status())
        except OSError as error:
            log.warning("%s: the status cannot be written: %s", self.run_folder, error.strerror)


def _of_cameras(settings: Settings) -> tuple[object, ...]:
    """All of the site's settings that a camera's process is given when it is started, rolls aside."""
    evidence = settings.evidence
    return settings.health, settings.site.time_zone, evidence.min_free_gb, evidence.replay_minutes == 0
