"""The detector's process: many cameras, one run; whoever errs, errs alone."""

import multiprocessing
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import pytest

from bundles import COLOURS, GREY, YELLOW, make_bundle
from jikimi import selftest
from jikimi.bundle import Bundle, Card, load_bundle
from jikimi.errors import BundleError
from jikimi.frame import Floats, Image
from jikimi.watch.child import Beat
from jikimi.watch.detecting import DetectorBeat, DetectorConfig, DetectorServer, check_bundle, run_detector
from jikimi.watch.wire import Inbox, Look, Verdict, frame_message, pack_looks, unpack_verdict
from sites import wait_for

RATE_HZ, WARM_UP = 8.0, 4


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundle") / "x.jikimi", rate_hz=RATE_HZ, warm_up=WARM_UP)


def picture(colour: tuple[int, int, int]) -> Image:
    return np.full((COLOURS.height_px, COLOURS.width_px, 3), colour, np.uint8)


POISON = picture((1, 2, 3))


@dataclass
class Moody:
    """A bundle that counts its runs, fails on one picture, takes its time, or answers otherwise."""

    bundle: Bundle
    runs: list[int] = field(default_factory=list)
    shift: float = 0.0
    slow_s: float = 0.0

    @property
    def card(self) -> Card:
        return self.bundle.card

    def encode(self, pictures_NCHW: Floats) -> Floats:
        time.sleep(self.slow_s)
        self.runs.append(len(pictures_NCHW))
        poison = self.card.preprocess([POISON])[0]
        if any(np.array_equal(one, poison) for one in pictures_NCHW):
            raise RuntimeError("this picture is poison")
        return self.bundle.encode(pictures_NCHW)

    def classify(self, windows_NTD: Floats) -> Floats:
        return self.bundle.classify(windows_NTD) + np.float32(self.shift)


@dataclass
class Camera:
    """A camera's end of a connection."""

    path: Path
    at_s: float = 100.0
    peer: socket.socket = field(default_factory=lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))

    def __post_init__(self) -> None:
        wait_for(self.path.exists)
        self.peer.settimeout(10)
        self.peer.connect(str(self.path))

    def ask(self, image: Image, *, views: Sequence[str] = ("",)) -> None:
        self.at_s += 1 / RATE_HZ
        looks = [Look(view, (self.at_s,), image) for view in views]
        self.peer.sendall(frame_message(pack_looks(looks)))

    def verdict(self) -> Verdict:
        inbox = Inbox(self.peer)
        while (messages := inbox.receive()) is not None:
            if messages:
                return unpack_verdict(messages[0])
        raise ConnectionError

    def asked(self, image: Image, **more: Any) -> Verdict:
        self.ask(image, **more)
        return self.verdict()


@dataclass
class Serving:
    """A detector that serves in a thread of this process."""

    model: Moody
    path: Path
    server: DetectorServer
    pipe: Connection

    def beat(self) -> DetectorBeat:
        """The next one that it sends."""
        while self.pipe.poll():
            self.pipe.recv()
        message = self.pipe.recv()
        assert isinstance(message, Beat)
        return cast(DetectorBeat, message.news)


@pytest.fixture
def serving(path: Path, request: pytest.FixtureRequest) -> Iterator[Serving]:
    model = Moody(load_bundle(path, threads=1))
    with TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        place = Path(folder) / "d.sock"
        listener.bind(str(place))
        listener.listen(16)
        listener.setblocking(False)
        ours, theirs = multiprocessing.Pipe()
        config = DetectorConfig(path, place, batch_wait_s=0.15, self_test_s=getattr(request, "param", 3600.0))
        bundle = cast(Bundle, model)
        server = DetectorServer(theirs, config, bundle, listener, selftest.answer(bundle))
        thread = threading.Thread(target=server.run)
        thread.start()
        yield Serving(model, place, server, ours)
        ours.close()
        thread.join(10)
        assert not thread.is_alive()  # the parent has gone, and so it ends
        theirs.close()


@pytest.fixture
def cameras(serving: Serving) -> Iterator[list[Camera]]:
    with ExitStack() as stack:
        found = [Camera(serving.path) for _ in range(3)]
        for camera in found:
            stack.enter_context(camera.peer)
        wait_for(lambda: len(serving.server._peers) == 3)
        yield found


def test_pictures_of_several_cameras_are_one_run(serving: Serving, cameras: list[Camera]) -> None:
    serving.model.runs.clear()
    for camera in cameras:
        camera.ask(picture(GREY))
    for camera in cameras:
        assert camera.verdict().scores == {"": [None]}  # not yet known, and not "normal"
    assert serving.model.runs == [3]


def test_each_camera_is_scored_by_its_own_pictures(serving: Serving, cameras: list[Camera]) -> None:
    fall = serving.model.card.keys.index("fall-down")
    for _ in range(8):
        for camera, colour in zip(cameras, (GREY, YELLOW, GREY), strict=True):
            camera.ask(picture(colour))
        rows = [camera.verdict().scores[""][0] for camera in cameras]
    assert all(row is not None for row in rows)
    assert [row[fall] > 0.5 for row in rows if row is not None] == [False, True, False]


def test_views_are_remembered_apart(serving: Serving, cameras: list[Camera]) -> None:
    camera = cameras[0]
    for index in range(WARM_UP):
        views = ("belt", "door") if index else ("belt",)
        scores = camera.asked(picture(GREY), views=views).scores
    assert scores["belt"][0] is not None and scores["door"] == [None]


def test_connection_that_is_new_is_remembered_anew(serving: Serving, cameras: list[Camera]) -> None:
    for _ in range(WARM_UP):
        last = cameras[0].asked(picture(GREY))
    assert last.scores[""][0] is not None
    with (again := Camera(serving.path, at_s=cameras[0].at_s)).peer:
        assert again.asked(picture(GREY)).scores == {"": [None]}


def test_moments_of_one_picture_are_answered_one_by_one(serving: Serving, cameras: list[Camera]) -> None:
    moments_s = tuple(50 + k / RATE_HZ for k in range(WARM_UP + 1))
    cameras[0].peer.sendall(frame_message(pack_looks([Look("", moments_s, picture(GREY))])))
    rows = cameras[0].verdict().scores[""]
    assert [row is None for row in rows] == [True] * (WARM_UP - 1) + [False] * 2


def test_picture_that_the_model_fails_on_is_the_error_of_its_camera_alone(
    serving: Serving, cameras: list[Camera]
) -> None:
    for _ in range(WARM_UP):
        for camera in cameras:
            camera.ask(picture(GREY))
        for camera in cameras:
            camera.verdict()
    for camera, image in zip(cameras, (picture(GREY), POISON, picture(GREY)), strict=True):
        camera.ask(image)
    verdicts = [camera.verdict() for camera in cameras]
    assert "poison" in verdicts[1].error and not verdicts[1].scores
    for verdict in (verdicts[0], verdicts[2]):
        assert not verdict.error and verdict.scores[""][0] is not None
    assert serving.beat().failures == 1
    # a window with a hole in it would mean something else: it fills anew
    assert cameras[1].asked(picture(GREY)).scores == {"": [None]}


@pytest.mark.parametrize(
    "message",
    [
        b"\xff\xff\xff\xff",
        frame_message(b"what?"),
        frame_message(pack_looks([Look("", (1.0,), np.zeros((3, 3, 3), np.uint8))])),
        frame_message(pack_looks([Look("", (1.0,), np.zeros((32, 48, 1), np.uint8))])),
        frame_message(b'[{"view": "", "moments": [1], "shape": [9, 9]}]\n' + b"x" * 81),
    ],
    ids=["length", "words", "size", "channels", "shape"],
)
def test_camera_that_sends_garbage_is_dropped_and_costs_the_others_nothing(
    serving: Serving, cameras: list[Camera], message: bytes
) -> None:
    cameras[0].peer.sendall(message)
    for _ in range(2):
        assert not cameras[1].asked(picture(GREY)).error
    wait_for(lambda: len(serving.server._peers) == 2)
    assert cameras[0].peer.recv(1) == b""


def test_camera_that_stops_in_mid_message_holds_up_nobody(serving: Serving, cameras: list[Camera]) -> None:
    whole = frame_message(pack_looks([Look("", (1.0,), picture(GREY))]))
    cameras[0].peer.sendall(whole[:100])
    began = time.monotonic()
    for _ in range(2):
        assert not cameras[1].asked(picture(GREY)).error
    assert time.monotonic() - began < 5
    cameras[0].peer.sendall(whole[100:])
    assert not cameras[0].verdict().error


def test_camera_that_has_gone_is_not_scored(serving: Serving, cameras: list[Camera]) -> None:
    serving.model.runs.clear()
    # the third is waited for: nobody is answered before they have gone
    serving.server.config = replace(serving.server.config, batch_wait_s=60.0)
    for camera in cameras[:2]:
        camera.ask(picture(GREY))
        camera.peer.close()
    cameras[2].asked(picture(GREY))
    wait_for(lambda: len(serving.server._peers) == 1)
    assert serving.model.runs == [1]


def test_camera_that_does_not_take_its_verdicts_costs_the_others_nothing(
    serving: Serving, cameras: list[Camera]
) -> None:
    cameras[0].peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
    many = frame_message(pack_looks([Look("", tuple(k / 8 for k in range(8_000)), picture(GREY))]))
    serving.model.slow_s = 0.0
    threading.Thread(target=lambda: _send_all(cameras[0].peer, many), daemon=True).start()
    wait_for(lambda: len(serving.server._peers) == 2, within_s=30)
    assert not cameras[1].asked(picture(GREY)).error


def _send_all(peer: socket.socket, message: bytes) -> None:
    try:
        peer.sendall(message)
    except OSError:
        return


@pytest.mark.parametrize("serving", [0.3], indirect=True)
def test_model_that_answers_otherwise_than_before_is_a_problem_until_it_does_again(serving: Serving) -> None:
    assert wait_for(lambda: serving.beat().problem == "", within_s=5)
    serving.model.shift = 3.0
    wait_for(lambda: "self-test is off" in serving.beat().problem)
    serving.model.shift = 0.0
    wait_for(lambda: not serving.beat().problem)


@pytest.mark.parametrize("serving", [0.5], indirect=True)
def test_self_test_of_a_slow_machine_is_no_silence(serving: Serving) -> None:
    serving.model.slow_s = 0.2  # a picture: all eight take longer than a detector may be silent
    quiet_s: list[float] = []
    until = time.monotonic() + 3
    while time.monotonic() < until:
        began = time.monotonic()
        serving.beat()
        quiet_s.append(time.monotonic() - began)
    assert max(quiet_s) < 1.0


def test_beat_tells_what_was_done(serving: Serving, cameras: list[Camera]) -> None:
    for _ in range(3):
        cameras[0].asked(picture(GREY))
    told = [wait_for(serving.beat) for _ in range(2)][-1]
    assert (told.model, told.runs, told.pictures, told.failures) == ("colours", 3, 3, 0)


def test_process_serves_until_its_parent_lets_it_go(path: Path) -> None:
    with TemporaryDirectory() as folder:
        config = DetectorConfig(path, Path(folder) / "d.sock", threads=1, card=load_bundle(path).card)
        config.socket.write_text("left behind by an earlier one")
        ours, theirs = multiprocessing.Pipe()
        thread = threading.Thread(target=run_detector, args=(theirs, config), daemon=True)
        thread.start()
        assert isinstance(ours.recv(), Beat)
        with (camera := Camera(config.socket)).peer:
            assert not camera.asked(picture(GREY)).error
        ours.send(None)
        thread.join(10)
        assert not thread.is_alive()
        ours.close()
        theirs.close()


def test_bundle_that_was_replaced_while_watching_is_refused(path: Path, tmp_path: Path) -> None:
    other = load_bundle(make_bundle(tmp_path / "y.jikimi", window=16)).card
    ours, theirs = multiprocessing.Pipe()
    with pytest.raises(BundleError, match="replaced while watching"):
        run_detector(theirs, DetectorConfig(path, tmp_path / "d.sock", card=other))
    ours.close()
    theirs.close()


def test_check_of_a_bundle_returns_its_card(path: Path) -> None:
    assert check_bundle(path, threads=1).name == "colours"
