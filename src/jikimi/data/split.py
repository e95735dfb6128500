"""Which groups are for validation: whole groups, every behaviour on both sides, shares near the ratio. Pure.

scikit-learn's StratifiedGroupKFold deals in equal folds, so it only comes near ratios of 1/k, and with the
handful of groups a class often has it leaves classes out of a side. Here small sets are tried out completely
and larger ones by descent from seeded random starts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from jikimi.errors import DataError

Side = Literal["train", "val"]
_Masks = npt.NDArray[np.bool_]
_Numbers = npt.NDArray[np.float64]

# Up to this many groups all 2^n splits are looked at: 4,096 in a few milliseconds.
EXHAUSTIVE_GROUPS = 12

RESTARTS = 32

# Every share within 0.1 % of the ratio: with thousands of groups the first descent gets there.
GOOD_ENOUGH = 1e-6

# A class missing from a side outweighs any deviation of the shares (at most 1 for each class).
_MISSING = 1e3


@dataclass(frozen=True, slots=True)
class Item:
    """What the split needs to know of a clip."""

    behavior: str
    group: str


def split(items: Sequence[Item], *, val_ratio: float, seed: int) -> dict[str, Side]:
    """Assign each group a side: minimal squared deviation of every behaviour's share from `val_ratio`.

    The same items, ratio and seed give the same sides, whatever the items' order.

    Raises:
        DataError: fewer than two behaviours, one with a single group, or no split that keeps every behaviour
            on both sides.
    """
    if not 0 < val_ratio < 1:
        raise DataError(f"val_ratio {val_ratio} must lie between 0 and 1, for instance 0.3")
    _check(items)
    groups = sorted({item.group for item in items})
    behaviors = sorted({item.behavior for item in items})
    counts_GC = np.zeros((len(groups), len(behaviors)))
    rows = {name: row for row, name in enumerate(groups)}
    columns = {name: column for column, name in enumerate(behaviors)}
    for item in items:
        counts_GC[rows[item.group], columns[item.behavior]] += 1
    in_val = _best(counts_GC, val_ratio, np.random.default_rng(seed))
    if _cost(in_val[None] @ counts_GC, counts_GC.sum(axis=0), val_ratio)[0] >= _MISSING:
        raise DataError(
            "no split keeps every behaviour on both sides: the behaviours share too few groups; add clips of "
            "another recording or scene"
        )
    return {name: "val" if in_val[row] else "train" for name, row in rows.items()}


def _check(items: Sequence[Item]) -> None:
    groups: dict[str, set[str]] = {}
    for item in items:
        groups.setdefault(item.behavior, set()).add(item.group)
    if len(groups) < 2:
        only = f"only {next(iter(groups))!r}" if groups else "none"
        raise DataError(
            f"training needs clips of at least two behaviours; found {only}. Add clips of another behaviour, "
            "'no-accident' for one"
        )
    single = sorted(name for name, members in groups.items() if len(members) == 1)
    if single:
        told = ", ".join(f"{name!r} ({next(iter(groups[name]))!r})" for name in single)
        raise DataError(
            "training and validation need different recordings of each behaviour; a single group has all of "
            f"{told}. Add clips of it from another recording and scene, or leave that behaviour out"
        )


def _best(counts_GC: _Numbers, ratio: float, rng: np.random.Generator) -> _Masks:
    n_groups = len(counts_GC)
    totals_C = counts_GC.sum(axis=0)
    if n_groups <= EXHAUSTIVE_GROUPS:
        every = np.arange(2**n_groups)[:, None]
        masks = (every >> np.arange(n_groups) & 1).astype(bool)
    else:
        masks = _descents(counts_GC, ratio, rng)
    costs = _cost(masks @ counts_GC, totals_C, ratio)
    best = np.flatnonzero(costs <= costs.min() + 1e-12)
    return np.asarray(masks[rng.choice(best)])


def _descents(counts_GC: _Numbers, ratio: float, rng: np.random.Generator) -> _Masks:
    found: list[_Masks] = []
    while len(found) < RESTARTS:
        found.append(_descend(rng.random(len(counts_GC)) < ratio, counts_GC, ratio))
        if _cost(found[-1][None] @ counts_GC, counts_GC.sum(axis=0), ratio)[0] < GOOD_ENOUGH:
            break
    return np.stack(found)


def _descend(in_val: _Masks, counts_GC: _Numbers, ratio: float) -> _Masks:
    """Move one group at a time, the best first, until no move helps."""
    totals_C = counts_GC.sum(axis=0)
    in_val = in_val.copy()
    cost = _cost(in_val[None] @ counts_GC, totals_C, ratio)[0]
    while True:
        moved = in_val @ counts_GC + np.where(in_val, -1, 1)[:, None] * counts_GC
        costs = _cost(moved, totals_C, ratio)
        best = int(costs.argmin())
        if costs[best] >= cost - 1e-12:
            return in_val
        in_val[best], cost = ~in_val[best], costs[best]


def _cost(val_NC: _Numbers, totals_C: _Numbers, ratio: float) -> _Numbers:
    """Cost of N splits by their validation counts: squared deviations, and classes missing from a side."""
    deviation = ((val_NC / totals_C - ratio) ** 2).sum(axis=1)
    overall = (val_NC.sum(axis=1) / totals_C.sum() - ratio) ** 2
    missing = ((val_NC <= 0) | (val_NC >= totals_C)).sum(axis=1)
    return np.asarray(deviation + overall + _MISSING * missing)
