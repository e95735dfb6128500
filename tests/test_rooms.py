"""Rooms: they compile, repeat from the seed, and keep their open floor open."""

from __future__ import annotations

import functools
from typing import Any, get_args

import mujoco
import numpy as np
import pytest

from jikimi.sim.furniture import Furniture, furnish
from jikimi.sim.places import Area, Room, RoomKind
from jikimi.sim.rooms import add_room

KINDS: tuple[RoomKind, ...] = get_args(RoomKind)
SEEDS = range(20)


@functools.cache
def built(kind: RoomKind, seed: int) -> tuple[Room, Furniture, Any]:
    """A furnished room and its model at rest."""
    return build(kind, seed)


def build(kind: RoomKind, seed: int) -> tuple[Room, Furniture, Any]:
    spec, rng = mujoco.MjSpec(), np.random.default_rng(seed)
    room = add_room(spec, rng, kind)
    furniture = furnish(spec, rng, room)
    return room, furniture, spec.compile()


def model_bytes(model: Any) -> bytes:
    buffer = np.zeros(mujoco.mj_sizeModel(model), dtype=np.uint8)
    mujoco.mj_saveModel(model, None, buffer)
    return buffer.tobytes()


def standing_boxes(model: Any) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Name of the body, lowest and highest corner of each solid geom that neither moves nor is the floor."""
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    boxes = []
    for geom in range(model.ngeom):
        body = model.geom_bodyid[geom]
        still = model.body_mocapid[body] < 0 and model.body_jntnum[body] == 0
        name = model.body(body).name
        if not model.geom_contype[geom] or not still or name == "floor":
            continue
        turn = data.geom_xmat[geom].reshape(3, 3)
        centre = data.geom_xpos[geom] + turn @ model.geom_aabb[geom, :3]
        half = np.abs(turn) @ model.geom_aabb[geom, 3:]
        boxes.append((name, centre - half, centre + half))
    return boxes


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", SEEDS)
def test_open_floor_is_large_and_free_of_what_stands(kind: RoomKind, seed: int) -> None:
    room, _, model = built(kind, seed)
    floor = room.floor
    assert max(floor.width, floor.depth) >= 6.0 and min(floor.width, floor.depth) >= 5.0
    assert floor.contains(0.0, 0.0)
    for name, low, high in standing_boxes(model):
        apart = low[0] >= floor.x1 or high[0] <= floor.x0 or low[1] >= floor.y1 or high[1] <= floor.y0
        assert apart, f"{name} reaches {low.round(2)}..{high.round(2)} into {floor}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", SEEDS)
def test_everything_stays_below_the_roof_and_between_the_walls(kind: RoomKind, seed: int) -> None:
    room, _, model = built(kind, seed)
    outer = room.bounds.grown(0.25)
    for name, low, high in standing_boxes(model):
        assert high[2] <= room.size_m[2] + 0.01, name
        assert outer.contains(low[0], low[1]) and outer.contains(high[0], high[1]), name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", SEEDS)
def test_operators_stand_on_the_open_floor_facing_their_machine(kind: RoomKind, seed: int) -> None:
    room, furniture, _ = built(kind, seed)
    second = furniture.rollers or furniture.conveyor
    assert second is not None
    for machine in (furniture.press, second):
        assert room.floor.contains(*machine.stand_xy)
        towards = np.subtract(machine.hands_xyz[:2], machine.stand_xy)
        assert 0.35 <= float(np.hypot(*towards)) <= 0.5
        heading = (np.cos(machine.stand_yaw), np.sin(machine.stand_yaw))
        assert float(towards @ heading) == pytest.approx(float(np.hypot(*towards)))
    assert room.floor.contains(*furniture.ladder.stand_xy)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", SEEDS)
def test_cameras_hang_inside_the_walls_and_off_the_floor(kind: RoomKind, seed: int) -> None:
    room, _, _ = built(kind, seed)
    assert len(room.camera_spots) == 4
    for x, y in room.camera_spots:
        assert room.bounds.contains(x, y, margin_m=0.3) and not room.floor.contains(x, y)
    assert 12.0 <= max(room.size_m) <= 26.0 and room.size_m[2] >= 4.0


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_gives_the_same_model_bit_for_bit(kind: RoomKind) -> None:
    first, second = build(kind, 7), build(kind, 7)
    assert first[:2] == second[:2]
    assert model_bytes(first[2]) == model_bytes(second[2])


@pytest.mark.parametrize("kind", KINDS)
def test_seeds_differ(kind: RoomKind) -> None:
    assert len({model_bytes(built(kind, seed)[2]) for seed in range(5)}) == 5


@pytest.mark.parametrize("kind", KINDS)
def test_one_light_casts_shadows_and_at_most_three_shine(kind: RoomKind) -> None:
    for seed in SEEDS:
        _, _, model = built(kind, seed)
        assert model.nlight <= 3
        assert int(model.light_castshadow.sum()) == 1


def test_few_geoms_are_drawn() -> None:
    for kind in KINDS:
        for seed in SEEDS:
            _, _, model = built(kind, seed)
            assert int((model.geom_rgba[:, 3] > 0).sum()) <= 60


def test_every_light_regime_and_second_machine_occurs() -> None:
    rooms = [built(kind, seed) for kind in KINDS for seed in SEEDS]
    assert {room.light for room, _, _ in rooms} == {"day", "dim", "one-lamp", "bright"}
    assert {furniture.rollers is None for _, furniture, _ in rooms} == {True, False}
    for room, furniture, _ in rooms:
        assert (furniture.truck is not None) == (room.kind in ("hall", "dock"))


def test_area_samples_within_its_margin() -> None:
    area, rng = Area(-1.0, -2.0, 3.0, 2.0), np.random.default_rng(0)
    assert area.centre == (1.0, 0.0) and (area.width, area.depth) == (4.0, 4.0)
    assert all(area.contains(*area.sample(rng, 0.5), margin_m=0.5) for _ in range(100))


def test_empty_area_is_refused() -> None:
    with pytest.raises(ValueError, match="is empty"):
        Area(1.0, 0.0, 1.0, 2.0)
