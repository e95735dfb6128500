"""Machines that stand still and have a moving part: press, rollers, conveyor.

Local frame of all: origin on the floor, the operator stands at +x and looks along -x. `yaw_rad` turns it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import mujoco
import numpy as np

from jikimi.sim.props import DARK
from jikimi.sim.solids import (
    AXIS_QUATS,
    Body,
    Quat,
    Xy,
    Xyz,
    add_bar,
    add_body,
    add_box,
    add_cylinder,
    add_sheet,
    place,
    quat_product,
    yaw_quat,
)  # fmt: skip
from jikimi.sim.surfaces import Look, Surfaces
from jikimi.sim.textures import Rgb

MACHINE_RGBS: tuple[Rgb, ...] = (
    (0.30, 0.46, 0.40), (0.24, 0.40, 0.60), (0.62, 0.66, 0.68), (0.72, 0.70, 0.58), (0.22, 0.30, 0.36),
    (0.82, 0.52, 0.14), (0.52, 0.60, 0.54), (0.60, 0.24, 0.20),
)  # fmt: skip
REACH_M = 0.42
"""From the operator's standing point to the hands."""


@dataclass(frozen=True, slots=True)
class Press:
    """A C-frame press. The ram's origin is the middle of its lower face."""

    name: str
    ram_body: str
    ram_xy: Xy
    ram_up_z_m: float
    ram_down_z_m: float
    stand_xy: Xy
    stand_yaw: float
    hands_xyz: Xyz


@dataclass(frozen=True, slots=True)
class Rollers:
    """Two rollers that turn inwards, about their bodies' own z from `rest_quat`: the top one forwards."""

    name: str
    top_body: str
    bottom_body: str
    rest_quat: Quat
    radius_m: float
    nip_xyz: Xyz
    stand_xy: Xy
    stand_yaw: float
    hands_xyz: Xyz


@dataclass(frozen=True, slots=True)
class Conveyor:
    """A belt table. Parcels travel from `belt_start_xyz` to `belt_end_xyz` (their lower faces' middles)."""

    name: str
    parcel_bodies: tuple[str, ...]
    roller_body: str
    roller_rest_quat: Quat
    belt_start_xyz: Xyz
    belt_end_xyz: Xyz
    nip_xyz: Xyz
    stand_xy: Xy
    stand_yaw: float
    hands_xyz: Xyz


def add_press(spec: mujoco.MjSpec, rng: np.random.Generator, name: str, xy: Xy, yaw_rad: float) -> Press:
    """A press with side columns, a bed at 0.92 m and a ram; about 1.3 x 1.6 x 2.6 m."""
    surfaces = Surfaces(spec, rng)
    rgb, width, height = _colour(rng), float(rng.uniform(1.1, 1.5)), float(rng.uniform(2.3, 2.9))
    paint, dark = surfaces.look("paint", rgb), surfaces.look("paint", (0.30, 0.31, 0.33))
    body = add_body(spec, name, xy, yaw_rad)
    add_box(body, (1.10, width, 0.84), (-0.05, 0, 0.42), paint)
    add_box(body, (0.56, 0.78, 0.08), (0.22, 0, 0.88), surfaces.look("steel"))
    for side in (-1, 1):
        add_box(
            body, (0.55, 0.24, height - 0.84), (-0.32, side * (width / 2 - 0.12), 0.42 + height / 2), paint
        )
    add_box(body, (0.30, width - 0.2, height - 0.84), (-0.46, 0, 0.42 + height / 2), dark)
    add_box(body, (0.98, width, 0.62), (-0.08, 0, height - 0.31), paint)
    add_box(body, (0.02, 0.7, 0.12), (0.42, 0, height - 0.50), surfaces.look("hazard"), solid=False)
    add_cylinder(body, 0.34, 0.18, (-0.1, width / 2 + 0.08, height - 0.35), dark, axis="y", solid=False)
    _add_panel(body, surfaces, (0.42, -width / 2 - 0.14), rgb)
    _add_lamp(body, surfaces, (-0.3, 0, height), rng)
    ram_xy = place(xy, yaw_rad, (0.22, 0))
    ram = add_body(spec, f"{name}-ram", ram_xy, yaw_rad, height - 1.02, mocap=True)
    add_box(ram, (0.46, 0.62, 0.22), (0, 0, 0.11), surfaces.look("steel"))
    add_box(ram, (0.36, 0.48, 0.50), (0, 0, 0.46), surfaces.look("paint", (0.86, 0.70, 0.14)))
    hands = place(xy, yaw_rad, (0.40, 0))
    return Press(
        name,
        f"{name}-ram",
        ram_xy,
        height - 1.02,
        0.93,
        place(xy, yaw_rad, (0.40 + REACH_M, 0)),
        yaw_rad + math.pi,
        (*hands, 0.98),
    )


def add_rollers(spec: mujoco.MjSpec, rng: np.random.Generator, name: str, xy: Xy, yaw_rad: float) -> Rollers:
    """A two-roller mill, nip at 1.02 m in front; about 1.0 x 1.7 x 1.7 m."""
    surfaces = Surfaces(spec, rng)
    rgb, radius = _colour(rng), float(rng.uniform(0.14, 0.19))
    paint = surfaces.look("paint", rgb)
    body = add_body(spec, name, xy, yaw_rad)
    for side in (-1, 1):
        add_box(body, (0.78, 0.26, 1.52), (0.05, side * 0.72, 0.76), paint)
        add_box(body, (0.5, 0.27, 0.18), (0.05, side * 0.72, 1.60), surfaces.look("paint", DARK), solid=False)
    add_box(body, (0.62, 1.2, 0.55), (-0.02, 0, 0.28), surfaces.look("paint", (0.32, 0.33, 0.35)))
    add_box(body, (0.6, 1.25, 0.06), (-0.38, 0, 0.95), surfaces.look("steel"))
    add_box(body, (0.03, 1.15, 0.12), (0.32, 0, 0.48), surfaces.look("hazard"), solid=False)
    add_box(body, (0.6, 0.45, 0.6), (-0.3, 1.06, 0.3), paint)
    _add_panel(body, surfaces, (0.30, -1.02), rgb)
    bodies = []
    centre = place(xy, yaw_rad, (0.12, 0))
    rest = quat_product(yaw_quat(yaw_rad), AXIS_QUATS["y"])
    for part, z in (("top", 1.02 + radius + 0.005), ("bottom", 1.02 - radius - 0.005)):
        bodies.append(_add_roller(spec, surfaces, f"{name}-{part}", (*centre, z), rest, radius, 1.14))
    stand = 0.12 + radius + 0.38
    return Rollers(
        name,
        bodies[0],
        bodies[1],
        rest,
        radius,
        (*centre, 1.02),
        place(xy, yaw_rad, (stand, 0)),
        yaw_rad + math.pi,
        (*place(xy, yaw_rad, (stand - REACH_M, 0)), 1.02),
    )


def add_conveyor(
    spec: mujoco.MjSpec, rng: np.random.Generator, name: str, xy: Xy, yaw_rad: float, length_m: float = 2.6
) -> Conveyor:  # fmt: skip
    """A belt along y, 0.9 m high, running to a bare head roller at +y; about 0.8 x `length_m` m."""
    surfaces = Surfaces(spec, rng)
    paint, half, radius = surfaces.look("paint", _colour(rng)), length_m / 2, 0.11
    body = add_body(spec, name, xy, yaw_rad)
    add_box(body, (0.56, length_m - 0.3, 0.10), (0, -0.1, 0.85), surfaces.look("rubber"))
    for x in (-0.31, 0.31):
        add_box(body, (0.05, length_m - 0.15, 0.16), (x, -0.1, 0.83), paint)
        for y in (-half + 0.25, 0.0, half - 0.35):
            add_box(body, (0.06, 0.08, 0.76), (x, y, 0.38), paint, solid=False)
    add_box(body, (0.5, 0.4, 0.36), (0, half - 0.55, 0.55), surfaces.look("paint", DARK))
    add_box(
        body,
        (0.62, 0.5, 0.55),
        (0, -half + 0.45, 1.18),
        surfaces.look("frame", (0.7, 0.72, 0.75)),
        solid=False,
    )
    _add_panel(body, surfaces, (-0.48, half - 0.1), (0.7, 0.7, 0.7))
    rest = quat_product(yaw_quat(yaw_rad), AXIS_QUATS["x"])
    head = place(xy, yaw_rad, (0, half - 0.20))
    roller = _add_roller(spec, surfaces, f"{name}-roller", (*head, 0.80), rest, radius, 0.54)
    start, end = place(xy, yaw_rad, (0, -half + 0.3)), place(xy, yaw_rad, (0, half - 0.25))
    parcels = tuple(
        _add_parcel(spec, surfaces, rng, f"{name}-parcel-{i}", start, end, yaw_rad, i / 3) for i in range(3)
    )
    nip = place(xy, yaw_rad, (0.15, half - 0.30))
    return Conveyor(
        name, parcels, roller, rest, (*start, 0.91), (*end, 0.91), (*nip, 0.90),
        place(xy, yaw_rad, (0.15 + REACH_M, half - 0.30)), yaw_rad + math.pi, (*nip, 0.95),
    )  # fmt: skip


def _add_parcel(
    spec: mujoco.MjSpec,
    surfaces: Surfaces,
    rng: np.random.Generator,
    name: str,
    start: Xy,
    end: Xy,
    yaw_rad: float,
    share: float,
) -> str:
    at = ((1 - share) * start[0] + share * end[0], (1 - share) * start[1] + share * end[1])
    size = tuple(float(v) for v in rng.uniform((0.2, 0.22, 0.12), (0.4, 0.4, 0.32)))
    body = add_body(spec, name, at, yaw_rad, 0.91, mocap=True)
    shade = float(rng.uniform(0.8, 1.1))
    add_box(body, (size[0], size[1], size[2]), (0, 0, size[2] / 2), surfaces.look("cardboard", (shade,) * 3))
    return name


def _add_roller(
    spec: mujoco.MjSpec, surfaces: Surfaces, name: str, xyz: Xyz, rest: Quat, radius_m: float, length_m: float
) -> str:  # fmt: skip
    """A cylinder along its own z with stripes, so that turning shows."""
    body = spec.worldbody.add_body(name=name, pos=list(xyz), quat=list(rest), mocap=True)
    add_cylinder(body, radius_m, length_m, (0, 0, 0), surfaces.look("steel"))
    add_box(
        body,
        (2 * radius_m + 0.004, 0.05, length_m - 0.02),
        (0, 0, 0),
        surfaces.look("paint", (0.8, 0.12, 0.1)),
        solid=False,
    )
    add_box(
        body,
        (0.05, 2 * radius_m + 0.004, length_m - 0.02),
        (0, 0, 0),
        surfaces.look("paint", DARK),
        solid=False,
    )
    return name


def _add_panel(body: Body, surfaces: Surfaces, xy: Xy, rgb: Rgb) -> None:
    add_bar(body, (*xy, 0.0), (*xy, 1.1), 0.08, surfaces.look("paint", DARK))
    add_box(body, (0.16, 0.30, 0.40), (*xy, 1.25), surfaces.look("controls", rgb))


def _add_lamp(body: Body, surfaces: Surfaces, at: Xyz, rng: np.random.Generator) -> None:
    colours: tuple[Rgb, ...] = ((1.0, 0.2, 0.1), (1.0, 0.6, 0.1), (0.2, 0.9, 0.3))
    for level, rgb in enumerate(colours[: int(rng.integers(1, 4))]):
        look: Look = surfaces.look("paint", rgb)
        add_box(body, (0.09, 0.09, 0.1), (at[0], at[1], at[2] + 0.05 + 0.1 * level), look, solid=False)


def _colour(rng: np.random.Generator) -> Rgb:
    return MACHINE_RGBS[int(rng.integers(len(MACHINE_RGBS)))]


__all__ = ["REACH_M", "Conveyor", "Press", "Rollers", "add_conveyor", "add_press", "add_rollers", "add_sheet"]
