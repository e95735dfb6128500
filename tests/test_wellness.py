"""What impairs watching a camera: nothing may make it blind without a word."""

import threading
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import pytest

from jikimi.frame import Frame, Image
from jikimi.watch.camera import CameraReader, Tick
from jikimi.watch.feed import Feed
from jikimi.watch.health import HealthMonitor, HealthSettings
from jikimi.watch.wellness import Share, Wellness
from sites import shop_floor

FLOOR = shop_floor(0, 0)


@dataclass
class FakeFeed:
    state: str = "live"
    why: str = ""


@dataclass
class FakeDecoder:
    decoded: int = 0
    errors: int = 0
    jumps: int = 0


@dataclass
class FakeReader:
    decoder: FakeDecoder | None = field(default_factory=FakeDecoder)


@dataclass
class Watched:
    """A camera's wellness on a clock of the test's. `told` are kinds, with '+' where they begin."""

    wellness: Wellness
    now: list[float]
    main: FakeFeed
    sub: FakeFeed
    reader: FakeReader = field(default_factory=FakeReader)
    told: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    index: int = 0

    def see(self, image: Image | None = None, *, damaged: bool = False) -> bool:
        self.index += 1
        image = FLOOR(self.index, 96, 64) if image is None else image
        frame = Frame(image, t_s=self.now[0] - 1000.0, damaged=damaged)
        return self.wellness.see(cast(CameraReader, self.reader), Tick(frame, self.index, 1, self.now[0]))

    def follow(self) -> None:
        self.wellness.follow(cast(Feed, self.sub), cast(Feed, self.main))
        for change in self.wellness.poll():
            self.told.append(("+" if change.begins else "-") + change.kind)
            self.messages.append(change.message)

    def run(
        self,
        seconds: float,
        *,
        pictures: bool = True,
        damaged: bool = False,
        decided: bool | None = True,
        error: str = "",
        age_s: float = 0.1,
    ) -> None:
        """Let time pass at eight pictures a second. `decided` None: nobody answers at all."""
        until = self.now[0] + seconds
        while self.now[0] < until:
            self.now[0] += 0.125
            if pictures and not self.see(damaged=damaged) and error:
                self.wellness.unanswered(error)
            elif pictures and decided is not None:
                self.wellness.answered(age_s, decided=decided)
            self.follow()


@pytest.fixture
def watched() -> Watched:
    now = [1000.0]
    monitor = HealthMonitor("a", HealthSettings(offline_s=3.0))
    feed = FakeFeed()
    return Watched(Wellness("a", monitor, clock=lambda: now[0]), now, feed, feed)


def test_camera_that_is_well_is_silent(watched: Watched) -> None:
    watched.run(20)
    assert watched.told == [] and watched.wellness.ailments == []


def test_camera_that_sends_nothing_is_offline_and_why_is_said(watched: Watched) -> None:
    watched.run(3)
    watched.sub.state, watched.sub.why = "backing-off", "rtsp://***@10.0.0.5/x: 404 Not Found"
    watched.run(5, pictures=False)
    assert watched.told == ["+offline"] and "404 Not Found" in watched.messages[0]
    assert watched.wellness.ailments == ["offline"]
    watched.run(3)
    assert watched.told == ["+offline", "-offline"]


def test_camera_that_never_was_there_is_offline(watched: Watched) -> None:
    watched.run(5, pictures=False)
    assert watched.told == ["+offline"]


def test_detector_that_is_away_for_a_moment_is_no_fault_and_for_longer_is(watched: Watched) -> None:
    watched.run(3)
    watched.run(1.5, error="the detector has gone")
    watched.run(3)
    assert watched.told == []
    watched.run(3, error="the detector has gone")
    assert watched.told == ["+inference"] and "the detector has gone" in watched.messages[0]
    watched.run(0.5, decided=False)  # its window fills anew: that is no decision yet
    assert watched.told == ["+inference"]
    watched.run(1)
    assert watched.told == ["+inference", "-inference"]


def test_pictures_that_nobody_decides_about_are_a_fault_whatever_the_reason(watched: Watched) -> None:
    watched.run(3)
    watched.run(9, decided=None)
    assert watched.told == []
    watched.run(4, decided=None)  # the thread that asks has ended, say
    assert watched.told == ["+inference"] and "nothing was decided" in watched.messages[0]
    watched.run(1)
    assert watched.told == ["+inference", "-inference"]


def test_window_that_never_fills_is_a_fault(watched: Watched) -> None:
    watched.run(12, decided=False)
    assert watched.told == ["+inference"]


def test_camera_that_flaps_and_is_never_decided_on_is_a_fault(watched: Watched) -> None:
    for _ in range(8):
        watched.run(1.0, decided=False)
        watched.run(1.0, pictures=False)
    assert watched.told == ["+inference"]


def test_camera_that_is_offline_is_not_undecided_as_well(watched: Watched) -> None:
    watched.run(3)
    watched.run(60, pictures=False)
    watched.run(3, decided=False)
    assert watched.told == ["+offline", "-offline"]


def test_late_answers_are_overload_when_they_are_many(watched: Watched) -> None:
    watched.run(5)
    for _ in range(5):
        watched.run(1.0)
        watched.run(0.125, age_s=0.8)
    assert watched.told == []
    watched.run(4, age_s=0.8)
    assert watched.told == ["+overload"] and "late" in watched.messages[0]
    watched.run(8)
    assert watched.told == ["+overload", "-overload"]


def test_share_needs_some_time_to_be_judged() -> None:
    share = Share()
    assert not share.add(0.0, True) and not share.add(1.0, True) and not share.on
    assert share.add(3.0, True) and share.on
    assert not share.add(4.0, False)
    assert share.add(10.0, False) and not share.on


def test_torn_pictures_are_said_not_to_tell_anything(watched: Watched) -> None:
    watched.run(5)
    assert watched.see(damaged=True)
    watched.run(15, damaged=True, decided=None)
    assert "+damaged" in watched.told


def test_main_stream_that_stays_away_is_told(watched: Watched) -> None:
    watched.main = FakeFeed("backing-off", "404 Not Found")
    watched.run(2)
    assert watched.told == []
    watched.run(2)
    assert watched.told == ["+not-recording"] and "404" in watched.messages[0]
    watched.main.state = "live"
    watched.run(1)
    assert watched.told == ["+not-recording", "-not-recording"]


def test_clock_at_zero_is_a_moment_as_any(watched: Watched) -> None:
    watched.now[0] = 0.0
    watched.wellness.unanswered("gone")
    watched.now[0] = 2.5
    watched.wellness.unanswered("gone")
    assert watched.wellness.ailments == ["inference"]


def test_two_readers_at_once_do_not_bring_time_to_run_backwards() -> None:
    """A reader that was left behind may bring a picture while the next one does."""
    monitor = HealthMonitor("a", HealthSettings())
    wellness = Wellness("a", monitor)
    wellness._looked_s = -1e9
    errors: list[Exception] = []

    def see(reader: FakeReader) -> None:
        try:
            for index in range(150):
                wellness._looked_s = -1e9
                tick = Tick(Frame(FLOOR(index, 96, 64), t_s=index / 8), index, 1, 1000.0 + index / 8)
                wellness.see(cast(CameraReader, reader), tick)
        except Exception as error:  # noqa: BLE001 - told below, in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=see, args=(FakeReader(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def test_counts_go_on_over_connections(watched: Watched) -> None:
    first, second = FakeReader(FakeDecoder(10, 1, 0)), FakeReader(FakeDecoder(4, 0, 2))
    wellness = watched.wellness
    assert wellness.counted(cast(CameraReader, first)) == (10, 1, 0)
    assert first.decoder is not None
    first.decoder.decoded = 15
    assert wellness.counted(cast(CameraReader, first)) == (15, 1, 0)
    assert wellness.counted(cast(CameraReader, second)) == (19, 1, 2)
    assert wellness.counted(cast(CameraReader, FakeReader(None))) == (19, 1, 2)


def test_view_that_was_moved_on_purpose_is_accepted(watched: Watched) -> None:
    watched.run(60)
    moved = np.ascontiguousarray(np.roll(FLOOR(0, 96, 64), 20, axis=1))
    for index in range(8 * 40):
        watched.now[0] += 0.125
        image = moved.copy()
        image[:4, index % 80 : index % 80 + 8] = 255
        watched.see(image)
        watched.follow()
        if index == 8 * 20:
            watched.wellness.relearn()
    assert [kind for kind in watched.told if kind.endswith("moved")] in ([], ["+moved", "-moved"])
