"""A camera's evidence over lost connections: each attempt to read it has a ring and files of its own.

An incident that is open when the connection breaks has its file finished there, and a second one from where
the camera is back. Incidents are known by their uid; recorders know moments of their own stream.
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from jikimi.errors import VideoError
from jikimi.frame import Image
from jikimi.incident import Incident
from jikimi.video import strip
from jikimi.watch.analysis import Change
from jikimi.watch.camera import CameraReader
from jikimi.watch.curve import Curve
from jikimi.watch.messages import EvidenceKept
from jikimi.watch.recorder import Evidence, Recorder


def stem(behavior: str, uid: str, at: datetime) -> str:
    """The name of an incident's files: when, what, which."""
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}_{behavior}_{uid}"


def uid_of(path: Path) -> str | None:
    """The incident that a file of evidence belongs to, by its name; None for any other file."""
    uid = path.name.split(".")[0].rpartition("_")[2].split("-")[0]
    return uid if len(uid) == 32 and all(c in "0123456789abcdef" for c in uid) else None


@dataclass(slots=True)
class _Kept:
    """An open incident: what it is, when it opened, and the recording that runs, where one does."""

    uid: str
    behavior: str
    opened_at_s: float
    at: datetime
    recording: "_Recording | None" = None
    recorded: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Recording:
    """A file of an incident. `after_s` is how long after the incident's opening the file's own zero lies."""

    kept: _Kept
    reader: CameraReader
    recorder: Recorder
    incident: Incident
    after_s: float


@dataclass(slots=True)
class Keeping:
    """Opens and closes recordings in whichever reader records now. Used by one thread."""

    folder: Path
    current: Callable[[], CameraReader | None]
    _open: dict[str, _Kept] = field(default_factory=dict, init=False)
    _recordings: list[_Recording] = field(default_factory=list, init=False)
    _now: tuple[CameraReader, Recorder] | None = field(default=None, init=False)
    _disk: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "evidence"), init=False)
    _written: list[Future[EvidenceKept]] = field(default_factory=list, init=False)
    _lost: list[EvidenceKept] = field(default_factory=list, init=False)

    def opened(self, change: Change, at: datetime) -> None:
        """Begin the evidence of an incident."""
        kept = _Kept(change.uid, change.incident.behavior, change.arrived_s, at)
        self._open[change.uid] = kept
        if self._now is not None:
            self._begin(kept, *self._now, from_s=kept.opened_at_s)

    def closed(self, change: Change) -> None:
        """Let it run on for the post-roll."""
        kept = self._open.pop(change.uid, None)
        if kept is None:
            return
        if not kept.recorded:
            problem = "the camera sent nothing to record while it lasted"
            self._lost.append(EvidenceKept(kept.uid, "video", None, problem=problem))
        self._let_run_out(kept, change.arrived_s)

    def poll(self) -> list[EvidenceKept]:
        """Follow the camera's connection → what has come out since the last call."""
        reader = self.current()
        recorder = _begun(reader)
        if reader is not None and recorder is not None and not self._is_now(recorder):
            self._now = reader, recorder
            for kept in self._open.values():
                self._move(kept, reader, recorder)
        lost, self._lost = self._lost, []
        lost += self._now_written()
        return lost + [kept for one in self._recorders() for kept in self._come_out(one)]

    def ended(self, reader: CameraReader, *, wait: bool = False) -> list[EvidenceKept]:
        """Finish what a reader that has ended was recording; what is not out yet comes with `poll`."""
        recorder = reader.recorder
        if recorder is None:
            return []
        if self._is_now(recorder):
            self._now = None
        recorder.finish(wait=wait)
        return self._come_out(recorder)

    def finish(self) -> list[EvidenceKept]:
        """Wait until everything is on disk, since nobody polls any more → what has come out."""
        for recorder in self._recorders():
            recorder.finish()
        self._disk.shutdown()
        return self.poll()

    def keep_strip(self, uid: str, pictures: list[Image]) -> None:
        """Write the pictures that decided, as one JPEG, in a thread of its own: `poll` tells of it.

        The camera may have changed its picture's size a moment ago: those of the newest one's are shown.
        """
        kept = self._open.get(uid)
        if kept is None or not pictures:
            return
        pictures = [picture for picture in pictures if picture.shape == pictures[-1].shape]
        path = self.folder / f"{stem(kept.behavior, uid, kept.at)}.strip.jpg"
        self._written.append(self._disk.submit(_write_strip, uid, pictures, path))

    def keep_scores(self, curve: Curve) -> None:
        """Write an incident's scores, in the thread of the strips: `poll` tells of it."""
        path = self.folder / f"{stem(curve.behavior, curve.uid, curve.at)}.scores.json"
        self._written.append(self._disk.submit(_write_scores, curve, path))

    def _now_written(self) -> list[EvidenceKept]:
        done = [one for one in self._written if one.done()]
        self._written = [one for one in self._written if not one.done()]
        return [one.result() for one in done]

    def _is_now(self, recorder: Recorder) -> bool:
        return self._now is not None and self._now[1] is recorder

    def _recorders(self) -> list[Recorder]:
        """Those that still record something, and the one that records now."""
        found = [recording.recorder for recording in self._recordings]
        found += [self._now[1]] if self._now is not None else []
        return [one for i, one in enumerate(found) if all(one is not other for other in found[:i])]

    def _move(self, kept: _Kept, reader: CameraReader, recorder: Recorder) -> None:
        """Go on in the recorder that records now, from where the other one has come to."""
        begun, now_s = kept.recording, time.monotonic()
        from_s = kept.opened_at_s if begun is None else begun.reader.timeline.arrived_s or now_s
        self._let_run_out(kept, now_s)
        self._begin(kept, reader, recorder, from_s=from_s)

    def _begin(self, kept: _Kept, reader: CameraReader, recorder: Recorder, *, from_s: float) -> None:
        opened_s = _stream_s(reader, from_s)
        while any(r.recorder is recorder and r.incident.opened_s == opened_s for r in self._recordings):
            opened_s += 1e-6  # two zones at the same moment
        after_s = max(0.0, (reader.timeline.at(opened_s) or 0.0) - kept.opened_at_s)
        incident = Incident(kept.behavior, opened_s=opened_s, peak=0.0)
        kept.recording = _Recording(kept, reader, recorder, incident, after_s)
        kept.recorded = True
        self._recordings.append(kept.recording)
        recorder.open(incident, stem=stem(kept.behavior, kept.uid, kept.at))

    def _let_run_out(self, kept: _Kept, at_s: float) -> None:
        """Close the recording that runs, where one still does, at a moment of monotonic seconds."""
        recording = kept.recording
        if recording is not None and recording in self._recordings:
            closed_s = max(recording.incident.opened_s, _stream_s(recording.reader, at_s))
            recording.recorder.close(replace(recording.incident, closed_s=closed_s))

    def _come_out(self, recorder: Recorder) -> list[EvidenceKept]:
        return [self._told(recorder, outcome) for outcome in recorder.outcomes()]

    def _told(self, recorder: Recorder, outcome: Evidence) -> EvidenceKept:
        zero_s = outcome.incident.opened_s
        recording = next(
            r for r in self._recordings if r.recorder is recorder and r.incident.opened_s == zero_s
        )
        self._recordings.remove(recording)
        return EvidenceKept(
            recording.kept.uid,
            "video",
            outcome.path,
            start_s=round(outcome.start_s - zero_s + recording.after_s, 3),
            end_s=round(outcome.end_s - zero_s + recording.after_s, 3),
            complete=outcome.complete,
            problem=outcome.problem,
        )


def _write_strip(uid: str, pictures: list[Image], path: Path) -> EvidenceKept:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        strip(pictures, path)
    except VideoError as error:
        return EvidenceKept(uid, "strip", None, problem=str(error))
    except OSError as error:
        return EvidenceKept(uid, "strip", None, problem=f"{path.parent}: {error.strerror or error}")
    return EvidenceKept(uid, "strip", path)


def _write_scores(curve: Curve, path: Path) -> EvidenceKept:
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8") as file:
            file.write(curve.as_json())
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with suppress(OSError):  # neither could it be made
            part.unlink(missing_ok=True)
        problem = f"{path.parent}: {error.strerror or error}"
        return EvidenceKept(curve.uid, "scores", None, problem=problem)
    start_s, end_s = (curve.t_s[0], curve.t_s[-1]) if curve.t_s else (0.0, 0.0)
    return EvidenceKept(curve.uid, "scores", path, start_s=round(start_s, 3), end_s=round(end_s, 3))


def _begun(reader: CameraReader | None) -> Recorder | None:
    """What records a reader's stream, once its first picture has come: its time has no zero before."""
    return reader.recorder if reader is not None and reader.timeline.at(0.0) is not None else None


def _stream_s(reader: CameraReader, at_s: float) -> float:
    """A moment on the recorded stream's own time."""
    found = reader.timeline.stream_time(at_s)
    return 0.0 if found is None else max(0.0, found)
