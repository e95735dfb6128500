"""A hard end to calls that may hang: time-outs of libraries count from byte to byte, or there are none."""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Never, TypeVar

from jikimi.errors import AlertError

LIMIT_S = 10.0

_Answer = TypeVar("_Answer")


class Deadline:
    """Runs calls in threads of their own and leaves those that take too long.

    A call that was left goes on in its thread until it ends by itself; while `most_left` of them hang, no
    further one is begun.
    """

    def __init__(self, *, limit_s: float = LIMIT_S, most_left: int = 4) -> None:
        self.limit_s = limit_s
        self._free = threading.Semaphore(most_left)

    def run(self, call: Callable[[], _Answer]) -> _Answer:
        """Return what `call` returns within the limit, and raise what it raises.

        Raises:
            AlertError: no answer in time, or too many earlier calls still hang.
        """
        if not self._free.acquire(blocking=False):
            raise AlertError("earlier tries still hang")
        answers: SimpleQueue[Callable[[], _Answer]] = SimpleQueue()
        thread = threading.Thread(target=self._work, args=(call, answers), name="alert-call", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the machine has none left
            self._free.release()
            raise AlertError("no thread to send with; check the machine's load") from None
        try:
            return answers.get(timeout=self.limit_s)()
        except Empty:
            raise AlertError(f"no answer in {self.limit_s:.0f} s") from None

    def _work(self, call: Callable[[], _Answer], answers: SimpleQueue[Callable[[], _Answer]]) -> None:
        try:
            answer = call()
        except Exception as error:  # noqa: BLE001 - nothing is caught here: the caller's thread raises it
            answers.put(_raising(error))
        else:
            answers.put(lambda: answer)
        finally:
            self._free.release()


def _raising(error: Exception) -> Callable[[], Never]:
    def fail() -> Never:
        raise error

    return fail
