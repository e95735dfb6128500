"""Movable props and machines: they park, fall, swing and turn as their values say."""

from __future__ import annotations

import math
from typing import Any

import mujoco
import numpy as np
import pytest

from jikimi.sim.furniture import Furniture, furnish
from jikimi.sim.places import Area
from jikimi.sim.props import PARK_Z_M, FreeProp, add_crate, add_hook_load
from jikimi.sim.rooms import add_room
from jikimi.sim.structures import add_ladder, add_platform


@pytest.fixture(scope="module")
def furnished() -> tuple[Furniture, Any]:
    spec, rng = mujoco.MjSpec(), np.random.default_rng(3)
    room = add_room(spec, rng, "hall")
    return furnish(spec, rng, room), spec.compile()


def free_props(furniture: Furniture) -> tuple[FreeProp, ...]:
    return (*furniture.crates, furniture.pipe, furniture.drum, furniture.tool)


def test_parked_props_stay_below_the_floor_without_touching(furnished: tuple[Furniture, Any]) -> None:
    furniture, model = furnished
    data = mujoco.MjData(model)
    for _ in range(200):
        mujoco.mj_step(model, data)
    assert data.ncon == 0
    for prop in free_props(furniture):
        assert data.body(prop.body).xpos[2] == pytest.approx(PARK_Z_M, abs=0.01)
    for body in (furniture.forklift.body, furniture.trolley.body, furniture.agv.body, furniture.gate.body):
        assert data.body(body).xpos[2] == PARK_Z_M


def test_free_props_weigh_what_they_say(furnished: tuple[Furniture, Any]) -> None:
    furniture, model = furnished
    for prop in free_props(furniture):
        assert model.body(prop.body).mass[0] == pytest.approx(prop.mass_kg)


def test_crates_are_carried_by_one_person() -> None:
    spec, rng = mujoco.MjSpec(), np.random.default_rng(0)
    crates = [add_crate(spec, rng, f"crate-{number}") for number in range(30)]
    spec.compile()
    for crate in crates:
        assert 4.0 <= crate.mass_kg <= 25.0
        assert all(0.25 <= 2 * half <= 0.6 for half in crate.half_m)


def test_hook_load_hangs_one_cable_below_its_origin() -> None:
    spec = mujoco.MjSpec()
    load = add_hook_load(spec, np.random.default_rng(1), "load", cable_m=2.0)
    model = spec.compile()
    data = mujoco.MjData(model)
    data.mocap_pos[0] = (0.0, 0.0, 5.0)
    mujoco.mj_forward(model, data)
    solid = model.geom_contype > 0
    lowest = min(data.geom_xpos[geom][2] for geom in np.flatnonzero(solid))
    assert lowest == pytest.approx(5.0 - load.load_centre_m, abs=1e-6)


def test_press_ram_comes_down_on_to_the_bed_at_the_hands(furnished: tuple[Furniture, Any]) -> None:
    press = furnished[0].press
    assert press.ram_down_z_m < press.hands_xyz[2] < press.ram_up_z_m - 0.2
    assert math.dist(press.ram_xy, press.hands_xyz[:2]) < 0.25


def machine_of(part: str) -> Any:
    for seed in range(20):
        spec, rng = mujoco.MjSpec(), np.random.default_rng(seed)
        machine = getattr(furnish(spec, rng, add_room(spec, rng, "cell")), part)
        if machine is not None:
            return machine
    raise AssertionError(f"no {part} in 20 rooms")


def test_belt_ends_at_the_nip() -> None:
    conveyor = machine_of("conveyor")
    assert math.dist(conveyor.nip_xyz, conveyor.belt_end_xyz) < 0.3


def test_ladder_leans_one_in_four() -> None:
    spec = mujoco.MjSpec()
    ladder = add_ladder(spec, np.random.default_rng(0), "ladder", (1.0, 2.0), 0.7, 3.2)
    spec.compile()
    foot = math.dist(ladder.base_xyz[:2], ladder.top_xyz[:2])
    assert foot / ladder.top_xyz[2] == pytest.approx(0.25)


@pytest.mark.parametrize("quarter", range(4))
def test_platform_edge_lies_on_its_open_side(quarter: int) -> None:
    spec, area = mujoco.MjSpec(), Area(0.0, 0.0, 2.0, 3.0)
    yaw = quarter * math.pi / 2
    platform = add_platform(spec, np.random.default_rng(0), "deck", area, 1.2, yaw)
    model = spec.compile()
    inside = np.array(platform.edge_xy) - 0.1 * np.array([math.cos(yaw), math.sin(yaw)])
    outside = np.array(platform.edge_xy) + 0.1 * np.array([math.cos(yaw), math.sin(yaw)])
    assert area.contains(*inside) and not area.contains(*outside)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    down, hit = np.array([0.0, 0.0, -1.0]), np.zeros(1, dtype=np.int32)
    fall = mujoco.mj_ray(model, data, np.array([*inside, 3.0]), down, None, 1, -1, hit)
    assert 3.0 - fall == pytest.approx(1.2, abs=0.01)
