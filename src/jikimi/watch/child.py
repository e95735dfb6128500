"""A process of its own for whatever may hang or crash, watched by its beats and ended when they stop.

A child sends `Beat` at least every `BEAT_S`. One that has not for `silent_s`, or has died, is killed and
started again: at once the first time, later and later when it keeps dying.
"""

import logging
import multiprocessing
import os
import pickle
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Any, Protocol

from jikimi import logs

log = logging.getLogger(__name__)

BEAT_S = 0.25

# What hangs is killed within 2 s (peers.md): silence is noticed after this, killing takes milliseconds.
SILENT_S = 1.5

# Loading code and a model on a busy machine.
START_S = 30.0

# Time in which the parent itself did not look (it was stopped, or starved) is no silence of the child's: of
# each look this much counts.
_LOOK_S = 0.5

# What is killed is gone within milliseconds, or waits for a disk that hangs: nobody waits for that with it.
_KILL_S = 0.2

# A child that lived this long was well: its next death is met at once again. One that dies sooner, again and
# again, is started every few seconds all the same: each pause is blindness.
_WELL_S = 2.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 5.0


@dataclass(frozen=True, slots=True)
class Beat:
    """A sign of life, with whatever the child tells at every beat."""

    news: Any = None


def send(pipe: Connection, message: Any) -> bool:
    """Send to the other end; False when it has gone, which its own loop will notice."""
    try:
        pipe.send(message)
    except OSError:
        return False
    return True


class Running(Protocol):
    """A process that was started."""

    @property
    def pid(self) -> int | None: ...

    def exit_code(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        ...

    def kill(self) -> None:
        """End it at once, whatever it does."""
        ...


Launch = Callable[[Connection], Running]
"""Starts a process that speaks through the given end of a pipe."""


@dataclass(frozen=True, slots=True)
class Forked:
    """Launches `main(pipe, *arguments)` from the fork server: in 50 ms, and its imports are shared."""

    context: ForkServerContext
    name: str
    main: Callable[..., None]
    arguments: tuple[Any, ...]

    def __call__(self, pipe: Connection) -> Running:
        """Start it."""
        target = (self.name, self.main, pipe, self.arguments)
        process = self.context.Process(target=run_child, args=target, name=self.name)
        process.start()
        return _ForkedProcess(process)


@dataclass(slots=True)
class _ForkedProcess:
    process: ForkServerProcess
    _code: int | None = None

    @property
    def pid(self) -> int | None:
        return self.process.pid if self._code is None else None

    def exit_code(self) -> int | None:
        if self._code is None and self.process.exitcode is not None:
            self._code = self.process.exitcode
            self.process.close()
        return self._code

    def kill(self) -> None:
        if self.exit_code() is None:
            self.process.kill()  # also ends what is stopped
            self.process.join(_KILL_S)
            self.exit_code()


@dataclass(frozen=True, slots=True)
class Program:
    """Launches `python -m jikimi ARGUMENTS`, in a group of its own, told the pipe's number by `--pipe`."""

    arguments: Sequence[str]

    def __call__(self, pipe: Connection) -> Running:
        """Start it."""
        number = str(pipe.fileno())
        command = [sys.executable, "-m", "jikimi", *self.arguments, "--pipe", number]
        return _Started(subprocess.Popen(command, pass_fds=[pipe.fileno()], start_new_session=True))


# What a part leaves behind may finish its evidence; then it is ended.
_ORPHANS_S = 6.0


@dataclass(slots=True)
class _Started:
    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int | None:
        return self.process.pid

    def exit_code(self) -> int | None:
        return self.process.poll()

    def kill(self) -> None:
        self.process.kill()
        # Apart from this process: the orphans end even when this one ends first.
        command = f"(sleep {_ORPHANS_S}; kill -s KILL -- -{self.process.pid}) >/dev/null 2>&1 &"
        try:
            self.process.wait(_KILL_S)
        except subprocess.TimeoutExpired:
            log.warning("process %d does not die: it waits for a disk", self.process.pid)
        try:
            subprocess.run(["/bin/sh", "-c", command], check=False, start_new_session=True)
        except OSError as error:
            log.error("what process %d left behind is not ended: %s", self.process.pid, error.strerror)


# As `multiprocessing.Connection` frames what it sends (below 2 GiB).
_LENGTH = struct.Struct("!i")

# A child that sends without end must not hold up the parent: so much is read at a time.
_MOST_BYTES = 4 << 20


@dataclass(slots=True)
class _Inbox:
    """Messages from a pipe's end, never waiting: `Connection.recv` would, for who stops in mid-message.

    `gone`: the other end has closed. `garbled` says what came that is no message.
    """

    pipe: Connection
    gone: bool = field(default=False, init=False)
    garbled: str = field(default="", init=False)
    _bytes: bytearray = field(default_factory=bytearray, init=False)

    def receive(self) -> list[Any]:
        """What has come whole since the last call."""
        taken = 0
        try:
            while taken < _MOST_BYTES and self.pipe.poll():
                piece = os.read(self.pipe.fileno(), 1 << 16)
                if not piece:
                    self.gone = True
                    break
                self._bytes += piece
                taken += len(piece)
        except OSError:
            self.gone = True
        return self._whole()

    def _whole(self) -> list[Any]:
        messages: list[Any] = []
        while not self.garbled and len(self._bytes) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._bytes)
            end = _LENGTH.size + length
            if not 0 < length <= _MOST_BYTES:
                self.garbled = f"{length} bytes"
            elif len(self._bytes) < end:
                break
            else:
                self._unpickle(messages, bytes(self._bytes[_LENGTH.size : end]))
                del self._bytes[:end]
        return messages

    def _unpickle(self, messages: list[Any], message: bytes) -> None:
        try:
            messages.append(pickle.loads(message))
        except Exception as error:  # noqa: BLE001 - whatever a broken child says raises whatever
            self.garbled = f"{type(error).__name__}: {error}"


@dataclass(slots=True)
class Child:
    """One child process. Used from one thread of the parent.

    `poll` is called often: it takes what the child has sent, and ends and starts it again where it must, not
    sooner than `least_pause_s` after it was lost.
    """

    name: str
    launch: Launch
    silent_s: float = SILENT_S
    start_s: float = START_S
    least_pause_s: float = 0.0
    clock: Callable[[], float] = time.monotonic
    restarts: int = field(default=0, init=False)
    problem: str = field(default="", init=False)
    pipe: Connection | None = field(default=None, init=False)
    beat_at: float | None = field(default=None, init=False)
    _process: Running | None = field(default=None, init=False)
    _inbox: _Inbox | None = field(default=None, init=False)
    _polled_at: float = field(default=0.0, init=False)
    _quiet_s: float = field(default=0.0, init=False)
    _started_at: float = field(default=0.0, init=False)
    _due_at: float = field(default=0.0, init=False)
    _pause_s: float = field(default=0.0, init=False)

    @property
    def pid(self) -> int | None:
        """Its process, while there is one."""
        return self._process.pid if self._process is not None else None

    @property
    def running(self) -> bool:
        """Whether it has begun to beat and has not been lost since."""
        return self._process is not None and self.beat_at is not None

    def poll(self) -> list[Any]:
        """Return what the child has sent since the last call, and start it again where it is lost."""
        if self._process is None or self._inbox is None:
            if self.clock() >= self._due_at:
                self._start()
            return []
        code = self._process.exit_code()  # before the pipe is read: what it said last is not lost
        messages = self._received()
        now = self.clock()
        self._quiet_s += min(now - self._polled_at, _LOOK_S)
        self._polled_at = now
        if code is not None or self._inbox.gone:
            self._lost(f"ended {self._how(code)}")
        elif self._inbox.garbled:
            self._lost(f"sent what is no message ({self._inbox.garbled})")
        elif self._quiet_s > (self.silent_s if self.beat_at is not None else self.start_s):
            self._lost(f"gave no sign of life for {self._quiet_s:.1f} s")
        return messages

    def tell(self, message: Any) -> bool:
        """Send to the child; False when it cannot take it now."""
        return self.pipe is not None and send(self.pipe, message)

    def let_go(self, patience_s: float) -> list[Any]:
        """Close the pipe, which asks the child to end → what it still said; kill it after `patience_s`."""
        if self._process is None or self.pipe is None or self._inbox is None:
            return []
        self.tell(None)
        messages: list[Any] = []
        until = self.clock() + patience_s
        over = False
        while not over and (left := until - self.clock()) > 0:
            self.pipe.poll(min(left, 0.1))
            code = self._process.exit_code()
            messages += self._received()
            over = code is not None or self._inbox.gone or bool(self._inbox.garbled)
        self._process.kill()
        messages += self._received()  # what lies in the pipe was said
        self.kill()
        return messages

    def kill(self) -> None:
        """End it at once; `poll` starts it again."""
        if self._process is not None:
            self._process.kill()
        if self.pipe is not None:
            self.pipe.close()
        self._process, self.pipe, self._inbox, self.beat_at = None, None, None, None

    def _start(self) -> None:
        try:
            ours, theirs = multiprocessing.Pipe()
            try:
                self._process = self.launch(theirs)
            except BaseException:
                ours.close()
                raise
            finally:
                theirs.close()
        except (OSError, EOFError) as error:  # no memory, no process or file left; the fork server has died
            self._started_at = self.clock()
            self._lost(f"cannot be started: {error}")
            return
        self.pipe, self._inbox, self.beat_at = ours, _Inbox(ours), None
        self._started_at = self._polled_at = self.clock()
        self._quiet_s = 0.0

    def _received(self) -> list[Any]:
        assert self._inbox is not None
        messages: list[Any] = []
        for message in self._inbox.receive():
            if isinstance(message, Beat):
                self.beat_at = self._polled_at = self.clock()
                self._quiet_s = 0.0
                message = message.news
            if message is not None:
                messages.append(message)
        return messages

    def _how(self, code: int | None) -> str:
        """How it ended. Its connection goes first, its exit code follows a moment later."""
        if code is None and self._process is not None:
            self._process.kill()
            code = self._process.exit_code()
            code = None if code == -signal.SIGKILL else code
        return _how(code)

    def _lost(self, why: str) -> None:
        lived_s = self.clock() - self._started_at
        self.problem = f"{self.name} {why}"
        log.error("%s; starting it again", self.problem)
        self.kill()
        self.restarts += 1
        if lived_s >= _WELL_S:
            self._pause_s = 0.0
        self._due_at = self.clock() + max(self._pause_s, self.least_pause_s)
        self._pause_s = min(_LONGEST_PAUSE_S, max(_FIRST_PAUSE_S, 2 * self._pause_s))


def _how(code: int | None) -> str:
    if code is None:
        return "its connection"
    return f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"


def fork_server(*preload: str) -> ForkServerContext:
    """The context that starts forked children, with what they import loaded once for all."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    return context


def run_child(name: str, main: Callable[..., None], pipe: Connection, arguments: tuple[Any, ...]) -> None:
    """A forked child's outer edge."""
    ignore_signals()
    logs.set_up(name)
    try:
        main(pipe, *arguments)
    except Exception as error:
        logging.getLogger(__name__).error("%s: %s", name, error, exc_info=True)
        os._exit(1)  # threads that hang in native code must not hold up the end
    os._exit(0)


def ignore_signals() -> None:
    """Leave it to the parent when to end: a terminal's Ctrl-C reaches every process of the group at once."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
