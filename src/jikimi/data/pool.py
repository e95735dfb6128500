"""Work spread over processes that may die: a decoder that crashes takes down its process, not the run.

`concurrent.futures` gives up all its work when one process dies and does not say which piece was to blame.
Here each process has a pipe of its own and one piece at a time, so the guilty piece is known.
"""

import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import ModuleType
from typing import Generic, TypeVar, cast

from jikimi.errors import DataError

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

# A process may have been killed for want of memory: its piece gets one more chance.
ATTEMPTS = 2

# Spawned, not forked: FFmpeg and BLAS threads do not survive a fork.
_CONTEXT = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True)
class Died:
    """The process that worked on this piece died each time. `exit_code` is negative for a signal."""

    exit_code: int | None

    def __str__(self) -> str:
        if self.exit_code is not None and self.exit_code < 0:
            return f"the decoder crashed ({signal.Signals(-self.exit_code).name})"
        return f"the decoder crashed (exit code {self.exit_code})"


def run(
    work: Callable[[T], R], pieces: Sequence[T], *, workers: int
) -> Generator[tuple[int, R | Died], None, None]:
    """Yield `(index, work(pieces[index]))` as they get done, in no fixed order.

    `work` must be importable by name, from a module other than the main one, and is expected not to raise.
    Closing the iterator stops the processes.

    Raises:
        DataError: a process cannot even be started.
    """
    crew = _Crew(work, pieces)
    try:
        for _ in range(min(workers, len(pieces))):
            crew.hire()
        while crew.members:
            for member in crew.ready():
                yield from crew.serve(member)
    finally:
        crew.dismiss()


@dataclass(slots=True)
class _Member(Generic[T, R]):
    process: SpawnProcess
    pipe: "Connection[T | None, R | None]"
    piece: int | None = None
    began: bool = False


@dataclass(slots=True)
class _Crew(Generic[T, R]):
    work: Callable[[T], R]
    pieces: Sequence[T]
    members: "list[_Member[T, R]]" = field(default_factory=list)
    attempts: dict[int, int] = field(default_factory=dict)
    waiting: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.waiting = list(reversed(range(len(self.pieces))))

    def hire(self) -> None:
        ours, theirs = _CONTEXT.Pipe()
        process = _CONTEXT.Process(target=_labour, args=(self.work, theirs), daemon=True)
        with _no_main_module():
            process.start()
        theirs.close()  # or its death would not be seen as the end of the pipe
        self.members.append(_Member(process, ours))

    def ready(self) -> "list[_Member[T, R]]":
        done = wait([member.pipe for member in self.members])
        return [member for member in self.members if member.pipe in done]

    def serve(self, member: "_Member[T, R]") -> Iterator[tuple[int, R | Died]]:
        try:
            answer = member.pipe.recv()
        except (EOFError, ConnectionError):
            yield from self._bury(member)
            return
        if member.piece is None:
            member.began = True  # the first message only says that the process is up
        else:
            yield member.piece, cast(R, answer)
        self._assign(member)

    def _assign(self, member: "_Member[T, R]") -> None:
        member.piece = self.waiting.pop() if self.waiting else None
        if member.piece is None:
            self._leave(member)
            return
        self.attempts[member.piece] = self.attempts.get(member.piece, 0) + 1
        try:
            member.pipe.send(self.pieces[member.piece])
        except (BrokenPipeError, ConnectionError):
            log.debug("process %s died between two pieces", member.process.pid)  # `serve` will see the end

    def _bury(self, member: "_Member[T, R]") -> Iterator[tuple[int, Died]]:
        self._leave(member)
        if not member.began:
            raise DataError(f"a worker process cannot start (exit code {member.process.exitcode})")
        if member.piece is not None and self.attempts[member.piece] < ATTEMPTS:
            log.warning("a worker process died (exit code %s); trying again", member.process.exitcode)
            self.waiting.append(member.piece)
        elif member.piece is not None:
            yield member.piece, Died(member.process.exitcode)
        if self.waiting:
            self.hire()

    def _leave(self, member: "_Member[T, R]") -> None:
        self.members.remove(member)
        member.pipe.close()
        member.process.join()

    def dismiss(self) -> None:
        for member in self.members:
            member.process.kill()
        for member in list(self.members):
            self._leave(member)


@contextmanager
def _no_main_module() -> Iterator[None]:
    """Spawn without running the caller's main module again: it is slow to load, and may not be guarded."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _labour(work: Callable[[T], R], pipe: "Connection[R | None, T]") -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        pipe.send(None)
        while True:
            pipe.send(work(pipe.recv()))
    except (EOFError, ConnectionError):
        return  # the parent has closed the pipe: no more work


def _die_with_parent() -> None:
    # A parent that was killed cannot dismiss anyone, and nobody is left to read the frames.
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
