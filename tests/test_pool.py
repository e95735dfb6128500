"""Work in processes that may die: the guilty piece is named, the others are done, nothing hangs."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jikimi.data import pool
from jikimi.errors import DataError


def double(number: int) -> int:
    return 2 * number


def crash_on_odd(number: int) -> int:
    if number % 2:
        os.kill(os.getpid(), signal.SIGSEGV)
    return number


def crash_once(flag: str) -> str:
    path = Path(flag)
    if not path.exists():
        path.touch()
        os._exit(3)
    return "done"


def sleep_and_say(folder: str) -> None:
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(60)


class Unborn:
    def __call__(self, number: int) -> int:
        raise AssertionError

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return os._exit, (7,)  # the process ends while it unpacks its work


def test_every_piece_is_done_once() -> None:
    assert sorted(pool.run(double, range(7), workers=2)) == [(i, 2 * i) for i in range(7)]


def test_no_pieces_need_no_process() -> None:
    assert list(pool.run(double, [], workers=2)) == []


def test_crash_costs_only_the_piece_that_crashes() -> None:
    done = dict(pool.run(crash_on_odd, range(4), workers=2))
    assert (done[0], done[2]) == (0, 2)
    for guilty in (1, 3):
        assert str(done[guilty]) == "the decoder crashed (SIGSEGV)"


def test_piece_whose_process_died_once_is_tried_again(tmp_path: Path) -> None:
    assert list(pool.run(crash_once, [str(tmp_path / "flag")], workers=1)) == [(0, "done")]


def test_process_that_cannot_start_is_one_clear_error() -> None:
    with pytest.raises(DataError, match="cannot start"):
        list(pool.run(Unborn(), [1], workers=1))


def test_callers_main_module_is_not_run_again(tmp_path: Path) -> None:
    script = tmp_path / "main.py"
    script.write_text(
        "print('loaded')\nfrom jikimi.data import pool\nprint(list(pool.run(abs, [-1], workers=1)))\n"
    )
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert ran.stdout.split("\n") == ["loaded", "[(0, 1)]", ""]


def test_closing_stops_the_processes_at_once(tmp_path: Path) -> None:
    work = pool.run(sleep_and_say, [str(tmp_path)], workers=1)
    crew = pool._Crew(sleep_and_say, [str(tmp_path)])
    work.close()
    crew.hire()
    crew.members[0].pipe.recv()
    crew._assign(crew.members[0])
    process = crew.members[0].process
    started = time.monotonic()
    crew.dismiss()
    assert process.exitcode == -signal.SIGKILL
    assert time.monotonic() - started < 10
