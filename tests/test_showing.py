"""Showing what a camera sees: the newest picture to who takes it, and nobody holds up the camera."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from jikimi.errors import VideoError
from jikimi.frame import Image
from jikimi.picture_wire import Head, PictureInbox, picture_socket, unpack_head
from jikimi.settings import Mask
from jikimi.watch.regions import Regions
from jikimi.watch.showing import MOST_PEERS, Showing
from sites import wait_for

SIZE = (180, 320)


def picture(value: int, size: tuple[int, int] = SIZE) -> Image:
    return np.full((*size, 3), value, np.uint8)


@contextmanager
def shown_at(path: Path, **more: float) -> Iterator[Showing]:
    showing = Showing(path, **more)
    showing.start()
    try:
        wait_for(path.exists)
        yield showing
    finally:
        showing.stop()


class Looking:
    """Somebody who looks, and takes pictures when asked to."""

    def __init__(self, path: Path) -> None:
        self.peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.peer.connect(str(path))
        self.peer.setblocking(False)
        self.inbox = PictureInbox(self.peer)

    def __enter__(self) -> "Looking":
        return self

    def __exit__(self, *_error: object) -> None:
        self.peer.close()

    def take(self) -> tuple[Head, int]:
        """The next picture: its head and its first pixel's value, all being alike."""
        head: Head = wait_for(self.inbox.receive, within_s=5, every_s=0.002)
        assert len(set(self.inbox.pixels)) == 1
        return head, self.inbox.pixels[0]


@pytest.fixture
def showing(tmp_path: Path) -> Iterator[Showing]:
    with shown_at(picture_socket(tmp_path, "press 3")) as found:
        yield found


def test_who_connects_gets_the_newest_picture_and_then_each(showing: Showing) -> None:
    showing.show(picture(1), 10.0)
    showing.show(picture(2), time.monotonic() - 0.5)
    with Looking(showing.path) as looking:
        head, value = looking.take()
        assert value == 2 and (head.height_px, head.width_px) == SIZE and head.seq == 2
        assert time.time() - head.at_s == pytest.approx(0.5, abs=0.4)
        for number in range(3, 20):
            showing.show(picture(number), time.monotonic())
            assert looking.take()[1] == number
        showing.show(picture(99, (20, 30)), time.monotonic())  # the stream's size may change
        assert looking.take()[1] == 99


def test_who_does_not_take_gets_the_newest_afterwards_and_delays_nobody(showing: Showing) -> None:
    with Looking(showing.path) as slow, Looking(showing.path) as quick:
        wait_for(lambda: showing.watched == 2)
        for number in range(1, 101):
            showing.show(picture(number), time.monotonic())
            assert quick.take()[1] == number
        met = [slow.take()[1] for _ in range(2)]
        while met[-1] != 100:
            met.append(slow.take()[1])
        assert len(met) <= 4  # what lay in the kernel, one on its way, and the newest


def test_who_takes_nothing_is_dropped_and_others_are_not(tmp_path: Path) -> None:
    with (
        shown_at(tmp_path / "see.sock", stall_s=0.3) as showing,
        Looking(showing.path) as dead,
        Looking(showing.path) as quick,
    ):
        wait_for(lambda: showing.watched == 2)
        until = time.monotonic() + 10
        number = 0
        while showing.watched == 2 and time.monotonic() < until:
            number = number % 200 + 1
            showing.show(picture(number), time.monotonic())
            quick.take()
            time.sleep(0.02)
        assert showing.watched == 1
        assert dead.peer.fileno() >= 0


def test_who_has_gone_is_forgotten_and_then_a_picture_wakes_nobody(showing: Showing) -> None:
    with Looking(showing.path):
        wait_for(lambda: showing.watched == 1)
    wait_for(lambda: showing.watched == 0)
    showing.show(picture(1), 0.0)
    assert not showing._rung


def test_so_many_look_and_one_more_is_sent_away(showing: Showing) -> None:
    showing.show(picture(7), time.monotonic())
    lookers = [Looking(showing.path) for _ in range(MOST_PEERS)]
    assert [looker.take()[1] for looker in lookers] == [7] * MOST_PEERS
    with Looking(showing.path) as late, pytest.raises(OSError):
        late.take()
    lookers.pop().peer.close()
    wait_for(lambda: showing.watched == MOST_PEERS - 1)
    with Looking(showing.path) as again:
        assert again.take()[1] == 7
    for looker in lookers:
        looker.peer.close()


def test_who_speaks_is_sent_away(showing: Showing) -> None:
    with Looking(showing.path) as looking:
        looking.peer.send(b"GET / HTTP/1.1\r\n\r\n")
        wait_for(lambda: showing.watched == 0)


def test_a_successor_takes_over_and_the_predecessors_end_harms_it_not(tmp_path: Path) -> None:
    path = picture_socket(tmp_path, "a")
    with shown_at(path) as old, Looking(path) as of_old:
        old.show(picture(1), time.monotonic())
        assert of_old.take()[1] == 1
        inode = path.stat().st_ino
        new = Showing(path)
        new.start()
        wait_for(lambda: path.stat().st_ino != inode)
        new.show(picture(2), time.monotonic())
        old.stop()
        with pytest.raises(OSError):
            of_old.take()
        with Looking(path) as of_new:
            assert of_new.take()[1] == 2
        new.stop()


def test_a_folder_that_is_away_harms_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    showing = Showing(tmp_path / "none" / "see.sock")
    showing.start()
    wait_for(lambda: "cannot be shown" in caplog.text)
    showing.show(picture(1), time.monotonic())
    began = time.monotonic()
    showing.stop()
    assert time.monotonic() - began < 1


def test_stopping_ends_its_thread(showing: Showing) -> None:
    with Looking(showing.path):
        wait_for(lambda: showing.watched == 1)
        showing.stop()
    assert not any(thread.name == "showing" for thread in threading.enumerate())


def test_what_must_be_black_is_black_in_what_is_shown(showing: Showing) -> None:
    left = Mask.model_validate({"polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]], "kind": "blacken"})
    showing.show(Regions(masks=[left]).shown(picture(200)), time.monotonic())
    with Looking(showing.path) as looking:
        head = wait_for(looking.inbox.receive)
        image = np.frombuffer(looking.inbox.pixels, np.uint8).reshape(head.height_px, head.width_px, 3)
        assert not image[:, :158].any() and (image[:, 162:] == 200).all()


def test_names_of_all_kinds_have_sockets_of_their_own(tmp_path: Path) -> None:
    names = ["프레스 2", "press/3", "press 3", "..", "\ud800", "a" * 500, ""]
    paths = {picture_socket(tmp_path, name) for name in names}
    assert len(paths) == len(names)
    assert {path.parent for path in paths} == {tmp_path} and {len(path.name) for path in paths} == {21}


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (65535, 65535)])
def test_what_is_no_picture_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(VideoError):
        unpack_head(Head(1, 0.0, 0.0, *size).pack())
