"""How much replay there may be: so old, so large, and never at the cost of evidence."""

import logging
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from jikimi.archive import StoredFile, plan
from jikimi.settings import CameraSettings, Settings
from jikimi.video import recover
from jikimi.watch.naming import safe_name
from jikimi.watch.replay import Shelf, begun_at

log = logging.getLogger(__name__)

# Replay leaves this much more of the disk free than evidence has to: it gives way before evidence is deleted.
_AHEAD_BYTES = 200 << 20

# A film that began so long ago is written by nobody any more: they end after ten minutes.
_LEFT_MINUTES = 20.0

_GB = 1_000_000_000
_MINUTES_A_DAY = 1440.0


def shelf_of(settings: Settings, camera: CameraSettings) -> Shelf | None:
    """Where a camera keeps its replay; None: it keeps none."""
    if settings.evidence.replay_minutes == 0:
        return None
    return Shelf(settings.replay_folder / safe_name(camera.name), _wanted_free(settings))


def sweep_replay(settings: Settings, *, now: float | None = None) -> int:
    """Delete the oldest films until age, size and the disk's free space are right → bytes freed.

    Raises:
        OSError: the disk refuses.
    """
    folder, limits = settings.replay_folder, settings.evidence
    if not folder.exists():
        return 0
    chosen = plan(
        _films(folder),
        now=time.time() if now is None else now,
        max_age_days=limits.replay_minutes / _MINUTES_A_DAY,
        max_bytes=round(limits.max_gb * _GB),
        free_bytes=shutil.disk_usage(folder).free,
        min_free_bytes=_wanted_free(settings),
    )
    for film in chosen:
        Path(film.path).unlink(missing_ok=True)
    return sum(film.size_bytes for film in chosen)


def finish_left_behind(settings: Settings) -> None:
    """Give films that a killed process was writing their names; what cannot be finished goes by age, too."""
    folder = settings.replay_folder
    if not folder.exists():
        return
    recover(folder)
    oldest = datetime.now(UTC) - timedelta(minutes=max(settings.evidence.replay_minutes, _LEFT_MINUTES))
    for part in folder.rglob(".*.part"):
        begun = begun_at(part)
        if begun is not None and begun < oldest:
            part.unlink(missing_ok=True)


def _films(folder: Path) -> list[StoredFile]:
    """What is finished, by when it ended. A film may go while it is looked at: its camera's folder, too."""
    found = []
    for path in folder.rglob("*.mp4"):
        if path.name.startswith(".") or begun_at(path) is None:
            continue
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        found.append(StoredFile(str(path), stat.st_size, stat.st_mtime))
    return found


def _wanted_free(settings: Settings) -> int:
    return round(settings.evidence.min_free_gb * _GB) + _AHEAD_BYTES
