"""One camera's process: its streams, its questions to the detector, its incidents, evidence and health.

Whatever hangs or crashes here takes down this camera alone. The process beats; when the site closes its end
of the pipe, it finishes its evidence and ends.
"""

import logging
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from zoneinfo import ZoneInfo

import psutil

from jikimi.errors import SettingsError
from jikimi.hours import due
from jikimi.status import CameraStatus, Histogram
from jikimi.watch.analysis import Change, Judging, Looking, Recent, Silence, camera_rule, merged
from jikimi.watch.camera import CameraReader, Tick, View
from jikimi.watch.child import BEAT_S, Beat, send
from jikimi.watch.curve import Curves
from jikimi.watch.feed import OPEN_TIMEOUT_S, READ_TIMEOUT_S, Feed
from jikimi.watch.health import HealthMonitor
from jikimi.watch.keeping import Keeping
from jikimi.watch.link import Answered, Link
from jikimi.watch.messages import (
    CameraConfig,
    Compare,
    Relearn,
    Rival,
    Roll,
    ScoresCounted,
    ShadowChanged,
    Shelve,
    message_of,
)  # fmt: skip
from jikimi.watch.recorder import DECISION_LAG_S, RING_MAX_BYTES, Keep
from jikimi.watch.regions import Regions
from jikimi.watch.score_counter import ScoreCounter
from jikimi.watch.shadow import Shadow
from jikimi.watch.showing import Showing
from jikimi.watch.sources import Camera, is_live
from jikimi.watch.wellness import Wellness

log = logging.getLogger(__name__)

# A camera's process has 80 MB in all; a 4K camera of 16 Mbit/s fills this in 12 s.
_RING_BYTES = min(RING_MAX_BYTES, 24 << 20)

# Watching counts as going on while decisions come at least this often.
_SEEING_S = 1.0

# Counts of scores that a killed process takes with it are of so long.
_TELL_COUNTS_S = 15.0


def run_camera(pipe: Connection, config: CameraConfig) -> None:
    """The process: watch until the pipe's other end closes."""
    process = CameraProcess(pipe, config)
    try:
        process.run()
    finally:
        process.finish()


@dataclass(slots=True)
class CameraProcess:
    """The camera's main thread; readers and the link have threads of their own and wake it."""

    pipe: Connection
    config: CameraConfig
    regions: Regions = field(init=False)
    analysed: Feed = field(init=False)
    recorded: Feed = field(init=False)
    link: Link = field(init=False)
    judging: Judging = field(init=False)
    keeping: Keeping = field(init=False)
    curves: Curves = field(init=False)
    counts: ScoreCounter = field(init=False)
    wellness: Wellness = field(init=False)
    showing: Showing = field(init=False)
    status: CameraStatus = field(init=False)
    _looking: tuple[CameraReader, Looking] | None = field(default=None, init=False)
    _recent: Recent = field(init=False)
    _wake: threading.Event = field(default_factory=threading.Event, init=False)
    _shelved_until: datetime | None = field(default=None, init=False)
    _beat_at: float = field(default=0.0, init=False)
    _told_counts_at: float = field(default=0.0, init=False)
    _rows: dict[float, list[list[float]]] = field(default_factory=dict, init=False)
    _counted_at: float | None = field(default=None, init=False)
    _decided_s: float | None = field(default=None, init=False)
    _process: psutil.Process = field(default_factory=psutil.Process, init=False)
    _stages: dict[str, Histogram] = field(default_factory=dict, init=False)
    _silence: Silence = field(default_factory=Silence, init=False)
    _shadow: Shadow | None = field(default=None, init=False)
    _ended: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        config, settings, card = self.config, self.config.settings, self.config.card
        self.regions = Regions(settings.zones, settings.masks)
        keep = Keep(config.pre_roll_s, config.post_roll_s, ring_bytes=_RING_BYTES, replay=config.replay)
        view = View(
            card.rate_hz,
            card.short_side_px,
            paced=True,
            keep=keep,
            open_timeout_s=OPEN_TIMEOUT_S,
            read_timeout_s=READ_TIMEOUT_S,
        )
        address = settings.sub or settings.address
        seen = Camera(settings.name, address, is_live(address), settings.transport)
        two = settings.sub is not None  # then replay is of the main stream alone: it is what people look at
        seen_view = replace(view, keep=replace(keep, replay=None)) if two else view
        self.analysed = Feed(seen, seen_view, config.evidence, self._on_tick)
        self.recorded = self.analysed
        if two:
            main = Camera(settings.name, settings.address, is_live(settings.address), settings.transport)
            self.recorded = Feed(main, view, config.evidence, None)
        gap_s = card.rule.max_gap_s
        self.link = Link(config.detector, lambda a, b: merged(a, b, max_gap_s=gap_s), self._wake.set)
        rule = camera_rule(card, settings)
        self.curves = Curves(
            card.keys,
            rule,
            config.pre_roll_s,
            config.post_roll_s,
            longest_s=keep.evidence_s,
        )
        self.counts = ScoreCounter(card.keys, card.rule.theta_on)
        self.judging = Judging(card, rule, self.regions.names, self._scored)
        self.keeping = Keeping(config.evidence, self._recording_reader)
        monitor = HealthMonitor(settings.name, config.health)
        self.wellness = Wellness(settings.name, monitor)
        self.showing = Showing(config.showing)
        self.status = CameraStatus(name=settings.name, theta_on=dict(rule.theta_on))
        self._recent = Recent(card.window)
        self._shelved_until = config.shelved_until

    def run(self) -> None:
        """Watch until told to end.

        Raises:
            HangingError: native code hangs, and this process must end.
        """
        self.link.start()
        self.showing.start()
        while not self._ended:
            self._wake.wait(0.05)
            self._wake.clear()
            self._listen()
            self._follow()
            self._silence.wake_up(self.judging, resting=self._resting())
            for answered in self.link.answers():
                self._decide(answered)
            for curve in self.curves.over(time.monotonic() - DECISION_LAG_S):
                self.keeping.keep_scores(curve)
            self._tell_shadows()
            for kept in self.keeping.poll():
                send(self.pipe, kept)
            for trouble in self.wellness.poll():
                send(self.pipe, trouble)
            self._beat()

    def finish(self) -> None:
        """Close incidents, finish evidence and tell the site, as far as it still listens."""
        self.link.stop()
        self._compare(None)
        self.showing.stop()
        now = time.monotonic()
        for change in self.judging.finish(now):
            self._report(change)
        for curve in self.curves.finish():
            self.keeping.keep_scores(curve)
        readers = self.analysed.stop() + (self.recorded.stop() if self._two else [])
        for reader in readers:
            for kept in self.keeping.ended(reader, wait=True):
                send(self.pipe, kept)
        for kept in self.keeping.finish():
            send(self.pipe, kept)
        self._tell_counts()

    @property
    def _two(self) -> bool:
        return self.recorded is not self.analysed

    def _listen(self) -> None:
        """Take what the site says; its end closing is the word to end."""
        try:
            while self.pipe.poll():
                message = self.pipe.recv()
                if isinstance(message, Shelve):
                    self._shelved_until = message.until
                elif isinstance(message, Relearn):
                    self.wellness.relearn()
                elif isinstance(message, Roll):
                    self._roll(message)
                elif isinstance(message, Compare):
                    self._compare(message.rival)
                else:
                    self._ended = True
        except (EOFError, OSError):
            self._ended = True

    def _roll(self, roll: Roll) -> None:
        """Keep more or less around incidents, without looking away for it."""
        self.curves.pre_roll_s, self.curves.post_roll_s = roll.pre_roll_s, roll.post_roll_s
        for feed in (self.analysed, self.recorded) if self._two else (self.analysed,):
            feed.roll(pre_roll_s=roll.pre_roll_s, post_roll_s=roll.post_roll_s)

    def _follow(self) -> None:
        """Keep the streams open; what a reader that has ended was recording is finished."""
        for feed in (self.analysed, self.recorded) if self._two else (self.analysed,):
            for reader in feed.poll():
                for kept in self.keeping.ended(reader):
                    send(self.pipe, kept)
        self.wellness.follow(self.analysed, self.recorded)

    def _recording_reader(self) -> CameraReader | None:
        """The reader that records: of the main stream while it is live, else of the sub-stream."""
        if self._two and self.recorded.state != "live":
            return self.analysed.reader
        return self.recorded.reader

    def _on_tick(self, reader: CameraReader, tick: Tick) -> None:
        """Take a picture, in the reader's thread."""
        if self._looking is None or self._looking[0] is not reader:
            self._looking = reader, Looking(self.config.card, self.regions)
        damaged = self.wellness.see(reader, tick)
        shown = self.regions.shown(tick.frame.image_HWC)
        self._recent.add(shown)
        if not damaged:  # a torn picture is no evidence of anything; it leaves a gap of a tick
            self.link.offer(self._looking[1].question(tick))
            if (shadow := self._shadow) is not None:
                shadow.see(reader, tick)
        self.showing.show(shown, tick.arrived_s)  # last: whoever looks gives way to deciding

    def _decide(self, answered: Answered) -> None:
        if answered.verdict.error:
            self.status.unanswered += 1
            self.wellness.unanswered(answered.verdict.error)
            return
        age_s = answered.decided_s - answered.question.arrived_s
        self._count("decided", age_s)
        before = self.judging.decisions
        changes = list(self.judging.judge(answered))
        self.wellness.answered(age_s, decided=self.judging.decisions > before)
        if self.judging.decisions > before:
            self._decided_s = answered.decided_s
        for change in changes:
            self._report(change)
        self._count_scores()

    def _report(self, change: Change) -> None:
        """Tell the site first, then keep evidence: an alarm waits for no disk."""
        if not self._silence.passes(change, resting=self._resting()):
            return
        message = message_of(change, time.monotonic())
        send(self.pipe, message)
        if message.kind == "opened":
            self.status.incidents += 1
            self.curves.opened(change, message.at)
            self.keeping.opened(change, message.at)
            self.keeping.keep_strip(change.uid, self._recent.pictures())
        elif message.kind == "closed":
            self.curves.closed(change)
            self.keeping.closed(change)

    def _scored(self, view: str, t_s: float, scores: list[float]) -> None:
        """Remember what was decided."""
        self.curves.note(view, t_s, scores)
        self._rows.setdefault(t_s, []).append(scores)

    def _count_scores(self) -> None:
        """Count what was decided while it could have raised something."""
        rows, self._rows = self._rows, {}
        if rows and not self._resting():
            for views in rows.values():
                self.counts.add(views)

    def _tell_counts(self) -> None:
        if counts := self.counts.take():
            send(self.pipe, ScoresCounted(counts))

    def _compare(self, rival: Rival | None) -> None:
        """Ask this challenger from now on, too."""
        if self._shadow is not None:
            self._shadow.stop()
            self._shadow = None
        if rival is None:
            return
        try:
            shadow = Shadow(rival, self.config.settings, self.regions, self._resting)
        except SettingsError as error:  # the site has said so already
            log.warning("%s", error)
            return
        shadow.start()
        self._shadow = shadow

    def _tell_shadows(self) -> None:
        """What the challenger would have raised is told to the site, and leads to nothing here."""
        if self._shadow is not None:
            for change in self._shadow.poll():
                send(self.pipe, ShadowChanged(self._shadow.rival.model, change))

    def _resting(self) -> bool:
        """Whether incidents are not wanted now: shelved, or outside the camera's hours."""
        return self._shelved() or not self._on_duty()

    def _shelved(self) -> bool:
        return self._shelved_until is not None and datetime.now(UTC) < self._shelved_until

    def _on_duty(self) -> bool:
        zone = ZoneInfo(self.config.time_zone) if self.config.time_zone else None
        return due(self.config.settings.hours, datetime.now(UTC).astimezone(zone))

    def _beat(self) -> None:
        now = time.monotonic()
        if now < self._beat_at:
            return
        self._beat_at = now + BEAT_S
        self._count_time(now)
        if now >= self._told_counts_at:  # before the status, which must be the newest that is heard
            self._told_counts_at = now + _TELL_COUNTS_S
            self._tell_counts()
        status = self.status
        feed = self.analysed
        status.state, status.why = feed.state, feed.why
        status.recording = self.recorded.state == "live"
        status.shelved_until = self._shelved_until if self._shelved() else None
        status.off_duty = not self._on_duty()
        status.reconnects = feed.reconnects + (self.recorded.reconnects if self._two else 0)
        status.dropped, status.decisions = self.link.dropped, self.judging.decisions
        status.scores = self.judging.scores
        status.faults = self.wellness.ailments
        status.memory_bytes = self._process.memory_info().rss
        status.decided_age_s = None if self._decided_s is None else round(now - self._decided_s, 3)
        self._describe(feed.reader, now)
        status.stages, self._stages = self._stages, {}  # since the last beat
        send(self.pipe, Beat(status))

    def _describe(self, reader: CameraReader | None, now: float) -> None:
        """What the reader says of the stream."""
        if reader is None or reader.info is None or reader.decoder is None:
            return
        status = self.status
        status.codec = reader.info.codec
        status.width_px, status.height_px = reader.info.width_px, reader.info.height_px
        arrived_s = reader.timeline.arrived_s
        status.picture_age_s = None if arrived_s is None else round(max(0.0, now - arrived_s), 3)
        status.pictures, status.damaged, status.clock_jumps = self.wellness.counted(reader)

    def _count_time(self, now: float) -> None:
        """Coverage: time counts as seen while decisions come."""
        if self._counted_at is not None and self._on_duty():
            passed_s = now - self._counted_at
            self.status.due_s += passed_s
            if self._decided_s is not None and now - self._decided_s < _SEEING_S and not self._shelved():
                self.status.seen_s += passed_s
                if self._is_shadowed(now):
                    self.status.both_s += passed_s
        self._counted_at = now

    def _is_shadowed(self, now: float) -> bool:
        decided_s = self._shadow.decided_s if self._shadow is not None else None
        return decided_s is not None and now - decided_s < _SEEING_S

    def _count(self, stage: str, seconds: float) -> None:
        self._stages.setdefault(stage, Histogram()).add(seconds)
