"""Room kept for alerts: a file that takes up space until the disk is full, and is then let go.

Evidence may fail when somebody else fills the disk; incidents and their alerts, a few kB each, must still
be stored.
"""

import logging
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger(__name__)

# An incident with its notices takes about 70 kB of SQLite's write-ahead log: room for hundreds.
SIZE_BYTES = 32 << 20

# Below this the database's next write may fail.
_FULL_BYTES = 8 << 20


@dataclass(slots=True)
class Ballast:
    """The file `path`. `look` is called a few times a second; `used` says that the disk was full."""

    path: Path
    size_bytes: int = SIZE_BYTES
    used: bool = field(default=False, init=False)

    def look(self) -> int:
        """Let the file go when the disk is full, make it again when there is room → free bytes."""
        free = shutil.disk_usage(self.path.parent).free
        if free < _FULL_BYTES:
            self._release()
        elif free > 4 * self.size_bytes and not self.path.exists():
            self._take()
        return free

    def _release(self) -> None:
        try:
            self.path.unlink()
        except FileNotFoundError:
            return
        except OSError as error:
            log.error("%s: cannot be let go: %s", self.path, error.strerror)
            return
        self.used = True
        log.error("%s: the disk is full; the room kept for alerts is used now", self.path.parent)

    def _take(self) -> None:
        try:
            with self.path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, self.size_bytes)
            self.used = False
        except OSError as error:
            log.warning("%s: no room can be kept for alerts: %s", self.path, error.strerror)
            with suppress(OSError):  # a disk that can only be read
                self.path.unlink(missing_ok=True)
