"""What impairs watching one camera: the picture's health, the detector's answers, the recorded stream.

Pictures are judged in the thread that reads, twice a second; the rest is asked by the camera's main thread.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from jikimi.watch.camera import CameraReader, Tick
from jikimi.watch.feed import Feed
from jikimi.watch.health import HealthChange, HealthMonitor, is_torn
from jikimi.watch.messages import TroubleChanged

# Health is judged so often; its rules are made for it.
_LOOK_EVERY_S = 0.5

# A decision about a picture that came longer ago than this is late (goal: none older than 0.5 s).
LATE_S = 0.5

# Late answers are a fault when they are so many of the last seconds', and no longer below the other share.
_OVER_S = 5.0
_BEGINS_SHARE, _ENDS_SHARE = 0.2, 0.05

# Without any answer for this long the camera is blind. A detector is ended and back within 3 s.
_UNANSWERED_S = 2.0

# Whatever the reason: pictures come, and nothing is decided about them for this long (a window takes 2 to 4 s
# to fill after a connection, and again after each failure of the model).
_UNDECIDED_S = 10.0


@dataclass(slots=True)
class Share:
    """The share of late ones among the last seconds' answers, as a fault with a begin and an end."""

    on: bool = field(default=False, init=False)
    _rows: deque[tuple[float, bool]] = field(default_factory=deque, init=False)

    def add(self, now_s: float, bad: bool) -> bool:
        """Count an answer → whether the fault begins or ends by it."""
        self._rows.append((now_s, bad))
        while self._rows[0][0] < now_s - _OVER_S:
            self._rows.popleft()
        share = sum(bad for _, bad in self._rows) / len(self._rows)
        full = now_s - self._rows[0][0] > _OVER_S / 2
        was = self.on
        self.on = share > _ENDS_SHARE if was else share >= _BEGINS_SHARE and full
        return self.on != was


@dataclass(slots=True)
class Wellness:
    """One camera's troubles. `see` is for reading threads, everything else for the main thread."""

    camera: str
    monitor: HealthMonitor
    clock: Callable[[], float] = time.monotonic
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _changes: list[TroubleChanged] = field(default_factory=list, init=False)
    _on: set[str] = field(default_factory=set, init=False)
    _looked_s: float = field(default=-1e9, init=False)
    _zero: tuple[CameraReader, float] | None = field(default=None, init=False)
    _late: Share = field(default_factory=Share, init=False)
    _failing_since: float | None = field(default=None, init=False)
    _undecided_since: float | None = field(default=None, init=False)
    _not_recording_since: float | None = field(default=None, init=False)
    _counts: dict[str, int] = field(
        default_factory=lambda: {"pictures": 0, "damaged": 0, "jumps": 0}, init=False
    )
    _last_counts: tuple[CameraReader | None, int, int, int] = field(default=(None, 0, 0, 0), init=False)

    @property
    def ailments(self) -> list[str]:
        """What it suffers from now."""
        with self._lock:
            return sorted(self._on)

    def see(self, reader: CameraReader, tick: Tick) -> bool:
        """Judge a picture → whether it is too damaged to say anything about people."""
        damaged = tick.frame.damaged or is_torn(tick.frame.image_HWC)
        with self._lock:
            now_s = self.clock()  # in here: a reader that was left behind must not come with an older one
            if self._undecided_since is None:
                self._undecided_since = now_s
            if now_s - self._looked_s < _LOOK_EVERY_S:
                return damaged
            self._looked_s = now_s
            if self._zero is None or self._zero[0] is not reader:
                self._zero = reader, tick.arrived_s - tick.frame.t_s
            stamp_s = self._zero[1] + tick.frame.t_s
            self._take(self.monitor.update(tick.frame.image_HWC, now_s, stamp_s, damaged))
        return damaged

    def relearn(self) -> None:
        """What the camera shows now is right."""
        with self._lock:
            self.monitor.relearn()

    def follow(self, analysed: Feed, recorded: Feed) -> None:
        """Look whether pictures come, and whether the recorded stream does."""
        with self._lock:
            now_s = self.clock()
            if now_s - self._looked_s > 2 * _LOOK_EVERY_S:
                self._take(self.monitor.silent(now_s), why=analysed.why)
            if "offline" in self._on:
                self._undecided_since = None
            undecided_s = now_s - (now_s if self._undecided_since is None else self._undecided_since)
        if undecided_s > _UNDECIDED_S:
            why = f"pictures come, and nothing was decided about them for {undecided_s:.0f} s"
            self._set("inference", True, f"{why}; see the log {analysed.why}".rstrip())
        if recorded is analysed or recorded.state == "live":
            self._not_recording_since = None
            self._set("not-recording", False, "the main stream is recorded again")
            return
        if self._not_recording_since is None:
            self._not_recording_since = now_s
        if now_s - self._not_recording_since > self.monitor.settings.offline_s:
            words = f"the main stream does not come; check its address ({recorded.why})"
            self._set("not-recording", True, words)

    def answered(self, age_s: float, *, decided: bool = True) -> None:
        """The detector has answered about a picture that had come `age_s` before.

        Not `decided`: it says "not yet known", as while its window fills. That ends no fault.
        """
        self._failing_since = None
        if decided:
            with self._lock:
                self._undecided_since = None
            self._set("inference", False, "decisions are made again")
        if self._late.add(self.clock(), age_s > LATE_S):
            words = (
                f"decisions come over {LATE_S:g} s late; use sub-streams, a lighter model or fewer cameras"
                if self._late.on
                else "decisions are in time again"
            )
            self._set("overload", self._late.on, words)

    def unanswered(self, error: str) -> None:
        """There is no decision about a picture: that is not the same as nothing happening."""
        now_s = self.clock()
        if self._failing_since is None:
            self._failing_since = now_s
        if now_s - self._failing_since > _UNANSWERED_S:
            self._set("inference", True, f"no decision is made: {error}")

    def poll(self) -> list[TroubleChanged]:
        """What has begun and ended since the last call."""
        with self._lock:
            found, self._changes = self._changes, []
        return found

    def counted(self, reader: CameraReader) -> tuple[int, int, int]:
        """Pictures decoded, damage and clock jumps, over all attempts to read the camera."""
        decoder = reader.decoder
        if decoder is None:
            return self._counts["pictures"], self._counts["damaged"], self._counts["jumps"]
        now = (decoder.decoded, decoder.errors, decoder.jumps)
        before = self._last_counts[1:] if self._last_counts[0] is reader else (0, 0, 0)
        for key, new, old in zip(self._counts, now, before, strict=True):
            self._counts[key] += new - old
        self._last_counts = (reader, *now)
        return self._counts["pictures"], self._counts["damaged"], self._counts["jumps"]

    def _take(self, changes: list[HealthChange], *, why: str = "") -> None:
        for change in changes:
            message = f"{change.message} ({why})" if why and change.begins else change.message
            self._changes.append(TroubleChanged(change.kind, change.begins, message))
            (self._on.add if change.begins else self._on.discard)(change.kind)

    def _set(self, kind: str, on: bool, words: str) -> None:
        if (kind in self._on) == on:
            return
        with self._lock:
            (self._on.add if on else self._on.discard)(kind)
            self._changes.append(TroubleChanged(kind, on, f"camera '{self.camera}': {words}"))
