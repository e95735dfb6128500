"""Things one can fall from: a ladder against a tank, a platform, a flat-bed truck."""

from __future__ import annotations

import math
from dataclasses import dataclass

import mujoco
import numpy as np

from jikimi.sim.places import Area
from jikimi.sim.props import DARK, VEHICLE_RGBS
from jikimi.sim.solids import Body, Xy, Xyz, add_bar, add_body, add_box, add_cylinder, place
from jikimi.sim.surfaces import Look, Surfaces
from jikimi.sim.textures import Rgb

LADDER_LEAN = 0.25
"""Foot distance by height: the 1-in-4 rule of the HSE's leaflet INDG455."""
RUNG_STEP_M = 0.30
_STRUCTURE_RGBS: tuple[Rgb, ...] = (
    (0.85, 0.68, 0.12),
    (0.25, 0.38, 0.55),
    (0.55, 0.57, 0.58),
    (0.32, 0.45, 0.34),
)


@dataclass(frozen=True, slots=True)
class Ladder:
    """A ladder (mocap, not solid, origin at its foot) leaning away from whoever stands at `stand_xy`."""

    name: str
    body: str
    base_xyz: Xyz
    top_xyz: Xyz
    stand_xy: Xy
    stand_yaw: float


@dataclass(frozen=True, slots=True)
class Platform:
    """A raised deck. `top` can be walked on; one falls over the edge at `edge_xy` towards `edge_yaw`."""

    name: str
    top: Area
    height_m: float
    edge_xy: Xy
    edge_yaw: float


@dataclass(frozen=True, slots=True)
class Truck:
    """A parked flat-bed. `bed` can be walked on; one falls over `edge_xy` towards `edge_yaw`."""

    name: str
    bed: Area
    bed_height_m: float
    edge_xy: Xy
    edge_yaw: float


def add_ladder(
    spec: mujoco.MjSpec, rng: np.random.Generator, name: str, xy: Xy, yaw_rad: float, height_m: float = 3.0
) -> Ladder:  # fmt: skip
    """A ladder with its foot at `xy` against a tank, container or wall behind it; the climber is at +x."""
    surfaces = Surfaces(spec, rng)
    back = LADDER_LEAN * height_m
    _add_support(add_body(spec, f"{name}-support", xy, yaw_rad), surfaces, rng, -back, height_m - 0.12)
    look = surfaces.look("steel") if rng.random() < 0.6 else surfaces.look("wood")
    body = add_body(spec, name, xy, yaw_rad, mocap=True)
    for y in (-0.22, 0.22):
        add_bar(body, (0, y, 0), (-back, y, height_m), 0.06, look, solid=False)
    length = math.hypot(back, height_m)
    rungs = int((length - 0.05) / RUNG_STEP_M)
    for rung in range(1, rungs + 1):
        share = rung * RUNG_STEP_M / length
        add_box(body, (0.045, 0.44, 0.035), (-back * share, 0, height_m * share), look, solid=False)
    top = place(xy, yaw_rad, (-back, 0))
    return Ladder(
        name, name, (*xy, 0.0), (*top, height_m),
        place(xy, yaw_rad, (0.38, 0)), yaw_rad + math.pi,
    )  # fmt: skip


def add_platform(
    spec: mujoco.MjSpec, rng: np.random.Generator, name: str, area: Area, height_m: float, open_yaw: float
) -> Platform:  # fmt: skip
    """A deck on posts with rails on every side but the one that faces `open_yaw` (a multiple of 90°)."""
    surfaces = Surfaces(spec, rng)
    rgb = _STRUCTURE_RGBS[int(rng.integers(len(_STRUCTURE_RGBS)))]
    steel, (x, y) = surfaces.look("paint", rgb), area.centre
    body = add_body(spec, name, (x, y), open_yaw)
    turned = abs(math.sin(open_yaw)) > 0.5
    deep, wide = (area.depth, area.width) if turned else (area.width, area.depth)
    add_box(body, (deep, wide, 0.08), (0, 0, height_m - 0.04), surfaces.look("tread"))
    add_box(
        body, (0.03, wide, 0.14), (deep / 2 + 0.01, 0, height_m - 0.09), surfaces.look("hazard"), solid=False
    )
    for px in (-deep / 2 + 0.08, deep / 2 - 0.08):
        for py in (-wide / 2 + 0.08, wide / 2 - 0.08):
            add_box(body, (0.12, 0.12, height_m - 0.08), (px, py, height_m / 2 - 0.04), steel)
    _add_rails(body, steel, deep, wide, height_m)
    _add_steps(body, surfaces, wide, height_m)
    _fill_under(body, surfaces, rng, deep, wide, height_m)
    return Platform(name, area, height_m, place((x, y), open_yaw, (deep / 2, 0)), open_yaw)


def add_truck(spec: mujoco.MjSpec, rng: np.random.Generator, name: str, xy: Xy, yaw_rad: float) -> Truck:
    """A flat-bed lorry, 6 x 2.1 m, cab towards +x; people fall over its -y or +y side (here the +y side)."""
    surfaces = Surfaces(spec, rng)
    height = float(rng.uniform(0.9, 1.3))
    cab = surfaces.look(
        "paint", (*VEHICLE_RGBS, (0.85, 0.86, 0.88))[int(rng.integers(len(VEHICLE_RGBS) + 1))]
    )
    dark, black = surfaces.look("paint", DARK), surfaces.look("rubber")
    body = add_body(spec, name, xy, yaw_rad)
    add_box(body, (4.2, 2.1, 0.14), (-0.9, 0, height - 0.07), surfaces.look("wood"))
    add_box(body, (5.6, 0.9, height - 0.6), (-0.2, 0, height / 2 + 0.16), dark)
    for x in (-2.2, -1.2, 2.1):
        add_cylinder(body, 0.42, 2.06, (x, 0, 0.42), black, axis="y", solid=False)
    add_box(body, (1.45, 2.1, 1.75), (2.15, 0, 1.55), cab)
    add_box(body, (0.04, 1.8, 0.62), (2.89, 0, 1.95), surfaces.look("rubber"), solid=False)
    add_box(body, (0.7, 2.14, 0.5), (2.3, 0, 1.98), surfaces.look("rubber"), solid=False)
    add_box(body, (0.08, 2.1, 1.0), (1.22, 0, height + 0.5), dark)
    add_box(body, (4.2, 2.14, 0.10), (-0.9, 0, height - 0.22), surfaces.look("warning"), solid=False)
    _load_truck(body, surfaces, rng, height)
    cos, sin = abs(math.cos(yaw_rad)), abs(math.sin(yaw_rad))
    bx, by = place(xy, yaw_rad, (-0.9, 0.3))
    half_x, half_y = cos * 1.9 + sin * 0.7, sin * 1.9 + cos * 0.7
    edge = place(xy, yaw_rad, (-0.9, 1.05))
    return Truck(
        name, Area(bx - half_x, by - half_y, bx + half_x, by + half_y), height, edge, yaw_rad + math.pi / 2
    )  # fmt: skip


def _add_support(
    body: Body, surfaces: Surfaces, rng: np.random.Generator, front_x: float, height_m: float
) -> None:
    """What the ladder leans on; its front is at x = front_x."""
    rgb, form = _STRUCTURE_RGBS[int(rng.integers(len(_STRUCTURE_RGBS)))], int(rng.integers(3))
    if form == 0:
        add_cylinder(
            body, 0.75, height_m - 0.3, (front_x - 0.77, 0, height_m / 2 + 0.15), surfaces.look("frame", rgb)
        )
        add_cylinder(
            body, 0.80, 0.10, (front_x - 0.77, 0, height_m * 0.6), surfaces.look("steel"), solid=False
        )
        for y in (-0.5, 0.5):
            add_box(body, (1.0, 0.12, 0.3), (front_x - 0.77, y, 0.15), surfaces.look("paint", DARK))
    elif form == 1:
        add_box(body, (1.3, 2.3, height_m), (front_x - 0.66, 0, height_m / 2), surfaces.look("bin", rgb))
    else:
        add_box(body, (0.9, 1.7, height_m), (front_x - 0.46, 0, height_m / 2), surfaces.look("concrete"))
        add_box(body, (0.3, 0.5, 0.7), (front_x - 0.46, 1.05, 1.3), surfaces.look("cabinet", rgb))


def _add_rails(body: Body, look: Look, deep: float, wide: float, z: float) -> None:
    for height in (0.55, 1.05):
        add_box(body, (0.05, wide, 0.05), (-deep / 2 + 0.03, 0, z + height), look)
        for side in (-1, 1):
            add_box(body, (deep, 0.05, 0.05), (0, side * (wide / 2 - 0.03), z + height), look)
    for x in (-deep / 2 + 0.03, deep / 2 - 0.03):
        for side in (-1, 1):
            add_box(body, (0.05, 0.05, 1.05), (x, side * (wide / 2 - 0.03), z + 0.53), look)


def _add_steps(body: Body, surfaces: Surfaces, wide: float, height_m: float) -> None:
    """Steep steps at the closed end, along the -y side."""
    for rung in range(1, int(height_m / 0.35) + 1):
        add_box(
            body,
            (0.5, 0.10, 0.04),
            (0, -wide / 2 - 0.06, rung * 0.35 - 0.05),
            surfaces.look("tread"),
            solid=False,
        )


def _fill_under(
    body: Body, surfaces: Surfaces, rng: np.random.Generator, deep: float, wide: float, height_m: float
) -> None:  # fmt: skip
    if height_m < 1.2:
        add_box(
            body,
            (deep - 0.4, wide - 0.4, height_m - 0.1),
            (-0.1, 0, height_m / 2 - 0.05),
            surfaces.look("paint", DARK),
        )
        return
    for y in np.linspace(-wide / 2 + 0.6, wide / 2 - 0.6, 2):
        stack = float(rng.uniform(0.5, height_m - 0.4))
        look = surfaces.look("cartons") if rng.random() < 0.5 else surfaces.look("wrap")
        add_box(body, (0.9, 0.9, stack), (-0.2, float(y), stack / 2), look)


def _load_truck(body: Body, surfaces: Surfaces, rng: np.random.Generator, height_m: float) -> None:
    """Cargo along the far side, so that the near side can be walked on."""
    for x in (-2.3, -1.3, 0.0):
        if rng.random() < 0.6:
            tall = float(rng.uniform(0.4, 1.1))
            look = surfaces.look("cartons") if rng.random() < 0.5 else surfaces.look("wood")
            add_box(body, (0.85, 0.55, tall), (x, -0.72, height_m + tall / 2), look)
