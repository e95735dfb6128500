"""A camera's side of the detector's socket: the newest picture goes, its verdict comes back.

One question is open at a time. A picture that comes meanwhile replaces the one that waits: dropped and
counted, never queued. No answer within `ANSWER_S` is a fault, and never the same as seeing nothing; one that
comes later still counts: to ask anew would give a detector that is behind even more to do.
"""

import logging
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jikimi.errors import InferenceError
from jikimi.watch.wire import Inbox, Look, Verdict, answers, frame_message, pack_looks, unpack_verdict

log = logging.getLogger(__name__)

# An answer takes milliseconds; after this the detector hangs, and its parent is about to end it.
ANSWER_S = 1.0

# A detector that lives and yet lost a question is connected to anew after this.
GIVE_UP_S = 5.0

# How soon a detector that has come back is found.
_AGAIN_S = 0.05


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the detector, and when its picture had arrived (monotonic seconds)."""

    looks: Sequence[Look]
    arrived_s: float


@dataclass(frozen=True, slots=True)
class Answered:
    """A question with its verdict; `error` in the verdict where there was none."""

    question: Question
    verdict: Verdict
    decided_s: float


@dataclass(slots=True)
class Link:
    """Asks in a thread of its own. `offer`, `answers` and the counters are for the camera's main thread.

    `merge` makes of the question that waits and a newer one a single one, that answers the moments of both.
    """

    path: Path
    merge: Callable[[Question, Question], Question]
    wake: Callable[[], None]
    clock: Callable[[], float] = time.monotonic
    dropped: int = field(default=0, init=False)
    connected: bool = field(default=False, init=False)
    _waiting: Question | None = field(default=None, init=False)
    _answers: deque[Answered] = field(default_factory=deque, init=False)
    _news: threading.Condition = field(default_factory=threading.Condition, init=False)
    _ended: bool = field(default=False, init=False)

    def start(self) -> None:
        """Begin to ask."""
        threading.Thread(target=self._run, name="link", daemon=True).start()

    def stop(self) -> None:
        """Ask no more."""
        with self._news:
            self._ended = True
            self._news.notify()

    def offer(self, question: Question) -> None:
        """Ask this next; what still waits is dropped in its favour."""
        with self._news:
            if self._waiting is not None:
                self.dropped += 1
                question = self.merge(self._waiting, question)
            self._waiting = question
            self._news.notify()

    def answers(self) -> list[Answered]:
        """What has been answered since the last call, oldest first."""
        found = []
        while self._answers:
            found.append(self._answers.popleft())
        return found

    def _run(self) -> None:
        while not self._ended:
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
                    peer.settimeout(ANSWER_S)
                    peer.connect(str(self.path))
                    self.connected = True
                    self._converse(peer)
            except OSError as error:
                self._fail(f"the detector cannot be reached: {error.strerror or error}")
            except Exception as error:  # the thread's outer edge: without it the camera is blind
                log.error("asking the detector failed", exc_info=True)
                self._fail(f"asking the detector failed: {error}")
            self.connected = False
            time.sleep(_AGAIN_S)

    def _converse(self, peer: socket.socket) -> None:
        inbox = Inbox(peer)
        with selectors.DefaultSelector() as selector:
            selector.register(peer, selectors.EVENT_READ)
            while (question := self._next()) is not None:
                peer.settimeout(ANSWER_S)
                try:
                    peer.sendall(frame_message(pack_looks(question.looks)))
                    verdict = self._answer(question, inbox, peer, selector)
                except (OSError, InferenceError) as error:
                    self._put(Answered(question, Verdict({}, _words(error)), self.clock()))
                    return
                except BaseException as error:
                    self._put(Answered(question, Verdict({}, _words(error)), self.clock()))
                    raise
                self._put(Answered(question, verdict, self.clock()))

    def _answer(
        self, question: Question, inbox: Inbox, peer: socket.socket, selector: selectors.DefaultSelector
    ) -> Verdict:
        """The answer, however late; that it is late is told meanwhile. Raises InferenceError."""
        verdict = self._verdict(inbox, peer, selector, ANSWER_S)
        if verdict is None:
            late = f"the detector did not answer within {ANSWER_S:g} s"
            self._put(Answered(question, Verdict({}, late), self.clock()))
            verdict = self._verdict(inbox, peer, selector, GIVE_UP_S - ANSWER_S)
        if verdict is None:
            raise InferenceError(f"the detector did not answer within {GIVE_UP_S:g} s")
        if not verdict.error and not answers(verdict, question.looks):
            raise InferenceError("the detector answered something else than it was asked")
        return verdict

    def _verdict(
        self, inbox: Inbox, peer: socket.socket, selector: selectors.DefaultSelector, patience_s: float
    ) -> Verdict | None:
        """What the detector says; None: nothing yet. Raises InferenceError."""
        peer.setblocking(False)
        until = self.clock() + patience_s
        while (left := until - self.clock()) > 0 and not self._ended:
            selector.select(min(left, ANSWER_S))
            messages = inbox.receive()
            if messages is None:
                raise InferenceError("the detector has gone")
            if messages:
                return unpack_verdict(messages[-1])
        return None

    def _next(self) -> Question | None:
        with self._news:
            while self._waiting is None and not self._ended:
                self._news.wait()
            question, self._waiting = self._waiting, None
            return None if self._ended else question

    def _fail(self, error: str) -> None:
        """Tell that what waits is not answered: nothing waits for a detector that is not there."""
        with self._news:
            question, self._waiting = self._waiting, None
        if question is not None:
            self._put(Answered(question, Verdict({}, error), self.clock()))

    def _put(self, answered: Answered) -> None:
        self._answers.append(answered)
        self.wake()


def _words(error: BaseException) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
