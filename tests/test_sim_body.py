"""The worker's body: people's sizes, weights and joints, and clothes on every part."""

import mujoco
import numpy as np
import pytest

from jikimi.sim.body import JOINTS, LANDMARKS, RANGES_RAD, STIFFNESS, colours, draw_clothes
from sim_scenes import bare_stage, mark, standing


@pytest.mark.parametrize(("height_m", "build"), [(1.5, 0.88), (1.75, 1.0), (1.95, 1.22)])
def test_people_weigh_what_people_of_their_size_weigh(height_m: float, build: float) -> None:
    stage, _ = bare_stage(height_m, build=build)
    bodies = list(stage.workers["w0"].bodies.values())
    mass_kg = float(stage.model.body_mass[bodies].sum())
    assert 20 < mass_kg / height_m**2 < 36


@pytest.mark.parametrize("height_m", [1.5, 1.95])
def test_standing_worker_is_as_tall_as_asked(height_m: float) -> None:
    stage, _ = bare_stage(height_m)
    worker = standing(stage)
    assert mark(stage, worker, "head")[2] == pytest.approx(0.93 * height_m, rel=0.06)
    assert mark(stage, worker, "l_foot")[2] < 0.1 * height_m


def test_joints_are_limited_as_in_a_body() -> None:
    stage, _ = bare_stage()
    for name, (low, high) in zip(JOINTS, RANGES_RAD, strict=True):
        joint = stage.model.joint(f"w0/{name}")
        assert joint.range == pytest.approx((low, high))
        assert low <= 0 <= high and high - low < np.pi * 1.3
    assert len(STIFFNESS) == len(JOINTS) and (STIFFNESS > 0).all()


def test_left_and_right_mirror_each_other() -> None:
    stage, _ = bare_stage()
    worker = standing(stage)
    stage.data.qpos[worker.angles_q] = 0
    stage.data.qpos[worker.angles_q[[JOINTS.index(f"{side}_shoulder_abduct") for side in "lr"]]] = 1.0
    mujoco.mj_kinematics(stage.model, stage.data)
    left, right = mark(stage, worker, "l_hand"), mark(stage, worker, "r_hand")
    assert left == pytest.approx(right * (1, -1, 1), abs=1e-6)
    assert left[1] > 0.5  # abduction brings the arm away from the middle


def test_landmarks_go_by_their_names() -> None:
    stage, _ = bare_stage()
    worker = standing(stage)
    heights = {name: mark(stage, worker, name)[2] for name in LANDMARKS}
    assert heights["head"] > heights["neck"] > heights["pelvis"] > heights["l_knee"] > heights["l_foot"]


def test_worn_things_weigh_nothing_and_touch_nothing() -> None:
    stage, _ = bare_stage()
    for part in ("cap", "band"):
        geom = stage.model.geom(f"w0/{part}")
        assert geom.contype == 0 and geom.conaffinity == 0


def test_clothes_colour_every_part() -> None:
    stage, _ = bare_stage()
    parts = {stage.model.geom(i).name.split("/")[1] for i in stage.workers["w0"].geoms}
    for seed in range(20):
        found = colours(draw_clothes(np.random.default_rng(seed)))
        assert set(found) == parts
        assert all(0 <= value <= 1 for rgba in found.values() for value in rgba)


def test_vest_has_a_reflecting_band() -> None:
    drawn = [draw_clothes(np.random.default_rng(seed)) for seed in range(30)]
    assert {clothes.vest is None for clothes in drawn} == {True, False}
    for clothes in drawn:
        assert colours(clothes)["band"][3] == (0.0 if clothes.vest is None else 1.0)
