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

Start = Callable[[Camera], Session]

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
    together = realtime or any(live)
    card, keep = bundle.card, Keep(pre_roll_s=pre_roll_s, post_roll_s=post_roll_s)
    threads = 1 if together else min(4, os.cpu_count() or 1)
    view = View(card.rate_hz, card.short_side_px, paced=realtime, keep=keep, threads=threads)
    halt = threading.Event()  # what readers listen to: also set when `emit` raises

    def start(camera: Camera) -> Session:
        return Session(CameraReader(camera, view, _folder(out, camera), halt), card, emit, on_scores)

    run = _watch_together if together else _watch_in_turn
    stop = stop if stop is not None else threading.Event()
    return run(cameras, start, _Scoring(Detector(bundle)), stop)


def _folder(out: Path | None, camera: Camera) -> Path | None:
    return None if out is None else out / safe_name(camera.name)


@dataclass(slots=True)
class _Scoring:
    """The detector with what it remembers of each camera, and how old decisions were."""

    detector: Detector
    ages: AgeHistogram = field(default_factory=AgeHistogram, init=False)
    _states: dict[str, DetectorState] = field(default_factory=dict, init=False)

    def end(self, session: Session) -> CameraSummary:
        """End a camera and forget what was seen there."""
        self._states.pop(session.name, None)
        self.ages.merge(session.ages)
        return session.end()

    def summary(self, cameras: Sequence[CameraSummary], *, stopped: bool) -> WatchSummary:
        """Put the cameras' numbers together."""
        return WatchSummary(tuple(cameras), self.ages.quantile(0.5), self.ages.quantile(0.95), stopped)

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
    cameras: Sequence[Camera], start: Start, scoring: _Scoring, stop: threading.Event
) -> WatchSummary:
    summaries = []
    for camera in cameras:
        if stop.is_set():
            break
        session = start(camera)
        try:
            for tick in session.reader.ticks():
                if stop.is_set():
                    session.halt()
                session.poll()
                scoring.score([(session, tick)])
            summaries.append(scoring.end(session))
        finally:
            session.release()
    return scoring.summary(summaries, stopped=stop.is_set())


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
    cameras: Sequence[Camera], start: Start, scoring: _Scoring, stop: threading.Event
) -> WatchSummary:
    mailbox = _Mailbox()
    sessions = {camera.name: start(camera) for camera in cameras}
    threads = [
        threading.Thread(target=_read, args=(session.reader, mailbox), name=f"read {name}", daemon=True)
        for name, session in sessions.items()
    ]
    for thread in threads:
        thread.start()
    try:
        summaries = _score_together(sessions, scoring, mailbox, stop)
    finally:
        for session in sessions.values():
            session.halt()
            session.release()
        for thread in threads:
            thread.join(_JOIN_S)
    return scoring.summary(summaries, stopped=stop.is_set())


def _score_together(
    sessions: dict[str, Session], scoring: _Scoring, mailbox: _Mailbox, stop: threading.Event
) -> list[CameraSummary]:
    watched, summaries = dict(sessions), {}

    def end(name: str) -> None:
        session = watched.pop(name)
        session.dropped = mailbox.dropped(name)
        summaries[name] = scoring.end(session)

    while watched and not stop.is_set():
        ticks, ended = mailbox.take()
        for session in watched.values():
            session.poll()
        scoring.score([(sessions[name], tick) for name, tick in ticks.items()])
        for name in ended:
            end(name)
    for name, session in list(watched.items()):
        session.halt()
        end(name)
    return [summaries[name] for name in sessions]
