"""Tests beside each other (`pytest -n auto`), except those that must have the machine for themselves.

Whatever takes real time (a camera server, a browser, processes that must answer within a second) runs alone;
the rest side by side. A reader's lock for the many, a writer's for the one; whoever waits for the writer's
holds a turnstile, or the many would never let it through.
"""

import fcntl
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# What takes real time has one of these, or is marked `alone`.
_REAL_TIME = frozenset({"rtsp", "chromium"})


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "alone: other tests would slow it down; it runs beside none")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    if not hasattr(item.config, "workerinput"):  # there is one process, and no other test beside this
        return (yield)
    folder: Path = item.config._tmp_path_factory.getbasetemp().parent  # type: ignore[attr-defined]
    with _turn(folder, alone=_runs_alone(item)):
        return (yield)


def _runs_alone(item: pytest.Item) -> bool:
    fixtures = frozenset(getattr(item, "fixturenames", ()))
    return bool(fixtures & _REAL_TIME) or item.get_closest_marker("alone") is not None


@contextmanager
def _turn(folder: Path, *, alone: bool) -> Iterator[None]:
    with (folder / "turnstile").open("a") as turnstile, (folder / "turn").open("a") as lock:
        fcntl.flock(turnstile, fcntl.LOCK_EX)
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(turnstile, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)  # a process that the test forked may hold the file open
