"""What must reach the store, in order, in a thread of its own: watching never waits for a database.

What somebody must be told lies on disk before the store is tried (one small file, fsynced), so that neither
a locked database nor a kill in between loses it: it is told again at the next start. Telling twice is
telling once, by uid.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pydantic import TypeAdapter, ValidationError

from jikimi.errors import StoreBusyError, StoreError
from jikimi.store import FaultRecord, IncidentRecord, Notice, Store

log = logging.getLogger(__name__)

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0

# A store that answers but refuses an entry this often will refuse it always.
_REFUSALS = 5

_SUFFIX = ".json"


class Entry(Protocol):
    """Something to be written into the store."""

    def write(self, store: Store) -> None:
        """Write it. Raises StoreError."""
        ...


@dataclass(frozen=True, slots=True)
class OpenedIncident:
    """An incident and whom to tell of it: one transaction. `noticed_s` (monotonic) is only for measuring."""

    incident: IncidentRecord
    notices: Sequence[Notice]
    noticed_s: float | None = None

    @property
    def uid(self) -> str:
        """Whose entry this is."""
        return self.incident.uid

    def write(self, store: Store) -> None:
        """Write it, once however often it is tried."""
        store.open_incident(self.incident, self.notices)


@dataclass(frozen=True, slots=True)
class BegunFault:
    """A fault and whom to tell of it."""

    fault: FaultRecord
    notices: Sequence[Notice]

    @property
    def uid(self) -> str:
        """Whose entry this is."""
        return self.fault.uid

    def write(self, store: Store) -> None:
        """Write it, once however often it is tried."""
        store.begin_fault(self.fault, self.notices)


@dataclass(frozen=True, slots=True)
class Action:
    """Anything else: what is lost with it at a kill is found or told again at the next start."""

    write: Callable[[Store], object]


_INCIDENT, _FAULT = TypeAdapter(OpenedIncident), TypeAdapter(BegunFault)


@dataclass(slots=True)
class Scribe:
    """Writes in the order of `put`. `wrote` is called after each durable entry is in the store.

    `retries` counts failed tries; `waiting_since_s` is how long the oldest entry has waited (None: nothing
    waits).
    """

    store: Store
    spool: Path
    wrote: Callable[[OpenedIncident | BegunFault], None] = lambda _entry: None
    clock: Callable[[], float] = time.monotonic
    retries: int = field(default=0, init=False)
    problem: str = field(default="", init=False)
    _entries: deque[tuple[OpenedIncident | BegunFault | Action, float]] = field(
        default_factory=deque, init=False
    )
    _news: threading.Condition = field(default_factory=threading.Condition, init=False)
    _ended: bool = field(default=False, init=False)
    _busy: bool = field(default=False, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    @property
    def waiting(self) -> int:
        """Entries that are not in the store yet."""
        return len(self._entries)

    @property
    def waiting_s(self) -> float:
        """How long the oldest of them has waited, seconds."""
        try:
            return self.clock() - self._entries[0][1]
        except IndexError:
            return 0.0

    def start(self) -> None:
        """Take up what an earlier run has left, and begin to write."""
        for entry in self._left_behind():
            self.put(entry)
        self._thread = threading.Thread(target=self._run, name="scribe", daemon=True)
        self._thread.start()

    def put(self, entry: OpenedIncident | BegunFault | Action) -> None:
        """Write this after what was put before."""
        if not isinstance(entry, Action):
            self._keep(entry)
        with self._news:
            self._entries.append((entry, self.clock()))
            self._news.notify_all()

    def finish(self, patience_s: float) -> bool:
        """Write what waits, for so long → whether everything is written. What is not stays on disk."""
        with self._news:
            self._news.wait_for(lambda: not self._entries, patience_s)
            self._ended = True
            self._news.notify_all()
            done = not self._entries
        if self._thread is not None:
            self._thread.join(1.0)
        return done

    def _run(self) -> None:
        pause_s, refused = _FIRST_PAUSE_S, 0
        while (entry := self._next()) is not None:
            try:
                entry.write(self.store)
            except StoreError as error:
                self.retries += 1
                self.problem = str(error)
                log.warning("%s; trying again", error)
                refused = 0 if isinstance(error, StoreBusyError) else refused + 1
                if refused >= _REFUSALS:
                    self._set_aside(entry, error)
                    refused = 0
                    continue
                self._wait(pause_s)
                pause_s = min(_LONGEST_PAUSE_S, 2 * pause_s)
                continue
            pause_s, refused, self.problem = _FIRST_PAUSE_S, 0, ""
            self._written(entry)

    def _next(self) -> OpenedIncident | BegunFault | Action | None:
        with self._news:
            self._news.wait_for(lambda: self._entries or self._ended)
            return self._entries[0][0] if self._entries and not self._ended else None

    def _wait(self, seconds: float) -> None:
        with self._news:
            self._news.wait_for(lambda: self._ended, seconds)

    def _written(self, entry: OpenedIncident | BegunFault | Action) -> None:
        with self._news:
            self._entries.popleft()
            self._news.notify_all()
        if not isinstance(entry, Action):
            self._file(entry).unlink(missing_ok=True)
            self.wrote(entry)

    def _set_aside(self, entry: OpenedIncident | BegunFault | Action, error: StoreError) -> None:
        """A refused entry must not hold up those behind it; one that matters stays on disk, renamed."""
        log.error("the store refuses an entry: %s", error)
        with self._news:
            self._entries.popleft()
            self._news.notify_all()
        if not isinstance(entry, Action):
            file = self._file(entry)
            file.replace(file.with_suffix(".refused"))

    def _file(self, entry: OpenedIncident | BegunFault) -> Path:
        kind = "incident" if isinstance(entry, OpenedIncident) else "fault"
        return self.spool / f"{kind}-{entry.uid}{_SUFFIX}"

    def _keep(self, entry: OpenedIncident | BegunFault) -> None:
        """Put an entry on disk. Where that fails, memory and the store must do."""
        file = self._file(entry)
        data = _INCIDENT.dump_json(entry) if isinstance(entry, OpenedIncident) else _FAULT.dump_json(entry)
        temporary = file.with_suffix(".tmp")
        try:
            self.spool.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            temporary.replace(file)
        except OSError as error:
            log.error("%s: %s; the entry is kept in memory only", self.spool, error.strerror)

    def _left_behind(self) -> list[OpenedIncident | BegunFault]:
        found: list[OpenedIncident | BegunFault] = []
        for file in sorted(self.spool.glob(f"*{_SUFFIX}")) if self.spool.is_dir() else []:
            adapter = _INCIDENT if file.name.startswith("incident-") else _FAULT
            try:
                found.append(adapter.validate_json(file.read_bytes()))
            except (ValidationError, OSError) as error:
                log.error("%s: cannot be read: %s", file, type(error).__name__)
                file.replace(file.with_suffix(".damaged"))
        return found
