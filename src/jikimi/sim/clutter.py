"""Things that fill a factory. Local frame: +x looks at the open floor; everything lies at x <= -0.1."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from jikimi.sim.equipment import MACHINE_RGBS
from jikimi.sim.props import DARK, VEHICLE_RGBS
from jikimi.sim.solids import Body, add_bar, add_box, add_cylinder
from jikimi.sim.surfaces import Look, Skin, Surfaces
from jikimi.sim.textures import Rgb

Clutter: TypeAlias = Callable[[Body, Surfaces, np.random.Generator, float], None]
"""Fills a body, within a width along y."""

_LOADS: tuple[Skin, ...] = ("cartons", "wrap", "wood", "sack", "cartons")


def add_rack(body: Body, surfaces: Surfaces, rng: np.random.Generator, width_m: float) -> None:
    """A pallet rack, 2.6 to 4 m high, blue posts and orange beams, partly loaded."""
    height, levels = float(rng.uniform(2.6, 4.0)), int(rng.integers(2, 4))
    post = surfaces.look(
        "paint", ((0.15, 0.28, 0.55), (0.40, 0.42, 0.44), (0.12, 0.40, 0.32))[int(rng.integers(3))]
    )
    beam = surfaces.look("paint", ((0.90, 0.45, 0.10), (0.88, 0.72, 0.12))[int(rng.integers(2))])
    half = width_m / 2 - 0.06
    for y in (-half, half):
        for x in (-0.16, -1.14):
            add_box(body, (0.09, 0.09, height), (x, y, height / 2), post)
    for level in range(levels):
        z = level * (height - 0.5) / levels
        if level:
            add_box(body, (0.06, width_m, 0.13), (-0.14, 0, z), beam)
            add_box(
                body, (0.98, width_m - 0.1, 0.04), (-0.65, 0, z + 0.03), surfaces.look("wood"), solid=False
            )
        for y in (-width_m / 4, width_m / 4):
            if rng.random() < 0.8:
                _add_load(
                    body,
                    surfaces,
                    rng,
                    (-0.66, y, z + 0.06),
                    (0.9, width_m / 2 - 0.22),
                    (height - 0.5) / levels,
                )


def add_pallets(body: Body, surfaces: Surfaces, rng: np.random.Generator, width_m: float) -> None:
    """One to four loads on pallets, standing on the floor."""
    for y in _spread(rng, width_m, 1.25):
        depth = float(rng.uniform(0.7, 1.0))
        _add_load(body, surfaces, rng, (-depth, y, 0.0), (1.0, 1.1), float(rng.uniform(0.7, 2.0)))


def add_empty_pallets(body: Body, surfaces: Surfaces, rng: np.random.Generator, width_m: float) -> None:
    """Stacks of empty pallets."""
    wood = surfaces.look("wood")
    for y in _spread(rng, width_m, 1.4):
        for layer in range(int(rng.integers(2, 8))):
            add_box(
                body,
                (1.0, 1.2, 0.10),
                (-0.75 + float(rng.uniform(-0.04, 0.04)), y, 0.07 + 0.14 * layer),
                wood,
            )


def add_drums(body: Body, surfaces: Surfaces, rng: np.random.Generator, width_m: float) -> None:
    """A group of drums, some rusty."""
    rgb = VEHICLE_RGBS[int(rng.integers(len(VEHICLE_RGBS)))]
    for y in _spread(rng, width_m, 0.68):
        for x in (-0.45, -1.1)[: int(rng.integers(1, 3))]:
            look = surfaces.look("rust") if rng.random() < 0.2 else surfaces.look("paint", rgb)
            add_cylinder(body, 0.29, 0.88, (x + float(rng.uniform(-0.05, 0.05)), y, 0.44), look)


def add_bench(body: Body, surfaces: Surfaces, rng: np.random.Generator, width_m: float) -> None:
    """A workbench with a tool board and things lying on it."""
    wide, frame = min(width_m - 0.2, 2.2), surfaces.look("paint", _machine_rgb(rng))
    add_box(body, (0.75, wide, 0.06), (-0.7, 0, 0.86), surfaces.look("wood"))
    for y in (-wide / 2 + 0.2, wide / 2 - 0.2):
        add_box(body, (0.6, 0.38, 0.82), (-0.75, y, 0.41), frame)
    add_box(body, (0.04, wide, 0.9), (-1.08, 0, 1.4), surfaces.look("mesh", (0.6, 0.65, 0.7)))
    add_box(body, (0.2, 0.16, 0.22), (-0.45, wide / 2 - 0.3, 1.0), surfaces.look("paint", (0.2, 0.35, 0.5)))
    for _ in range(int(rng.integers(2, 5))):
        size = rng.uniform(0.08, 0.3, 3)
        at = (-0.75 + float(rng.uniform(-0.15, 0.15)), float(rng.uniform(-wide / 2 + 0.2, wide / 2 - 0.5)))
        look = surfaces.look("paint", VEHICLE_RGBS[int(rng.integers(len(VEHICLE_RGBS)))])
        add_box(
            body,
            (float(size[0]), float(size[1]), float(size[2])),
            (*at, 0.89 + float(size[2]) / 2),
            look,
            solid=False,
        )


def add_cabinets(body: Body, surfaces: Surfaces, rng: np.random.Generator, width_m: float) -> None:
    """A row of electric cabinets or lockers."""
    rgb, height = _machine_rgb(rng), float(rng.uniform(1.7, 2.2))
    pale: Rgb = (0.4 + 0.6 * rgb[0], 0.4 + 0.6 * rgb[1], 0.4 + 0.6 * rgb[2])
    for y in np.arange(-width_m / 2 + 0.5, width_m / 2 - 0.4, 0.86):
        add_box(body, (0.5, 0.84, height), (-0.5, float(y), height / 2), surfaces.look("cabinet", pale))


def add_lathe(body: Body, surfaces: Surfaces, rng: np.random.Generator, width_m: float) -> None:
    """An enclosed machining centre: housing, sliding window, control panel, signal tower."""
    rgb, wide, height = _machine_rgb(rng), min(width_m - 0.3, 2.4), float(rng.uniform(1.8, 2.3))
    pale: Rgb = (0.85, 0.86, 0.85)
    add_box(body, (1.4, wide, height), (-1.0, 0, height / 2), surfaces.look("frame", pale))
    add_box(body, (1.42, wide + 0.02, 0.5), (-1.0, 0, 0.32), surfaces.look("paint", rgb), solid=False)
    add_box(
        body,
        (0.03, wide * 0.42, 0.75),
        (-0.29, -wide * 0.12, 1.35),
        surfaces.look("rubber", (1.4, 1.8, 2.2)),
        solid=False,
    )
    add_box(body, (0.06, 0.05, 0.5), (-0.27, wide * 0.12, 1.3), surfaces.look("steel"), solid=False)
    add_box(body, (0.16, 0.42, 0.6), (-0.24, wide / 2 - 0.3, 1.45), surfaces.look("controls"))
    add_box(
        body, (1.42, wide + 0.02, 0.14), (-1.0, 0, height - 0.1), surfaces.look("paint", rgb), solid=False
    )
    for level, lamp in enumerate(((1.0, 0.2, 0.1), (1.0, 0.7, 0.1), (0.2, 0.9, 0.3))):
        add_box(
            body,
            (0.09, 0.09, 0.1),
            (-1.3, wide / 2 - 0.2, height + 0.05 + 0.1 * level),
            surfaces.look("paint", lamp),
            solid=False,
        )


def add_vat(body: Body, surfaces: Surfaces, rng: np.random.Generator, width_m: float) -> None:
    """A tall tank with pipes and a valve."""
    radius, height = min(width_m / 2 - 0.2, float(rng.uniform(0.6, 1.0))), float(rng.uniform(1.8, 3.2))
    x = -radius - 0.25
    look = surfaces.look("steel") if rng.random() < 0.5 else surfaces.look("frame", _machine_rgb(rng))
    add_cylinder(body, radius, height - 0.4, (x, 0, height / 2 + 0.2), look)
    add_cylinder(body, radius * 0.8, 0.5, (x, 0, 0.25), surfaces.look("paint", DARK))
    add_cylinder(body, radius * 0.5, 0.16, (x, 0, height + 0.05), surfaces.look("steel"), solid=False)
    pipe = surfaces.look(
        "paint", ((0.15, 0.35, 0.65), (0.75, 0.70, 0.15), (0.70, 0.15, 0.12))[int(rng.integers(3))]
    )
    add_bar(body, (x, radius + 0.1, 0.6), (x, radius + 0.1, height + 0.4), 0.12, pipe, solid=False)
    add_bar(body, (x, -0.1, height + 0.4), (x, radius + 0.1, height + 0.4), 0.12, pipe, solid=False)
    add_cylinder(
        body,
        0.16,
        0.05,
        (x + 0.12, radius + 0.1, 1.2),
        surfaces.look("paint", (0.8, 0.1, 0.1)),
        axis="x",
        solid=False,
    )


def add_cart(body: Body, surfaces: Surfaces, rng: np.random.Generator, width_m: float) -> None:
    """A red or blue tool chest on wheels next to a bin."""
    rgb = ((0.75, 0.12, 0.10), (0.15, 0.30, 0.60), (0.20, 0.20, 0.22))[int(rng.integers(3))]
    y = float(rng.uniform(-0.3, 0.3)) * max(0.0, width_m - 1.6)
    add_box(body, (0.5, 0.8, 0.82), (-0.6, y - 0.4, 0.53), surfaces.look("bin", rgb))
    add_box(body, (0.54, 0.84, 0.04), (-0.6, y - 0.4, 0.96), surfaces.look("rubber"), solid=False)
    add_box(body, (0.5, 0.5, 0.75), (-0.6, y + 0.45, 0.38), surfaces.look("bin", (0.25, 0.5, 0.3)))


def add_skip(body: Body, surfaces: Surfaces, rng: np.random.Generator, width_m: float) -> None:
    """An open scrap container, filled with junk."""
    wide, look = min(width_m - 0.3, 2.0), surfaces.look("bin", _machine_rgb(rng))
    for x in (-0.25, -1.35):
        add_box(body, (0.08, wide, 0.95), (x, 0, 0.52), look)
    for y in (-wide / 2, wide / 2):
        add_box(body, (1.1, 0.08, 0.95), (-0.8, y, 0.52), look)
    add_box(body, (1.1, wide, 0.6), (-0.8, 0, 0.45), surfaces.look("rust"))
    for _ in range(4):
        at = (-0.8 + float(rng.uniform(-0.3, 0.3)), float(rng.uniform(-0.35, 0.35)) * wide, 0.85)
        size = (float(rng.uniform(0.2, 0.6)), float(rng.uniform(0.1, 0.4)), 0.15)
        look = surfaces.look("rust") if rng.random() < 0.5 else surfaces.look("steel")
        add_box(
            body,
            size,
            at,
            look,
            solid=False,
            yaw_rad=float(rng.uniform(0, 3)),
            pitch_rad=float(rng.uniform(-0.6, 0.6)),
        )


def add_pipe_stand(body: Body, surfaces: Surfaces, rng: np.random.Generator, width_m: float) -> None:
    """A cantilever stand with pipes and bars."""
    wide, frame = width_m - 0.3, surfaces.look("paint", (0.85, 0.70, 0.15))
    for y in (-wide / 3, wide / 3):
        add_box(body, (0.14, 0.12, 1.7), (-1.0, y, 0.85), frame)
        for z in (0.3, 0.9, 1.5):
            add_box(body, (0.7, 0.08, 0.08), (-0.65, y, z), frame)
    for z in (0.38, 0.98, 1.58):
        for x in (-0.4, -0.55, -0.7, -0.85)[: int(rng.integers(1, 5))]:
            look = surfaces.look("steel") if rng.random() < 0.6 else surfaces.look("rust")
            add_bar(body, (x, -wide / 2, z), (x, wide / 2 - float(rng.uniform(0, 0.4)), z), 0.1, look)


def add_cylinders(body: Body, surfaces: Surfaces, rng: np.random.Generator, width_m: float) -> None:
    """Gas cylinders in a rack with a chain."""
    for y in np.arange(-min(width_m, 1.8) / 2 + 0.2, min(width_m, 1.8) / 2 - 0.1, 0.30):
        rgb = ((0.15, 0.45, 0.25), (0.3, 0.32, 0.36), (0.2, 0.3, 0.6))[int(rng.integers(3))]
        add_cylinder(body, 0.115, 1.35, (-0.5, float(y), 0.68), surfaces.look("paint", rgb))
        add_cylinder(body, 0.05, 0.14, (-0.5, float(y), 1.42), surfaces.look("steel"), solid=False)
    add_box(body, (0.05, min(width_m, 1.8), 0.07), (-0.36, 0, 0.9), surfaces.look("hazard"), solid=False)


def add_fence(body: Body, surfaces: Surfaces, rng: np.random.Generator, width_m: float) -> None:
    """A yellow guard fence around a robot arm."""
    look, height = surfaces.look("paint", (0.92, 0.76, 0.10)), float(rng.uniform(1.6, 2.1))
    for y in np.linspace(-width_m / 2 + 0.1, width_m / 2 - 0.1, 3):
        add_box(body, (0.07, 0.07, height), (-0.2, float(y), height / 2), look)
    wide = width_m - 0.2
    add_box(
        body,
        (0.02, wide, height - 0.3),
        (-0.2, 0, height / 2 + 0.1),
        Look(surfaces.look("mesh").material, (0.3, 0.3, 0.3), 0.35),
    )
    for z in (0.2, height - 0.03):
        add_box(body, (0.04, wide, 0.06), (-0.2, 0, z), look)
    _add_robot(body, surfaces, rng)


def _add_robot(body: Body, surfaces: Surfaces, rng: np.random.Generator) -> None:
    arm = surfaces.look(
        "paint", ((0.95, 0.50, 0.10), (0.92, 0.78, 0.12), (0.88, 0.88, 0.86))[int(rng.integers(3))]
    )
    y, reach = float(rng.uniform(-0.4, 0.4)), float(rng.uniform(-0.5, 0.5))
    add_cylinder(body, 0.32, 0.5, (-1.4, y, 0.25), surfaces.look("paint", DARK))
    add_cylinder(body, 0.24, 0.4, (-1.4, y, 0.68), arm)
    add_bar(body, (-1.4, y, 0.8), (-1.3, y + reach, 1.8), 0.22, arm)
    add_bar(body, (-1.3, y + reach, 1.8), (-0.6, y + 1.4 * reach, 1.55), 0.16, arm)
    add_bar(body, (-0.6, y + 1.4 * reach, 1.55), (-0.55, y + 1.4 * reach, 1.2), 0.1, surfaces.look("steel"))


def _add_load(
    body: Body,
    surfaces: Surfaces,
    rng: np.random.Generator,
    at: tuple[float, float, float],
    size_m: tuple[float, float],
    space_m: float,
) -> None:
    """A pallet with something on it, no higher than the space."""
    deep, wide = size_m
    tall = max(0.25, float(rng.uniform(0.4, 0.9)) * space_m - 0.15)
    skin = _LOADS[int(rng.integers(len(_LOADS)))]
    shade = float(rng.uniform(0.75, 1.1))
    tint: Rgb = (shade, shade, shade * float(rng.choice([0.85, 1.0])))
    add_box(body, (deep, wide, 0.12), (at[0], at[1], at[2] + 0.06), surfaces.look("wood"))
    add_box(
        body,
        (deep * 0.94, wide * 0.92, tall),
        (at[0], at[1], at[2] + 0.12 + tall / 2),
        surfaces.look(skin, tint),
    )


def _spread(rng: np.random.Generator, width_m: float, step_m: float) -> list[float]:
    """Middles of some of the places of a step that fit in a width, at least one."""
    count = max(1, int(width_m / step_m))
    middles = [(i - (count - 1) / 2) * width_m / count for i in range(count)]
    kept = [y for y in middles if rng.random() < 0.75]
    return kept or [middles[int(rng.integers(count))]]


def _machine_rgb(rng: np.random.Generator) -> Rgb:
    return MACHINE_RGBS[int(rng.integers(len(MACHINE_RGBS)))]
