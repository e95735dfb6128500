"""What must reach the store, in order, in a thread of its own: watching never waits for a database.

What somebody must be told lies on disk before the store is tried (one small file, fsynced), so that neither
a locked database nor a kill in between loses it: it is told again at the next start. Telling twice is
telling once, by uid. A disk that hangs holds up whoever tells for half a second and no longer.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

from pydantic import TypeAdapter, ValidationError

from jikimi.errors import NotFoundError, StoreBusyError, StoreError
from jikimi.store import FaultRecord, IncidentRecord, Notice, Store

log = logging.getLogger(__name__)

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0

# A store that takes other things but refuses an entry this often will refuse it always.
_REFUSALS = 5
_PROBE = "scribe"

# An entry on disk takes milliseconds. A disk that is slower is waited for no longer by who watches.
_DISK_S = 0.5

# What power failure leaves unnamed is whole or is not, and is read as well.
_SUFFIX, _UNNAMED, _REFUSED = ".json", ".tmp", ".refused"


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


def _end(entry: OpenedIncident | BegunFault, store: Store) -> None:
    """End what an earlier run left open, and tell nobody. Raises StoreError."""
    now = datetime.now(UTC)
    if isinstance(entry, OpenedIncident):
        store.close_incident(entry.uid, at=now, peak=entry.incident.peak, score=0.0)
    else:
        store.end_fault(entry.uid, at=now)


@dataclass(slots=True)
class Scribe:
    """Writes in the order of `put`, what somebody must be told before anything else.

    `wrote` is called after each of those is in the store; `ended` ends what an earlier run has left behind,
    after it was written. `refused` counts those that the store does not take; they are tried again at the
    next start. `retries` counts failed tries, `problem` is what the last one met.
    """

    store: Store
    spool: Path
    wrote: Callable[[OpenedIncident | BegunFault], None] = lambda _entry: None
    ended: Callable[[OpenedIncident | BegunFault, Store], None] = _end
    clock: Callable[[], float] = time.monotonic
    retries: int = field(default=0, init=False)
    refused: int = field(default=0, init=False)
    _pending: Future[None] | None = field(default=None, init=False)
    problem: str = field(default="", init=False)
    _alerts: deque[tuple[OpenedIncident | BegunFault, float]] = field(default_factory=deque, init=False)
    _actions: deque[tuple[Action, float]] = field(default_factory=deque, init=False)
    _news: threading.Condition = field(default_factory=threading.Condition, init=False)
    _ended: bool = field(default=False, init=False)
    _disk: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="spool"), init=False
    )
    _thread: threading.Thread | None = field(default=None, init=False)

    @property
    def waiting(self) -> int:
        """Entries that are not in the store yet."""
        return len(self._alerts) + len(self._actions)

    @property
    def waiting_s(self) -> float:
        """How long the oldest of them has waited, seconds."""
        with self._news:
            since = [queue[0][1] for queue in (self._alerts, self._actions) if queue]
        return self.clock() - min(since) if since else 0.0

    def start(self) -> None:
        """Take up what an earlier run has left, and begin to write."""
        for entry in self._left_behind():
            self.put(entry)
            self.put(Action(partial(self.ended, entry)))
        self._thread = threading.Thread(target=self._run, name="scribe", daemon=True)
        self._thread.start()

    def put(self, entry: OpenedIncident | BegunFault | Action) -> None:
        """Write this after what was put before."""
        if not isinstance(entry, Action):
            keeps_up = self._pending is None or self._pending.done()
            self._pending = self._disk.submit(self._keep, entry)
            if keeps_up:  # a disk that hangs is waited for once, and not for each of many alerts
                wait([self._pending], _DISK_S)
        with self._news:
            if isinstance(entry, Action):
                self._actions.append((entry, self.clock()))
            else:
                self._alerts.append((entry, self.clock()))
            self._news.notify_all()

    def finish(self, patience_s: float) -> bool:
        """Write what waits, for so long → whether everything is written. What is not stays on disk."""
        with self._news:
            self._news.wait_for(lambda: not self.waiting, patience_s)
            self._ended = True
            self._news.notify_all()
            done = not self.waiting
        if self._thread is not None:
            self._thread.join(1.0)
        self._disk.shutdown(wait=False)
        return done

    def _run(self) -> None:
        pause_s, refused = _FIRST_PAUSE_S, 0
        before = None
        while (entry := self._next()) is not None:
            refused = refused if entry is before else 0
            before = entry
            error = self._try(entry)
            if error is None:
                pause_s, refused, self.problem = _FIRST_PAUSE_S, 0, ""
                self._written(entry)
                continue
            self.retries += 1
            self.problem = str(error)
            refused = 0 if isinstance(error, StoreBusyError) else refused + 1
            if self._is_poison(entry, error, refused):
                self._set_aside(entry, error)
                refused = 0
                continue
            log.warning("%s; trying again", error)
            self._wait(pause_s)
            pause_s = min(_LONGEST_PAUSE_S, 2 * pause_s)

    def _try(self, entry: OpenedIncident | BegunFault | Action) -> Exception | None:
        """Write an entry → what went wrong. Nothing may end this thread: every alert goes through it."""
        try:
            entry.write(self.store)
        except StoreError as error:
            return error
        except Exception as error:  # an entry's own fault
            log.error("writing an entry failed", exc_info=True)
            return error
        return None

    def _is_poison(self, entry: OpenedIncident | BegunFault | Action, error: Exception, refused: int) -> bool:
        """Whether it is this entry that will never be taken, and not the store that takes nothing now."""
        own = not isinstance(error, StoreError)
        if isinstance(error, NotFoundError) or (own and isinstance(entry, Action)):
            return True
        if refused < _REFUSALS:
            return False
        return self._try(Action(lambda store: store.set_meta(_PROBE, datetime.now(UTC).isoformat()))) is None

    def _next(self) -> OpenedIncident | BegunFault | Action | None:
        with self._news:
            self._news.wait_for(lambda: self.waiting or self._ended)
            if self._ended:
                return None
            return self._alerts[0][0] if self._alerts else self._actions[0][0]

    def _wait(self, seconds: float) -> None:
        with self._news:
            self._news.wait_for(lambda: self._ended, seconds)

    def _written(self, entry: OpenedIncident | BegunFault | Action) -> None:
        self._done(entry)
        if isinstance(entry, Action):
            return
        self._on_disk(lambda: self._file(entry).unlink(missing_ok=True))
        try:
            self.wrote(entry)
        except Exception:
            log.error("an entry is written, and whoever waits for it was not woken", exc_info=True)

    def _set_aside(self, entry: OpenedIncident | BegunFault | Action, error: Exception) -> None:
        """A refused entry must not hold up those behind it; one that matters stays on disk, renamed."""
        log.error("the store refuses an entry: %s", error)
        self._done(entry)
        if not isinstance(entry, Action):
            self.refused += 1
            file = self._file(entry)
            self._on_disk(lambda: file.replace(file.with_suffix(_REFUSED)))

    def _done(self, entry: OpenedIncident | BegunFault | Action) -> None:
        with self._news:
            (self._actions if isinstance(entry, Action) else self._alerts).popleft()
            self._news.notify_all()

    def _on_disk(self, step: Callable[[], object]) -> None:
        """Do something with the spool, after what was to be done before."""

        def careful() -> None:
            try:
                step()
            except FileNotFoundError:
                log.warning("%s: an entry was never on disk", self.spool)
            except OSError as error:
                log.error("%s: %s", self.spool, error.strerror)

        try:
            self._disk.submit(careful)
        except RuntimeError:  # shut down: the file stays, and telling twice is telling once
            log.debug("%s: left as it is", self.spool)

    def _file(self, entry: OpenedIncident | BegunFault) -> Path:
        kind = "incident" if isinstance(entry, OpenedIncident) else "fault"
        return self.spool / f"{kind}-{entry.uid}{_SUFFIX}"

    def _keep(self, entry: OpenedIncident | BegunFault) -> None:
        """Put an entry on disk. Where that fails, memory and the store must do."""
        file = self._file(entry)
        temporary = file.with_suffix(_UNNAMED)
        try:
            data = (
                _INCIDENT.dump_json(entry) if isinstance(entry, OpenedIncident) else _FAULT.dump_json(entry)
            )
            self.spool.mkdir(mode=0o700, parents=True, exist_ok=True)
            with temporary.open("wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            temporary.replace(file)
        except (OSError, ValueError) as error:
            log.error("%s: %s; the entry is kept in memory only", self.spool, error)

    def _left_behind(self) -> list[OpenedIncident | BegunFault]:
        """What an earlier run had not written, oldest first. What cannot be read is renamed."""
        found: list[tuple[float, OpenedIncident | BegunFault]] = []
        for file in sorted(self.spool.glob("*-*")) if self.spool.is_dir() else []:
            if file.suffix not in (_SUFFIX, _UNNAMED, _REFUSED):
                continue
            adapter = _INCIDENT if file.name.startswith("incident-") else _FAULT
            try:
                entry = adapter.validate_json(file.read_bytes())
                found.append((file.stat().st_mtime, entry))
            except (ValidationError, OSError) as error:
                log.error("%s: cannot be read: %s", file, type(error).__name__)
                self._on_disk(partial(file.replace, file.with_suffix(".damaged")))
        return [_unmeasured(entry) for _, entry in sorted(found, key=lambda pair: pair[0])]


def _unmeasured(entry: OpenedIncident | BegunFault) -> OpenedIncident | BegunFault:
    """The entry without its moment of an earlier boot's clock."""
    return replace(entry, noticed_s=None) if isinstance(entry, OpenedIncident) else entry
