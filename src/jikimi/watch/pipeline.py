"""Cameras → events: who reads when, and one scoring loop for all.

Recordings are watched one after the other in the caller's thread, every tick, nothing dropped: the same input
gives the same events. Cameras, and recordings with `realtime`, are each read in a thread of their own; the
caller's thread scores the newest picture of every camera that has one, all in one run of the model.
"""

import logging
import os
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jikimi.address import redact_text
from jikimi.bundle import Scorer
from jikimi.errors import InferenceError, SettingsError
from jikimi.frame import Frame
from jikimi.watch.camera import CameraReader, Tick, View
from jikimi.watch.detector import Detector, DetectorState
from jikimi.watch.event import AgeHistogram, CameraSummary, WatchEvent, WatchSummary
from jikimi.watch.naming import safe_name
from jikimi.watch.recorder import Keep
from jikimi.watch.session import OnScores, Session
from jikimi.watch.sources import Camera, find_cameras

log = logging.getLogger(__name__)

# How soon a stop, an ended camera or finished evidence is noticed when no picture comes.
_POLL_S = 0.1

# How long a reader may take to close its camera after a stop; one that blocks is left behind.
_JOIN_S = 1.0


def watch(
    sources: Sequence[str],
    *,
    bundle: Scorer,
    emit: Callable[[WatchEvent], None],
    out: Path | None = None,
    realtime: bool = False,
    pre_roll_s: float = 5.0,
    post_roll_s: float = 5.0,
    stop: threading.Event | None = None,
    on_scores: OnScores | None = None,
) -> WatchSummary:
    """Watch files, folders, network addresses or devices until they end or `stop` is set.

    Evidence goes to `out`/camera/, or nowhere when `out` is None. `emit` gets every event and `on_scores`
    (camera, stream time, scores float32 (C,)) every decision, both in the caller's thread.

    Raises:
        SettingsError: a source that cannot be watched, or recordings and cameras mixed without `realtime`.
    """
    cameras = find_cameras(sources)
    live = [camera.live for camera in cameras]
    if any(live) and not all(live) and not realtime:
        raise SettingsError("recordings and cameras together need --realtime; or watch them one by one")
    stop = stop if stop is not None else threading.Event()
    halt = threading.Event()  # what readers listen to: also set when `emit` raises
    view = View(
        rate_hz=bundle.card.rate_hz,
        short_side_px=bundle.card.short_side_px,
        paced=realtime,
        keep=Keep(pre_roll_s=pre_roll_s, post_roll_s=post_roll_s),
        threads=1 if realtime or any(live) else min(4, os.cpu_count() or 1),
    )
    sessions = [
        Session(CameraReader(camera, view, _folder(out, camera), halt), bundle.card, emit, on_scores)
        for camera in cameras
    ]
    scoring = _Scoring(Detector(bundle))
    try:
        run = _watch_together if realtime or any(live) else _watch_in_turn
        summaries = run(sessions, scoring, stop)
    finally:
        halt.set()
        for session in sessions:
            session.release()
    ages = AgeHistogram()
    for session in sessions:
        ages.merge(session.ages)
    return WatchSummary(tuple(summaries), ages.quantile(0.5), ages.quantile(0.95), stopped=stop.is_set())


def _folder(out: Path | None, camera: Camera) -> Path | None:
    return None if out is None else out / safe_name(camera.name)


@dataclass(slots=True)
class _Scoring:
    """The detector with what it remembers of each camera."""

    detector: Detector
    _states: dict[str, DetectorState] = field(default_factory=dict, init=False)

    def score(self, ticks: Sequence[tuple[Session, Tick]]) -> None:
        """Score each camera's tick, all cameras in one run; a tick that answers several takes more runs."""
        rounds = [(session, tick, session.moments(tick)) for session, tick in ticks]
        while rounds:
            self._round([(session, tick, moments[0]) for session, tick, moments in rounds])
            rounds = [(session, tick, moments[1:]) for session, tick, moments in rounds if len(moments) > 1]

    def _round(self, batch: Sequence[tuple[Session, Tick, float]]) -> None:
        frames = {session.name: Frame(tick.frame.image_HWC, t_s=t_s) for session, tick, t_s in batch}
        try:
            scores, states = self.detector.step(frames, self._states)
        except InferenceError as error:
            self._apart(batch, error)
            return
        self._states.update(states)
        for session, tick, t_s in batch:
            session.decided(t_s, scores[session.name], arrived_s=tick.arrived_s)

    def _apart(self, batch: Sequence[tuple[Session, Tick, float]], error: InferenceError) -> None:
        """Score each camera alone, so that a picture the model fails on blinds only its own camera."""
        if len(batch) > 1:
            for one in batch:
                self._round([one])
            return
        ((session, _, t_s),) = batch
        self._states.pop(session.name, None)  # a window with a hole in it would mean something else
        session.failed(t_s, error)


def _watch_in_turn(
    sessions: Sequence[Session], scoring: _Scoring, stop: threading.Event
) -> list[CameraSummary]:
    summaries = []
    for session in sessions:
        if stop.is_set():
            break
        for tick in session.reader.ticks():
            if stop.is_set():
                session.halt()
            session.poll()
            scoring.score([(session, tick)])
        summaries.append(session.end())
    return summaries


@dataclass(slots=True)
class _Mailbox:
    """The newest tick of each camera. One that was not taken in time is dropped and counted."""

    _ticks: dict[str, Tick] = field(default_factory=dict, init=False)
    _dropped: dict[str, int] = field(default_factory=dict, init=False)
    _closed: set[str] = field(default_factory=set, init=False)
    _news: threading.Condition = field(default_factory=threading.Condition, init=False)

    def put(self, name: str, tick: Tick) -> None:
        """Leave a camera's newest tick; it also answers what an older one here would have answered."""
        with self._news:
            older = self._ticks.get(name)
            if older is not None:
                self._dropped[name] = self._dropped.get(name, 0) + 1
            self._ticks[name] = tick if older is None else tick.instead_of(older)
            self._news.notify()

    def close(self, name: str) -> None:
        """Say that a camera brings nothing more."""
        with self._news:
            self._closed.add(name)
            self._news.notify()

    def take(self) -> tuple[dict[str, Tick], set[str]]:
        """Wait a moment for news → the newest ticks, and the cameras that have ended before this call."""
        with self._news:
            if not self._ticks:
                self._news.wait(_POLL_S)
            ticks, self._ticks = self._ticks, {}
            closed, self._closed = self._closed, set()
            return ticks, closed

    def dropped(self, name: str) -> int:
        """How many ticks of a camera were never taken."""
        with self._news:
            return self._dropped.get(name, 0)


def _read(reader: CameraReader, mailbox: _Mailbox) -> None:
    """A reading thread: its outer edge, so nothing ends it silently."""
    try:
        for tick in reader.ticks():
            mailbox.put(reader.camera.name, tick)
    except Exception as error:  # noqa: BLE001 - the thread's outer edge: logged, and a fault of the camera
        trace = "".join(traceback.format_exception(error))
        log.error("%s: %s", reader.camera.name, redact_text(trace, [reader.camera.address]))
        reader.problem = redact_text(f"reading failed: {error}", [reader.camera.address])
    finally:
        mailbox.close(reader.camera.name)


def _watch_together(
    sessions: Sequence[Session], scoring: _Scoring, stop: threading.Event
) -> list[CameraSummary]:
    mailbox = _Mailbox()
    threads = [
        threading.Thread(target=_read, args=(s.reader, mailbox), name=f"read {s.name}", daemon=True)
        for s in sessions
    ]
    for thread in threads:
        thread.start()
    try:
        return _score_together({s.name: s for s in sessions}, scoring, mailbox, stop)
    finally:
        for session in sessions:
            session.halt()
        for thread in threads:
            thread.join(_JOIN_S)


def _score_together(
    sessions: dict[str, Session], scoring: _Scoring, mailbox: _Mailbox, stop: threading.Event
) -> list[CameraSummary]:
    watched, summaries = dict(sessions), {}
    while watched and not stop.is_set():
        ticks, ended = mailbox.take()
        for session in watched.values():
            session.poll()
        scoring.score([(sessions[name], tick) for name, tick in ticks.items()])
        for name in ended:
            summaries[name] = _end(watched.pop(name), mailbox)
    for name, session in watched.items():
        session.halt()
        summaries[name] = _end(session, mailbox)
    return [summaries[name] for name in sessions]


def _end(session: Session, mailbox: _Mailbox) -> CameraSummary:
    session.dropped = mailbox.dropped(session.name)
    return session.end()
