"""The leakage alarm: rings when the scene gives the behaviour away, is quiet when it does not."""

import json
from pathlib import Path

import numpy as np
import pytest

from bundles import make_bundle
from jikimi.bundle import load_bundle
from jikimi.frame import Floats
from jikimi.train.leakage import measure_leakage, probe
from prepared import Take, fall, write_prepared


def clips(
    *, scene: float, behavior: float, n_groups: int = 20, seed: int = 0
) -> tuple[Floats, list[str], list[str]]:
    """Features that show the scene and the behaviour as strongly as told; four clips a group, of one kind."""
    rng = np.random.default_rng(seed)
    kinds = ["fall-down" if g % 2 else "no-accident" for g in range(n_groups) for _ in range(4)]
    groups = [f"scene{g}" for g in range(n_groups) for _ in range(4)]
    scenes = np.repeat(rng.normal(0, scene, size=(n_groups, 32)), 4, axis=0)
    signal = np.array([behavior if kind == "fall-down" else -behavior for kind in kinds])[:, None]
    features = scenes + signal + rng.normal(0, 0.5, size=scenes.shape)
    return features.astype(np.float32), kinds, groups


def test_alarm_rings_when_scenes_give_the_behaviour_away() -> None:
    found = probe(*clips(scene=3, behavior=0))
    assert found.at_random is not None and found.at_random.accuracy > 0.9
    assert found.by_group is not None and found.by_group.accuracy < 0.75
    assert found.large and found.verdict == "large gap"
    assert found.gap.value == pytest.approx(found.at_random.accuracy - found.by_group.accuracy)


def test_alarm_is_quiet_when_the_behaviour_shows_itself() -> None:
    found = probe(*clips(scene=0.2, behavior=1))
    assert found.verdict == "quiet" and not found.large
    assert found.by_group is not None and found.by_group.macro_f1 > 0.9


def test_the_same_clips_give_the_same_figures() -> None:
    assert probe(*clips(scene=1, behavior=0.2)) == probe(*clips(scene=1, behavior=0.2))


@pytest.mark.parametrize("n_groups", [2, 3, 4])
def test_few_groups_are_measured_without_complaint(n_groups: int) -> None:
    found = probe(*clips(scene=1, behavior=0.1, n_groups=n_groups))
    assert found.gap.value is not None and found.folds <= n_groups
    json.dumps(found.as_dict(), allow_nan=False)


def test_behaviour_of_one_group_and_single_clips_are_noted() -> None:
    features, kinds, groups = clips(scene=1, behavior=1, n_groups=4)
    kinds[0] = "jam"
    kinds[4] = kinds[5] = "hit"
    notes = " ".join(probe(features, kinds, groups).notes)
    assert "with a single clip: jam" in notes and "in one group only" in notes and "hit" in notes


def test_what_cannot_be_compared_says_why() -> None:
    features = np.zeros((4, 3), np.float32)
    with pytest.raises(ValueError, match="one group"):
        probe(features, ["a", "a", "b", "b"], ["g"] * 4)
    with pytest.raises(ValueError, match="two behaviours"):
        probe(features, ["a", "a", "a", "b"], list("ghij"))
    with pytest.raises(ValueError, match="all of one group"):
        probe(np.zeros((5, 3), np.float32), ["a", "a", "b", "b", "c"], list("ggggh"))


def test_features_without_spread_are_no_trouble() -> None:
    found = probe(np.zeros((16, 3), np.float32), ["a", "b"] * 8, list("gghhiijj") * 2)
    assert found.gap.value is not None


def test_prepared_clips_are_probed_without_the_test_side(tmp_path: Path) -> None:
    bundle = load_bundle(make_bundle(tmp_path / "colours.jikimi"), threads=1)
    takes = [fall(f"fall{i}", split="train") for i in range(3)]
    takes += [Take(f"quiet{i}", split="val") for i in range(3)] + [Take("held", split="test")]
    found = measure_leakage(bundle, write_prepared(tmp_path / "data", takes))
    assert found.clips == 6 and found.groups == 6
    assert found.by_group is not None and found.by_group.accuracy == 1


def test_one_behaviour_is_not_measured_and_says_why(tmp_path: Path) -> None:
    bundle = load_bundle(make_bundle(tmp_path / "colours.jikimi"), threads=1)
    found = measure_leakage(bundle, write_prepared(tmp_path / "data", [Take("a"), Take("b")]))
    assert found.by_group is None and "two behaviours" in found.why_not
    assert found.verdict == "not measured" and not found.large
