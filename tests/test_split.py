"""The split: whole groups, every behaviour on both sides, shares near the ratio, by seed."""

import random
from collections import Counter

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jikimi.data.split import EXHAUSTIVE_GROUPS, Item, split
from jikimi.errors import DataError


def items(groups: dict[str, dict[str, int]]) -> list[Item]:
    return [Item(b, group) for group, counts in groups.items() for b, n in counts.items() for _ in range(n)]


def val_share(clips: list[Item], sides: dict[str, str], behavior: str) -> float:
    mine = [clip for clip in clips if clip.behavior == behavior]
    return sum(sides[clip.group] == "val" for clip in mine) / len(mine)


def test_ten_equal_groups_split_exactly() -> None:
    clips = items({f"g{i}": {"hit": 2, "no-accident": 3} for i in range(10)})
    sides = split(clips, val_ratio=0.3, seed=42)
    assert Counter(sides.values()) == {"train": 7, "val": 3}


def test_behaviours_are_stratified_apart() -> None:
    groups = {f"h{i}": {"hit": 1} for i in range(20)} | {f"n{i}": {"no-accident": 5} for i in range(20)}
    clips = items(groups)
    sides = split(clips, val_ratio=0.3, seed=1)
    assert val_share(clips, sides, "hit") == pytest.approx(0.3)
    assert val_share(clips, sides, "no-accident") == pytest.approx(0.3)


def test_two_groups_put_the_one_nearer_the_ratio_in_validation() -> None:
    clips = items({"A": {"fall-down": 3, "no-accident": 2}, "B": {"fall-down": 8, "no-accident": 6}})
    assert split(clips, val_ratio=0.3, seed=0) == {"A": "val", "B": "train"}


def test_order_of_clips_does_not_matter() -> None:
    clips = items({f"g{i}": {"hit": i % 4 + 1, "no-accident": i % 3 + 1} for i in range(30)})
    shuffled = random.Random(0).sample(clips, len(clips))
    assert split(clips, val_ratio=0.3, seed=5) == split(shuffled, val_ratio=0.3, seed=5)


def test_seed_chooses_among_equally_good_splits() -> None:
    clips = items({f"g{i}": {"hit": 1, "no-accident": 1} for i in range(10)})
    splits = {tuple(sorted(split(clips, val_ratio=0.3, seed=seed).items())) for seed in range(5)}
    assert len(splits) > 1


def test_twenty_thousand_clips_of_as_many_groups_split_well() -> None:
    clips = items({f"g{i:05d}": {f"b{i % 6}": 1} for i in range(20_000)})
    sides = split(clips, val_ratio=0.3, seed=42)
    for behavior in range(6):
        assert val_share(clips, sides, f"b{behavior}") == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({}, "found none"),
        ({"g": {"hit": 3}, "h": {"hit": 2}}, "found only 'hit'"),
        ({"g": {"hit": 3, "jam": 1}, "h": {"hit": 2}}, r"a single group has all of 'jam' \('g'\)"),
        # a and b need g apart from h, b and c need h apart from i, a and c need g apart from i
        ({"g": {"a": 1, "c": 1}, "h": {"a": 1, "b": 1}, "i": {"b": 1, "c": 1}}, "no split keeps every"),
    ],
)
def test_impossible_split_is_refused_with_what_is_missing(
    groups: dict[str, dict[str, int]], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        split(items(groups), val_ratio=0.3, seed=42)


@pytest.mark.parametrize("ratio", [0.0, 1.0, -1.0, float("nan")])
def test_ratio_outside_0_to_1_is_refused(ratio: float) -> None:
    with pytest.raises(DataError, match="val_ratio"):
        split(items({"g": {"a": 1, "b": 1}, "h": {"a": 1, "b": 1}}), val_ratio=ratio, seed=0)


counts = st.fixed_dictionaries({}, optional={name: st.integers(1, 6) for name in "abc"})


@settings(max_examples=60, deadline=None)
@given(
    st.lists(counts, min_size=2, max_size=EXHAUSTIVE_GROUPS + 8),
    st.sampled_from([0.2, 0.3, 0.5]),
    st.integers(0, 9),
)
def test_any_set_is_split_by_groups_with_every_behaviour_on_both_sides(
    drawn: list[dict[str, int]], ratio: float, seed: int
) -> None:
    # Two groups of each behaviour alone make every set splittable.
    alone = {f"{name}{i}": {name: 1} for name in "abc" for i in range(2)}
    clips = items({f"g{i}": c for i, c in enumerate(drawn)} | alone)
    sides = split(clips, val_ratio=ratio, seed=seed)
    assert sides == split(clips, val_ratio=ratio, seed=seed)
    assert set(sides) == {clip.group for clip in clips}
    largest = max(Counter((clip.behavior, clip.group) for clip in clips).values())
    for behavior in "abc":
        mine = [clip for clip in clips if clip.behavior == behavior]
        in_val = sum(sides[clip.group] == "val" for clip in mine)
        assert 0 < in_val < len(mine)
        # No share is further off than its largest group is heavy, give or take what the others pull.
        assert abs(in_val - ratio * len(mine)) <= max(largest, 1) + 1


@settings(max_examples=30, deadline=None)
@given(st.lists(counts, min_size=2, max_size=8), st.integers(0, 3))
def test_refusal_is_right_whenever_it_comes(drawn: list[dict[str, int]], seed: int) -> None:
    clips = items({f"g{i}": c for i, c in enumerate(drawn)})
    assume(clips)
    groups = sorted({clip.group for clip in clips})
    behaviors = {clip.behavior for clip in clips}

    def works(mask: int) -> bool:
        val = {group for bit, group in enumerate(groups) if mask >> bit & 1}
        sides = {(clip.behavior, clip.group in val) for clip in clips}
        return len(sides) == 2 * len(behaviors)

    possible = len(behaviors) > 1 and any(works(mask) for mask in range(2 ** len(groups)))
    if possible:
        split(clips, val_ratio=0.3, seed=seed)
    else:
        with pytest.raises(DataError):
            split(clips, val_ratio=0.3, seed=seed)
