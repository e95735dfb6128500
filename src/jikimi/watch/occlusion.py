"""Where a model looked: what its score loses when a part of the picture is hidden from it.

Occlusion as Zeiler and Fergus did it (arXiv:1311.2901, section 4.2): it needs nothing of a model but its
answers, and holds for any bundle. Pure: pictures in, numbers and pictures out.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image as PillowImage

from jikimi.bundle import Scorer
from jikimi.errors import InferenceError
from jikimi.frame import Floats, Image

# Grids by how fine they are. A cell of the finest is as large as a person at the far end of a hall; finer
# ones hide too little of anybody to change a score.
GRIDS = ((3, 4), (4, 6), (6, 8), (8, 11))

# All cells together take this long on one core, where the coarsest grid does.
BUDGET_S = 5.0

# Log-odds that fall by less than this fall for no reason: the map of a picture in which nothing matters is
# to be empty, and not stretched until something shows.
LEAST_DROP = 0.05

# A score this near to 0 or 1 says no more by being nearer.
_NEAR = 1e-6

# How much of the picture's own colour the hottest place keeps, and the colours from a little heat to much.
_KEPT = 0.45
_MILD, _HOT = np.array([255.0, 220.0, 0.0]), np.array([230.0, 0.0, 0.0])


@dataclass(frozen=True, slots=True)
class HeatMap:
    """What hiding each cell took from the log-odds, float32 (rows, columns); the score with none hidden.

    Log-odds: of a score of 0.99 a part can be all that matters and take a hundredth.
    """

    drops: Floats
    score: float


def choose_grid(window_s: float, *, height: int, width: int) -> tuple[int, int]:
    """Rows and columns: the finest grid that is scored within the budget, where a window takes `window_s`.

    It lies as the picture does, so that cells are nearly square.
    """
    fitting = [grid for grid in GRIDS if grid[0] * grid[1] * window_s <= BUDGET_S]
    short, long = fitting[-1] if fitting else GRIDS[0]
    return (short, long) if width >= height else (long, short)


def heat_map(
    scorer: Scorer,
    run_NHWC: Image,
    behavior: str,
    *,
    inner: tuple[slice, slice],
    clock: Callable[[], float] = time.monotonic,
) -> HeatMap:
    """Hide each cell in turn and score a behaviour again.

    `run_NHWC` are consecutive fitted pictures, uint8 (N, H, W, channels): the last ones are the window, those
    before are only looked back at. `inner` is where the picture lies between the bars: rows and columns.

    Raises:
        InferenceError: the model failed.
    """
    window_score(scorer, run_NHWC, behavior)  # the first run of a model is slower than the others
    began_s = clock()
    score = window_score(scorer, run_NHWC, behavior)
    rows, columns = inner
    height, width = rows.stop - rows.start, columns.stop - columns.start
    grid = choose_grid(clock() - began_s, height=height, width=width)
    hidden = [window_score(scorer, run, behavior) for run in _hidden(scorer, run_NHWC, inner, grid)]
    drops = _log_odds(score) - np.array([_log_odds(one) for one in hidden])
    return HeatMap(drops.astype(np.float32).reshape(grid), score)


def window_score(scorer: Scorer, run_NHWC: Image, behavior: str) -> float:
    """The calibrated score of a behaviour in the window that ends a run of fitted pictures.

    Raises:
        InferenceError: the model failed.
    """
    card = scorer.card
    pictures = card.preprocess.compose(run_NHWC, before=len(run_NHWC) - card.window)
    try:
        scores_NC = card.probabilities(scorer.classify(scorer.encode(pictures)[None]))
    except Exception as error:  # ONNX Runtime raises its own bare kinds
        raise InferenceError(f"model {card.name!r}: failed on a window of a video: {error}") from error
    return float(scores_NC[0, card.keys.index(behavior)])


def _log_odds(score: float) -> float:
    bounded = min(1 - _NEAR, max(_NEAR, score))
    return math.log(bounded / (1 - bounded))


def cells(inner: tuple[slice, slice], grid: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of each cell, row by row: together they are `inner`, and none overlap."""
    edges = [
        np.linspace(side.start, side.stop, count + 1).round().astype(int)
        for side, count in zip(inner, grid, strict=True)
    ]
    for row in range(grid[0]):
        for column in range(grid[1]):
            yield slice(edges[0][row], edges[0][row + 1]), slice(edges[1][column], edges[1][column + 1])


def _hidden(
    scorer: Scorer, run_NHWC: Image, inner: tuple[slice, slice], grid: tuple[int, int]
) -> Iterator[Image]:
    """The run with a cell in the colour of bars in all pictures, cell by cell: the same array each time."""
    run = run_NHWC.copy()
    for rows, columns in cells(inner, grid):
        run[:, rows, columns] = scorer.card.preprocess.bar
        yield run
        run[:, rows, columns] = run_NHWC[:, rows, columns]


def shares(drops: Floats) -> Floats:
    """Drops as heat from 0 to 1, where 1 is the greatest of them."""
    risen = np.maximum(drops, 0.0)
    return np.asarray(risen / max(float(risen.max()), LEAST_DROP), dtype=np.float32)


def painted(image_HWC: Image, heat: Floats) -> Image:
    """A picture, uint8 (H, W, 3), with heat, float32 (rows, columns) of 0 to 1, over all of it."""
    height, width, _ = image_HWC.shape
    smooth = PillowImage.fromarray(heat).resize((width, height), PillowImage.Resampling.BILINEAR)
    share = np.clip(np.asarray(smooth), 0.0, 1.0)[..., None]
    colour = _MILD + (_HOT - _MILD) * share
    covered = (1 - _KEPT) * share
    return np.asarray((image_HWC * (1 - covered) + colour * covered).round(), dtype=np.uint8)
