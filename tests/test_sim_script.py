"""Scripts: who is where, and how, at any moment."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jikimi.sim.posture import CARRY, LIE_BACK, SQUAT, STAND, STRIDE_WALK
from jikimi.sim.script import RUNG_M, Script, Spot

YAWS = st.floats(-10, 10)


def busy() -> Script:
    script = Script(Spot(0, 0, 0.3), t_s=1.0)
    script.hold(0.5).walk(Spot(3, 1)).turn(2.0).take(SQUAT, 0.8).walk(Spot(3, 4), speed_mps=3.0)
    script.slide(Spot(3, 5, 0, 0.4), STAND, 0.3).climb(Spot(3, 5, 0, 2.0)).climb(Spot(3, 5, 0, 0.0))
    return script.take(LIE_BACK, 1.0).walk(Spot(0, 0))


def test_nobody_jumps() -> None:
    script = busy()
    moments = np.arange(0.5, script.end_s + 0.5, 0.01)
    spots = [script.at(t).spot for t in moments]
    for a, b in itertools.pairwise(spots):
        # A slide of 1 m in 0.3 s is the fastest; eased, it is half as fast again in its middle.
        assert np.hypot(b.x - a.x, b.y - a.y) < 0.06
        assert abs(b.z - a.z) < 0.03
        assert abs(b.yaw - a.yaw) < 0.2


def test_poses_go_over_into_each_other() -> None:
    script = Script(Spot(0, 0)).take(SQUAT, 1.0).hold(1.0).take(LIE_BACK, 1.0)
    poses = [script.at(t).pose for t in np.arange(0, 3.5, 0.02)]
    for a, b in itertools.pairwise(poses):
        assert np.abs(b.angles_J - a.angles_J).max() < np.radians(6)
        assert abs(b.pitch - a.pitch) < np.radians(6)


def test_before_the_first_and_after_the_last_key_it_stands_still() -> None:
    script = busy()
    assert script.at(-5).spot == script.at(1.0).spot == Spot(0, 0, 0.3)
    assert script.at(script.end_s + 60).spot == script.spot


def test_walking_takes_as_long_as_the_way_and_faces_it() -> None:
    script = Script(Spot(1, 1, -2.0)).walk(Spot(1, 5), speed_mps=2.0)
    assert script.end_s == pytest.approx(2.0)
    half = script.at(1.0).spot
    assert (half.x, half.y) == pytest.approx((1, 3))
    assert half.yaw % (2 * np.pi) == pytest.approx(np.pi / 2)


def test_strides_are_as_long_as_the_body_has_them() -> None:
    script = Script(Spot(0, 0), height_m=1.6).walk(Spot(4, 0))
    assert script.keys[-1].phase == pytest.approx(4 / (STRIDE_WALK * 1.6))


def test_there_is_no_walk_to_where_one_is() -> None:
    assert Script(Spot(0, 0)).walk(Spot(0.01, 0)).end_s == 0


def test_hands_full_stay_full_on_the_way() -> None:
    script = Script(Spot(0, 0), pose=CARRY).walk(Spot(2, 0))
    assert script.pose.busy_arms
    assert not Script(Spot(0, 0), pose=SQUAT).walk(Spot(2, 0)).pose.busy_arms


@given(YAWS, YAWS)
def test_turns_go_the_short_way(start: float, end: float) -> None:
    script = Script(Spot(0, 0, start)).turn(end)
    assert abs(script.spot.yaw - start) <= np.pi + 1e-9
    assert np.cos(script.spot.yaw) == pytest.approx(np.cos(end), abs=1e-6)
    assert np.sin(script.spot.yaw) == pytest.approx(np.sin(end), abs=1e-6)


def test_shift_makes_everything_later_by_as_much() -> None:
    script, shifted = busy(), busy().shift(1.5)
    assert shifted.end_s == pytest.approx(script.end_s + 1.5)
    assert shifted.at(2.0).spot == script.at(1.0).spot
    for t in (2.0, 4.0, 7.0):
        later, before = shifted.at(t + 1.5).spot, script.at(t).spot
        assert (later.x, later.y, later.z) == pytest.approx((before.x, before.y, before.z))


def test_climbing_counts_rungs() -> None:
    script = Script(Spot(0, 0)).climb(Spot(0, 0, 0, 1.5), speed_mps=0.5)
    assert script.end_s == pytest.approx(3.0)
    assert script.keys[-1].phase == pytest.approx(1.5 / RUNG_M)
    assert script.at(1.5).spot.z == pytest.approx(0.75)


def test_nobody_is_a_statue() -> None:
    script = Script(Spot(0, 0)).hold(10)
    assert np.abs(script.at(2.0).pose.angles_J - script.at(3.0).pose.angles_J).max() > 0


@given(YAWS, st.floats(0.1, 5), YAWS)
def test_spot_ahead_is_so_far_and_that_way(yaw: float, distance_m: float, turn: float) -> None:
    here = Spot(1, 2, yaw, 0.5)
    there = here.ahead(distance_m, turn=turn)
    assert here.distance_m(there) == pytest.approx(distance_m)
    assert np.cos(here.toward(there) - yaw - turn) == pytest.approx(1)
    assert there.z == 0.5 and there.yaw == yaw
