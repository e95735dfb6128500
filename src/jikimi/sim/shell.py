"""What encloses a room: walls with windows, gates and signs, a roof with beams and lamps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import mujoco
import numpy as np

from jikimi.sim import textures
from jikimi.sim.places import Area, LightRegime, RoomKind
from jikimi.sim.solids import Body, Xy, Xyz, add_bar, add_box, add_cylinder, add_sheet, place
from jikimi.sim.surfaces import Look, Surfaces
from jikimi.sim.textures import Paint, Rgb

_WALL_RGBS: tuple[Rgb, ...] = (
    (0.78, 0.78, 0.74), (0.62, 0.66, 0.70), (0.80, 0.74, 0.62), (0.60, 0.70, 0.66), (0.86, 0.87, 0.86),
    (0.50, 0.55, 0.62), (0.70, 0.66, 0.60),
)  # fmt: skip
_DADO_RGBS: tuple[Rgb, ...] = (
    (0.25, 0.42, 0.36),
    (0.24, 0.34, 0.52),
    (0.45, 0.45, 0.47),
    (0.62, 0.50, 0.22),
    (0.50, 0.24, 0.20),
)
_BRICK_RGBS: tuple[Rgb, ...] = ((0.55, 0.30, 0.23), (0.62, 0.58, 0.52), (0.66, 0.44, 0.32))
_GLOW: dict[LightRegime, Rgb] = {
    "day": (0.88, 0.95, 1.0),
    "bright": (0.74, 0.82, 0.90),
    "dim": (0.26, 0.31, 0.40),
    "one-lamp": (0.10, 0.12, 0.17),
}


@dataclass(frozen=True, slots=True)
class Wall:
    """One wall: the middle of its foot, the heading it faces (inwards) and its length."""

    foot: Xy
    yaw_rad: float
    length_m: float

    def at(self, along_m: float, out_m: float) -> Xy:
        """A point so far to the right of the middle (seen from inside) and so far off the wall."""
        return place(self.foot, self.yaw_rad, (out_m, along_m))


def walls_of(bounds: Area) -> tuple[Wall, Wall, Wall, Wall]:
    """East, north, west, south."""
    x, y = bounds.centre
    return (
        Wall((bounds.x1, y), math.pi, bounds.depth), Wall((x, bounds.y1), -math.pi / 2, bounds.width),
        Wall((bounds.x0, y), 0.0, bounds.depth), Wall((x, bounds.y0), math.pi / 2, bounds.width),
    )  # fmt: skip


def add_shell(
    spec: mujoco.MjSpec,
    rng: np.random.Generator,
    kind: RoomKind,
    light: LightRegime,
    bounds: Area,
    height_m: float,
) -> tuple[Xyz, ...]:
    """Walls, roof, beams and lamps; returns where the lamps hang."""
    surfaces = Surfaces(spec, rng)
    body = spec.worldbody.add_body(name="shell")
    paint = _wall_paint(rng)
    gated = {"dock": 2, "hall": 1, "aisle": 1, "cell": 0}[kind]
    gates = set(rng.permutation(4)[:gated].tolist())
    for number, wall in enumerate(walls_of(bounds)):
        repeat = max(1.0, round(wall.length_m / height_m))
        surfaces.picture(f"wall-{number}", paint, repeat=(repeat, 1.0))
        look = Look(f"wall-{number}")
        add_sheet(
            body,
            (wall.length_m, height_m),
            (*wall.at(0, -0.1), height_m / 2),
            wall.yaw_rad,
            look,
            solid=True,
            thick_m=0.2,
        )
        if number in gates:
            _add_gates(body, surfaces, rng, wall, light, count=2 if kind == "dock" else 1)
        elif rng.random() < 0.7:
            _add_windows(body, surfaces, rng, wall, light, height_m)
        _add_fittings(body, surfaces, rng, wall, height_m)
    _add_roof(body, surfaces, rng, bounds, height_m, light)
    return _add_lamps(body, surfaces, rng, bounds, height_m, light)


def _wall_paint(rng: np.random.Generator) -> Paint:
    """One wall picture, as wide as the room is high: a base, a dado, a line, dirt at the foot."""
    rgb = _WALL_RGBS[int(rng.integers(len(_WALL_RGBS)))]
    form = int(rng.integers(4))
    if form == 0:
        paint = textures.corrugated(rng, rgb, ribs=20)
    elif form == 1:
        paint = textures.brick(rng, _BRICK_RGBS[int(rng.integers(len(_BRICK_RGBS)))], rows=24)
    elif form == 2:
        paint = textures.panelled(rng, rgb)
    else:
        paint = textures.concrete(rng, rgb)
    rows = len(paint)
    if rng.random() < 0.6:
        foot = int(rows * (1 - float(rng.uniform(0.18, 0.34))))
        paint[foot:] = 0.25 * paint[foot:] + 0.75 * np.asarray(_DADO_RGBS[int(rng.integers(len(_DADO_RGBS)))])
        paint[foot : foot + 2] = (0.88, 0.86, 0.80)
    grime = 1 - 0.30 * np.linspace(0, 1, rows)[:, None] ** 8 * (
        1 + 0.5 * textures.cloud(rng, paint.shape[:2], 16)
    )
    grime *= 1 - 0.18 * np.linspace(1, 0, rows)[:, None] ** 2
    return paint * grime[..., None]


def _add_windows(
    body: Body, surfaces: Surfaces, rng: np.random.Generator, wall: Wall, light: LightRegime, height_m: float
) -> None:  # fmt: skip
    tall = float(rng.uniform(0.9, 1.6))
    wide = wall.length_m * float(rng.uniform(0.4, 0.85))
    paint = textures.window(rng, _GLOW[light], panes=int(rng.choice([2, 4, 4, 8])))
    name = f"windows-{wall.yaw_rad:.2f}"
    look = surfaces.picture(
        name,
        paint,
        repeat=(max(1.0, round(wide / tall / 1.6)), 1.0),
        glow=0.55 if light in ("day", "bright") else 0.1,
    )
    z = height_m - tall / 2 - float(rng.uniform(0.5, 1.2))
    add_sheet(body, (wide, tall), (*wall.at(float(rng.uniform(-0.5, 0.5)), 0.02), z), wall.yaw_rad, look)


def _add_gates(
    body: Body, surfaces: Surfaces, rng: np.random.Generator, wall: Wall, light: LightRegime, *, count: int
) -> None:  # fmt: skip
    """Roller doors, open on to a yard or shut, in a striped frame."""
    wide, tall = float(rng.uniform(2.8, 3.6)), float(rng.uniform(3.0, 3.6))
    for index in range(count):
        along = (index - (count - 1) / 2) * (wide + 1.4) + float(rng.uniform(-0.4, 0.4))
        x, y = wall.at(along, 0.03)
        if rng.random() < 0.5 and light in ("day", "bright"):
            look = surfaces.picture("yard", textures.outdoors(rng), glow=0.75 if light == "day" else 0.5)
        else:
            rgb = (*_DADO_RGBS, (0.75, 0.77, 0.78))[int(rng.integers(len(_DADO_RGBS) + 1))]
            look = surfaces.picture("shutter", textures.shutter(rng, rgb))
        add_sheet(body, (wide, tall), (x, y, tall / 2), wall.yaw_rad, look)
        hazard = surfaces.look("hazard")
        for side in (-1, 1):
            foot = wall.at(along + side * (wide / 2 + 0.1), 0.08)
            add_box(body, (0.2, 0.2, tall), (*foot, tall / 2), hazard, yaw_rad=wall.yaw_rad)
        add_box(
            body,
            (0.3, wide + 0.4, 0.3),
            (*wall.at(along, 0.15), tall + 0.1),
            surfaces.look("paint", (0.35, 0.37, 0.40)),
            solid=False,
            yaw_rad=wall.yaw_rad,
        )
        if look.material == "shutter" and rng.random() < 0.7:
            for side in (-1, 1):
                bumper = wall.at(along + side * wide * 0.35, 0.1)
                add_box(
                    body,
                    (0.2, 0.3, 0.45),
                    (*bumper, 0.5),
                    surfaces.look("rubber"),
                    solid=False,
                    yaw_rad=wall.yaw_rad,
                )


def _add_fittings(
    body: Body, surfaces: Surfaces, rng: np.random.Generator, wall: Wall, height_m: float
) -> None:
    """A door, notices, pipes, a fire extinguisher, an air duct."""
    half = wall.length_m / 2 - 0.8
    if rng.random() < 0.5:
        along = float(rng.uniform(-half, half))
        rgb = _DADO_RGBS[int(rng.integers(len(_DADO_RGBS)))]
        add_box(
            body,
            (0.08, 0.95, 2.05),
            (*wall.at(along, 0.03), 1.02),
            surfaces.look("paint", rgb),
            solid=False,
            yaw_rad=wall.yaw_rad,
        )
        add_box(
            body,
            (0.05, 0.5, 0.2),
            (*wall.at(along, 0.04), 2.25),
            surfaces.look("paint", (0.15, 0.75, 0.35)),
            solid=False,
            yaw_rad=wall.yaw_rad,
        )
    for _ in range(int(rng.integers(0, 4))):
        size = float(rng.uniform(0.5, 1.1))
        look = surfaces.picture(f"notice-{int(rng.integers(6))}", textures.poster(rng))
        at = (*wall.at(float(rng.uniform(-half, half)), 0.02), float(rng.uniform(1.6, 2.6)))
        add_sheet(body, (size * float(rng.choice([0.75, 1.0, 1.8])), size), at, wall.yaw_rad, look)
    if rng.random() < 0.6:
        _add_pipes(body, surfaces, rng, wall, height_m)
    if rng.random() < 0.5:
        spot = wall.at(float(rng.uniform(-half, half)), 0.14)
        add_cylinder(body, 0.09, 0.5, (*spot, 1.0), surfaces.look("paint", (0.85, 0.10, 0.08)), solid=False)
        add_box(
            body,
            (0.03, 0.3, 0.3),
            (*spot, 1.75),
            surfaces.look("paint", (0.85, 0.12, 0.10)),
            solid=False,
            yaw_rad=wall.yaw_rad,
        )


def _add_pipes(body: Body, surfaces: Surfaces, rng: np.random.Generator, wall: Wall, height_m: float) -> None:
    z, half = float(rng.uniform(2.6, height_m - 0.5)), wall.length_m / 2 - 0.2
    rgbs: tuple[Rgb, ...] = (
        (0.60, 0.62, 0.64),
        (0.80, 0.68, 0.15),
        (0.20, 0.40, 0.65),
        (0.70, 0.18, 0.14),
        (0.30, 0.55, 0.35),
    )
    for index in range(int(rng.integers(1, 4))):
        look = surfaces.look("paint", rgbs[int(rng.integers(len(rgbs)))])
        level = z - 0.22 * index
        add_bar(
            body,
            (*wall.at(-half, 0.18), level),
            (*wall.at(half, 0.18), level),
            float(rng.uniform(0.08, 0.16)),
            look,
            solid=False,
        )
    if rng.random() < 0.5:
        along = float(rng.uniform(-half, half))
        add_bar(body, (*wall.at(along, 0.18), 0.2), (*wall.at(along, 0.18), z), 0.1, look, solid=False)


def _add_roof(
    body: Body,
    surfaces: Surfaces,
    rng: np.random.Generator,
    bounds: Area,
    height_m: float,
    light: LightRegime,
) -> None:
    """A roof (the sky box: a geom would shade the whole room), trusses, perhaps a duct or a crane girder."""
    grey = {"day": 0.55, "bright": 0.50, "dim": 0.34, "one-lamp": 0.16}[light]
    x, y = bounds.centre
    surfaces.sky((grey, grey, grey))
    look = surfaces.look(
        "paint",
        ((0.42, 0.44, 0.46), (0.30, 0.36, 0.42), (0.55, 0.30, 0.22), (0.62, 0.62, 0.58))[
            int(rng.integers(4))
        ],
    )
    for share in np.linspace(0.12, 0.88, int(rng.integers(3, 5))):
        bx = bounds.x0 + float(share) * bounds.width
        add_box(body, (0.18, bounds.depth, 0.30), (bx, y, height_m - 0.18), look, solid=False)
    if rng.random() < 0.5:
        duct_y = y + float(rng.uniform(-0.3, 0.3)) * bounds.depth
        add_cylinder(
            body,
            0.28,
            bounds.width,
            (x, duct_y, height_m - 0.65),
            surfaces.look("steel"),
            axis="x",
            solid=False,
        )
    if rng.random() < 0.4 and height_m > 5.0:
        crane_x = x + float(rng.uniform(-0.35, 0.35)) * bounds.width
        add_box(
            body,
            (0.35, bounds.depth, 0.5),
            (crane_x, y, height_m - 0.85),
            surfaces.look("paint", (0.92, 0.74, 0.12)),
            solid=False,
        )


def _add_lamps(
    body: Body,
    surfaces: Surfaces,
    rng: np.random.Generator,
    bounds: Area,
    height_m: float,
    light: LightRegime,
) -> tuple[Xyz, ...]:
    surfaces.picture("lamp", textures.plain((1.0, 1.0, 0.96), (8, 8)), glow=1.0)
    columns, rows = (1, 1) if light == "one-lamp" else (int(rng.integers(2, 4)), 2)
    long, lamps = bool(rng.random() < 0.5), []
    for i in range(columns):
        for j in range(rows):
            x = bounds.x0 + (i + 0.5) / columns * bounds.width
            y = bounds.y0 + (j + 0.5) / rows * bounds.depth
            size = (1.5, 0.22, 0.08) if long else (0.5, 0.5, 0.12)
            add_box(body, size, (x, y, height_m - 0.45), Look("lamp"), solid=False)
            lamps.append((x, y, height_m - 0.45))
    return tuple(lamps)
