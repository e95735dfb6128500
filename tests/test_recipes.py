"""Recipes: what they promise, and what they refuse."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jikimi.errors import TrainError
from jikimi.train.recipes import RECIPES, Recipe, Stage, baseline, edge, with_epochs, with_options


def test_baseline_has_the_origins_settings() -> None:
    recipe = baseline()
    assert (recipe.backbone, recipe.sampling, recipe.window) == ("resnet101", "even", 16)
    assert (recipe.height_px, recipe.width_px, recipe.batch_size) == (224, 224, 8)
    assert recipe.stages == (Stage("head", 50, 1e-4),) and recipe.optimizer == "adam" and recipe.seed == 42


def test_edge_trains_in_stages() -> None:
    assert edge().sampling == "timed" and edge().window == 16
    assert [stage.part for stage in edge().stages] == ["head", "last", "all"]


def test_edge_from_random_weights_learns_motion_by_runs_all_at_once() -> None:
    recipe = edge(weights="none")
    assert [stage.part for stage in recipe.stages] == ["all"]
    assert recipe.inputs == "motion" and recipe.preprocess.depth == 1 + len(recipe.lags)
    assert recipe.span >= recipe.window and recipe.ema > 0
    assert edge(weights="none", backbone="lcnet_050").backbone == "lcnet_050"


def test_recipe_of_an_older_version_is_what_it_was() -> None:
    values = baseline().as_dict()
    for new in ("inputs", "lags", "pool", "head", "feature_dim", "hidden_dim", "lstm_layers", "fc_dim"):
        del values[new]
    for new in ("span", "run_stride", "ema"):
        del values[new]
    assert Recipe.from_dict(values) == baseline()


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_recipe_survives_json(name: str) -> None:
    recipe = RECIPES[name]()
    assert Recipe.from_dict(json.loads(json.dumps(recipe.as_dict()))) == recipe


def test_recipe_of_another_version_is_not_read() -> None:
    with pytest.raises(TypeError):
        Recipe.from_dict({**baseline().as_dict(), "surprise": 1})


@given(
    st.lists(st.integers(1, 100), min_size=1, max_size=5),
    st.integers(1, 300),
)
def test_epochs_spread_over_stages_add_up(lengths: list[int], epochs: int) -> None:
    recipe = replace(baseline(), stages=tuple(Stage("head", length, 1e-3) for length in lengths))
    if epochs < len(lengths):
        with pytest.raises(TrainError, match="stages"):
            with_epochs(recipe, epochs)
        return
    spread = with_epochs(recipe, epochs)
    assert spread.epochs == epochs and len(spread.stages) == len(lengths)
    assert all(stage.epochs >= 1 for stage in spread.stages)


def test_own_number_of_epochs_changes_nothing() -> None:
    assert with_epochs(edge(), edge().epochs) == edge()


def test_learning_rate_scales_every_stage() -> None:
    changed = with_options(edge(), lr=edge().stages[0].lr * 3)
    assert [s.lr for s in changed.stages] == pytest.approx([s.lr * 3 for s in edge().stages])


def test_options_not_given_keep_the_recipes_own() -> None:
    assert with_options(edge(), batch_size=None, seed=None) == edge()
    assert with_options(edge(), batch_size=3, seed=0).batch_size == 3
    assert with_options(edge(), seed=0).seed == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"views": 0}, "views is 0"),
        ({"lr": 0.0}, "learning rate 0"),
        ({"lr": -1.0}, "learning rate -1"),
        ({"lr": float("nan")}, "learning rate nan"),
        ({"epochs": 0}, "stages"),
        ({"views": 4}, "head alone"),
        ({"warm_up": 17}, "longer than the window"),
        ({"span": 15}, "no whole window"),
        ({"span": 24, "sampling": "even"}, "timed sampling"),
        ({"span": 24, "mixup": 0.2}, "mixup"),
        ({"ema": 1.0}, "ema 1.0"),
        ({"inputs": "motion", "lags": ()}, "motion needs lags"),
        ({"hidden_dim": 0}, "hidden_dim is 0"),
    ],
)
def test_value_that_no_recipe_can_have_is_refused(options: dict[str, float | str], says: str) -> None:
    with pytest.raises(TrainError, match=says):
        with_options(edge(), **options)  # type: ignore[arg-type]


def test_recipe_without_stages_is_refused() -> None:
    with pytest.raises(TrainError, match="no stage"):
        replace(baseline(), stages=())


def test_inputs_bring_the_lags_they_need() -> None:
    plain = with_options(edge(weights="none"), inputs="rgb")
    assert plain.lags == () and plain.preprocess.depth == 3
    both = with_options(edge(weights="imagenet"), inputs="rgb+motion")
    assert both.lags == (1, 4) and both.preprocess.depth == 5


def test_places_are_learned_only_with_the_encoder_whose_map_has_their_cells() -> None:
    assert edge(weights="none").pool == "cells"
    assert with_options(edge(weights="none"), backbone="mobilenetv4_conv_small_050").pool == "catavgmax"
