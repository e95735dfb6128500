"""Where a stream's own time lies on this machine's clock, so that a camera's two streams can be put together.

A packet arrives late, never early: the stream's zero is the earliest that any arrival allows. Camera clocks
run fast or slow by seconds a day, so that only the last minute counts.
"""

from dataclasses import dataclass, field

_FORGET_S = 30.0


@dataclass(slots=True)
class Timeline:
    """Stream time ↔ monotonic seconds. Written by the thread that reads, read by others.

    `arrived_s` is when the last packet came; None before the first.
    """

    arrived_s: float | None = field(default=None, init=False)
    _zero_s: float | None = field(default=None, init=False)
    _next_zero_s: float = field(default=float("inf"), init=False)
    _since_s: float = field(default=0.0, init=False)

    def note(self, arrived_s: float, t_s: float) -> None:
        """Take that the picture of stream time `t_s` had come at `arrived_s`."""
        self.arrived_s = arrived_s
        zero_s = arrived_s - t_s
        if self._zero_s is None:
            self._zero_s, self._since_s = zero_s, arrived_s
        self._zero_s = min(self._zero_s, zero_s)
        self._next_zero_s = min(self._next_zero_s, zero_s)
        if arrived_s - self._since_s > _FORGET_S:
            self._zero_s, self._next_zero_s = self._next_zero_s, float("inf")
            self._since_s = arrived_s

    def at(self, t_s: float) -> float | None:
        """Monotonic seconds of a stream time; None before the first picture."""
        return None if self._zero_s is None else self._zero_s + t_s

    def stream_time(self, at_s: float) -> float | None:
        """Stream time of a moment in monotonic seconds; None before the first picture."""
        return None if self._zero_s is None else at_s - self._zero_s
