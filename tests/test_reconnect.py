"""When a camera is tried again: seldom while it is away, at once when it is back. Without a network."""

import random
import threading
import time
from dataclasses import dataclass, field
from typing import cast

import pytest

from jikimi.address import Address
from jikimi.watch.camera import CameraReader, View
from jikimi.watch.feed import Feed, HangingError
from jikimi.watch.reconnect import FIRST_S, LONGEST_S, Backoff, Knocker, door
from jikimi.watch.recorder import Keep
from jikimi.watch.sources import Camera
from jikimi.watch.timeline import Timeline


def test_pauses_grow_from_one_to_thirty_seconds_and_are_never_in_step() -> None:
    pauses = [Backoff(random.Random(seed)) for seed in range(50)]
    first = [backoff.failed() for backoff in pauses]
    assert all(0.7 * FIRST_S <= pause <= 1.3 * FIRST_S for pause in first) and len(set(first)) == 50
    for _ in range(9):
        last = [backoff.failed() for backoff in pauses]
    assert all(0.7 * LONGEST_S <= pause <= 1.3 * LONGEST_S for pause in last)
    pauses[0].succeeded()
    assert pauses[0].failed() <= 1.3 * FIRST_S


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("rtsp://10.0.0.5/live", ("10.0.0.5", 554)),
        ("rtsp://admin:p%40ss@10.0.0.5:8554/live", ("10.0.0.5", 8554)),
        ("rtsp://admin:S3cr@et@camera.local/live", ("camera.local", 554)),
        ("rtsp://10.0.0.5/live?user=a@b", ("10.0.0.5", 554)),
        ("rtsp://10.0.0.5:8554/a@b/live", ("10.0.0.5", 8554)),
        ("rtsp://[fe80::1]:8554/live", ("fe80::1", 8554)),
        ("rtsps://10.0.0.5/live", ("10.0.0.5", 322)),
        ("http://10.0.0.5/video.mjpg", ("10.0.0.5", 80)),
        ("https://10.0.0.5/video.mjpg", ("10.0.0.5", 443)),
        ("rtsp://10.0.0.5:port/live", None),
        ("rtsp://[10.0.0.5/live", None),
        ("udp://239.0.0.1:5000", None),
        ("/dev/video0", None),
        ("film.mp4", None),
    ],
)
def test_door_of_an_address(address: str, expected: tuple[str, int] | None) -> None:
    assert door(Address(address)) == expected


def test_camera_without_a_door_counts_as_open() -> None:
    knocker = Knocker(Address("udp://239.0.0.1:5000"))
    knocker.start()
    assert knocker.open and not knocker.opened


@dataclass
class FakeKnocker:
    open: bool | None = False
    opened: bool = False

    def stop(self) -> None:
        """Knock no more."""


@dataclass
class FakeReader:
    """A reader whose fields a test moves."""

    timeline: Timeline = field(default_factory=Timeline)
    decoding_since: float | None = None
    problem: str = ""
    stop: threading.Event = field(default_factory=threading.Event)


def feed_at(now: list[float], address: str = "rtsp://127.0.0.1:1/live") -> Feed:
    camera = Camera("a", Address(address), live=True)
    return Feed(camera, View(8.0, 48, True, Keep()), None, lambda _r, _t: None, clock=lambda: now[0])


def lost(feed: Feed, knocker: FakeKnocker, *, due_at: float) -> None:
    """As after a connection that broke at 0."""
    feed.state, feed._knocker, feed._due_at = "backing-off", cast(Knocker, knocker), due_at


def test_door_that_looks_closed_for_long_is_tried_all_the_same() -> None:
    now = [1.0]
    feed = feed_at(now)
    lost(feed, FakeKnocker(open=False), due_at=2.0)
    for now[0] in (3.0, 10.0, 29.0):
        assert not feed._is_due(now[0])
    assert feed._is_due(30.5)  # a camera behind a slow link answers no knock, and yet is there


def test_door_that_opens_is_tried_at_once_and_one_that_was_open_when_it_is_time() -> None:
    feed = feed_at([0.0])
    lost(feed, FakeKnocker(open=True, opened=True), due_at=20.0)
    assert feed._is_due(1.0)
    lost(feed, FakeKnocker(open=True), due_at=20.0)
    assert not feed._is_due(19.0) and feed._is_due(20.1)
    lost(feed, FakeKnocker(open=None), due_at=0.0)
    assert not feed._is_due(1.0)  # the first knock is not over


def reading(feed: Feed, reader: FakeReader) -> None:
    feed.reader = cast(CameraReader, reader)
    feed._thread, feed._began_at = threading.current_thread(), feed.clock()


def test_packet_that_is_decoded_for_too_long_takes_the_process_down() -> None:
    now = [100.0]
    feed, reader = feed_at(now), FakeReader()
    reading(feed, reader)
    reader.decoding_since = 100.0
    feed.poll()
    now[0] = 102.5
    with pytest.raises(HangingError):
        feed.poll()


def test_reader_that_is_behind_its_clock_neither_hangs_nor_stalls() -> None:
    now = [100.0]
    feed, reader = feed_at(now), FakeReader()
    reading(feed, reader)
    for step in range(200):  # a recording held to its own speed by a slow machine: 5 s late, and going on
        now[0] = 100.0 + step * 0.05
        reader.decoding_since = now[0] - 5.0 if step % 3 else None
        reader.timeline.arrived_s = now[0] - 5.0
        assert feed.poll() == []
    assert feed.state == "live"


def test_too_many_readers_that_never_end_take_the_process_down() -> None:
    feed = feed_at([0.0])
    over = threading.Event()
    feed._left = [threading.Thread(target=over.wait, daemon=True) for _ in range(4)]
    for thread in feed._left:
        thread.start()
    with pytest.raises(HangingError, match="4 attempts hang"):
        feed.poll()
    over.set()
    for thread in feed._left:
        thread.join(5)
    assert time.monotonic() > 0


def test_stream_time_follows_a_clock_that_drifts() -> None:
    timeline = Timeline()
    for step in range(3600):  # an hour of a camera that runs 1000 ppm fast
        timeline.note(100.0 + step, step * 1.001)
    at_s = timeline.at(3599 * 1.001)
    assert at_s == pytest.approx(100.0 + 3599, abs=0.1)
    assert timeline.stream_time(100.0 + 3599) == pytest.approx(3599 * 1.001, abs=0.1)


def test_packets_that_come_late_do_not_move_the_stream() -> None:
    timeline = Timeline()
    assert timeline.at(0.0) is None and timeline.stream_time(5.0) is None
    for step in range(300):
        timeline.note(100.0 + step / 10 + (0.8 if step % 7 else 0.0), step / 10)
    assert timeline.at(0.0) == pytest.approx(100.0)
