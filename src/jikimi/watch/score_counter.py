"""How often scores were how high, for whoever chooses a threshold: counted here, written by the site."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from jikimi.store.records import SCORE_BINS


@dataclass(slots=True)
class ScoreCounter:
    """Decisions by behaviour and score, in bins of equal width; of `behaviors`, those in `counted` alone."""

    behaviors: Sequence[str]
    counted: Iterable[str]
    _places: list[tuple[int, list[int]]] = field(init=False)

    def __post_init__(self) -> None:
        counted = set(self.counted)
        self._places = [(i, [0] * SCORE_BINS) for i, key in enumerate(self.behaviors) if key in counted]

    def add(self, rows: Sequence[Sequence[float]]) -> None:
        """Count one moment: the scores of each view, (C,) each. Of each behaviour the highest counts."""
        for place, counts in self._places:
            highest = max(row[place] for row in rows)
            counts[min(SCORE_BINS - 1, int(highest * SCORE_BINS))] += 1

    def take(self) -> dict[str, tuple[int, ...]]:
        """What was counted since the last call, by behaviour; empty where nothing was."""
        taken = {self.behaviors[place]: tuple(counts) for place, counts in self._places if any(counts)}
        for _, counts in self._places:
            counts[:] = [0] * SCORE_BINS
        return taken
