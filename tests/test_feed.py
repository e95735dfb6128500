"""One stream of a camera, opened again and again: real RTSP and HTTP, and a wire that can be cut."""

import itertools
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import av
import numpy as np
import pytest

from cameras import CameraServer, Film, rtsp, write_film
from jikimi.address import Address
from jikimi.incident import Incident
from jikimi.watch import feed as feed_module
from jikimi.watch.camera import CameraReader, Tick, View
from jikimi.watch.feed import READ_TIMEOUT_S, Feed
from jikimi.watch.recorder import Keep
from jikimi.watch.sources import Camera, is_live
from sites import wait_for
from videos import write_video
from wires import Refusing, Wire, mjpeg

__all__ = ["mjpeg", "rtsp"]

FPS = 15


@dataclass
class Fed:
    """A feed that is polled, and what came of it: ticks, readers that ended, states in order."""

    feed: Feed
    ticks: list[Tick]
    ended: list[CameraReader] = field(default_factory=list)
    states: list[str] = field(default_factory=list)

    def until(self, what: Callable[[], object], *, within_s: float = 20.0) -> float:
        """Poll until something is true → seconds that it took."""
        began = time.monotonic()

        def look() -> object:
            self.ended += self.feed.poll()
            if not self.states or self.states[-1] != self.feed.state:
                self.states.append(self.feed.state)
            return what()

        wait_for(look, within_s=within_s, every_s=0.02)
        return time.monotonic() - began

    def until_live(self) -> float:
        return self.until(lambda: self.feed.state == "live")

    def for_s(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > until, within_s=seconds + 5)

    def until_ticks(self, count: int) -> None:
        have = len(self.ticks)
        self.until(lambda: len(self.ticks) >= have + count)


Feeding = Callable[..., Fed]


@pytest.fixture(autouse=True)
def soon_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream counts as well after a second: tests wait for it."""
    monkeypatch.setattr(feed_module, "_WELL_S", 1.0)


@pytest.fixture
def feeding() -> Iterator[Feeding]:
    """Make feeds, which are stopped at the end."""
    made: list[Feed] = []

    def make(
        address: str,
        *,
        transport: Literal["tcp", "udp"] = "tcp",
        folder: Path | None = None,
        decoded: bool = True,
    ) -> Fed:
        ticks: list[Tick] = []
        where = Address(address)
        view = View(
            8.0, 48, paced=True, keep=Keep(2.0, 0.5), open_timeout_s=5.0, read_timeout_s=READ_TIMEOUT_S
        )
        camera = Camera("a", where, is_live(where), transport)
        feed = Feed(camera, view, folder, (lambda _reader, tick: ticks.append(tick)) if decoded else None)
        made.append(feed)
        return Fed(feed, ticks)

    yield make
    threads = [thread for feed in made for thread in (*feed._left, feed._thread) if thread is not None]
    for feed in made:
        feed.stop()
    for thread in threads:
        thread.join(15)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def films(rtsp: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Film]:
    folder = tmp_path_factory.mktemp("films")
    found = {
        codec: write_film(folder / f"f.{ending}", seconds=2, fps=FPS, codec=codec)
        for codec, ending in (("libx264", "h264"), ("libx265", "h265"), ("mjpeg", "mjpeg"))
    }
    found["large"] = write_film(folder / "l.h264", seconds=2, fps=FPS, size=(192, 128))
    return found


@pytest.fixture(scope="module")
def server(films: dict[str, Film]) -> Iterator[CameraServer]:
    with CameraServer(films) as server:
        yield server


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mjpeg"])
def test_camera_is_live_whatever_its_codec(server: CameraServer, feeding: Feeding, codec: str) -> None:
    fed = feeding(server.address(codec))
    fed.until_live()
    fed.until_ticks(16)
    assert fed.states == ["connecting", "live"] and fed.feed.attempts == 1
    assert fed.feed.reader is not None and fed.feed.reader.info is not None
    assert fed.feed.reader.info.codec == {"libx264": "h264", "libx265": "hevc"}.get(codec, "mjpeg")
    assert fed.ticks[-1].frame.image_HWC.shape == (48, 72, 3)


def test_camera_over_udp_is_live(server: CameraServer, feeding: Feeding) -> None:
    fed = feeding(server.address("libx264"), transport="udp")
    fed.until_live()
    fed.until_ticks(8)


def test_stalled_camera_is_noticed_in_two_seconds_and_opened_again(
    server: CameraServer, feeding: Feeding
) -> None:
    with Wire(server.port) as wire:
        fed = feeding(f"rtsp://admin:S3cr@et@127.0.0.1:{wire.port}/libx264")
        fed.until_live()
        fed.for_s(1.2)
        wire.still.set()
        assert 1.0 < fed.until(lambda: fed.feed.state != "live") < 5
        assert fed.feed.state == "stalled" and "no packet for 2 s" in fed.feed.why
        assert "S3cr" not in fed.feed.why and fed.ended
        wire.still.clear()
        assert fed.until_live() < 8
        fed.until_ticks(4)
        assert fed.feed.attempts >= 2 and fed.feed.reconnects == 1


def test_camera_that_is_cut_off_is_opened_again_at_once(server: CameraServer, feeding: Feeding) -> None:
    with Wire(server.port) as wire:
        fed = feeding(f"rtsp://admin:S3cr@et@127.0.0.1:{wire.port}/libx264")
        fed.until_live()
        fed.for_s(1.2)
        wire.shut()
        fed.until(lambda: fed.feed.state == "backing-off")
        wire.open()
        assert fed.until_live() < 6
        assert len(fed.ended) == 1 and fed.ended[0].problem and "S3cr" not in fed.ended[0].problem


def test_stream_that_breaks_off_as_soon_as_it_is_there_is_given_a_pause(
    server: CameraServer, feeding: Feeding
) -> None:
    with Wire(server.port) as wire:
        fed = feeding(f"rtsp://127.0.0.1:{wire.port}/libx264")
        began = time.monotonic()
        while time.monotonic() - began < 4:
            fed.until_live()
            wire.shut()
            wire.open()
            fed.until(lambda: fed.feed.state != "live")
        assert fed.feed.attempts <= 7  # 0.7 s at least between them, and the connecting


def test_door_that_is_closed_is_knocked_at_and_no_session_is_tried(
    server: CameraServer, feeding: Feeding
) -> None:
    with Wire(server.port) as wire:
        fed = feeding(f"rtsp://127.0.0.1:{wire.port}/libx264")
        fed.until_live()
        wire.shut()
        fed.until(lambda: fed.feed.state == "backing-off")
        attempts = fed.feed.attempts
        fed.for_s(2.5)
        assert fed.feed.attempts == attempts and fed.feed.state == "backing-off"
        wire.open()
        assert fed.until_live() < 5


def test_camera_whose_program_hangs_is_not_taken_for_present(
    films: dict[str, Film], feeding: Feeding
) -> None:
    with CameraServer({"a": films["libx264"]}) as own:
        fed = feeding(own.address("a"))
        fed.until_live()
        own.send(signal.SIGSTOP)
        fed.until(lambda: fed.feed.state == "stalled")
        attempts = fed.feed.attempts
        fed.for_s(2)
        assert fed.feed.attempts == attempts
        own.send(signal.SIGCONT)
        assert fed.until_live() < 8


def test_address_that_nobody_serves_is_tried_later_and_later(server: CameraServer, feeding: Feeding) -> None:
    fed = feeding(server.address("nothing"))
    at_s: list[float] = []

    def counted() -> bool:
        if fed.feed.attempts > len(at_s):
            at_s.append(time.monotonic())
        return len(at_s) == 4

    fed.until(counted, within_s=30)
    pauses = [b - a for a, b in itertools.pairwise(at_s)]
    assert 0.7 <= pauses[0] < 2.5 and 1.4 <= pauses[1] < 4.0 and 2.8 <= pauses[2] < 7.0
    assert "404" in fed.feed.why or "not found" in fed.feed.why.lower()
    assert "S3cr" not in fed.feed.why and "live" not in fed.states


def test_camera_that_refuses_the_log_in_is_not_stormed(feeding: Feeding) -> None:
    with Refusing() as camera:
        fed = feeding(f"rtsp://admin:S3cr@et@127.0.0.1:{camera.port}/live")
        fed.until(lambda: fed.feed.attempts == 3)
        assert "401" in fed.feed.why or "nauthorized" in fed.feed.why
        assert "S3cr" not in fed.feed.why and "admin" not in fed.feed.why
        assert camera.asked.count("DESCRIBE") <= 2 * fed.feed.attempts  # knocking asks for no log-in


def test_resolution_and_codec_that_change_with_a_new_connection_are_followed(
    films: dict[str, Film], feeding: Feeding, tmp_path: Path
) -> None:
    own = CameraServer({"a": films["libx264"]})
    with own:
        fed = feeding(own.address("a"), folder=tmp_path)
        fed.until_live()
        for name, codec, width in (("large", "h264", 192), ("libx265", "hevc", 96)):
            own.kill()
            own.films = {"a": films[name]}
            fed.until(lambda: fed.feed.state != "live")
            own.start()
            fed.until_live()
            fed.until_ticks(2)
            reader = fed.feed.reader
            assert reader is not None and reader.info is not None
            assert (reader.info.codec, reader.info.width_px) == (codec, width)


def test_main_stream_is_recorded_without_being_decoded(
    server: CameraServer, feeding: Feeding, tmp_path: Path
) -> None:
    fed = feeding(server.address("large"), folder=tmp_path, decoded=False)
    fed.until_live()
    fed.for_s(2.5)
    reader = fed.feed.reader
    assert reader is not None and reader.recorder is not None and reader.decoder is not None
    opened_s = reader.timeline.stream_time(time.monotonic())
    assert opened_s is not None and 1.0 < opened_s < 6.0
    reader.recorder.open(Incident("jam", opened_s, 0.9), stem="x")
    reader.recorder.close(Incident("jam", opened_s, 0.9, closed_s=opened_s))
    outcomes = []
    fed.until(lambda: outcomes.extend(reader.recorder.outcomes()) or outcomes)
    assert outcomes[0].path is not None and not outcomes[0].problem and outcomes[0].complete
    with av.open(str(outcomes[0].path)) as container:
        assert container.streams.video[0].width == 192
        assert len(list(container.decode(video=0))) > FPS
    assert not fed.ticks and reader.decoder.decoded == 0


def test_jpegs_over_http_are_timed_by_their_coming(mjpeg: str, feeding: Feeding) -> None:
    fed = feeding(mjpeg)
    fed.until_live()
    fed.until_ticks(16)
    first, last = fed.ticks[0], fed.ticks[-1]
    assert last.frame.t_s - first.frame.t_s == pytest.approx(last.arrived_s - first.arrived_s, abs=0.7)


def test_recording_that_serves_as_a_camera_begins_again(feeding: Feeding, tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mp4", seconds=1.2, fps=FPS, size=(96, 64))
    fed = feeding(str(video))
    fed.until(lambda: len(fed.ended) >= 2)
    assert not any(reader.problem for reader in fed.ended)
    assert np.diff([tick.arrived_s for tick in fed.ticks]).min() > -0.05


def test_time_stamps_that_begin_again_do_not_stop_the_stream(feeding: Feeding, tmp_path: Path) -> None:
    once = write_video(tmp_path / "v.ts", seconds=1.5, fps=FPS, size=(96, 64)).read_bytes()
    (tmp_path / "w.ts").write_bytes(once * 3)
    fed = feeding(str(tmp_path / "w.ts"))
    fed.until(lambda: fed.ended)
    times_s = [tick.frame.t_s for tick in fed.ticks]
    assert times_s == sorted(times_s) and 3.0 < times_s[-1] - times_s[0] < 6.0
    assert "stalled" not in fed.states
    assert fed.ended[0].decoder is not None and fed.ended[0].decoder.jumps >= 2


def test_error_of_whoever_takes_the_pictures_is_a_fault_and_the_stream_goes_on(
    feeding: Feeding, tmp_path: Path
) -> None:
    video = write_video(tmp_path / "v.mp4", seconds=3, fps=FPS, size=(96, 64))
    fed = feeding(str(video))
    taken = fed.feed.on_tick

    def fails_once(reader: CameraReader, tick: Tick) -> None:
        if fed.feed.attempts == 1:
            raise ValueError("rtsp://admin:S3cr@10.0.0.1/x is no good")
        assert taken is not None
        taken(reader, tick)

    fed.feed.on_tick = fails_once
    fed.until_ticks(4)
    assert "S3cr" not in fed.ended[0].problem and "no good" in fed.ended[0].problem
