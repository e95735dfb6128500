"""The detector's process: one model, and the pictures of all cameras in as few runs of it as possible.

It beats while it works, so that a run that hangs is noticed. What it remembers of a camera lives as long as
the camera's connection: whoever connects anew is new.
"""

import logging
import os
import selectors
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from jikimi import selftest
from jikimi.bundle import Bundle, Card, load_bundle
from jikimi.errors import BundleError, InferenceError, JikimiError
from jikimi.frame import Floats, Frame
from jikimi.status import Histogram
from jikimi.watch.child import BEAT_S, Beat, send
from jikimi.watch.detector import Detector, DetectorState
from jikimi.watch.wire import Inbox, Look, Verdict, frame_message, pack_verdict, unpack_looks

log = logging.getLogger(__name__)

# A model gone wrong says "nothing happens" of every camera: it is asked about the known clip so often.
SELF_TEST_S = 3600.0

# A verdict is a few kB and a camera has one question open, so this always fits; one that does not is gone.
_SEND_S = 0.1

# Where processor time is short, a process of this niceness gets a tenth of what the champion gets.
_GIVES_WAY = 10

Ask = tuple["_Peer", list[Look]]


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """What the detector's process is given. `self_test_s` is shorter only in tests.

    `card` is the one that cameras read scores by: another file under the same name would be misread.
    """

    bundle: Path
    socket: Path
    threads: int = 0
    batch_wait_s: float = 0.02
    self_test_s: float = SELF_TEST_S
    card: Card | None = None


@dataclass(frozen=True, slots=True)
class DetectorBeat:
    """What the detector tells with each beat. `problem` is what the last self-test found."""

    model: str
    runs: int
    pictures: int
    failures: int
    problem: str
    inference: Histogram


@dataclass(slots=True, eq=False)
class _Peer:
    """One camera's connection. `states` are the detector's memories of its views."""

    socket: socket.socket
    inbox: Inbox
    states: dict[str, DetectorState] = field(default_factory=dict)


def run_detector(pipe: Connection, config: DetectorConfig) -> None:
    """The process: load, test, answer until the pipe's other end has gone.

    Raises:
        JikimiError: the bundle is damaged, not the one that cameras know, or fails its test.
    """
    bundle = load_bundle(config.bundle, threads=config.threads)
    if config.card is not None and bundle.card != config.card:
        raise BundleError(f"bundle {config.bundle}: it was replaced while watching; restart jikimi")
    expected = selftest.answer(bundle)
    selftest.check(bundle, expected=expected)
    config.socket.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(config.socket))
        listener.listen(256)
        listener.setblocking(False)
        DetectorServer(pipe, config, bundle, listener, expected).run()


def run_challenger(pipe: Connection, config: DetectorConfig) -> None:
    """The process of a second detector, which gives way to all else. Raises as `run_detector` does."""
    os.nice(_GIVES_WAY)  # before any thread is started: they inherit it
    run_detector(pipe, config)


@dataclass(slots=True)
class DetectorServer:
    """Answers cameras: takes what has come, waits a moment for more, runs the model once for all of it."""

    pipe: Connection
    config: DetectorConfig
    bundle: Bundle
    listener: socket.socket
    expected: Floats
    clock: Callable[[], float] = time.monotonic
    _detector: Detector = field(init=False)
    _selector: selectors.DefaultSelector = field(default_factory=selectors.DefaultSelector, init=False)
    _peers: set[_Peer] = field(default_factory=set, init=False)
    _beat_at: float = field(default=0.0, init=False)
    _test_at: float = field(default=0.0, init=False)
    _problem: str = field(default="", init=False)
    _runs: int = field(default=0, init=False)
    _pictures: int = field(default=0, init=False)
    _failures: int = field(default=0, init=False)
    _inference: Histogram = field(default_factory=Histogram, init=False)

    def __post_init__(self) -> None:
        self._detector = Detector(self.bundle)
        self._test_at = self.clock() + self.config.self_test_s

    def run(self) -> None:
        """Answer until the parent has gone."""
        self._selector.register(self.listener, selectors.EVENT_READ, None)
        self._selector.register(self.pipe, selectors.EVENT_READ, None)
        while True:
            self._beat()
            if self._parent_has_gone():
                break
            self._self_test()
            asks = self._gather()
            if asks:
                self._answer(asks)
        for peer in list(self._peers):
            self._drop(peer)
        self._selector.close()

    def _beat(self) -> None:
        now = self.clock()
        if now < self._beat_at:
            return
        self._beat_at = now + BEAT_S
        news = DetectorBeat(
            self.bundle.card.name, self._runs, self._pictures, self._failures, self._problem, self._inference
        )
        self._inference = Histogram()
        send(self.pipe, Beat(news))

    def _parent_has_gone(self) -> bool:
        try:
            while self.pipe.poll():
                if self.pipe.recv() is None:
                    return True
        except (EOFError, OSError):
            return True
        return False

    def _self_test(self) -> None:
        if self.clock() < self._test_at:
            return
        self._test_at = self.clock() + self.config.self_test_s
        try:
            selftest.check(_Beating(self.bundle, self._beat), expected=self.expected)
            self._problem = ""
        except InferenceError as error:
            log.error("%s", error)
            self._problem = str(error)

    def _gather(self) -> list[Ask]:
        """What cameras ask now, with at most `batch_wait_s` of waiting after the first."""
        asks = self._taken(BEAT_S)
        if not asks:
            return []
        until = self.clock() + self.config.batch_wait_s
        while self._peers - {peer for peer, _ in asks} and (left := until - self.clock()) > 0:
            asks += self._taken(left)
        return asks

    def _taken(self, wait_s: float) -> list[Ask]:
        asks: list[Ask] = []
        for key, _ in self._selector.select(wait_s):
            if key.fileobj is self.listener:
                self._accept()
            elif isinstance(key.data, _Peer):
                asks += [(key.data, looks) for looks in self._received(key.data)]
        return asks

    def _accept(self) -> None:
        try:
            one, _ = self.listener.accept()
        except OSError as error:
            log.warning("a camera that was connecting has gone: %s", error)
            return
        one.setblocking(False)
        peer = _Peer(one, Inbox(one))
        self._peers.add(peer)
        self._selector.register(one, selectors.EVENT_READ, peer)

    def _received(self, peer: _Peer) -> list[list[Look]]:
        try:
            messages = peer.inbox.receive()
            if messages is None:
                self._drop(peer)
                return []
            return [self._fitting(unpack_looks(message)) for message in messages]
        except InferenceError as error:
            log.error("%s", error)
            self._drop(peer)
            return []

    def _fitting(self, looks: list[Look]) -> list[Look]:
        """The looks, where all are as the model takes them: one that is not would fail the run of all."""
        size = self.bundle.card.preprocess
        fitting = (size.height_px, size.width_px, size.channels)
        for look in looks:
            if look.fitted_HWC.shape != fitting:
                raise InferenceError(f"a camera sent a picture {look.fitted_HWC.shape}, not {fitting}")
        return looks

    def _drop(self, peer: _Peer) -> None:
        self._selector.unregister(peer.socket)
        self._peers.discard(peer)
        peer.socket.close()

    def _answer(self, asks: Sequence[Ask]) -> None:
        asks = [(peer, looks) for peer, looks in asks if self._waits(peer)]
        if not asks:
            return
        began = self.clock()
        verdicts = score(self._detector, [(peer.states, looks) for peer, looks in asks], self._beat)
        self._inference.add(self.clock() - began)
        self._runs += 1
        self._pictures += sum(len(looks) for _, looks in asks)
        for (peer, _), verdict in zip(asks, verdicts, strict=True):
            self._failures += bool(verdict.error)
            self._reply(peer, verdict)

    def _waits(self, peer: _Peer) -> bool:
        """Whether the camera is still there: a machine that is behind answers nobody in vain."""
        if peer not in self._peers:
            return False
        try:
            gone = peer.socket.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return True
        except OSError:
            gone = True
        if gone:
            self._drop(peer)
        return not gone

    def _reply(self, peer: _Peer, verdict: Verdict) -> None:
        if peer not in self._peers:
            return
        try:
            peer.socket.settimeout(_SEND_S)
            peer.socket.sendall(frame_message(pack_verdict(verdict)))
            peer.socket.setblocking(False)
        except OSError as error:
            log.warning("a camera does not take its verdict: %s", error)
            self._drop(peer)


@dataclass(slots=True)
class _Beating:
    """A bundle that beats between the pictures of its self-test: on a slow machine all take over a second."""

    bundle: Bundle
    beat: Callable[[], None]
    card: Card = field(init=False)

    def __post_init__(self) -> None:
        self.card = self.bundle.card

    def encode(self, pictures_NCHW: Floats, /) -> Floats:
        """Features, float32 (N, D), of pictures (N, depth, H, W), one after the other."""
        features = []
        for picture_1CHW in np.split(pictures_NCHW, len(pictures_NCHW)):
            self.beat()
            features.append(self.bundle.encode(picture_1CHW))
        return np.concatenate(features)

    def classify(self, windows_NTD: Floats, /) -> Floats:
        """Logits, float32 (N, C), of windows (N, T, D)."""
        return self.bundle.classify(windows_NTD)


def score(
    detector: Detector,
    asks: Sequence[tuple[dict[str, DetectorState], Sequence[Look]]],
    beat: Callable[[], None] = lambda: None,
) -> list[Verdict]:
    """Score what cameras ask, all in one run for each moment; the cameras' states are moved on in place.

    A picture the model fails on is an error of its own camera alone. `beat` is called before each run: a
    detector that is slow is late, and must not be taken for one that hangs.
    """
    scores: list[dict[str, list[Floats | None]]] = [{look.view: [] for look in looks} for _, looks in asks]
    errors = [""] * len(asks)
    longest = max((len(look.moments_s) - look.behind for _, looks in asks for look in looks), default=0)
    for turn in range(longest):
        beat()
        batch = {
            (i, look.view): Frame(look.fitted_HWC, t_s=look.moments_s[look.behind + turn])
            for i, (_, looks) in enumerate(asks)
            for look in looks
            if look.behind + turn < len(look.moments_s) and not errors[i]
        }
        skipped = {
            (i, look.view): look.moments_s[: look.behind]
            for i, (_, looks) in enumerate(asks)
            for look in looks
            if turn == 0 and look.behind
        }
        for places, outcome in _turn(detector, batch, skipped, [states for states, _ in asks]):
            if isinstance(outcome, str):
                errors[places[0][0]] = outcome
                continue
            for place in places:
                times = 1 + len(skipped.get(place, ()))
                scores[place[0]][place[1]] += [outcome[place]] * times
    return [Verdict({} if error else rows, error) for rows, error in zip(scores, errors, strict=True)]


_Place = tuple[int, str]
_Outcome = Mapping[_Place, Floats | None] | str


def _turn(
    detector: Detector,
    batch: Mapping[_Place, Frame],
    skipped: Mapping[_Place, Sequence[float]],
    states: Sequence[dict[str, DetectorState]],
) -> list[tuple[list[_Place], _Outcome]]:
    """One run for everybody; where that fails, one for each camera, so that the guilty one is alone."""
    if not batch:
        return []
    known = {place: states[place[0]].get(place[1]) for place in batch}
    names = {f"{i}/{view}": (i, view) for i, view in batch}
    try:
        found, after = detector.step(
            {name: batch[place] for name, place in names.items()},
            {name: state for name, place in names.items() if (state := known[place]) is not None},
            skipped={name: skipped[place] for name, place in names.items() if place in skipped},
        )
    except InferenceError as error:
        cameras = sorted({i for i, _ in batch})
        if len(cameras) == 1:
            states[cameras[0]].clear()  # a window with a hole in it would mean something else
            return [(list(batch), str(error))]
        apart = [{place: frame for place, frame in batch.items() if place[0] == i} for i in cameras]
        return [outcome for part in apart for outcome in _turn(detector, part, skipped, states)]
    for name, place in names.items():
        states[place[0]][place[1]] = after[name]
    return [(list(batch), {place: _copied(found[name]) for name, place in names.items()})]


def _copied(row: Floats | None) -> Floats | None:
    return None if row is None else np.array(row, dtype=np.float32)


def check_bundle(path: Path, *, threads: int = 0) -> Card:
    """Load a bundle and test it as the process will → its card.

    Raises:
        JikimiError: it is damaged or answers otherwise than when it was exported.
    """
    bundle = load_bundle(path, threads=threads)
    try:
        selftest.check(bundle)
    except InferenceError as error:
        raise JikimiError(f"bundle {path}: {error}") from error
    return bundle.card
