"""Small stages and built scenes for the tests of the simulator; built once, used by many."""

import functools
from collections.abc import Callable

import mujoco
import numpy as np

from jikimi.sim.body import LANDMARKS, add_worker
from jikimi.sim.play import Cast
from jikimi.sim.posture import STAND, Pose
from jikimi.sim.props import FreeProp, add_crate
from jikimi.sim.scene import Scene, build_scene
from jikimi.sim.script import Script, Spot
from jikimi.sim.stage import Floats, Stage, Worker

HEIGHT_M = 1.75
LOADING_DOCK, STORE_WITH_DECK = 0, 15  # seeds; the cameras see ladder, machine and truck, press or platform

LIE_HEAD_M = 0.5


@functools.cache
def scene_of(seed: int) -> Scene:
    """A built scene: every test begins it anew with `Scene.cast`."""
    return build_scene(seed)


def bare_stage(*heights_m: float, build: float = 1.0) -> tuple[Stage, FreeProp]:
    """A floor, workers w0, w1, … and a crate."""
    spec = mujoco.MjSpec()
    # No plane: that would fill everything below it, where the crate is parked.
    spec.worldbody.add_geom(
        name="floor", type=mujoco.mjtGeom.mjGEOM_BOX, size=(20, 20, 0.5), pos=(0, 0, -0.5)
    )
    crate = add_crate(spec, np.random.default_rng(0), "crate")
    heights = [(f"w{number}", height) for number, height in enumerate(heights_m or (HEIGHT_M,))]
    for name, height in heights:
        add_worker(spec, name, height_m=height, build=build)
    return Stage(spec.compile(), heights), crate


def standing(stage: Stage, pose: Pose = STAND, name: str = "w0", *, spot: Spot | None = None) -> Worker:
    """Put a worker on stage in a pose."""
    worker = stage.workers[name]
    at = spot or Spot(0.0, 0.0)
    worker.script = Script(at, height_m=worker.height_m, pose=pose, t_s=stage.t_s)
    run(stage, stage.t_s + 0.02)
    return worker


def run(stage: Stage, to_s: float, control: Callable[[float], None] = lambda _t: None) -> None:
    """Let time pass on a stage at 10 pictures a second."""
    while stage.t_s < to_s - 1e-9:
        stage.advance(min(to_s, stage.t_s + 0.1), control)


def mark(stage: Stage, worker: Worker, name: str) -> Floats:
    """Where a landmark of a worker is, (3,) in m."""
    return np.asarray(stage.landmarks(worker)[LANDMARKS.index(name)])


def clearance_m(stage: Stage, worker: Worker) -> float:
    """Distance between the floor and what of a worker is nearest to it; below 0 it is under the floor."""
    mujoco.mj_kinematics(stage.model, stage.data)
    floor = stage.model.geom("floor").id
    return min(
        float(mujoco.mj_geomDistance(stage.model, stage.data, floor, int(geom), 5.0, None))
        for geom in worker.solid
    )


def play(cast: Cast, to_s: float, *, fps: int = 10) -> None:
    """Let a play go on."""
    frame = round(cast.stage.t_s * fps)
    while frame / fps < to_s:
        frame += 1
        cast.stage.advance(frame / fps, cast.cues.run)
