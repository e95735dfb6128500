"""Reports get their films: what somebody says happened is cut out of replay and becomes evidence.

A thread of its own. It finds reports in the store, where the API puts them, and keeps replay within bounds.
"""

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from jikimi.archive import Manifest, Record
from jikimi.errors import JikimiError, VideoError
from jikimi.settings import CameraSettings, Settings
from jikimi.store import ReportEvidence, ReportRecord, Store
from jikimi.video import Joined, blacken, join, length_s, still
from jikimi.watch.archivist import HEAD
from jikimi.watch.following import Wanted
from jikimi.watch.naming import safe_name
from jikimi.watch.replay import pieces, stamp
from jikimi.watch.replay_room import finish_left_behind, sweep_replay
from jikimi.watch.scribe import Action, Scribe

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
_SWEEP_EVERY_S = 10.0
_FINISH_EVERY_S = 60.0

# What is sent is on the disk and whole so soon after.
_WRITTEN_S = 3.0

# Seconds around what was reported that are kept at most: five minutes of it are enough to look through.
_MOST_ROLL_S = 60.0

# A film may lack so much of what was reported and count as complete: clocks differ, and so do frames.
_SLACK_S = 1.0

# A disk that refuses is tried again so often, a second apart; then the report says what is wrong.
_TRIES = 10

# What a file is called while it is made.
_UNFINISHED = ".report.tmp"

_NAME = re.compile(
    r"(\d{8}T\d{6}\.\d{3})Z_[a-z0-9-]+_([0-9a-f]{32})_report(?:-\d+)?(?:\.still)?\.(?:mp4|jpg)"
)


@dataclass(slots=True)
class Reporter:
    """Cuts what is reported. `wanted` are the cameras of now, by name."""

    settings: Settings
    store: Store
    scribe: Scribe
    wanted: Callable[[], Mapping[str, Wanted]]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _tried: dict[str, int] = field(default_factory=dict, init=False)
    _stop: threading.Event = field(default_factory=threading.Event, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    @property
    def folder(self) -> Path:
        """Where evidence lies."""
        return self.settings.evidence_folder

    def start(self) -> None:
        """Look for reports from now on."""
        self._thread = threading.Thread(target=self._run, name="reporting", daemon=True)
        self._thread.start()

    def finish(self, patience_s: float) -> None:
        """Begin nothing more; a report whose film is not finished waits for the next start."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(patience_s)

    def _run(self) -> None:
        self._guarded(lambda: clean(self.folder))
        finished_at = swept_at = float("-inf")
        while not self._stop.wait(_LOOK_EVERY_S):
            now_s = time.monotonic()
            if now_s - finished_at >= _FINISH_EVERY_S:
                finished_at = now_s
                self._guarded(lambda: finish_left_behind(self.settings))
            if now_s - swept_at >= _SWEEP_EVERY_S:
                swept_at = now_s
                self._guarded(lambda: sweep_replay(self.settings))
            self._guarded(self.look)

    def _guarded(self, step: Callable[[], object]) -> None:
        """The thread's outer edge: nobody would notice that it has ended."""
        try:
            step()
        except (JikimiError, OSError) as error:
            log.warning("reports and replay: %s", error)
        except Exception:
            log.error("reports and replay: something failed; it is tried again", exc_info=True)

    def look(self) -> None:
        """Cut what was reported and has been recorded by now. Raises StoreError."""
        for report in self.store.uncut_reports():
            if self._stop.is_set():
                return
            _, post_s = self._rolls(report.camera)
            if (self.now() - report.end_at).total_seconds() >= post_s + _WRITTEN_S:
                self._settle(report)

    def _settle(self, report: ReportRecord) -> None:
        """Store what comes of a report; what cannot be done is tried again, and holds up no other report."""
        try:
            files, problem = self._found(report) or self._cut(report)
        except (JikimiError, OSError) as error:
            words = str(error) if isinstance(error, JikimiError) else f"{self.folder}: {error.strerror}"
            log.warning("report %s: %s", report.uid, words)
        except Exception as error:
            words = f"{type(error).__name__}: {error}"
            log.error("report %s: its film cannot be cut", report.uid, exc_info=True)
        else:
            words = ""
        if words:
            self._tried[report.uid] = self._tried.get(report.uid, 0) + 1
            if self._tried[report.uid] < _TRIES:
                return
            files, problem = [], f"its film cannot be kept: {words}"
        self._tried.pop(report.uid, None)
        self.store.report_cut(report.uid, at=self.now(), files=files, problem=problem)

    def _rolls(self, camera: str) -> tuple[float, float]:
        """Seconds kept before and after."""
        wish, evidence = self.wanted().get(camera), self.settings.evidence
        own = wish.settings if wish is not None else None
        pre_s = own.pre_roll_s if own is not None and own.pre_roll_s is not None else evidence.pre_roll_s
        post_s = own.post_roll_s if own is not None and own.post_roll_s is not None else evidence.post_roll_s
        return min(pre_s, _MOST_ROLL_S), min(post_s, _MOST_ROLL_S)

    def _found(self, report: ReportRecord) -> tuple[list[ReportEvidence], str] | None:
        """What was entered into the manifest before the site was killed; None: nothing was."""
        listed = Manifest(self.folder).listed()
        mine = [record for path, record in listed.items() if _uid_of(Path(path)) == report.uid]
        for path in (self.folder / safe_name(report.camera)).glob(f"*_{report.uid}_report*"):
            if path.relative_to(self.folder).as_posix() not in listed:
                path.unlink(missing_ok=True)  # finished, and never entered
        if not mine:
            return None
        films = [_joined(self.folder / one.path) for one in mine if one.kind == "video"]
        spans = {film.path: film for film in films}
        files = [_file(report, one, spans.get(self.folder / one.path)) for one in mine]
        return files, _lacking(report, films)

    def _cut(self, report: ReportRecord) -> tuple[list[ReportEvidence], str]:
        """Cut the film, hide what nobody may see, enter it into the manifest."""
        wish = self.wanted().get(report.camera)
        if wish is None:  # its masks are not known any more
            return [], f"camera {report.camera!r} is watched no more: what its masks hide is not known"
        pre_s, post_s = self._rolls(report.camera)
        start, end = report.start_at - timedelta(seconds=pre_s), report.end_at + timedelta(seconds=post_s)
        found = pieces(self.settings.replay_folder / safe_name(report.camera), start=start, end=end)
        folder = self.folder / safe_name(report.camera)
        made = join(
            found,
            start_s=start.timestamp(),
            end_s=end.timestamp(),
            name=lambda n: folder / f".{report.uid}-{n}{_UNFINISHED}",  # not yet blackened: hidden
        )
        files: list[ReportEvidence] = []
        try:
            for number, joined in enumerate(made):
                files += self._enter(report, wish.settings, joined, number)
        finally:
            for joined in made:
                joined.path.unlink(missing_ok=True)
        return files, _lacking(report, made)

    def _enter(
        self, report: ReportRecord, camera: CameraSettings, joined: Joined, number: int
    ) -> list[ReportEvidence]:
        """Give one film its name, a still and its records."""
        hidden = [mask.polygon for mask in camera.masks if mask.kind == "blacken"]
        if hidden:
            blacken(joined.path, hidden)
        again = f"-{number + 1}" if number else ""
        begun = stamp(datetime.fromtimestamp(joined.start_s, UTC))
        stem = f"{begun}_{report.behavior or report.kind}_{report.uid}_report{again}"
        film = joined.path.with_name(f"{stem}.mp4")
        joined.path.replace(film)
        record = Manifest(self.folder).add(film, camera=report.camera, incident="", kind="video")
        files = [_file(report, record, joined)]
        picture = film.with_name(f"{stem}.still.jpg")
        middle_s = (report.start_at.timestamp() + report.end_at.timestamp()) / 2
        try:
            still(film, min(max(middle_s, joined.start_s), joined.end_s) - joined.start_s, picture)
        except VideoError as error:
            log.warning("report %s: no still: %s", report.uid, error)
        else:
            record = Manifest(self.folder).add(picture, camera=report.camera, incident="", kind="still")
            files.append(_file(report, record, None))
        self.scribe.put(Action(lambda store: store.set_meta(HEAD, record.hash)))
        return files


def clean(folder: Path) -> None:
    """Remove what a killed run was making."""
    for path in folder.rglob(f".*{_UNFINISHED}*"):
        path.unlink(missing_ok=True)


def _uid_of(path: Path) -> str | None:
    """The report that a file of evidence belongs to, by its name; None for any other file."""
    found = _NAME.fullmatch(path.name)
    return found[2] if found is not None else None


def _joined(path: Path) -> Joined:
    """A film that was cut, by its name and its length. Raises VideoError."""
    found = _NAME.fullmatch(path.name)
    assert found is not None
    start_s = datetime.strptime(found[1], "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC).timestamp()
    return Joined(path, start_s, start_s + length_s(path))


def _file(report: ReportRecord, record: Record, joined: Joined | None) -> ReportEvidence:
    assert record.kind
    zero_s = report.start_at.timestamp()
    return ReportEvidence(
        report.uid,
        record.kind,
        Path(record.path),
        record.sha256,
        record.size_bytes,
        datetime.fromisoformat(record.at),
        start_s=0.0 if joined is None else round(joined.start_s - zero_s, 3),
        end_s=0.0 if joined is None else round(joined.end_s - zero_s, 3),
        complete=joined is None or not _lacking(report, [joined]),
    )


def _lacking(report: ReportRecord, films: Sequence[Joined]) -> str:
    """What of the reported time no film has, in words; empty: nothing. Pure."""
    start_s, end_s = report.start_at.timestamp(), report.end_at.timestamp()
    kept_s = sum(max(0.0, min(one.end_s, end_s) - max(one.start_s, start_s)) for one in films)
    if kept_s >= end_s - start_s - _SLACK_S and films:
        return ""
    if kept_s == 0:
        return (
            "there is no footage of that time: replay_minutes is too short for it, the camera was away, "
            "or the disk too full"
        )
    return f"of {end_s - start_s:.0f} s there is footage of {kept_s:.0f} s"
