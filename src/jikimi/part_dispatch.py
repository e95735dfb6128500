"""The part that delivers alerts, escalates and gives the sign of life."""

import logging
import socket
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

from jikimi.alert.channels import Unusable, open_channels
from jikimi.alert.dispatch import Dispatcher, undelivered
from jikimi.alert.escalation import Escalation
from jikimi.alert.home import Standing
from jikimi.alert.notices import fault_targets, notices_for_fault
from jikimi.alert.pulse import Pulse
from jikimi.errors import RefusedError
from jikimi.in_force import Followed, InForce
from jikimi.running import (
    FRESH_S,
    ChampionsCard,
    Latencies,
    alone,
    follow_settings,
    open_site_store,
    plant_of,
    run_folder,
    told_to_end,
)
from jikimi.settings import Settings
from jikimi.status import Histogram, read_status
from jikimi.store import Delivery, FaultRecord, Store
from jikimi.watch.child import BEAT_S, Beat, send

log = logging.getLogger(__name__)

_TEND_EVERY_S = 0.5

# What is being sent may take 10 s; longer, and this part hangs.
_CHANGING_S = 15.0

# A site is back within seconds of anything; after this nobody brings it back.
_BLIND_S = 15.0


def run_dispatch(pipe: Connection, settings: Settings) -> None:
    """The part that delivers alerts, escalates and gives the sign of life."""
    folder = run_folder(settings)
    with alone(folder, "dispatch"):
        store = open_site_store(settings)
        try:
            followed, card = follow_settings(settings, store), ChampionsCard(settings, store)
            followed.start()
            made: list[_Dispatch] = []

            def make() -> None:
                made[:] = [_Dispatch(followed, store, folder, card)]

            make()
            while made[0].run(pipe):
                log.info("settings or behaviours are others now; alerting goes on with them")
                _beating(pipe, make)
        finally:
            store.close()


class _Dispatch:
    """The dispatcher with what it stands on, while that does not change."""

    def __init__(self, followed: Followed, store: Store, folder: Path, card: ChampionsCard) -> None:
        self._followed, self._now = followed, followed.now
        settings = self._now.settings
        self._settings, self._store, self._folder = settings, store, folder
        self._card, self._plant = card, plant_of(settings, card())
        self._outdated = False
        self._latency: dict[str, Histogram] = {}
        self._latencies = Latencies(folder / "deliveries.json")
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._told = fault_targets(settings.targets)
        self._seen_s = time.monotonic()
        self._blind: FaultRecord | None = None
        channels = open_channels(
            settings.targets, plant=self._plant, cameras=self._cameras(), standing=self._standing,
            on_connected=lambda name: self._dispatcher.retry_now(name), on_refused=_unusable,
        )  # fmt: skip
        channels.update({name: Unusable(problem) for name, problem in self._now.lost.items()})
        self._channels = channels
        self._dispatcher = Dispatcher(
            store, channels, on_delivered=self._delivered, on_given_up=self._given_up
        )
        self._pulse = self._made_pulse()
        self._escalation = Escalation(
            store,
            lists=settings.alert_lists,
            after_s=settings.alerts.escalate_after_s,
            plant=self._plant,
        )

    def run(self, pipe: Connection) -> bool:
        """Deliver until the pipe's other end closes or says so → False; or all of this is outdated → True."""
        path = self._folder / "dispatch.sock"
        path.unlink(missing_ok=True)
        ended = False
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
            bell.bind(str(path))
            bell.settimeout(BEAT_S)
            self._dispatcher.start()
            if self._pulse is not None:
                self._pulse.start()
            threading.Thread(target=self._tend, name="escalation", daemon=True).start()
            while not (ended := told_to_end(pipe)) and not self._outdated:
                self._wait(bell)
                send(pipe, Beat())
        if ended:
            self._close()
            return False
        _beating(pipe, self._close)
        return True

    def _close(self) -> None:
        """End in good order; what is being sent may take its 10 s."""
        self._ended.set()
        self._dispatcher.stop()
        if self._pulse is not None:
            self._pulse.stop()
        for channel in self._channels.values():
            channel.close()

    def _tend(self) -> None:
        """Escalate, and say when nobody watches: apart, since a locked database must not stop the beats."""
        while not self._ended.wait(_TEND_EVERY_S):
            try:
                if self._escalation.step():
                    self._dispatcher.knock()
                self._judge_site()
                # Another model may know other behaviours, and targets learn of them at the start.
                behaviors = self._card().behaviors
                self._outdated = behaviors != self._plant.behaviors or self._is_overruled()
            except Exception as error:  # noqa: BLE001 - the thread's outer edge: logged, and it goes on
                log.error("escalation stumbled: %s; it goes on", error)

    def _is_overruled(self) -> bool:
        """Whether other settings hold now than those that all of this was made with."""
        now = self._followed.now
        if now is self._now:
            return False
        return _told_by(now) != _told_by(self._now)

    def _judge_site(self) -> None:
        """A part that watches and cannot be started is a site that is blind: whoever is alerted is told."""
        now_s = time.monotonic()
        if self._is_fresh():
            self._seen_s = now_s
            if self._blind is not None:
                ended = replace(self._blind, ended_at=datetime.now(UTC))
                notices = notices_for_fault(ended, "closed", self._told, self._plant)
                self._store.end_fault(ended.uid, at=ended.ended_at or ended.began_at, notices=notices)
                self._blind = None
                self._dispatcher.knock()
        elif self._blind is None and now_s - self._seen_s > _BLIND_S:
            words = "nothing is watched: the part that watches does not run; see the log, and jikimi doctor"
            fault = FaultRecord(uuid.uuid4().hex, "", "site", words, datetime.now(UTC))
            self._store.begin_fault(fault, notices_for_fault(fault, "opened", self._told, self._plant))
            self._blind = fault
            self._dispatcher.knock()

    def _is_fresh(self) -> bool:
        status = read_status(self._folder / "status.json")
        return status is not None and abs(status.age_s()) < FRESH_S

    def _wait(self, bell: socket.socket) -> None:
        try:
            bell.recv(16)
            self._dispatcher.knock()
        except TimeoutError:
            return

    def _made_pulse(self) -> Pulse | None:
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


def _beating(pipe: Connection, step: Callable[[], None]) -> None:
    """Do what may take seconds, such as loading Apprise, while whoever looks after this part hears from it.

    Raises:
        JikimiError: the store cannot be read. Whatever `step` raises ends this part; it is started again.
    """
    with ThreadPoolExecutor(1, "changing") as pool:
        done = pool.submit(step)
        for _ in range(round(_CHANGING_S / BEAT_S)):
            send(pipe, Beat())
            if wait([done], BEAT_S).done:
                break
        done.result()


def _told_by(now: InForce) -> tuple[object, ...]:
    """All of the settings that says who is told what, and when."""
    settings = now.settings
    site = settings.site
    return settings.targets, settings.alerts, now.lost, site.name, site.language, site.time_zone


def _unusable(error: RefusedError) -> Unusable:
    """What is for a target that cannot be used waits until it is corrected; all others are told."""
    log.error("%s", error)
    return Unusable(str(error))
