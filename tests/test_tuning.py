"""A trained model goes on learning: from its own weights, and never judged on what it was trained on."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from jikimi.behaviors import BEHAVIORS
from jikimi.errors import TrainError
from jikimi.train.checkpoint import BEST, load_checkpoint
from jikimi.train.fit import TUNE_EPOCHS, TUNE_LR, fit, recipe_to_tune
from jikimi.train.recipes import Stage
from train_data import ClipSpec, make_data, three_behaviours, timed


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained on groups a, b and c."""
    folder = tmp_path_factory.mktemp("begun")
    make_data(folder / "data")
    recipe = timed(Stage("all", 1, 1e-3), seed=3)
    fit(folder / "data", folder / "run", recipe, device="cpu", say=lambda _: None)
    return folder / "run" / BEST


def tune(data: Path, out: Path, start: Path, **changes: Any) -> dict[str, Any]:
    recipe = replace(recipe_to_tune(start), stages=(Stage("all", 1, 1e-9),), **changes)
    return fit(data, out, recipe, device="cpu", start=start, say=lambda _: None)


def test_own_recipe_for_a_few_epochs_at_a_lower_rate(begun: Path) -> None:
    recipe, first = recipe_to_tune(begun), load_checkpoint(begun).origin.recipe
    (stage,) = recipe.stages
    assert recipe.balance == "none"  # what was mined is mostly normal, and is to weigh as much
    assert (stage.part, stage.epochs) == ("all", TUNE_EPOCHS)
    assert stage.lr == pytest.approx(first.stages[0].lr * TUNE_LR)
    assert (
        replace(
            recipe,
            stages=first.stages,
            name=first.name,
            real_repeats=1,
            weights=first.weights,
            balance=first.balance,
        )
        == first
    )


def test_tuning_starts_from_the_models_weights_head_included(begun: Path, tmp_path: Path) -> None:
    make_data(tmp_path / "data")
    tune(tmp_path / "data", tmp_path / "run", begun)
    before, after = (load_checkpoint(path).model for path in (begun, tmp_path / "run" / BEST))
    for (name, old), new in zip(before.named_parameters(), after.parameters(), strict=True):
        torch.testing.assert_close(old, new, atol=1e-5, rtol=0, msg=name)


def test_group_that_it_was_trained_on_is_not_validated_on(begun: Path, tmp_path: Path) -> None:
    moved = [replace(spec, split="val" if spec.group == "a" else spec.split) for spec in three_behaviours()]
    make_data(tmp_path / "data", moved)
    tune(tmp_path / "data", tmp_path / "run", begun)
    trained = load_checkpoint(tmp_path / "run" / BEST).origin.training
    assert trained["train"]["groups"] == ["a", "b", "c"] and trained["val"]["groups"] == ["d"]


def test_nothing_left_to_validate_on_is_told(begun: Path, tmp_path: Path) -> None:
    swapped = [
        replace(spec, split="val" if spec.group == "a" else "train", event_s=spec.event_s)
        for spec in three_behaviours()
    ]
    make_data(tmp_path / "data", swapped)
    with pytest.raises(TrainError, match="prepare with --like"):
        tune(tmp_path / "data", tmp_path / "run", begun)


def test_other_behaviours_and_other_shapes_are_refused(begun: Path, tmp_path: Path) -> None:
    make_data(tmp_path / "data", behaviors=BEHAVIORS)
    with pytest.raises(TrainError, match="knows other behaviours"):
        tune(tmp_path / "data", tmp_path / "run", begun)
    make_data(tmp_path / "same")
    with pytest.raises(TrainError, match="is of another shape"):
        tune(tmp_path / "same", tmp_path / "other", begun, hidden_dim=32)


def test_real_clips_count_more_where_simulated_ones_are_in_the_mix(tmp_path: Path) -> None:
    from jikimi.train.fit import _repeated

    rows = make_data(tmp_path / "data", [ClipSpec("bump", "train", g) for g in "abc"]).rows
    simulated = tuple(replace(row, extra='{"truth": "t.json"}') for row in rows[1:])
    assert len(_repeated((rows[0], *simulated), 8)) == 8 + 2
    mined = tuple(replace(row, extra='{"mined": "1"}') for row in rows)
    assert len(_repeated((*mined, *simulated), 8)) == 3 + 2, "of what was mined there is enough"
    assert _repeated(rows, 8) == rows, "where all are real, all count the same"
