"""A camera's evidence over lost connections: each attempt to read it has a ring and files of its own.

An incident that is open when the connection breaks has its file finished there, and a second one from where
the camera is back. Incidents are known by their uid; recorders know moments of their own stream.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from jikimi.frame import Image
from jikimi.incident import Incident
from jikimi.video import strip
from jikimi.watch.analysis import Change
from jikimi.watch.camera import CameraReader
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
    """An incident whose evidence is being kept: where, and when it opened."""

    uid: str
    behavior: str
    opened_at_s: float
    at: datetime
    incident: Incident | None = None


@dataclass(slots=True)
class Keeping:
    """Opens and closes recordings in whichever reader records now. Used by one thread."""

    folder: Path
    current: Callable[[], CameraReader | None]
    _open: dict[str, _Kept] = field(default_factory=dict, init=False)
    _known: dict[tuple[int, float], _Kept] = field(default_factory=dict, init=False)
    _recorders: list[tuple[CameraReader, Recorder]] = field(default_factory=list, init=False)
    _lost: list[EvidenceKept] = field(default_factory=list, init=False)

    def opened(self, change: Change, at: datetime) -> None:
        """Begin the evidence of an incident."""
        kept = _Kept(change.uid, change.incident.behavior, change.arrived_s, at)
        self._open[change.uid] = kept
        self._begin(kept)

    def closed(self, change: Change) -> None:
        """Let it run on for the post-roll."""
        kept = self._open.pop(change.uid, None)
        if kept is None:
            return
        if kept.incident is None:
            problem = "the camera sent nothing to record while it lasted"
            self._lost.append(EvidenceKept(kept.uid, "video", None, problem=problem))
        elif self._recorders:
            reader, recorder = self._recorders[-1]
            closed_s = max(kept.incident.opened_s, _stream_s(reader, change.arrived_s))
            recorder.close(replace(kept.incident, closed_s=closed_s))

    def poll(self) -> list[EvidenceKept]:
        """Follow the camera's connection → what has come out since the last call."""
        reader = self.current()
        recorder = reader.recorder if reader is not None else None
        if reader is not None and recorder is not None and not self._has(recorder):
            self._recorders.append((reader, recorder))
            for kept in self._open.values():
                self._begin(kept, again=True)
        lost, self._lost = self._lost, []
        return lost + [self._told(r, outcome) for _, r in self._recorders for outcome in r.outcomes()]

    def ended(self, reader: CameraReader) -> list[EvidenceKept]:
        """Finish what a reader that has ended was recording."""
        if reader.recorder is None:
            return []
        reader.recorder.finish()
        found = [self._told(reader.recorder, outcome) for outcome in reader.recorder.outcomes()]
        self._recorders = [(one, r) for one, r in self._recorders if one is not reader]
        return found

    def keep_strip(self, uid: str, pictures: list[Image]) -> EvidenceKept | None:
        """Write the pictures that decided, as one JPEG; None where there are none."""
        kept = self._open.get(uid)
        if kept is None or not pictures:
            return None
        path = self.folder / f"{stem(kept.behavior, uid, kept.at)}.strip.jpg"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            strip(pictures, path)
        except OSError as error:
            return EvidenceKept(uid, "strip", None, problem=f"{path.parent}: {error.strerror or error}")
        return EvidenceKept(uid, "strip", path)

    def _has(self, recorder: Recorder) -> bool:
        return any(known is recorder for _, known in self._recorders)

    def _begin(self, kept: _Kept, *, again: bool = False) -> None:
        if not self._recorders:
            return  # between two connections: begun when the camera is back
        reader, recorder = self._recorders[-1]
        opened_s = 0.0 if again else max(0.0, _stream_s(reader, kept.opened_at_s))
        while (id(recorder), opened_s) in self._known:
            opened_s += 1e-6  # two zones at the same moment
        kept.incident = Incident(kept.behavior, opened_s=opened_s, peak=0.0)
        self._known[(id(recorder), opened_s)] = kept
        recorder.open(kept.incident, stem=stem(kept.behavior, kept.uid, kept.at))

    def _told(self, recorder: Recorder, outcome: Evidence) -> EvidenceKept:
        kept = self._known.pop((id(recorder), outcome.incident.opened_s))
        zero_s = outcome.incident.opened_s
        return EvidenceKept(
            kept.uid,
            "video",
            outcome.path,
            start_s=round(outcome.start_s - zero_s, 3),
            end_s=round(outcome.end_s - zero_s, 3),
            complete=outcome.complete,
            problem=outcome.problem,
        )


def _stream_s(reader: CameraReader, at_s: float) -> float:
    """A moment on the recorded stream's own time."""
    found = reader.timeline.stream_time(at_s)
    return 0.0 if found is None else max(0.0, found)
