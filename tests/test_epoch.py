"""The order of an epoch: whole bags, balanced classes, the same whatever the number of processes."""

from collections import Counter
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from jikimi.data.manifest import Manifest
from jikimi.errors import TrainError
from jikimi.train.dataset import CustomData, Run, WindowRef
from jikimi.train.epoch import Draw, Draws, EpochSampler, RunDraws, collate_runs, expected_draws, run_refs
from jikimi.train.recipes import Recipe
from train_data import make_data, timed


def windows_of(*clips: list[tuple[int, bool]]) -> list[WindowRef]:
    """Clips as lists of (label, pooled with the one before): windows with rows and bags."""
    found: list[WindowRef] = []
    bag = -1
    for row, clip in enumerate(clips):
        for label, pooled in clip:
            bag += 0 if pooled else 1
            found.append(WindowRef(row, (0,), label, bag))
    return found


def clip(label: int, n_windows: int, *, pooled: bool = False) -> list[tuple[int, bool]]:
    return [(label, pooled and i > 0) for i in range(n_windows)]


MIXED = windows_of(
    clip(0, 3), clip(1, 7, pooled=True), clip(2, 10), clip(2, 4), clip(1, 2, pooled=True), clip(2, 5)
)


def sampler(windows: list[WindowRef], recipe: Recipe, epoch: int = 0, **options: int) -> EpochSampler:
    n_rows = len({window.row for window in windows})
    return EpochSampler(windows, n_rows, recipe, epoch=epoch, augmented=True, **options)


def drawn_bags(windows: list[WindowRef], batch: list[Draw]) -> dict[int, list[WindowRef]]:
    bags: dict[int, list[WindowRef]] = {}
    for draw in batch:
        bags.setdefault(draw.bag, []).append(windows[draw.index])
    return bags


@pytest.mark.parametrize("balance", ["none", "sampler"])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_bag_is_never_torn(balance: str, world: int) -> None:
    recipe = timed(balance=balance, batch_size=3, max_bag=4, draws_per_clip=2)
    seen: Counter[int] = Counter()
    for epoch in range(5):
        for rank in range(world):
            for batch in sampler(MIXED, recipe, epoch, rank=rank, world=world):
                for number, windows in drawn_bags(MIXED, batch).items():
                    seen[epoch * 1000 + number] += 1
                    assert len({(window.bag, window.row) for window in windows}) == 1
                    whole = sum(window.bag == windows[0].bag for window in MIXED)
                    assert len(windows) == min(whole, 4)
                positions = [draw.bag for draw in batch]
                assert positions == sorted(positions, key=positions.index)
    assert set(seen.values()) == {1}


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_the_very_same_batches(world: int) -> None:
    recipe = timed(batch_size=4, draws_per_clip=3)
    alone = [{draw.index for draw in batch} for batch in sampler(MIXED, recipe)]
    parts = [list(sampler(MIXED, recipe, rank=rank, world=world)) for rank in range(world)]
    assert len({len(part) for part in parts}) == 1
    together = [{draw.index for part in step for draw in part} for step in zip(*parts, strict=True)]
    if len(alone[-1]) >= world:
        assert together == alone
    assert set().union(*together) == set().union(*alone)
    assert all(batch for part in parts for batch in part)


def test_runs_are_joined_with_places_and_bags_counted_through() -> None:
    def run(n: int, labels: list[int], bags: list[int]) -> Run:
        places = torch.zeros(len(labels), 4, dtype=torch.int64) + n - 1
        frames = torch.full((n, 1, 2, 2), float(n))
        return Run(frames, places, torch.tensor(labels), torch.tensor(bags), *shown(n))

    def shown(n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return torch.full((n, 1, 1), n), torch.full((n, 1, 1), n % 2 == 0), torch.full((n, 2, 1, 1), float(n))

    none = torch.zeros(0).long()
    empty = Run(torch.zeros(2, 1, 2, 2), torch.zeros(0, 4).long(), none, none, *shown(2))
    batch = collate_runs([run(3, [5, 1], [0, 1]), empty, run(4, [2, 2, 2], [0, 0, 0]), run(5, [5], [0])])
    assert batch.frames_NCHW.shape == (14, 1, 2, 2)
    assert batch.frames_NCHW[batch.places_WT[:, 0], 0, 0, 0].tolist() == [3, 3, 4, 4, 4, 5]
    each = [3] * 3 + [2] * 2 + [4] * 4 + [5] * 5
    assert batch.lengths_R.tolist() == [3, 2, 4, 5] and batch.cells_NHW[:, 0, 0].tolist() == each
    assert batch.joints_NJHW[:, 0, 0, 0].tolist() == each
    assert batch.victim_NHW[:, 0, 0].tolist() == [n % 2 == 0 for n in each]
    assert batch.bags_W.tolist() == [0, 1, 2, 2, 2, 3] and batch.runs_W.tolist() == [0, 0, 2, 2, 2, 3]


@pytest.mark.parametrize("balance", ["none", "sampler"])
def test_every_clip_gives_as_many_runs_as_asked(tmp_path: Path, balance: str) -> None:
    recipe = timed(span=8, draws_per_clip=2, balance=balance)
    manifest = make_data(tmp_path)
    data = CustomData(manifest, manifest.select("train"), recipe)
    refs = run_refs(data)
    drawn = Counter(refs[draw.index].row for batch in sampler(refs, recipe) for draw in batch)
    assert drawn == dict.fromkeys(range(9), 2)
    loader = DataLoader(RunDraws(data), batch_sampler=sampler(refs, recipe), collate_fn=collate_runs)
    assert all(len(batch.frames_NCHW) >= 8 for batch in loader)


def test_short_last_batch_joins_the_one_before_when_it_cannot_be_shared() -> None:
    windows = windows_of(*[clip(2, 1) for _ in range(5)])
    parts = [list(sampler(windows, timed(batch_size=2), rank=rank, world=2)) for rank in (0, 1)]
    assert [len(batch) for batch in parts[0]] == [1, 2] and [len(batch) for batch in parts[1]] == [1, 1]


def test_more_processes_than_windows_is_refused() -> None:
    with pytest.raises(TrainError, match="fewer processes"):
        list(sampler(windows_of(clip(2, 1)), timed(), rank=0, world=2))


def test_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(TrainError, match="no window"):
        sampler([], timed())


@pytest.mark.parametrize("balance", ["none", "sampler"])
def test_epoch_follows_from_seed_and_number(balance: str) -> None:
    recipe = timed(balance=balance)
    assert list(sampler(MIXED, recipe, 3)) == list(sampler(MIXED, recipe, 3))
    assert list(sampler(MIXED, recipe, 3)) != list(sampler(MIXED, recipe, 4))
    assert list(sampler(MIXED, recipe, 3)) != list(sampler(MIXED, timed(balance=balance, seed=1), 3))


def test_length_is_the_number_of_batches() -> None:
    for size in (1, 2, 5, 100):
        epoch = sampler(MIXED, timed(batch_size=size, balance="sampler"))
        assert len(epoch) == len(list(epoch))


def test_every_clip_is_drawn_as_often_as_asked() -> None:
    epoch = list(sampler(MIXED, timed(draws_per_clip=2)))
    bags = {(draw.bag, MIXED[draw.index].row) for batch in epoch for draw in batch}
    assert Counter(row for _, row in bags) == {0: 2, 1: 1, 2: 2, 3: 2, 4: 1, 5: 2}


def test_balanced_epoch_draws_every_class_alike_and_clips_in_turns() -> None:
    windows = windows_of(clip(0, 2), *[clip(2, 5) for _ in range(11)])
    epoch = list(sampler(windows, timed(balance="sampler")))
    drawn = [windows[draw.index] for batch in epoch for draw in batch]
    assert Counter(window.label for window in drawn) == {0: 6, 2: 6}
    assert max(Counter(window.row for window in drawn if window.label == 2).values()) == 1


def test_augmentation_seeds_all_differ_and_plain_draws_have_none() -> None:
    seeds = [draw.seed for batch in sampler(MIXED, timed()) for draw in batch]
    assert len(set(seeds)) == len(seeds)
    plain = EpochSampler(MIXED, 6, timed(), epoch=0, augmented=False)
    assert all(draw.seed is None for batch in plain for draw in batch)


@pytest.mark.parametrize("draws", [1, 2, 20])
def test_expected_draws_are_what_epochs_draw_on_average(draws: int) -> None:
    recipe = timed(draws_per_clip=draws)
    expected = expected_draws(MIXED, recipe, n_classes=4)
    counts: Counter[int] = Counter()
    for epoch in range(20):
        for batch in sampler(MIXED, recipe, epoch):
            counts.update(bag[0].label for bag in drawn_bags(MIXED, batch).values())
    assert [counts[label] / 20 for label in range(4)] == pytest.approx(expected)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return make_data(tmp_path_factory.mktemp("data"))


def test_workers_read_the_same_windows(manifest: Manifest, tmp_path: Path) -> None:
    recipe = timed(augment=True, balance="sampler", batch_size=5)
    data = CustomData(manifest, manifest.select("train"), recipe)
    batches = sampler(list(data.windows), recipe)
    alone, helped = (
        list(DataLoader(Draws(data), batch_sampler=batches, num_workers=workers))  # type: ignore[arg-type]
        for workers in (0, 2)
    )
    assert len(alone) == len(helped) > 1
    for one, other in zip(alone, helped, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
