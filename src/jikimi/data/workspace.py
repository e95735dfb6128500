"""The folder a data set is prepared in: lock, records of finished clips, unfinished ones, and clearing up.

    DATA/.prepare/lock              held while a prepare runs
    DATA/.prepare/unfinished/       frames being written; removed at the next start
    DATA/.prepare/records/KEY.json  what a clip's frames came to, written after the frames are in place

A folder of frames is named by its key and never changes once in place, so the data set that the present
manifest describes stays whole until a new manifest replaces it; only then is what it does not name removed.
"""

import fcntl
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from jikimi.data.extract import Extracted, Refused
from jikimi.errors import DataError

log = logging.getLogger(__name__)

PRIVATE = ".prepare"
FRAMES = "frames"


def is_prepared(folder: Path) -> bool:
    """Whether a folder is a prepared data set, finished or not: its frames are no source."""
    return (folder / PRIVATE).is_dir()


@dataclass(frozen=True, slots=True)
class Workspace:
    """A locked data set folder. Made by `open_workspace`."""

    root: Path

    @property
    def _records(self) -> Path:
        return self.root / PRIVATE / "records"

    @property
    def _unfinished(self) -> Path:
        return self.root / PRIVATE / "unfinished"

    def frames_dir(self, behavior: str, clip_id: str) -> Path:
        """Where a clip's finished frames lie."""
        return self.root / FRAMES / behavior / clip_id

    def unfinished_dir(self, key: str) -> Path:
        """Where a clip's frames are written until they are complete."""
        # One folder a run: a worker outliving its killed parent by a moment cannot disturb the next run.
        return self._unfinished / str(os.getpid()) / key

    def recall(self, key: str) -> Extracted | Refused | None:
        """What an earlier run made of a content, None where nothing is known."""
        try:
            record = json.loads((self._records / f"{key}.json").read_text(encoding="utf-8"))
            if "reason" in record:
                return Refused(record["reason"])
            notes, background = tuple(record.pop("notes")), bytes.fromhex(record.pop("background"))
            return Extracted(**record, notes=notes, background=background)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None  # not there yet, or damaged: the clip is prepared again

    def holds(self, extracted: Extracted, frames: Path) -> bool:
        """Whether all of a clip's frames lie in place and whole."""
        try:
            sizes = [entry.stat().st_size for entry in os.scandir(frames)]
        except OSError:
            return False
        return (len(sizes), sum(sizes)) == (extracted.n_frames, extracted.n_bytes)

    def keep(self, key: str, outcome: Extracted, frames: Path) -> None:
        """Put a clip's complete frames in place, then write its record."""
        frames.parent.mkdir(parents=True, exist_ok=True)
        if frames.exists():  # left by a run that was killed before it wrote the record
            shutil.rmtree(frames)
        self.unfinished_dir(key).rename(frames)
        record = asdict(outcome) | {"background": outcome.background.hex()}
        self._write_record(key, record)

    def keep_refusal(self, key: str, refused: Refused) -> None:
        """Remember that a content cannot be used, so that it is not tried again."""
        self._write_record(key, {"reason": refused.reason})

    def _write_record(self, key: str, record: dict[str, object]) -> None:
        self._records.mkdir(parents=True, exist_ok=True)
        write_atomically(self._records / f"{key}.json", json.dumps(record, ensure_ascii=False))

    def sweep(self, *, frames: set[Path], keys: set[str]) -> int:
        """Remove every folder of frames and every record that is not named; return how many were removed."""
        stale = [path for path in (self.root / FRAMES).glob("*/*") if path not in frames] + [
            path for path in self._records.glob("*") if path.stem not in keys
        ]
        for path in stale:
            _remove(path)
        for folder in (self.root / FRAMES).glob("*"):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        return len(stale)

    def clear_unfinished(self) -> None:
        """Remove what killed runs left half written."""
        shutil.rmtree(self._unfinished, ignore_errors=True)
        for path in [*self.root.glob(".*.tmp"), *self._records.glob("*.tmp")]:
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that it is either the old one or the new one, whatever happens."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8", newline="")
    temporary.replace(path)


@contextmanager
def open_workspace(root: Path) -> Iterator[Workspace]:
    """Lock a folder for preparing a data set; it is made if need be.

    Raises:
        DataError: another prepare is at work in it, it holds frames of another origin, or it cannot be
            written.
    """
    if (root / FRAMES).exists() and not is_prepared(root):
        raise DataError(f"{root}: has a folder {FRAMES!r} that prepare did not make; choose another --out")
    try:
        (root / PRIVATE).mkdir(parents=True, exist_ok=True)
        lock = (root / PRIVATE / "lock").open("a")
    except OSError as error:
        raise DataError(f"{root}: cannot be written: {error.strerror or error}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(
                f"{root}: another prepare is writing here; wait for it, or choose another --out"
            ) from error
        except OSError as error:
            raise DataError(f"{root}: cannot be locked: {error.strerror or error}") from error
        workspace = Workspace(root)
        workspace.clear_unfinished()
        yield workspace
