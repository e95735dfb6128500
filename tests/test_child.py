"""A child process that beats: whatever happens to it, it is noticed, ended and started again."""

import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import psutil
import pytest

from child_mains import beats, floods, never_beats, raises
from jikimi.watch import child as child_module
from jikimi.watch.child import Child, Forked, Program, Running, fork_server, run_child
from sites import wait_for


@pytest.fixture(scope="module")
def context() -> ForkServerContext:
    return fork_server()


def forked(context: ForkServerContext, main: Callable[..., None], *arguments: Any) -> Forked:
    return Forked(context, "camera 'a'", main, arguments)


@contextmanager
def running(child: Child) -> Iterator[Child]:
    try:
        wait_for(lambda: child.poll() or child.running, every_s=0.01)
        yield child
    finally:
        child.kill()


def polled(child: Child, what: Callable[[], Any], *, within_s: float = 20.0) -> Any:
    """Poll as a parent does until `what` is true."""
    return wait_for(lambda: (child.poll() and False) or what(), within_s=within_s, every_s=0.02)


def test_child_tells_with_its_beats(context: ForkServerContext) -> None:
    with running(Child("a", forked(context, beats, "news"))) as child:
        assert child.pid is not None and psutil.pid_exists(child.pid)
        assert wait_for(child.poll, every_s=0.01)[0] == "news"
        assert not child.restarts and not child.problem


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_dead_child_is_back_at_once_and_how_it_died_is_known(
    context: ForkServerContext, number: signal.Signals
) -> None:
    with running(Child("a", forked(context, beats))) as child:
        assert child.pid is not None
        os.kill(child.pid, number)
        polled(child, lambda: child.restarts == 1, within_s=3)
        assert child.problem in (f"a ended by {number.name}", "a ended its connection")
        polled(child, lambda: child.running, within_s=5)


def test_stopped_child_is_noticed_within_seconds_and_killed(context: ForkServerContext) -> None:
    with running(Child("a", forked(context, beats), silent_s=0.5)) as child:
        pid = child.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        polled(child, lambda: child.restarts == 1)
        assert time.monotonic() - began < 3
        assert "no sign of life" in child.problem
        wait_for(lambda: not psutil.pid_exists(pid))
        polled(child, lambda: child.running)


def test_child_that_never_begins_to_beat_is_started_again(context: ForkServerContext) -> None:
    child = Child("a", forked(context, never_beats), start_s=0.4)
    polled(child, lambda: child.restarts == 1)
    assert not child.running and "no sign of life" in child.problem
    child.kill()


def test_exception_ends_a_child(context: ForkServerContext) -> None:
    child = Child("a", forked(context, raises))
    polled(child, lambda: child.restarts == 1)
    assert "exit code 1" in child.problem or "its connection" in child.problem
    child.kill()


def test_child_that_stops_in_mid_message_holds_up_nobody(context: ForkServerContext) -> None:
    with running(Child("a", forked(context, beats), silent_s=0.5)) as child:
        assert child.pid is not None
        os.kill(child.pid, signal.SIGSTOP)
        time.sleep(0.05)
        child.poll()
        child._inbox._bytes += (1000).to_bytes(4, "big") + b"half"  # type: ignore[union-attr]
        began = time.monotonic()
        assert child.poll() == []
        assert time.monotonic() - began < 1
        polled(child, lambda: child.restarts == 1)


@pytest.mark.parametrize("garbage", [b"\x7f\xff\xff\xff", b"\0\0\0\4abcd", b"\xff\xff\xff\xf0"])
def test_garbled_child_is_ended(context: ForkServerContext, garbage: bytes) -> None:
    with running(Child("a", forked(context, beats))) as child:
        assert child._inbox is not None
        child._inbox._bytes[:0] = garbage
        polled(child, lambda: child.restarts == 1)
        assert "no message" in child.problem


def test_child_that_sends_without_end_does_not_hold_its_parent(context: ForkServerContext) -> None:
    child = Child("a", forked(context, floods))

    def took() -> bool:
        began = time.monotonic()
        messages = child.poll()
        assert time.monotonic() - began < 2
        return len(messages) > 3

    for _ in range(5):
        wait_for(took, every_s=0.001)
    child.kill()


@dataclass
class FakeProcess:
    """Dies when told to."""

    code: int | None = None
    pid: int | None = 1
    killed: bool = False

    def exit_code(self) -> int | None:
        return self.code

    def kill(self) -> None:
        self.killed = True


@dataclass
class Starts:
    """A launch that counts, and whose processes die at once."""

    at_s: list[float] = field(default_factory=list)
    clock: list[float] = field(default_factory=lambda: [0.0])
    error: OSError | None = None
    code: int | None = -9
    ends: list[Connection] = field(default_factory=list)

    def __call__(self, pipe: Connection) -> Running:
        self.at_s.append(self.clock[0])
        if self.error is not None:
            raise self.error
        self.ends.append(Connection(os.dup(pipe.fileno())))  # as the process would hold it
        return FakeProcess(self.code)

    def run(self, child: Child, seconds: float) -> None:
        until = self.clock[0] + seconds
        while self.clock[0] < until:
            child.poll()
            self.clock[0] += 0.05


@pytest.mark.parametrize("error", [None, BlockingIOError(11, "Resource temporarily unavailable")])
def test_crash_loop_backs_off_up_to_five_seconds(error: OSError | None) -> None:
    starts = Starts(error=error)
    child = Child("a", starts, clock=lambda: starts.clock[0])
    starts.run(child, 200)
    pauses = [b - a for a, b in itertools.pairwise(starts.at_s)]
    assert pauses[0] < 0.3  # at once, the first time
    assert all(b >= a - 0.2 for a, b in itertools.pairwise(pauses))
    assert max(pauses) == pytest.approx(5, abs=0.5)
    assert child.restarts == len(starts.at_s)
    assert "cannot be started" in child.problem if error else "SIGKILL" in child.problem


def test_child_that_was_well_for_long_is_met_at_once_again() -> None:
    starts = Starts()
    child = Child("a", starts, clock=lambda: starts.clock[0], start_s=1000)
    starts.run(child, 20)
    starts.code = None
    starts.run(child, 40)
    process = child._process
    assert isinstance(process, FakeProcess)
    process.code, starts.clock[0] = -9, starts.clock[0] + 40
    before = len(starts.at_s)
    starts.run(child, 0.3)
    assert len(starts.at_s) == before + 1


def test_parent_that_was_stopped_itself_takes_no_child_for_silent() -> None:
    starts = Starts(code=None)
    child = Child("a", starts, clock=lambda: starts.clock[0], silent_s=1.5, start_s=1.5)
    starts.run(child, 0.2)
    starts.clock[0] += 60  # the machine was suspended, say
    child.poll()
    assert child.restarts == 0
    starts.run(child, 1.6)
    assert child.restarts == 1  # but a child that stays silent is


class Undying(subprocess.Popen[bytes]):
    """A process that waits for a disk, as in state D."""

    def kill(self) -> None:
        """Nothing comes of it."""


def test_what_does_not_die_holds_up_nobody_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "_ORPHANS_S", 0.1)
    undying = Undying(["/bin/sleep", "30"], start_new_session=True)
    began = time.monotonic()
    child_module._Started(undying).kill()
    assert time.monotonic() - began < 2
    assert undying.wait(10) == -signal.SIGKILL  # with the orphans, a moment later


def test_let_go_collects_last_words(context: ForkServerContext) -> None:
    with running(Child("a", forked(context, beats, "news"))) as child:
        pid = child.pid
        began = time.monotonic()
        assert child.let_go(10.0)[-1] == "last word"
        assert time.monotonic() - began < 8
        assert pid is not None and child.pid is None and child.let_go(1.0) == []


def test_let_go_ends_who_does_not_listen(context: ForkServerContext) -> None:
    with running(Child("a", forked(context, beats))) as child:
        pid = child.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        child.let_go(0.3)
        wait_for(lambda: not psutil.pid_exists(pid))


def test_restarts_leave_nothing_open(context: ForkServerContext) -> None:
    child = Child("a", forked(context, beats))
    with running(child):
        pass
    before = psutil.Process().num_fds()
    for _ in range(5):
        with running(child):
            pass
    assert psutil.Process().num_fds() <= before + 2


PART = """
import os, sys, time, subprocess
sys.path[:0] = {paths!r}
from multiprocessing.connection import Connection
from jikimi.watch.child import Beat, send
pipe = Connection(int(sys.argv[sys.argv.index("--pipe") + 1]))
orphan = subprocess.Popen(["/bin/sleep", "60"])
while not pipe.poll(0.02):
    send(pipe, Beat(orphan.pid))
"""


def test_program_is_launched_in_a_group_of_its_own_and_its_orphans_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_module, "_ORPHANS_S", 0.5)
    package = tmp_path / "jikimi_part"
    package.mkdir()
    (tmp_path / "program").write_text(
        f'#!/bin/sh\nshift 2\nexec {sys.executable} {package}/part.py "$@"\n', encoding="utf-8"
    )
    (tmp_path / "program").chmod(0o755)
    (package / "part.py").write_text(PART.format(paths=sys.path), encoding="utf-8")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "program"))
    child = Child("site", Program(["part", "site"]))
    orphan = polled_news(child)
    pid = child.pid
    assert pid is not None and os.getpgid(pid) == pid == os.getpgid(orphan)
    os.kill(pid, signal.SIGKILL)
    polled(child, lambda: child.restarts == 1)
    wait_for(lambda: _is_gone(orphan))
    second = polled_news(child)
    child.let_go(5.0)
    wait_for(lambda: _is_gone(second))


def polled_news(child: Child) -> int:
    return int(wait_for(lambda: next((m for m in child.poll() if isinstance(m, int)), None), every_s=0.02))


def _is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_parents_ctrl_c_does_not_end_a_child(context: ForkServerContext) -> None:
    with running(Child("a", forked(context, beats))) as child:
        assert child.pid is not None
        os.kill(child.pid, signal.SIGINT)
        os.kill(child.pid, signal.SIGTERM)
        time.sleep(0.3)
        child.poll()
        assert child.running and child.restarts == 0


def test_exception_is_logged_without_passwords(capfd: pytest.CaptureFixture[str]) -> None:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=run_child, args=("camera 'a'", raises, theirs, ()), daemon=True
    )
    process.start()
    theirs.close()
    process.join(30)
    assert process.exitcode == 1
    process.close()
    ours.close()
    told = capfd.readouterr().err
    assert "is no good" in told and "trace" in told and "S3cret" not in told
