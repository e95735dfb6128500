"""Live pictures: one connection and one JPEG for all who look, newest first, gone when nobody looks."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from jikimi.picture_wire import Head, picture_socket
from jikimi.serve.live_pictures import LivePictures, encode
from live_cameras import BLUE, RED, Seen, ShownCamera, near
from sites import wait_for


class Hub(LivePictures):
    """Live pictures of a folder's cameras, that count what they tell."""

    def __init__(self, folder: Path) -> None:
        self.told: Counter[str] = Counter()
        super().__init__(lambda camera: picture_socket(folder, camera), self.count, linger_s=0.3)

    def count(self, camera: str) -> None:
        self.told[camera] += 1


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    found = Hub(tmp_path)
    yield found
    for camera in list(found._wanted):
        for who in list(found._wanted[camera]):
            found.look_away(camera, who)
    wait_for(lambda: not threads())


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "live pictures"]


def test_everybody_shares_one_connection_and_one_jpeg(hub: Hub, tmp_path: Path) -> None:
    with ShownCamera(tmp_path, "a") as camera:
        for who in range(20):
            hub.look("a", who, 100)
        wait_for(lambda: hub.told["a"] >= 10)
        assert camera.showing.watched == 1
        assert hub.encoded == hub.told["a"] <= camera.shown
        picture = hub.newest("a")
        assert picture is not None and near(Seen({}, picture.jpeg).colour, RED)
        assert 0 <= time.monotonic() - picture.arrived_s < 5 and abs(time.time() - picture.at_s) < 5


def test_nobody_looks_nothing_runs(hub: Hub, tmp_path: Path) -> None:
    with ShownCamera(tmp_path, "a") as camera:
        hub.look("a", 1, 8)
        hub.look("a", 2, 8)
        wait_for(lambda: hub.newest("a"))
        hub.look_away("a", 1)
        time.sleep(0.5)
        assert camera.showing.watched == 1
        hub.look_away("a", 2)
        wait_for(lambda: camera.showing.watched == 0)
        wait_for(lambda: not threads())
        assert hub.newest("a") is None
        hub.look_away("a", 2)
        hub.look("a", 3, 8)
        wait_for(lambda: hub.newest("a"))


def test_who_comes_back_soon_finds_the_line_still_open(hub: Hub, tmp_path: Path) -> None:
    hub.linger_s = 30
    with ShownCamera(tmp_path, "a") as camera:
        hub.look("a", 1, 8)
        wait_for(lambda: hub.newest("a"))
        hub.look_away("a", 1)
        time.sleep(0.3)
        assert camera.showing.watched == 1
        hub.look("a", 2, 8)
        hub.linger_s = 0.1


def test_not_more_is_encoded_than_who_looks_most_wants(hub: Hub, tmp_path: Path) -> None:
    with ShownCamera(tmp_path, "a", rate_hz=50) as camera:
        hub.look("a", "slow", 0.2)
        wait_for(lambda: hub.newest("a"))
        shown = camera.shown
        wait_for(lambda: camera.shown > shown + 30)
        assert hub.encoded == 1
        hub.look("a", "quick", 50)
        wait_for(lambda: hub.encoded > 5)


def test_a_process_that_was_started_again_is_found_and_what_the_old_one_showed_is_forgotten(
    hub: Hub, tmp_path: Path
) -> None:
    hub.look("a", 1, 50)
    with ShownCamera(tmp_path, "a", RED):
        first = wait_for(lambda: hub.newest("a"))
    wait_for(lambda: hub.newest("a") is None)
    with ShownCamera(tmp_path, "a", BLUE, size=(30, 40)):
        second = wait_for(lambda: hub.newest("a"))
        assert near(Seen({}, second.jpeg).colour, BLUE) and second.number > first.number


def test_one_camera_that_is_away_or_speaks_nonsense_harms_no_other(
    hub: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        ShownCamera(tmp_path, "a"),
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as broken,
    ):
        broken.bind(str(picture_socket(tmp_path, "broken")))
        broken.listen()
        for camera in ("away", "broken", "a"):
            hub.look(camera, 1, 50)
        peer, _ = broken.accept()
        peer.send(b"\xff" * 1000)
        wait_for(lambda: "'broken'" in caplog.text)
        told = hub.told["a"]
        wait_for(lambda: hub.told["a"] > told + 5)
        assert set(hub.told) == {"a"}
        peer.close()


def test_when_it_is_behind_it_skips_to_the_newest(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(head: Head, pixels: bytearray) -> bytes:
        time.sleep(0.3)
        return encode(head, pixels)

    monkeypatch.setattr("jikimi.serve.live_pictures.encode", slowly)
    with ShownCamera(tmp_path, "a", rate_hz=100, size=(240, 320)) as camera:
        hub.look("a", 1, 100)
        wait_for(lambda: hub.told["a"] >= 6)
        assert hub.told["a"] < camera.shown / 4
        picture = hub.newest("a")
        # One was on its way, one being encoded: never a queue, which would be 60 pictures by now.
        assert picture is not None and time.monotonic() - picture.arrived_s < 5


def test_a_jpeg_shows_what_the_pixels_are() -> None:
    columns = np.linspace(0, 255, 60, dtype=np.uint8)
    image = np.repeat(np.repeat(columns[None, :, None], 40, axis=0), 3, axis=2)
    decoded = np.asarray(Pillow.open(BytesIO(encode(Head(1, 0, 0, 60, 40), image.tobytes()))))
    assert decoded.shape == (40, 60, 3) and abs(decoded.astype(int) - image).mean() < 3
