"""At most so many a second, of what comes in no perfect beat."""

from dataclasses import dataclass


@dataclass(slots=True)
class Pace:
    """Says what is due: half a beat early counts, so that nothing is lost of a source at this very rate.

    What is taken stays at the rate on average and never comes in a burst: half a beat is caught up, a pause
    is not.
    """

    due_s: float = float("-inf")

    def take(self, now_s: float, rate_hz: float) -> bool:
        """Whether one is due now; if so, it counts as taken."""
        beat_s = 1 / rate_hz
        late_s = now_s - self.due_s
        if late_s < -beat_s / 2:
            return False
        due_s = now_s if late_s > beat_s else max(self.due_s, now_s - beat_s / 2)
        self.due_s = due_s + beat_s
        return True
