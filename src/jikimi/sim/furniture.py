"""Puts machines, structures and movable props into a room's free bays."""

from __future__ import annotations

import math
from dataclasses import dataclass

import mujoco
import numpy as np

from jikimi.sim.equipment import (
    Conveyor,
    Press,
    Rollers,
    add_conveyor,
    add_press,
    add_rollers,
)  # fmt: skip
from jikimi.sim.places import Area, Bay, Room
from jikimi.sim.props import (
    FreeProp,
    Gate,
    HookLoad,
    MocapProp,
    add_agv,
    add_crate,
    add_drum,
    add_forklift,
    add_gate,
    add_hook_load,
    add_pipe,
    add_tool,
    add_trolley,
)  # fmt: skip
from jikimi.sim.solids import place
from jikimi.sim.structures import Ladder, Platform, Truck, add_ladder, add_platform, add_truck
from jikimi.sim.weld import weld

CRATES = 5


@dataclass(frozen=True, slots=True)
class Furniture:
    """Machines beside the open floor and props parked below it. One of `rollers` and `conveyor` is None."""

    press: Press
    rollers: Rollers | None
    conveyor: Conveyor | None
    ladder: Ladder
    platform: Platform
    truck: Truck | None
    forklift: MocapProp
    trolley: MocapProp
    agv: MocapProp
    gate: Gate
    hook_load: HookLoad
    crates: tuple[FreeProp, ...]
    pipe: FreeProp
    drum: FreeProp
    tool: FreeProp


def furnish(spec: mujoco.MjSpec, rng: np.random.Generator, room: Room) -> Furniture:
    """Fill the room's free bays and park the movable props."""
    known = {body.name for body in spec.worldbody.bodies}
    bays = list(room.bays)
    truck = _park_truck(spec, rng, bays.pop(0)) if room.kind in ("hall", "dock") else None
    press_bay, second_bay, ladder_bay, platform_bay = bays
    press = add_press(spec, rng, "press", _set_back(press_bay, 0.62), press_bay.yaw_rad)
    rolling = rng.random() < 0.5
    rollers = (
        add_rollers(spec, rng, "rollers", _set_back(second_bay, 0.56), second_bay.yaw_rad)
        if rolling
        else None
    )
    conveyor = None
    if not rolling:
        length = min(2.6, second_bay.width_m - 0.2)
        conveyor = add_conveyor(
            spec, rng, "conveyor", _set_back(second_bay, 0.45), second_bay.yaw_rad, length
        )
    height = min(float(rng.uniform(2.6, 3.8)), room.size_m[2] - 1.2)
    ladder = add_ladder(spec, rng, "ladder", _set_back(ladder_bay, 0.15), ladder_bay.yaw_rad, height)
    platform = _raise_platform(spec, rng, platform_bay, room.size_m[2])
    furniture = Furniture(
        press=press, rollers=rollers, conveyor=conveyor, ladder=ladder, platform=platform, truck=truck,
        forklift=add_forklift(spec, rng, "forklift"), trolley=add_trolley(spec, rng, "trolley"),
        agv=add_agv(spec, rng, "agv"), gate=add_gate(spec, rng, "gate"),
        hook_load=add_hook_load(spec, rng, "hook-load", min(3.0, room.size_m[2] - 2.0)),
        crates=tuple(add_crate(spec, rng, f"crate-{number}") for number in range(CRATES)),
        pipe=add_pipe(spec, rng, "pipe"), drum=add_drum(spec, rng, "drum"), tool=add_tool(spec, rng, "tool"),
    )  # fmt: skip
    _weld_new(spec, known)
    return furniture


def _weld_new(spec: mujoco.MjSpec, known: set[str]) -> None:
    """Draw what was added as few meshes: one for all that stands, one for each thing that moves."""
    new = [body for body in spec.worldbody.bodies if body.name not in known]
    moves = [bool(body.mocap) or len(body.joints) > 0 for body in new]
    fixed = [body for body, moving in zip(new, moves, strict=True) if not moving]
    weld(spec, "furniture", fixed, [body for body, moving in zip(new, moves, strict=True) if moving])


def _set_back(bay: Bay, by_m: float) -> tuple[float, float]:
    """A point behind the edge of the open floor."""
    return place(bay.anchor, bay.yaw_rad, (-by_m, 0))


def _park_truck(spec: mujoco.MjSpec, rng: np.random.Generator, bay: Bay) -> Truck:
    return add_truck(spec, rng, "truck", _set_back(bay, 1.25), bay.yaw_rad - math.pi / 2)


def _raise_platform(
    spec: mujoco.MjSpec, rng: np.random.Generator, bay: Bay, room_height_m: float
) -> Platform:
    height = float(rng.choice([0.9, 1.2, 2.2, 2.6, 3.0]))
    height = min(height, room_height_m - 2.0)
    deep, wide = float(rng.uniform(1.8, 2.4)), bay.width_m - 0.35
    x, y = _set_back(bay, 0.1 + deep / 2)
    along_x = abs(math.cos(bay.yaw_rad)) > 0.5
    half_x, half_y = (deep / 2, wide / 2) if along_x else (wide / 2, deep / 2)
    return add_platform(
        spec, rng, "platform", Area(x - half_x, y - half_y, x + half_x, y + half_y), height, bay.yaw_rad
    )
