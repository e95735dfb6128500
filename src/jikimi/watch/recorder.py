"""Evidence: the original packets around an incident, in an MP4, without re-encoding where MP4 can carry them.

One ring of packets a camera feeds every recording. A recording begins at a keyframe at or before the wanted
start, is written under a temporary name while the incident lasts, and gets its own name when it is whole.
Where the disk refuses half-way, what is there gets that name, and the evidence says that it is incomplete.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from jikimi.errors import SettingsError, VideoError
from jikimi.incident import Incident
from jikimi.video import Decoder, EvidenceFile, Packet, StoredPacket, StreamCopy, check_evidence
from jikimi.watch.naming import reserve
from jikimi.watch.replay import Replay, Shelf
from jikimi.watch.ring import PacketRing

log = logging.getLogger(__name__)

# What a camera may hold in memory. 64 MiB are 128 s at 4 Mbit/s and 10 s at the 50 Mbit/s of a 4K camera; the
# seconds bound streams whose keyframes are far apart.
RING_MAX_BYTES = 64 << 20
RING_MAX_S = 60.0

# The pipeline decides after the packets have come: the ring reaches this much further back than the pre-roll.
DECISION_LAG_S = 2.0

# An incident that lasts longer keeps its first ten minutes; the file is then finished, marked incomplete.
MAX_EVIDENCE_S = 600.0

# The recording may miss this much of what was wanted and still count as complete: a frame at 2 fps.
_SLACK_S = 0.5


@dataclass(frozen=True, slots=True)
class Keep:
    """What is kept: seconds before and after an incident, and the bounds on memory and disk.

    `replay`: where everything is kept for a while; None: nowhere.
    """

    pre_roll_s: float = 5.0
    post_roll_s: float = 5.0
    evidence_s: float = MAX_EVIDENCE_S
    ring_s: float = RING_MAX_S
    ring_bytes: int = RING_MAX_BYTES
    replay: Shelf | None = None

    def __post_init__(self) -> None:
        if not (0 <= self.pre_roll_s <= self.ring_s and 0 <= self.post_roll_s <= self.evidence_s):
            raise SettingsError(
                f"evidence from {self.pre_roll_s} s before to {self.post_roll_s} s after an incident: "
                f"use 0 to {self.ring_s:g} s before and 0 to {self.evidence_s:g} s after"
            )


@dataclass(frozen=True, slots=True)
class Evidence:
    """How keeping the evidence of one incident came out.

    `path` is None where nothing was kept; `problem` says why, or what is wrong with the file. `start_s` and
    `end_s` are the stream times the file covers; `complete` is False where it lacks some of what was wanted
    and the stream brought (pre-roll beyond the ring, an incident longer than the limit).
    """

    incident: Incident
    path: Path | None
    start_s: float = 0.0
    end_s: float = 0.0
    reencoded: bool = False
    complete: bool = False
    problem: str = ""


@dataclass(slots=True)
class _Recording:
    """A file being written. `…_at_s` are times by the container's own stamps."""

    incident: Incident
    file: EvidenceFile
    final: Path
    opened_at_s: float
    wanted_at_s: float
    until_at_s: float
    closed: bool = False


@dataclass(slots=True)
class Recorder:
    """Evidence of one stream. The reading thread feeds it, the scoring thread opens and closes incidents.

    Trouble with the disk never reaches the reader: it becomes an `Evidence` with a `problem`. Files are
    finished and checked in a thread of their own, since a disk may take seconds to say that it has them.
    """

    folder: Path
    decoder: Decoder
    keep: Keep = field(default_factory=Keep)
    _source: StreamCopy = field(init=False)
    _ring: PacketRing = field(init=False)
    _replay: Replay | None = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _recordings: list[_Recording] = field(default_factory=list, init=False)
    _outcomes: deque[Evidence] = field(default_factory=deque, init=False)  # one an incident, so bounded
    _finishing: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, "evidence"), init=False
    )
    _last: StoredPacket | None = field(default=None, init=False)
    _finished: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        keep = self.keep
        self._source = StreamCopy(self.decoder.stream)
        self._ring = PacketRing(
            keep.pre_roll_s + DECISION_LAG_S, max_s=keep.ring_s, max_bytes=keep.ring_bytes
        )
        if keep.replay is not None:
            self._replay = Replay(keep.replay, self._source)

    def feed(self, packet: Packet) -> None:
        """Take the next packet of the stream, after it was decoded: writing it overwrites its times."""
        with self._lock:
            if self._finished:
                return
            stored = self._last = StoredPacket.of(packet, self.decoder.stream, after=self._last)
            self._ring.push(stored)
            if self._replay is not None:
                self._replay.feed(stored)
            for recording in list(self._recordings):
                if stored.decoded_s > recording.until_at_s:
                    self._end(recording)
                else:
                    self._write(recording, [stored])

    def change(self, keep: Keep) -> None:
        """Keep more or less from now on; what is open ends by it, too. A longer ring fills in its time."""
        with self._lock:
            self.keep = keep
            self._ring.keep_s = keep.pre_roll_s + DECISION_LAG_S

    def open(self, incident: Incident, *, stem: str) -> None:
        """Begin the evidence of an incident, in a file `stem`.mp4 or, where that exists, `stem`-2.mp4."""
        at_s = self.decoder.clock.stamp_at(incident.opened_s)
        with self._lock:
            try:
                temporary, final = reserve(self.folder, stem)
                file = EvidenceFile(temporary, self._source)
            except (OSError, VideoError) as error:
                self._failed(incident, error)
                return
            recording = _Recording(
                incident=incident,
                file=file,
                final=final,
                opened_at_s=at_s,
                wanted_at_s=max(at_s - self.keep.pre_roll_s, self.decoder.clock.stamp_at(0.0)),
                until_at_s=at_s + self.keep.evidence_s,
            )
            self._recordings.append(recording)
            self._write(recording, self._ring.since(recording.wanted_at_s))

    def close(self, incident: Incident) -> None:
        """Let the evidence of an incident that has closed run on for the post-roll."""
        if incident.closed_s is None:
            raise ValueError("the incident is still open")
        until_at_s = self.decoder.clock.stamp_at(incident.closed_s) + self.keep.post_roll_s
        with self._lock:
            for recording in self._recordings:
                if recording.incident.opened_s == incident.opened_s:
                    recording.incident, recording.closed = incident, True
                    recording.until_at_s = until_at_s

    def finish(self, *, wait: bool = True) -> None:
        """End every recording with what there is: the stream has ended, or watching stops.

        Without `wait` what comes out does so later, in `outcomes`.
        """
        with self._lock:
            self._finished = True
            for recording in list(self._recordings):
                self._end(recording)
            self._ring.clear()
        if self._replay is not None:
            self._replay.finish(wait=wait)
        self._finishing.shutdown(wait=wait)

    def outcomes(self) -> list[Evidence]:
        """Return what has come out since the last call; never waits for the disk."""
        found = []
        while self._outcomes:
            found.append(self._outcomes.popleft())
        return found

    def _write(self, recording: _Recording, packets: list[StoredPacket]) -> None:
        try:
            for stored in packets:
                recording.file.write(stored)
        except VideoError as error:
            self._recordings.remove(recording)
            self._finishing.submit(self._guarded, recording, partial(self._salvage, recording, error))

    def _end(self, recording: _Recording) -> None:
        self._recordings.remove(recording)
        self._finishing.submit(self._guarded, recording, partial(self._finish, recording))

    def _guarded(self, recording: _Recording, step: Callable[[], None]) -> None:
        """The finishing thread's outer edge: whatever goes wrong, an incident's evidence has an outcome."""
        try:
            step()
        except Exception as error:
            log.error("%s: evidence could not be finished", self.folder, exc_info=True)
            path = recording.final if recording.final.exists() else None
            problem = f"{self.folder}: evidence could not be finished: {error}"
            self._outcomes.append(Evidence(recording.incident, path=path, problem=problem))

    def _finish(self, recording: _Recording) -> None:
        if recording.file.first is None:
            recording.file.abandon()
            problem = "evidence cannot be written: the stream brought no keyframe"
            self._failed(recording.incident, VideoError(problem))
            return
        try:
            recording.file.close(recording.final)
        except VideoError as error:
            self._salvage(recording, error)
            return
        self._outcomes.append(self._checked(recording, recording.file.first))

    def _salvage(self, recording: _Recording, error: VideoError) -> None:
        """The disk is full, say: what is on it already is better than nothing."""
        first = recording.file.first
        if not recording.file.salvage(recording.final) or first is None:
            self._failed(recording.incident, error)
            return
        kept = self._checked(recording, first)
        problem = f"{error}; kept the first {kept.end_s - kept.start_s:.1f} s"
        self._outcomes.append(replace(kept, complete=False, problem=problem))

    def _failed(self, incident: Incident, error: OSError | VideoError) -> None:
        problem = str(error) if isinstance(error, VideoError) else f"{self.folder}: {error.strerror or error}"
        self._outcomes.append(Evidence(incident, path=None, problem=problem))

    def _checked(self, recording: _Recording, first: StoredPacket) -> Evidence:
        """Look whether a finished file shows the moment its incident opened."""
        problem = ""
        try:
            check_evidence(recording.final, moment_s=recording.opened_at_s - first.shown_s)
        except VideoError as error:
            problem = str(error)
        to_stream_s = -self.decoder.clock.stamp_at(0.0)
        return Evidence(
            incident=recording.incident,
            path=recording.final,
            start_s=first.shown_s + to_stream_s,
            end_s=recording.file.end_at_s + to_stream_s,
            reencoded=recording.file.reencoded,
            complete=recording.closed and first.shown_s <= recording.wanted_at_s + _SLACK_S,
            problem=problem,
        )
