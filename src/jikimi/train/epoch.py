"""The order an epoch trains its windows in: bags, classes, batches, processes."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from jikimi.errors import TrainError
from jikimi.train.dataset import CustomData, Run, WindowRef
from jikimi.train.recipes import Recipe

ByClass = dict[int, dict[int, dict[int, list[int]]]]
"""Positions of windows by class, clip and bag."""


@dataclass(frozen=True, slots=True)
class Draw:
    """A window as an epoch wants it: position in the data set, bag in the batch, seed of its augmentation."""

    index: int
    bag: int
    seed: int | None


class Draws(Dataset[tuple[Tensor, int, int]]):
    """What a loader reads: a `Draw` → (input, class, bag)."""

    def __init__(self, data: CustomData) -> None:
        self.data = data

    def __getitem__(self, draw: Draw) -> tuple[Tensor, int, int]:
        return self.data.load(draw.index, seed=draw.seed), self.data.windows[draw.index].label, draw.bag


class RunBatch(NamedTuple):
    """Runs one after the other: frames float32 (ΣN, depth, H, W), and the windows of all of them.

    Places (W, T) count through the frames, bags (W,) through the batch; `runs_W` says which run each is of.
    `lengths_R` counts the frames of each run; the rest is as in `Run`.
    """

    frames_NCHW: Tensor
    places_WT: Tensor
    labels_W: Tensor
    bags_W: Tensor
    runs_W: Tensor
    lengths_R: Tensor
    cells_NHW: Tensor
    victim_NHW: Tensor
    joints_NJHW: Tensor


class RunDraws(Dataset[Run]):
    """What a loader reads in training by runs: a `Draw` from `run_refs` → the run that its seed draws."""

    def __init__(self, data: CustomData) -> None:
        self.data, self.refs = data, run_refs(data)

    def __getitem__(self, draw: Draw) -> Run:
        assert draw.seed is not None
        return self.data.load_run(self.refs[draw.index].row, seed=draw.seed)


def run_refs(data: CustomData) -> list[WindowRef]:
    """What `EpochSampler` draws from in training by runs: each clip, as often as an epoch may want it."""
    each = data.recipe.draws_per_clip
    labels = [data.manifest.class_index(row) for row in data.rows]
    return [
        WindowRef(row, (), labels[row], row * each + k) for row in range(len(labels)) for k in range(each)
    ]


def collate_runs(runs: Sequence[Run]) -> RunBatch:
    """Join runs into a batch."""
    frames = np.cumsum([0] + [len(run.frames_NCHW) for run in runs])
    bags = np.cumsum([0] + [int(run.bags_W.max()) + 1 if len(run.bags_W) else 0 for run in runs])
    return RunBatch(
        torch.cat([run.frames_NCHW for run in runs]),
        torch.cat([run.places_WT + int(first) for run, first in zip(runs, frames, strict=False)]),
        torch.cat([run.labels_W for run in runs]),
        torch.cat([run.bags_W + int(first) for run, first in zip(runs, bags, strict=False)]),
        torch.cat([torch.full((len(run.labels_W),), i) for i, run in enumerate(runs)]),
        torch.tensor([len(run.frames_NCHW) for run in runs]),
        torch.cat([run.cells_NHW for run in runs]),
        torch.cat([run.victim_NHW for run in runs]),
        torch.cat([run.joints_NJHW for run in runs]),
    )


@dataclass(frozen=True, slots=True)
class EpochSampler:
    """Batches of one epoch. Everything follows from (seed, epoch), so that a resumed run draws the same.

    A bag is never torn over two batches. Of several processes each takes its part of every batch, so that
    the global batch is the same whatever their number.
    """

    windows: Sequence[WindowRef]
    n_rows: int
    recipe: Recipe
    epoch: int
    augmented: bool
    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        if not self.windows:
            raise TrainError("no window to train on: every one lies on the border of an event")

    def __iter__(self) -> Iterator[list[Draw]]:
        bags = self._bags_of_epoch(np.random.default_rng([self.recipe.seed, self.epoch]))
        size = self.recipe.batch_size
        batches = [bags[start : start + size] for start in range(0, len(bags), size)]
        if self.world > 1 and len(batches[-1]) < self.world:
            # Every process needs something to do in every step: a short last batch joins the one before.
            short = batches.pop()
            if not batches:
                raise TrainError(f"{len(short)} windows for {self.world} processes; use fewer processes")
            batches[-1] += short
        for batch in batches:
            yield [draw for bag in batch[self.rank :: self.world] for draw in bag]

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _bags_of_epoch(self, rng: np.random.Generator) -> list[list[Draw]]:
        by_class: ByClass = defaultdict(lambda: defaultdict(dict))
        for index, window in enumerate(self.windows):
            by_class[window.label][window.row].setdefault(window.bag, []).append(index)
        chosen = (
            self._balanced(by_class, rng) if self.recipe.balance == "sampler" else self._each(by_class, rng)
        )
        order = rng.permutation(len(chosen))
        return [self._draws(chosen[i], number, rng) for number, i in enumerate(order)]

    def _each(self, by_class: ByClass, rng: np.random.Generator) -> list[list[int]]:
        """`draws_per_clip` bags of every clip."""
        by_row: dict[int, list[list[int]]] = defaultdict(list)
        for rows in by_class.values():
            for row, bags in rows.items():
                by_row[row] += bags.values()
        chosen: list[list[int]] = []
        for row in sorted(by_row):
            chosen += self._pick(by_row[row], self.recipe.draws_per_clip, rng)
        return chosen

    def _balanced(self, by_class: ByClass, rng: np.random.Generator) -> list[list[int]]:
        """As many bags of one class as of any other, clips within a class taking turns."""
        each = -(-self.n_rows * self.recipe.draws_per_clip // len(by_class))
        chosen: list[list[int]] = []
        for label in sorted(by_class):
            rows = sorted(by_class[label])
            turns = [rows[i] for _ in range(-(-each // len(rows))) for i in rng.permutation(len(rows))]
            for row in turns[:each]:
                chosen += self._pick(list(by_class[label][row].values()), 1, rng)
        return chosen

    def _pick(self, bags: list[list[int]], count: int, rng: np.random.Generator) -> list[list[int]]:
        return [bags[i] for i in rng.permutation(len(bags))[:count]]

    def _draws(self, bag: list[int], number: int, rng: np.random.Generator) -> list[Draw]:
        if len(bag) > self.recipe.max_bag:
            bag = [bag[i] for i in sorted(rng.permutation(len(bag))[: self.recipe.max_bag])]
        seeds = rng.integers(2**62, size=len(bag))
        return [
            Draw(index, bag=number, seed=int(seed) if self.augmented else None)
            for index, seed in zip(bag, seeds, strict=True)
        ]


def expected_draws(windows: Sequence[WindowRef], recipe: Recipe, *, n_classes: int) -> list[float]:
    """How many bags of each class an epoch without balancing draws, on average (C,)."""
    by_row: dict[int, dict[int, int]] = defaultdict(dict)
    for window in windows:
        by_row[window.row][window.bag] = window.label
    counts = [0.0] * n_classes
    for bags in by_row.values():
        share = min(recipe.draws_per_clip, len(bags)) / len(bags)
        for label in bags.values():
            counts[label] += share
    return counts
