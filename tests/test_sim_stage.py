"""The stage: scripted workers stand where they should, let-go ones fall, caught ones are held."""

import numpy as np
import pytest

from jikimi.sim.posture import LIE_BACK, LIE_FRONT, SIT_FLOOR, STAND
from jikimi.sim.props import PARK_Z_M
from jikimi.sim.script import Script, Spot
from jikimi.sim.stage import Grip, Stage, Worker
from sim_scenes import HEIGHT_M, LIE_HEAD_M, bare_stage, clearance_m, mark, run, standing


def limp(s: float) -> float:
    return max(0.05, 0.5 * (1 - s))


def let_go(*, push: tuple[float, float, float] = (0, 0, 0), yaw: float = 0.0) -> tuple[Stage, Worker]:
    stage, _ = bare_stage()
    worker = standing(stage, spot=Spot(0, 0, yaw))
    stage.let_go(worker, limp)
    stage.push(worker, "chest", push, seconds=0.15)
    return stage, worker


@pytest.mark.parametrize("push", [(0, 0, 0), (300, 0, 0), (-300, 0, 0), (0, 300, 0)])
def test_let_go_worker_lies_within_two_seconds(push: tuple[float, float, float]) -> None:
    stage, worker = let_go(push=push)
    run(stage, 2.0)
    assert mark(stage, worker, "head")[2] < LIE_HEAD_M
    assert mark(stage, worker, "pelvis")[2] < LIE_HEAD_M
    assert clearance_m(stage, worker) > -0.05


@pytest.mark.parametrize("yaw", [0.0, 2.0])
@pytest.mark.parametrize("turn", [0.0, np.pi])
def test_pushed_worker_falls_the_way_it_is_pushed(yaw: float, turn: float) -> None:
    way = np.array([np.cos(yaw + turn), np.sin(yaw + turn), 0])
    stage, worker = let_go(push=tuple(350 * way), yaw=yaw)
    run(stage, 2.0)
    assert (mark(stage, worker, "head") - mark(stage, worker, "l_foot")) @ way > 0.5


@pytest.mark.parametrize("yaw", [0.0, 2.0])
@pytest.mark.parametrize(("turn", "face_down"), [(0.0, True), (np.pi, False)])
def test_pushed_worker_lands_on_the_side_it_falls_to(yaw: float, turn: float, face_down: bool) -> None:
    way = np.array([np.cos(yaw + turn), np.sin(yaw + turn), 0])
    stage, worker = let_go(push=tuple(350 * way), yaw=yaw)
    run(stage, 2.0)
    front = stage.data.xmat[worker.body("chest")].reshape(3, 3)[:, 0]
    assert bool(front[2] < 0) == face_down


def test_worker_with_balance_stays_on_its_feet() -> None:
    stage, _ = bare_stage()
    worker = standing(stage)
    stage.let_go(worker, lambda s: 0.9, balance=lambda s: 1.0)
    stage.push(worker, "chest", (150, 0, 0), seconds=0.15)
    run(stage, 3.0)
    assert mark(stage, worker, "head")[2] > 1.3
    assert np.hypot(*mark(stage, worker, "pelvis")[:2]) < 0.4


def test_gripped_hand_stays_where_it_is_held() -> None:
    stage, _ = bare_stage()
    worker = standing(stage)
    held = mark(stage, worker, "l_hand") + np.array([0.1, 0, 0.1])
    grip = Grip("l_forearm", (0, 0, -0.16 * HEIGHT_M), lambda s: held)
    stage.let_go(worker, lambda s: 0.9, balance=lambda s: 1.0, grips=[grip])
    run(stage, 1.0)
    stage.push(worker, "chest", (-200, 0, 0), seconds=0.2)
    for step in range(20):
        run(stage, 1.0 + 0.1 * step)
        assert np.linalg.norm(mark(stage, worker, "l_hand") - held) < 0.12


def test_worker_who_gets_up_ends_upright() -> None:
    stage, worker = let_go(push=(200, 0, 0))
    run(stage, 2.5)
    x, y, _ = mark(stage, worker, "pelvis")
    script = Script(Spot(x, y), height_m=HEIGHT_M, pose=SIT_FLOOR, t_s=stage.t_s).hold(1.2).take(STAND, 1.0)
    before = mark(stage, worker, "head")
    stage.rise(worker, script, seconds=1.2)
    stage.advance(stage.t_s + 0.03, lambda _t: None)
    assert np.linalg.norm(mark(stage, worker, "head") - before) < 0.1  # from where it lay, without a jump
    run(stage, script.end_s + 0.1)
    assert worker.scripted and worker.rising is None
    assert mark(stage, worker, "head")[2] > 1.4
    assert clearance_m(stage, worker) == pytest.approx(0, abs=0.002)


def test_physics_moves_nobody_who_follows_a_script() -> None:
    stage, crate = bare_stage()
    worker = standing(stage)
    before = stage.data.qpos[worker.root_q].copy()
    stage.physics = True
    stage.put(crate.body, (0.0, 0.0, 2.5), velocity=(0, 0, -3))
    run(stage, 1.5)
    assert stage.data.qpos[worker.root_q] == pytest.approx(before, abs=0.01)
    assert np.hypot(*stage.position(crate.body)[:2]) > 0.1  # it bounced off


def test_touch_is_noticed_when_it_comes() -> None:
    stage, crate = bare_stage()
    worker, geoms = standing(stage), stage.geoms_of(crate.body)
    stage.physics = True
    stage.put(crate.body, (0.0, 0.0, 2.6))
    run(stage, stage.t_s + 0.05)
    assert not stage.touching(worker, geoms)
    seen: list[bool] = []
    run(stage, 1.0, lambda _t: seen.append(stage.touching(worker, geoms)))
    assert any(seen)


def test_speed_is_a_falling_bodys() -> None:
    stage, worker = let_go(push=(300, 0, 0))
    assert stage.speed_mps(worker) < 0.2
    run(stage, 0.6)
    assert stage.speed_mps(worker) > 0.8
    run(stage, 4.0)
    assert stage.speed_mps(worker) < 0.2


def test_crate_put_in_the_air_falls_to_rest_and_parks_again() -> None:
    stage, crate = bare_stage()
    run(stage, 0.1)
    assert stage.position(crate.body)[2] == pytest.approx(PARK_Z_M)
    stage.physics = True
    stage.put(crate.body, (0.0, 0.0, 1.5))
    run(stage, 3.0)
    assert stage.position(crate.body)[2] == pytest.approx(crate.half_m[2], abs=0.02)
    stage.park(crate.body)
    run(stage, 4.0)
    assert stage.position(crate.body)[2] == pytest.approx(PARK_Z_M, abs=0.01)


def test_at_rest_nothing_is_left_of_speeds_and_contacts() -> None:
    stage, worker = let_go()
    floor = {stage.model.geom("floor").id}
    run(stage, 2.0)
    assert stage.touching(worker, floor)
    stage.rest()
    assert not stage.touching(worker, floor)
    assert not stage.data.qvel.any()
    lies = mark(stage, worker, "head")
    run(stage, 4.0)
    assert mark(stage, worker, "head") == pytest.approx(lies)


def test_reset_clears_the_stage() -> None:
    stage, worker = let_go()
    run(stage, 1.0)
    stage.reset()
    assert stage.t_s == 0 and not stage.physics and worker.scripted and worker.script is None
    assert not stage.on_stage(worker)


def test_same_play_again_is_the_same() -> None:
    stage, worker = let_go(push=(250, 50, 0))
    run(stage, 1.5)
    first = stage.data.qpos.copy()
    stage.reset()
    worker = standing(stage)
    stage.let_go(worker, limp)
    stage.push(worker, "chest", (250, 50, 0), seconds=0.15)
    run(stage, 1.5)
    assert (stage.data.qpos == first).all()


def test_workers_off_stage_wait_apart_and_out_of_sight() -> None:
    stage, _ = bare_stage(1.7, 1.8)
    run(stage, 0.1)
    places = [mark(stage, worker, "pelvis") for worker in stage.workers.values()]
    assert not any(stage.on_stage(worker) for worker in stage.workers.values())
    assert np.linalg.norm(places[0] - places[1]) > 2 and max(place[2] for place in places) < -20


@pytest.mark.parametrize("pose", [LIE_BACK, LIE_FRONT])
def test_lying_worker_is_stable_when_let_go(pose: object) -> None:
    stage, _ = bare_stage()
    worker = standing(stage, pose)  # type: ignore[arg-type]
    before = mark(stage, worker, "pelvis")
    stage.let_go(worker, limp)
    run(stage, 1.5)
    assert np.linalg.norm(mark(stage, worker, "pelvis") - before) < 0.25


def test_let_go_walker_keeps_its_speed() -> None:
    stage, _ = bare_stage()
    worker = standing(stage)
    worker.script = Script(Spot(0, 0), height_m=HEIGHT_M, t_s=stage.t_s).walk(Spot(4, 0), speed_mps=1.4)
    run(stage, 1.0)
    stage.let_go(worker, limp)
    stage.advance(stage.t_s + 0.05, lambda _t: None)
    assert stage.data.qvel[worker.root_v] > 0.8


@pytest.mark.parametrize("fps", [10, 15])
def test_physics_runs_as_fast_as_the_clock(fps: int) -> None:
    stage, _ = bare_stage()
    stage.physics = True
    for frame in range(1, 4 * fps + 1):
        stage.advance(frame / fps, lambda _t: None)
    assert stage.data.time == pytest.approx(4.0, rel=0.02)
