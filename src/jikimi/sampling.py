"""Which moments make a window. Pure: times and indices in, indices out.

A clip is prepared as frames on a grid of `rate_hz`: frame `k` shows the moment `k / rate_hz`. Watching puts
a stream on the same grid with the same rule, so a window means the same thing on both sides.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from jikimi.clip import EventSpan

Indices = npt.NDArray[np.int64]

# A frame belongs to a tick it misses by less than this: container time stamps are rounded to 1 ms or worse.
TICK_SLACK_S = 2e-3

# A window whose overlap with the event lies between these shares is neither event nor normal: it is left
# out of training (docs/decisions.md, "window labels").
EVENT_SHARE = 0.5
NORMAL_SHARE = 0.1

# While the event goes on, this much of it is enough whatever its share: half of a two-second window would
# teach the model to wait a second, of the two that an alarm may take (evaluation.md, "Goals").
ONSET_S = 0.6


@dataclass(slots=True)
class TickGrid:
    """Puts frames that arrive in time order on the grid `k / rate_hz`.

    Tick `k` is answered by the first frame at or after it. After a gap the frame that ends it answers every
    tick inside, so that frame `k` always shows the moment `k / rate_hz`.
    """

    rate_hz: float
    next_tick: int = field(default=0, init=False)

    def due(self, t_s: float) -> int:
        """Return how many ticks the frame at stream time `t_s` answers, and move past them."""
        passed = int(np.floor((t_s + TICK_SLACK_S) * self.rate_hz)) + 1
        count = max(0, passed - self.next_tick)
        self.next_tick += count
        return count

    def wants(self, t_s: float) -> bool:
        """Whether a frame at `t_s` would answer a tick; lets a reader skip converting the others."""
        return (t_s + TICK_SLACK_S) * self.rate_hz >= self.next_tick


def evenly(n_frames: int, length: int) -> Indices:
    """Indices of `length` frames evenly over the whole clip, int64 (length,): the origin's sampling.

    The frames in the middle of `length` equal parts; a clip shorter than that repeats frames.
    """
    if n_frames < 1 or length < 1:
        raise ValueError(f"cannot take {length} of {n_frames} frames")
    centres = (np.arange(length) + 0.5) * n_frames / length
    return np.minimum(centres.astype(np.int64), n_frames - 1)


def window_ending_at(last: int, length: int) -> Indices:
    """Indices of the `length` frames that end with frame `last`, int64 (length,).

    Before the first frame there is nothing to see: it is repeated, in training as when watching.
    """
    return np.maximum(np.arange(last - length + 1, last + 1), 0)


def window_ends(n_frames: int, *, warm_up: int, stride: int) -> list[int]:
    """Last-frame indices of the windows of a clip, `stride` frames apart.

    The first window ends once `warm_up` frames have been seen, as the detector does; the last one ends with
    the clip's last frame. A clip shorter than the warm-up has one window.
    """
    if n_frames < 1:
        raise ValueError("a clip without frames has no windows")
    if n_frames <= warm_up:
        return [n_frames - 1]
    return sorted({*range(n_frames - 1, warm_up - 2, -stride)})


def event_share(event: EventSpan, *, last: int, length: int, rate_hz: float) -> float:
    """How much of the event a window shows: overlap over the shorter of window and event, 0 to 1."""
    start_s, end_s = _span(last, length, rate_hz)
    shorter_s = min(end_s - start_s, event.end_s - event.start_s)
    return event.overlap_s(start_s, end_s) / shorter_s


def shows_event(event: EventSpan, *, last: int, length: int, rate_hz: float) -> bool | None:
    """Whether the `length` frames that end with frame `last` show the event; None where they are borderline.

    They do when the share is at least half, or when the event goes on at their end and 0.6 s of it are seen.
    """
    start_s, end_s = _span(last, length, rate_hz)
    share = event_share(event, last=last, length=length, rate_hz=rate_hz)
    begun = end_s <= event.end_s and event.overlap_s(start_s, end_s) >= ONSET_S
    if share >= EVENT_SHARE or begun:
        return True
    return False if share <= NORMAL_SHARE else None


def _span(last: int, length: int, rate_hz: float) -> tuple[float, float]:
    end_s = (last + 1) / rate_hz
    return max(0.0, end_s - length / rate_hz), end_s
