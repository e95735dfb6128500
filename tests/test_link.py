"""A camera's questions to the detector: each has an answer or an error, whatever becomes of the detector."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from jikimi.errors import InferenceError
from jikimi.watch import link
from jikimi.watch.analysis import merged
from jikimi.watch.link import ANSWER_S, Answered, Link, Question
from jikimi.watch.wire import (
    Inbox,
    Look,
    Verdict,
    frame_message,
    pack_looks,
    pack_verdict,
    unpack_looks,
    unpack_verdict,
)
from sites import wait_for

PICTURE = np.zeros((4, 6, 3), np.uint8)

Answer = Callable[[list[Look]], bytes | None]


def question(*moments_s: float, view: str = "") -> Question:
    return Question([Look(view, moments_s, PICTURE)], arrived_s=moments_s[-1])


def honest(looks: list[Look]) -> bytes:
    rows = {k.view: [np.array([t_s, 1], np.float32) for t_s in k.moments_s] for k in looks}
    return frame_message(pack_verdict(Verdict(rows)))


@dataclass
class FakeDetector:
    """Listens and answers as `answer` says; None is no answer. `asked` are the questions it read."""

    path: Path
    answer: Answer = honest
    asked: list[list[Look]] = field(default_factory=list)
    _peers: list[socket.socket] = field(default_factory=list)
    _listener: socket.socket | None = None

    def start(self) -> None:
        self.path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.path))
        self._listener.listen(8)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self) -> None:
        assert self._listener is not None
        self.path.unlink(missing_ok=True)
        for one in (self._listener, *self._peers):
            with closing():
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._peers.clear()

    def _accept(self, listener: socket.socket) -> None:
        with closing():
            while True:
                peer, _ = listener.accept()
                self._peers.append(peer)
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        inbox = Inbox(peer)
        with closing():
            while (messages := inbox.receive()) is not None:
                for message in messages:
                    self.asked.append(unpack_looks(message))
                    reply = self.answer(self.asked[-1])
                    if reply is not None:
                        peer.sendall(reply)


@contextmanager
def closing() -> Iterator[None]:
    """A socket of a test that is closed under its user."""
    try:
        yield
    except OSError:
        return


@dataclass
class Asking:
    """A link and what it was answered."""

    detector: FakeDetector
    link: Link
    woken: threading.Event
    found: list[Answered] = field(default_factory=list)

    def answers(self, count: int, *, within_s: float = 10.0) -> list[Answered]:
        def enough() -> bool:
            self.found += self.link.answers()
            return len(self.found) >= count

        wait_for(enough, within_s=within_s, every_s=0.01)
        return self.found

    def until_answered(self, t_s: float = 1.0) -> Answered:
        """Ask again and again, as a camera does, until there is no error."""

        def well() -> bool:
            self.link.offer(question(t_s))
            self.answers(len(self.found) + 1)
            return not self.found[-1].verdict.error

        wait_for(well)
        return self.found[-1]


@pytest.fixture
def asking() -> Iterator[Asking]:
    with TemporaryDirectory() as folder:  # short: a socket's path has 107 bytes
        detector = FakeDetector(Path(folder) / "d.sock")
        detector.start()
        woken = threading.Event()
        link = Link(detector.path, lambda a, b: merged(a, b, max_gap_s=1.0), woken.set)
        link.start()
        yield Asking(detector, link, woken)
        link.stop()
        detector.stop()


def test_question_is_answered_and_wakes_whoever_waits(asking: Asking) -> None:
    asking.link.offer(question(5.0))
    assert asking.woken.wait(5)
    (answered,) = asking.answers(1)
    assert not answered.verdict.error and answered.question.arrived_s == 5.0
    np.testing.assert_array_equal(answered.verdict.scores[""][0], [5.0, 1.0])
    assert answered.decided_s <= time.monotonic()
    assert asking.link.dropped == 0 and asking.link.connected


def test_detector_that_hangs_is_an_error_and_no_silence(asking: Asking) -> None:
    asking.detector.answer = lambda _looks: None
    began = time.monotonic()
    asking.link.offer(question(1.0))
    (answered,) = asking.answers(1)
    assert ANSWER_S * 0.9 < time.monotonic() - began < ANSWER_S + 5
    assert "did not answer" in answered.verdict.error and not answered.verdict.scores


def test_late_answer_still_counts_and_nothing_is_asked_anew_meanwhile(asking: Asking) -> None:
    go = threading.Event()
    reply = asking.detector.answer

    def late(looks: list[Look]) -> bytes | None:
        go.wait(10)
        return reply(looks)

    asking.detector.answer = late
    asking.link.offer(question(1.0))
    (told,) = asking.answers(1)
    assert "did not answer" in told.verdict.error
    asking.link.offer(question(2.0))
    go.set()
    _, first, second = asking.answers(3)
    assert [one.question.arrived_s for one in (told, first, second)] == [1.0, 1.0, 2.0]
    assert not first.verdict.error and not second.verdict.error
    assert len(asking.detector.asked) == 2 and len(asking.detector._peers) == 1


def test_detector_that_never_answers_is_connected_to_anew(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "GIVE_UP_S", ANSWER_S + 0.2)
    asking.detector.answer = lambda _looks: None
    asking.link.offer(question(1.0))
    assert all("did not answer" in one.verdict.error for one in asking.answers(2))
    wait_for(lambda: len(asking.detector._peers) == 2)


def test_newest_picture_wins_and_answers_the_moments_of_those_it_replaced(asking: Asking) -> None:
    go = threading.Event()

    def slow(looks: list[Look]) -> bytes:
        go.wait(5)
        return honest(looks)

    asking.detector.answer = slow
    asking.link.offer(question(1.0))
    wait_for(lambda: asking.detector.asked)
    for t_s in (1.125, 1.25, 1.375):
        asking.link.offer(question(t_s))
    go.set()
    first, second = asking.answers(2)
    assert first.question.looks[0].moments_s == (1.0,)
    assert second.question.looks[0].moments_s == (1.125, 1.25, 1.375)
    assert second.question.arrived_s == 1.375 and asking.link.dropped == 2
    assert len(second.verdict.scores[""]) == 3


def test_moments_over_a_gap_are_not_answered_by_a_picture_after_it() -> None:
    both = merged(question(1.0), question(2.5), max_gap_s=1.0)
    assert both.looks[0].moments_s == (2.5,)


def test_view_that_is_new_keeps_its_moments() -> None:
    older, newer = question(1.0, view="belt"), question(1.1, view="door")
    assert merged(older, newer, max_gap_s=1.0).looks[0].moments_s == (1.1,)


def test_questions_that_wait_for_nobody_do_not_grow(asking: Asking) -> None:
    asking.detector.answer = lambda _looks: None
    for index in range(500):
        asking.link.offer(question(index / 8))
    assert asking.link._waiting is None or len(asking.link._waiting.looks[0].moments_s) <= 9


def test_detector_that_comes_back_is_asked_again(asking: Asking) -> None:
    asking.until_answered()
    asking.detector.stop()
    asking.link.offer(question(2.0))
    assert asking.answers(len(asking.found) + 1)[-1].verdict.error
    asking.link.offer(question(2.1))
    error = asking.answers(len(asking.found) + 1)[-1].verdict.error
    assert "cannot be reached" in error or "gone" in error
    asking.detector.start()
    asking.until_answered(3.0)


def test_detector_that_is_not_there_yet_is_an_error_for_each_question() -> None:
    link = Link(Path("/nonexistent/d.sock"), lambda _a, b: b, lambda: None)
    asking = Asking(FakeDetector(Path()), link, threading.Event())
    link.start()
    for t_s in (1.0, 2.0):
        link.offer(question(t_s))
        assert "cannot be reached" in asking.answers(len(asking.found) + 1)[-1].verdict.error
    link.stop()


GARBAGE = {
    "no verdict": frame_message(b"what?"),
    "a huge length": b"\xff\xff\xff\xff",
    "another shape": frame_message(b'{"scores": {"": [[[1]]]}, "error": ""}'),
    "no number": frame_message(b'{"scores": {"": [[NaN, 1]]}, "error": ""}'),
    "no rows": frame_message(b'{"scores": {}, "error": ""}'),
    "a row too few": frame_message(b'{"scores": {"": []}, "error": ""}'),
    "another view": frame_message(b'{"scores": {"belt": [[0, 1]]}, "error": ""}'),
    "deep": frame_message(b"[" * 100_000),
}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_is_an_error_and_never_the_same_as_nothing_happening(asking: Asking, what: str) -> None:
    asking.detector.answer = lambda _looks: GARBAGE[what]
    asking.link.offer(question(1.0))
    (answered,) = asking.answers(1)
    assert answered.verdict.error and not answered.verdict.scores
    asking.detector.answer = honest
    asking.until_answered()


def test_detector_that_stops_in_mid_answer_is_an_error(asking: Asking) -> None:
    asking.detector.answer = lambda looks: honest(looks)[:-3]
    asking.link.offer(question(1.0))
    assert "did not answer" in asking.answers(1)[0].verdict.error
    asking.detector.answer = honest
    asking.until_answered()


def test_error_of_the_detector_is_told_as_it_is(asking: Asking) -> None:
    asking.detector.answer = lambda _looks: frame_message(pack_verdict(Verdict({}, "the encoder failed")))
    asking.link.offer(question(1.0))
    assert asking.answers(1)[0].verdict.error == "the encoder failed"


def test_question_that_cannot_even_be_asked_does_not_end_asking(asking: Asking) -> None:
    bad = question(1.0)
    asking.link.offer(replace(bad, looks=[replace(bad.looks[0], moments_s=(object(),))]))  # type: ignore[arg-type]
    assert asking.answers(1)[0].verdict.error
    asking.until_answered()


def test_stopped_link_asks_no_more(asking: Asking) -> None:
    asking.until_answered()
    asking.link.stop()
    time.sleep(0.2)
    asked = len(asking.detector.asked)
    asking.link.offer(question(9.0))
    time.sleep(0.2)
    assert len(asking.detector.asked) == asked


BAD_LOOKS = [
    b"what?\n",
    b"[]x",
    b'[{"view": "", "moments": [1], "shape": [2, 2]}]\n' + b"x" * 4,
    b'[{"view": "", "moments": [1], "shape": [-1, 2, 3]}]\n' + b"x" * 12,
    b'[{"view": "", "moments": [1], "shape": [2, 2, 4]}]\n' + b"x" * 16,
    b'[{"view": "", "moments": [1], "shape": [2, 2, 3]}]\n' + b"x" * 11,
    b'[{"view": "", "moments": [], "shape": [2, 2, 3]}]\n' + b"x" * 12,
    b'[{"view": "", "moments": [NaN], "shape": [2, 2, 3]}]\n' + b"x" * 12,
    b'[{"view": "", "moments": [1], "shape": [Infinity, 2, 3]}]\n' + b"x" * 12,
    b'{"view": ""}\n',
    b"[" * 100_000,
]


@pytest.mark.parametrize("message", BAD_LOOKS, ids=range(len(BAD_LOOKS)))
def test_message_that_is_no_picture_is_refused(message: bytes) -> None:
    with pytest.raises(InferenceError):
        unpack_looks(message)


def test_pictures_and_verdicts_come_out_as_they_went_in() -> None:
    rng = np.random.default_rng(0)
    looks = [
        Look("벨트", (1.0, 1.125), rng.integers(0, 256, (5, 7, 3), np.uint8)),
        Look("", (2.0,), rng.integers(0, 256, (3, 4, 1), np.uint8)),
    ]
    for sent, came in zip(looks, unpack_looks(pack_looks(looks)), strict=True):
        assert (sent.view, sent.moments_s) == (came.view, came.moments_s)
        np.testing.assert_array_equal(sent.fitted_HWC, came.fitted_HWC)
    verdict = unpack_verdict(pack_verdict(Verdict({"벨트": [None, np.array([0.25, 0.75], np.float32)]})))
    assert verdict.scores["벨트"][0] is None and not verdict.error
    np.testing.assert_array_equal(verdict.scores["벨트"][1], [0.25, 0.75])


def test_inbox_puts_messages_together_from_any_pieces() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    inbox = Inbox(ours)
    stream = frame_message(b"one") + frame_message(b"") + frame_message(b"three" * 1000)
    found: list[bytes] = []
    for start in range(0, len(stream), 7):
        assert inbox.receive() == []
        theirs.sendall(stream[start : start + 7])
        found += inbox.receive() or []
    assert found == [b"one", b"", b"three" * 1000]
    theirs.close()
    assert inbox.receive() is None
    ours.close()
