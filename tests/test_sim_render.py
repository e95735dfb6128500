"""The camera: what it needs, where it puts things in the picture, what hides them."""

import ctypes.util
import os
import sys

import numpy as np
import pytest

from jikimi.errors import SimError
from jikimi.sim.render import choose_opengl, remember
from jikimi.sim.script import Spot
from sim_scenes import LOADING_DOCK, STORE_WITH_DECK, play, scene_of


@pytest.fixture
def no_choice(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A Linux machine where nobody chose a way to draw."""
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("MUJOCO_GL", "LP_NUM_THREADS"):
        monkeypatch.setenv(name, "")  # so that it is put back afterwards
        monkeypatch.delenv(name)
    return monkeypatch


def test_without_opengl_the_debian_packages_are_named(no_choice: pytest.MonkeyPatch) -> None:
    no_choice.setattr(ctypes.util, "find_library", lambda name: None)
    with pytest.raises(SimError, match="apt-get install libegl1 libgl1-mesa-dri libosmesa6"):
        choose_opengl()


@pytest.mark.parametrize(
    ("there", "chosen"), [(("EGL", "OSMesa"), "egl"), (("OSMesa",), "osmesa"), (("EGL",), "egl")]
)
def test_egl_comes_before_osmesa(no_choice: pytest.MonkeyPatch, there: tuple[str, ...], chosen: str) -> None:
    no_choice.setattr(ctypes.util, "find_library", lambda name: name if name in there else None)
    assert choose_opengl() == chosen == os.environ["MUJOCO_GL"]
    assert os.environ["LP_NUM_THREADS"] == "1"


def test_what_the_user_chose_is_kept(no_choice: pytest.MonkeyPatch) -> None:
    no_choice.setenv("MUJOCO_GL", "glfw")
    assert choose_opengl() == "glfw"


@pytest.mark.parametrize("seed", [LOADING_DOCK, STORE_WITH_DECK])
def test_camera_looks_at_the_floor_with_its_head_up(seed: int) -> None:
    scene = scene_of(seed)
    centre = np.array([*scene.room.floor.centre, 0.0])
    low, high = scene.projection(np.array([centre, [*centre[:2], 1.7]]))
    assert scene.projection.inside(np.array([centre])).all()
    assert high[1] < low[1]
    nearer = centre + 0.3 * (scene.projection.position - centre)
    assert scene.projection(np.array([nearer]))[0] == pytest.approx(low, abs=1e-6)  # on the same ray


def test_what_is_behind_the_camera_is_nowhere() -> None:
    projection = scene_of(LOADING_DOCK).projection
    behind = projection.position + projection.rotation[:, 2] * 2
    assert np.isnan(projection(behind[None])).all()
    assert not projection.inside(behind[None]).any()


def test_forklift_hides_who_is_behind_it() -> None:
    scene = scene_of(LOADING_DOCK)
    cast = scene.cast(np.random.default_rng(0), opening_s=1.5)
    worker, spot = scene.stage.workers["w0"], Spot(*scene.room.floor.centre)
    worker.script = cast.new_script(worker, spot)
    play(cast, 0.2)
    own, knees = set(worker.bodies.values()), scene.stage.landmarks(worker)[8:9]
    assert scene.projection.visible(scene.stage, knees, ignore=own).all()
    toward = float(np.arctan2(*(scene.projection.position[:2] - (spot.x, spot.y))[::-1]))
    across = toward + np.pi / 2
    # Its counterweight, 0.95 m behind its origin, stands just before the knees.
    place = Spot(spot.x, spot.y, toward).ahead(0.7).ahead(0.95, turn=np.pi / 2)
    cast.stage.put(cast.furniture.forklift.body, (place.x, place.y, 0), yaw=across)
    play(cast, 0.4)
    assert not scene.projection.visible(scene.stage, knees, ignore=own).any()


def test_remembered_moment_does_not_change_with_the_stage() -> None:
    scene = scene_of(LOADING_DOCK)
    cast = scene.cast(np.random.default_rng(0), opening_s=1.5)
    worker = scene.stage.workers["w0"]
    cast.bring(worker, [Spot(-2, 0), Spot(2, 0)])
    play(cast, 0.5)
    moment = remember(scene.stage)
    before = moment.qpos.copy()
    play(cast, 1.0)
    assert moment.t_s == 0.5
    assert (moment.qpos == before).all() and (scene.stage.data.qpos != before).any()
