"""Debouncing: an ailment begins and ends only after it has lasted."""

from dataclasses import dataclass, field

from jikimi.watch.health.settings import Rule

# A picture that contradicts takes back twice its own time: one odd picture does not start the wait anew.
_TAKE_BACK = 2.0


@dataclass(slots=True)
class Latch:
    """Whether one ailment is on, by its level over time."""

    rule: Rule
    on: bool = field(default=False, init=False)
    _against_s: float = field(default=0.0, init=False)

    def update(self, level: float | None, dt_s: float) -> bool:
        """Take the level that held for `dt_s` seconds (None: it cannot be told); True if this turned it."""
        if level is None:
            return False
        against = level <= self.rule.end_below if self.on else level > self.rule.begin_above
        if not against:
            self._against_s = max(0.0, self._against_s - _TAKE_BACK * dt_s)
            return False
        self._against_s += dt_s
        if self._against_s < (self.rule.end_s if self.on else self.rule.begin_s):
            return False
        self.on, self._against_s = not self.on, 0.0
        return True
