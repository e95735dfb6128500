"""Postures and gait: within the joints' limits, on the ground, legs in turn."""

import itertools

import numpy as np
import pytest

from jikimi.sim import posture
from jikimi.sim.body import JOINTS, RANGES_RAD
from jikimi.sim.posture import CARRY, STAND, Pose, draw_style, in_gait, on_ladder
from jikimi.sim.script import RUN_MPS, WALK_MPS, Script, Spot
from sim_scenes import bare_stage, clearance_m, mark, run, standing

POSTURES = {name: value for name, value in vars(posture).items() if isinstance(value, Pose)}
STAGE, _ = bare_stage()


def angle(pose: Pose, joint: str) -> float:
    return float(pose.angles_J[JOINTS.index(joint)])


def within_limits(pose: Pose) -> bool:
    low, high = RANGES_RAD.T
    return bool(((pose.angles_J >= low - 1e-9) & (pose.angles_J <= high + 1e-9)).all())


@pytest.mark.parametrize("name", POSTURES)
def test_posture_is_within_the_joints_limits(name: str) -> None:
    assert within_limits(POSTURES[name])
    assert within_limits(POSTURES[name].loosened(np.random.default_rng(0), degrees=20))


@pytest.mark.parametrize("name", POSTURES)
def test_posture_rests_on_the_ground(name: str) -> None:
    worker = standing(STAGE, POSTURES[name])
    assert clearance_m(STAGE, worker) == pytest.approx(0, abs=0.002)


@pytest.mark.parametrize(
    ("name", "low_m", "high_m"),
    [("STAND", 1.5, 1.8), ("SQUAT", 0.6, 1.3), ("SIT_FLOOR", 0.6, 1.1), ("LIE_BACK", 0, 0.4),
     ("LIE_FRONT", 0, 0.4), ("ALL_FOURS", 0.4, 1.0), ("KNEEL", 1.0, 1.5)],
)  # fmt: skip
def test_head_is_as_high_as_the_posture_has_it(name: str, low_m: float, high_m: float) -> None:
    worker = standing(STAGE, POSTURES[name])
    assert low_m < mark(STAGE, worker, "head")[2] < high_m


def test_mixing_goes_from_one_pose_to_the_other() -> None:
    half = STAND.mixed(CARRY, 0.5)
    assert STAND.mixed(CARRY, 0.0).angles_J == pytest.approx(STAND.angles_J)
    assert STAND.mixed(CARRY, 1.0).angles_J == pytest.approx(CARRY.angles_J)
    assert half.angles_J == pytest.approx((STAND.angles_J + CARRY.angles_J) / 2)
    assert not half.busy_arms and STAND.mixed(CARRY, 0.6).busy_arms


@pytest.mark.parametrize("run_share", [0.0, 1.0])
def test_legs_take_turns(run_share: float) -> None:
    for phase in np.linspace(0, 1, 9):
        now = in_gait(STAND, phase, run=run_share, vigour=1)
        later = in_gait(STAND, phase + 0.5, run=run_share, vigour=1)
        for joint in ("hip_flex", "knee", "ankle", "shoulder_flex"):
            assert angle(now, f"l_{joint}") == pytest.approx(angle(later, f"r_{joint}"), abs=1e-9)


@pytest.mark.parametrize("run_share", [0.0, 1.0])
def test_gait_is_within_the_joints_limits(run_share: float) -> None:
    assert all(within_limits(in_gait(STAND, p, run=run_share, vigour=1)) for p in np.linspace(0, 1, 21))


def test_arm_swings_against_its_leg_unless_it_carries() -> None:
    walking = in_gait(STAND, 0.25, run=0, vigour=1)
    assert angle(walking, "l_hip_flex") > angle(walking, "r_hip_flex")
    assert angle(walking, "l_shoulder_flex") < angle(walking, "r_shoulder_flex")
    carrying = in_gait(CARRY, 0.25, run=0, vigour=1)
    assert angle(carrying, "l_shoulder_flex") == angle(CARRY, "l_shoulder_flex")


def test_gait_without_vigour_is_no_gait() -> None:
    assert in_gait(STAND, 0.3, run=0, vigour=0).angles_J == pytest.approx(STAND.angles_J)


@pytest.mark.parametrize("speed_mps", [WALK_MPS, RUN_MPS])
def test_walking_feet_come_forward_in_turn_and_never_go_under_the_floor(speed_mps: float) -> None:
    worker = standing(STAGE)
    start_s = STAGE.t_s
    worker.script = Script(Spot(-3, 0), height_m=1.75, t_s=start_s)
    worker.script.walk(Spot(3, 0), speed_mps=speed_mps)
    ahead = []
    for step in range(1, 30):
        run(STAGE, start_s + 0.3 + 0.06 * step)
        assert clearance_m(STAGE, worker) == pytest.approx(0, abs=0.002)
        ahead.append(mark(STAGE, worker, "l_foot")[0] > mark(STAGE, worker, "r_foot")[0])
    changes = sum(a != b for a, b in itertools.pairwise(ahead))
    assert 2 <= changes <= 6


def test_hands_and_feet_take_turns_on_a_ladder() -> None:
    one, other = on_ladder(0.5), on_ladder(1.5)
    assert within_limits(one) and within_limits(other)
    assert angle(one, "l_shoulder_flex") > angle(other, "l_shoulder_flex")
    assert angle(one, "r_hip_flex") > angle(other, "r_hip_flex")


def test_everybody_moves_in_a_way_of_their_own() -> None:
    one, other = (draw_style(np.random.default_rng(seed)) for seed in (1, 2))
    assert one.stride != other.stride
    assert np.abs(one.habit_J - other.habit_J).max() > 0
    assert np.abs(one.habit_J).max() < np.radians(20)
