"""What only time tells: pictures that repeat, a stream clock that lags, damage that goes on."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from jikimi.frame import Image
from jikimi.watch.health.settings import HealthSettings

# A stream clock set back further than this was restarted (as in video.reading.MAX_JUMP_S): no lag.
_RESTART_S = 10.0


@dataclass(slots=True)
class Stillness:
    """How long pictures have been identical, byte for byte."""

    settings: HealthSettings
    _last: Image | None = field(default=None, init=False)
    _since_s: float = field(default=0.0, init=False)
    _until_s: float = field(default=0.0, init=False)
    _habit_s: float = field(default=0.0, init=False)

    def level(self, image_HWC: Image, t_s: float) -> float:
        """Seconds of identical pictures over the seconds that are too many: frozen above 1 (or at it)."""
        too_many_s = min(max(self.settings.frozen_s, 2 * self._habit_s), self.settings.frozen_max_s)
        if self._last is None or not np.array_equal(self._last, image_HWC):
            run_s = self._until_s - self._since_s
            if run_s < too_many_s:
                self._habit_s = max(self._habit_s, run_s)  # it ended by itself: an encoder's habit
            self._last, self._since_s = image_HWC.copy(), t_s
        self._until_s = t_s
        return (t_s - self._since_s) / too_many_s

    def forget(self) -> None:
        """Begin again: what comes next says nothing about what was before."""
        self._last, self._since_s, self._until_s = None, 0.0, 0.0


@dataclass(slots=True)
class StampLag:
    """How far the stream's clock has fallen behind the wall since it was at its best."""

    settings: HealthSettings
    _best_s: float | None = field(default=None, init=False)
    _last: tuple[float, float] = field(default=(0.0, 0.0), init=False)

    def lag_s(self, t_s: float, stamp_s: float) -> float:
        """Seconds of lag; a clock that is restarted starts at none, one that runs slightly slow has none."""
        offset_s = t_s - stamp_s
        last_t_s, last_stamp_s = self._last
        if self._best_s is None or stamp_s < last_stamp_s - _RESTART_S:
            self._best_s = offset_s
        else:
            self._best_s += self.settings.clock_drift * (t_s - last_t_s)
        self._best_s = min(self._best_s, offset_s)
        self._last = t_s, stamp_s
        return offset_s - self._best_s

    def forget(self) -> None:
        """Begin again: the camera was away."""
        self._best_s = None


@dataclass(slots=True)
class DamageShare:
    """Share of damaged pictures in the last seconds."""

    window_s: float
    _seen: deque[tuple[float, bool]] = field(default_factory=deque, init=False)

    def share(self, t_s: float, *, damaged: bool) -> float:
        """Take one more picture; the share counts from half a window on."""
        self._seen.append((t_s, damaged))
        while self._seen[0][0] < t_s - self.window_s:
            self._seen.popleft()
        if t_s - self._seen[0][0] < self.window_s / 2:
            return 0.0
        return sum(bad for _, bad in self._seen) / len(self._seen)
