"""Room kept for alerts: let go when the disk is full, made again when there is room."""

from pathlib import Path

import pytest

from jikimi.watch import ballast
from jikimi.watch.ballast import Ballast


class Disk:
    """A disk that says how much is free."""

    def __init__(self, free: int) -> None:
        self.free = free

    def __call__(self, _path: Path) -> "Disk":
        return self


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    found = Disk(1 << 30)
    monkeypatch.setattr(ballast.shutil, "disk_usage", found)
    return found


def test_room_is_taken_let_go_and_taken_again(disk: Disk, tmp_path: Path) -> None:
    room = Ballast(tmp_path / "room", size_bytes=1 << 20)
    assert room.look() == 1 << 30
    assert room.path.stat().st_size == 1 << 20 and not room.used
    disk.free = 1 << 20
    room.look()
    assert not room.path.exists() and room.used
    room.look()
    assert room.used  # until there is room again
    disk.free = 1 << 30
    room.look()
    assert room.path.exists() and not room.used


def test_room_is_not_taken_where_there_is_little(disk: Disk, tmp_path: Path) -> None:
    disk.free = 3 << 20
    room = Ballast(tmp_path / "room", size_bytes=1 << 20)
    room.look()
    assert not room.path.exists() and not room.used


def test_room_that_cannot_be_kept_is_no_trouble(disk: Disk, tmp_path: Path) -> None:
    room = Ballast(tmp_path / "missing" / "room", size_bytes=1 << 20)
    room.look()
    assert not room.path.exists()
