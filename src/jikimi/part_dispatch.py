"""The part that delivers alerts, escalates and gives the sign of life."""

import logging
import socket
import threading
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

from jikimi.alert.channels import open_channels
from jikimi.alert.dispatch import Dispatcher, undelivered
from jikimi.alert.escalation import Escalation
from jikimi.alert.home import Standing
from jikimi.alert.notices import fault_targets, notices_for_fault
from jikimi.alert.pulse import Pulse
from jikimi.running import (
    FRESH_S,
    ChampionsCard,
    Latencies,
    alone,
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

# A site is back within seconds of anything; after this nobody brings it back.
_BLIND_S = 15.0


def run_dispatch(pipe: Connection, settings: Settings) -> None:
    """The part that delivers alerts, escalates and gives the sign of life."""
    folder = run_folder(settings)
    with alone(folder, "dispatch"):
        store = open_site_store(settings)
        try:
            _Dispatch(settings, store, folder, ChampionsCard(settings, store)).run(pipe)
        finally:
            store.close()


class _Dispatch:
    """The dispatcher with what it stands on."""

    def __init__(self, settings: Settings, store: Store, folder: Path, card: ChampionsCard) -> None:
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
            threading.Thread(target=self._tend, name="escalation", daemon=True).start()
            while not told_to_end(pipe) and not self._outdated:
                self._wait(bell)
                send(pipe, Beat())
        self._ended.set()
        if pulse is not None:
            pulse.stop()
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
                self._outdated = self._card().behaviors != self._plant.behaviors
            except Exception as error:  # noqa: BLE001 - the thread's outer edge: logged, and it goes on
                log.error("escalation stumbled: %s; it goes on", error)

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
