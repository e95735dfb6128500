"""A process of its own for whatever may hang or crash, watched by its beats and ended when they stop.

A child sends `Beat` at least every `BEAT_S`. One that has not for `silent_s`, or has died, is killed and
started again: at once the first time, later and later when it keeps dying.
"""

import logging
import multiprocessing
import os
import signal
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

# A child that lived this long was well: its next death is met at once again.
_WELL_S = 30.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0


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
            self.process.join(2.0)


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
        self.process.wait(2.0)
        # Apart from this process: the orphans end even when this one ends first.
        command = f"(sleep {_ORPHANS_S}; kill -KILL -- -{self.process.pid}) >/dev/null 2>&1 &"
        subprocess.run(["/bin/sh", "-c", command], check=False, start_new_session=True)


@dataclass(slots=True)
class Child:
    """One child process. Used from one thread of the parent.

    `poll` is called often: it takes what the child has sent, and ends and starts it again where it must.
    """

    name: str
    launch: Launch
    silent_s: float = SILENT_S
    start_s: float = START_S
    clock: Callable[[], float] = time.monotonic
    restarts: int = field(default=0, init=False)
    problem: str = field(default="", init=False)
    pipe: Connection | None = field(default=None, init=False)
    beat_at: float | None = field(default=None, init=False)
    _process: Running | None = field(default=None, init=False)
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
        if self._process is None:
            if self.clock() >= self._due_at:
                self._start()
            return []
        code = self._process.exit_code()  # before the pipe is read: what it said last is not lost
        messages, gone = self._received()
        now = self.clock()
        silent_s = now - (self.beat_at if self.beat_at is not None else self._started_at)
        if code is not None or gone:
            self._lost(f"ended {_how(code)}")
        elif silent_s > (self.silent_s if self.beat_at is not None else self.start_s):
            self._lost(f"gave no sign of life for {silent_s:.1f} s")
        return messages

    def tell(self, message: Any) -> bool:
        """Send to the child; False when it cannot take it now."""
        return self.pipe is not None and send(self.pipe, message)

    def let_go(self, patience_s: float) -> list[Any]:
        """Close the pipe, which asks the child to end → what it still said; kill it after `patience_s`."""
        if self._process is None or self.pipe is None:
            return []
        self.tell(None)
        messages: list[Any] = []
        until = self.clock() + patience_s
        gone = False
        while not gone and (left := until - self.clock()) > 0:
            self.pipe.poll(min(left, 0.1))
            code = self._process.exit_code()
            more, gone = self._received()
            messages += more
            gone = gone or code is not None
        self.kill()
        return messages

    def kill(self) -> None:
        """End it at once; `poll` starts it again."""
        if self._process is not None:
            self._process.kill()
        if self.pipe is not None:
            self.pipe.close()
        self._process, self.pipe, self.beat_at = None, None, None

    def _start(self) -> None:
        ours, theirs = multiprocessing.Pipe()
        try:
            self._process = self.launch(theirs)
        finally:
            theirs.close()
        self.pipe, self._started_at, self.beat_at = ours, self.clock(), None

    def _received(self) -> tuple[list[Any], bool]:
        messages: list[Any] = []
        assert self.pipe is not None
        try:
            while self.pipe.poll():
                message = self.pipe.recv()
                if isinstance(message, Beat):
                    self.beat_at = self.clock()
                    message = message.news
                if message is not None:
                    messages.append(message)
        except (EOFError, OSError):
            return messages, True
        return messages, False

    def _lost(self, why: str) -> None:
        lived_s = self.clock() - self._started_at
        self.problem = f"{self.name} {why}"
        log.error("%s; starting it again", self.problem)
        self.kill()
        self.restarts += 1
        if lived_s >= _WELL_S:
            self._pause_s = 0.0
        self._due_at = self.clock() + self._pause_s
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
