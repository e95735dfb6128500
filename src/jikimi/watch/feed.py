"""One stream of a camera, opened again and again: connecting, live, stalled, backing off.

Each attempt has a reader and a thread of its own. One that hangs is left behind to end at its own time-out;
the next attempt does not wait for it; native code that never returns takes the whole process down instead.
"""

import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from jikimi.address import redact_text
from jikimi.errors import VideoError
from jikimi.status import CameraState
from jikimi.video import Decoder, Packet
from jikimi.watch.camera import CameraReader, Tick, View, _Pace
from jikimi.watch.reconnect import LONGEST_S, Backoff, Knocker
from jikimi.watch.sources import Camera

log = logging.getLogger(__name__)

# No packet for this long: the camera has stalled, and is opened anew (peers.md: others take 20 to 60 s).
STALLED_S = 2.0

# Native code that decodes one packet this long hangs (a 4K picture takes 50 ms on one core).
HANGS_S = 2.0

OPEN_TIMEOUT_S = 5.0

# When a reader that was left behind ends. After STALLED_S: when reading times out FFmpeg still hands out the
# picture it was putting together, which would look like life (a stopped RTSP server was noticed after 4 s).
READ_TIMEOUT_S = 3.0

# A stream that lived this long was well; one that breaks off sooner is given a pause, or a camera that throws
# its visitors out would be opened ten times a second.
_WELL_S = 5.0

# A door that looks closed may only be slow to answer (a camera behind a radio link): it is tried anyway.
_ANYWAY_S = LONGEST_S

# Readers left behind at the same time; more, and something in native code never ends.
_LEFT_BEHIND = 4


class HangingError(VideoError):
    """Native code does not return: only the end of the process helps."""


class PacketReader(CameraReader):
    """Reads packets for evidence alone: nothing is decoded, and `ticks` yields nothing until it ends."""

    def _read(self, packets: Iterator[Packet], decoder: Decoder) -> Iterator[Tick]:
        pace = _Pace(self.stop) if self._is_paced() else None
        begun = False
        for packet in packets:
            if self.stop.is_set():
                return
            arrived_s = pace.wait(packet) if pace is not None else time.monotonic()
            self.timeline.arrived_s = arrived_s
            begun = begun or packet.is_keyframe  # what comes before cannot be kept: time begins there
            stamp = packet.dts if packet.dts is not None else packet.pts
            if begun and stamp is not None and packet.time_base is not None:
                self.last_t_s = decoder.clock.stream_time(float(stamp * packet.time_base))
                self.timeline.note(arrived_s, self.last_t_s)
            if self.recorder is not None and packet.size:
                self.recorder.feed(packet)
        if not self.stop.is_set() and self.camera.live:
            self.problem = f"{self.camera.address}: the camera ended the stream"
        yield from ()


@dataclass(slots=True)
class Feed:
    """A stream that is wanted at all times. `poll` is called often, by one thread; `on_tick` runs in others.

    `reader` is the attempt that counts; None between attempts. `why` says what is wrong when it is not live.
    """

    camera: Camera
    view: View
    folder: Path | None
    on_tick: Callable[[CameraReader, Tick], None] | None
    clock: Callable[[], float] = time.monotonic
    state: CameraState = field(default="connecting", init=False)
    why: str = field(default="", init=False)
    reader: CameraReader | None = field(default=None, init=False)
    attempts: int = field(default=0, init=False)
    reconnects: int = field(default=0, init=False)
    _backoff: Backoff = field(default_factory=Backoff, init=False)
    _knocker: Knocker | None = field(default=None, init=False)
    _due_at: float = field(default=0.0, init=False)
    _began_at: float = field(default=0.0, init=False)
    _live_at: float = field(default=0.0, init=False)
    _lost_at: float = field(default=0.0, init=False)
    _decoding: tuple[float | None, float] = field(default=(None, 0.0), init=False)
    _arrived: tuple[float | None, float] = field(default=(None, 0.0), init=False)
    _thread: threading.Thread | None = field(default=None, init=False)
    _left: list[threading.Thread] = field(default_factory=list, init=False)

    def roll(self, *, pre_roll_s: float, post_roll_s: float) -> None:
        """Keep so much from before and after an incident, in this attempt and in those to come."""
        keep = replace(self.view.keep, pre_roll_s=pre_roll_s, post_roll_s=post_roll_s)
        self.view = replace(self.view, keep=keep)
        if self.reader is not None:
            self.reader.change(self.view)

    def poll(self) -> list[CameraReader]:
        """Move on → readers that have ended since the last call; their recorders want to be finished.

        Raises:
            HangingError: native code hangs, and this process must end.
        """
        now = self.clock()
        if self.reader is None:
            return self._maybe_connect(now)
        reader = self.reader
        if self._hangs(reader, now):
            raise HangingError(f"{self.camera.address}: decoding one packet takes over {HANGS_S:g} s")
        if self._thread is not None and not self._thread.is_alive():
            return self._ended(reader, now)
        if reader.timeline.arrived_s != self._arrived[0]:
            self._arrived = reader.timeline.arrived_s, now
        if self._arrived[0] is None:
            if now - self._began_at > OPEN_TIMEOUT_S:
                return self._given_up(reader, now, f"no picture within {OPEN_TIMEOUT_S:g} s of connecting")
        elif now - self._arrived[1] > STALLED_S:
            return self._given_up(reader, now, f"no packet for {STALLED_S:g} s")
        elif self.state != "live":
            self.state, self.why = "live", ""
            self._live_at = now
            self._backoff.succeeded()
        return []

    def stop(self) -> list[CameraReader]:
        """End reading → the reader that had not ended."""
        if self._knocker is not None:
            self._knocker.stop()
        reader, self.reader = self.reader, None
        if reader is None:
            return []
        reader.stop.set()
        return [reader]

    def _hangs(self, reader: CameraReader, now: float) -> bool:
        """Whether one packet is decoded for too long, as seen from here: a reader may be behind its clock."""
        since_s = reader.decoding_since
        if since_s is None or since_s != self._decoding[0]:
            self._decoding = since_s, now
        return since_s is not None and now - self._decoding[1] > HANGS_S

    def _is_due(self, now: float) -> bool:
        knocker = self._knocker
        if knocker is None or now >= max(self._due_at, self._lost_at + _ANYWAY_S):
            return True
        return bool(knocker.open) and (knocker.opened or now >= self._due_at)

    def _maybe_connect(self, now: float) -> list[CameraReader]:
        if not self._is_due(now):
            return []
        if self._knocker is not None:
            self._knocker.stop()
            self._knocker = None
        self._left = [thread for thread in self._left if thread.is_alive()]
        if len(self._left) >= _LEFT_BEHIND:
            raise HangingError(f"{self.camera.address}: {len(self._left)} attempts hang in native code")
        make = CameraReader if self.on_tick is not None else PacketReader
        self.reader = make(self.camera, self.view, self.folder, threading.Event())
        self.attempts += 1
        self._began_at = now
        if self.state != "stalled":
            self.state = "connecting"
        self._thread = threading.Thread(target=self._read, args=(self.reader,), name="read", daemon=True)
        self._thread.start()
        return []

    def _read(self, reader: CameraReader) -> None:
        """A reading thread: its outer edge, so nothing ends it silently."""
        try:
            for tick in reader.ticks():
                if self.on_tick is not None and reader is self.reader:
                    self.on_tick(reader, tick)
        except Exception as error:  # noqa: BLE001 - the thread's outer edge: logged, and a fault of the camera
            trace = "".join(traceback.format_exception(error))
            log.error("%s: %s", self.camera.name, redact_text(trace, [self.camera.address]))
            reader.problem = redact_text(f"reading failed: {error}", [self.camera.address])

    def _ended(self, reader: CameraReader, now: float) -> list[CameraReader]:
        self.reader = None
        self.reconnects += self.state == "live"
        if not reader.problem and not self.camera.live:
            self._due_at = now  # a recording that serves as a camera begins again
            return [reader]
        self._back_off(now, reader.problem or "the stream ended", soon=self._was_well(now))
        return [reader]

    def _given_up(self, reader: CameraReader, now: float, why: str) -> list[CameraReader]:
        """Leave a silent reader behind: it ends at its own time-out."""
        reader.stop.set()
        self.reader = None
        self.reconnects += self.state == "live"
        if self._thread is not None:
            self._left.append(self._thread)
        live = self.state == "live"
        self._back_off(now, f"{self.camera.address}: {why}", soon=self._was_well(now))
        if live:
            self.state = "stalled"
        return [reader]

    def _was_well(self, now: float) -> bool:
        return self.state == "live" and now - self._live_at >= _WELL_S

    def _back_off(self, now: float, why: str, *, soon: bool) -> None:
        self.state, self.why, self._lost_at = "backing-off", why, now
        # A stream that was well and broke off is tried at once: most often it is there.
        self._due_at = now if soon else now + self._backoff.failed()
        self._knocker = Knocker(self.camera.address)
        self._knocker.start()
