"""Movable things, parked below the floor: free bodies that fall and roll, mocap bodies that are driven."""

from __future__ import annotations

import math
from dataclasses import dataclass

import mujoco
import numpy as np

from jikimi.sim.solids import Body, Xyz, add_bar, add_box, add_cylinder, add_sheet
from jikimi.sim.surfaces import Look, Surfaces
from jikimi.sim.textures import Rgb

PARK_Z_M = -20.0
_PARK_STEP_M = 4.0

VEHICLE_RGBS: tuple[Rgb, ...] = (
    (0.95, 0.62, 0.08), (0.92, 0.80, 0.12), (0.80, 0.16, 0.12), (0.16, 0.45, 0.25), (0.20, 0.38, 0.68),
)  # fmt: skip
DARK: Rgb = (0.14, 0.14, 0.15)


@dataclass(frozen=True, slots=True)
class FreeProp:
    """A body with a free joint. Weightless (gravcomp) until `Stage.put` puts it somewhere."""

    name: str
    body: str
    joint: str
    half_m: Xyz
    mass_kg: float


@dataclass(frozen=True, slots=True)
class MocapProp:
    """A driven body; `half_m` is half its bounding box."""

    name: str
    body: str
    half_m: Xyz


@dataclass(frozen=True, slots=True)
class Gate:
    """A swinging leaf: origin at the hinge on the floor, leaf along +x."""

    name: str
    body: str
    length_m: float
    height_m: float


@dataclass(frozen=True, slots=True)
class HookLoad:
    """A load on a cable: origin at the top, so turning the body swings it. `half_m` is the load alone."""

    name: str
    body: str
    cable_m: float
    half_m: Xyz

    @property
    def load_centre_m(self) -> float:
        """How far below the origin the load's centre hangs."""
        return self.cable_m + self.half_m[2]


def add_crate(spec: mujoco.MjSpec, rng: np.random.Generator, name: str) -> FreeProp:
    """A cardboard or wooden box, 0.25 to 0.6 m, 4 to 25 kg."""
    size = tuple(float(v) for v in rng.uniform((0.3, 0.3, 0.25), (0.6, 0.5, 0.5)))
    surfaces = Surfaces(spec, rng)
    shade = float(rng.uniform(0.8, 1.05))
    looks = (
        surfaces.look("cardboard", (shade, shade, shade)),
        surfaces.look("wood", (shade, shade, 0.9 * shade)),
    )
    mass = float(rng.uniform(4.0, 25.0))
    body = _free_body(spec, name)
    add_box(body, (size[0], size[1], size[2]), (0, 0, 0), looks[int(rng.integers(2))], mass_kg=mass)
    return FreeProp(name, name, f"{name}-joint", (size[0] / 2, size[1] / 2, size[2] / 2), mass)


def add_pipe(spec: mujoco.MjSpec, rng: np.random.Generator, name: str) -> FreeProp:
    """A steel or rusty pipe, 2 to 3 m long, lying along x."""
    length, radius = float(rng.uniform(2.0, 3.0)), float(rng.uniform(0.035, 0.07))
    look = Surfaces(spec, rng).look("steel" if rng.random() < 0.5 else "rust", (1.0, 1.0, 1.0))
    mass = float(rng.uniform(10.0, 30.0))
    body = _free_body(spec, name)
    add_cylinder(body, radius, length, (0, 0, 0), look, axis="x", mass_kg=mass)
    return FreeProp(name, name, f"{name}-joint", (length / 2, radius, radius), mass)


def add_drum(spec: mujoco.MjSpec, rng: np.random.Generator, name: str) -> FreeProp:
    """A 200-litre drum: 0.29 m in radius, 0.88 m high."""
    rgb = VEHICLE_RGBS[int(rng.integers(len(VEHICLE_RGBS)))]
    surfaces = Surfaces(spec, rng)
    mass = float(rng.uniform(20.0, 60.0))
    body = _free_body(spec, name)
    add_cylinder(body, 0.285, 0.88, (0, 0, 0), surfaces.look("paint", rgb), mass_kg=mass)
    for height in (-0.15, 0.15):
        add_cylinder(body, 0.297, 0.03, (0, 0, height), surfaces.look("steel", rgb), solid=False, mass_kg=0.0)
    return FreeProp(name, name, f"{name}-joint", (0.29, 0.29, 0.44), mass)


def add_tool(spec: mujoco.MjSpec, rng: np.random.Generator, name: str) -> FreeProp:
    """A hammer: handle along x, head at +x."""
    surfaces = Surfaces(spec, rng)
    body = _free_body(spec, name)
    add_box(body, (0.34, 0.035, 0.035), (0, 0, 0), surfaces.look("wood"), mass_kg=0.5)
    add_box(body, (0.06, 0.16, 0.06), (0.17, 0, 0), surfaces.look("steel"), mass_kg=1.2)
    return FreeProp(name, name, f"{name}-joint", (0.2, 0.08, 0.03), 1.7)


def add_forklift(spec: mujoco.MjSpec, rng: np.random.Generator, name: str) -> MocapProp:
    """A counterbalance truck with a seated driver: origin on the floor, forks towards +x."""
    surfaces = Surfaces(spec, rng)
    paint = surfaces.look("paint", VEHICLE_RGBS[int(rng.integers(len(VEHICLE_RGBS)))])
    dark, black = surfaces.look("paint", (0.24, 0.24, 0.26)), surfaces.look("rubber")
    body = _mocap_body(spec, name)
    add_box(body, (1.35, 1.02, 0.48), (-0.15, 0, 0.48), paint)
    add_box(body, (0.46, 1.06, 0.80), (-0.95, 0, 0.66), paint)
    add_box(body, (0.02, 1.0, 0.16), (-1.19, 0, 0.75), surfaces.look("hazard"), solid=False)
    add_box(body, (0.35, 0.5, 0.5), (-0.62, 0, 0.95), dark, solid=False)
    add_box(body, (0.22, 0.9, 0.55), (0.42, 0, 0.85), dark, solid=False)
    for x, radius in ((0.36, 0.30), (-0.85, 0.25)):
        add_cylinder(body, radius, 1.14, (x, 0, radius), black, axis="y", solid=False)
    _add_guard(body, dark)
    _add_mast(body, surfaces.look("steel", (0.6, 0.6, 0.62)), load=_fork_load(surfaces, rng))
    _add_driver(body, surfaces, rng)
    return MocapProp(name, name, (1.55, 0.57, 1.08))


def add_trolley(spec: mujoco.MjSpec, rng: np.random.Generator, name: str) -> MocapProp:
    """A platform or cage trolley, loaded at random; the handle at -x, pushed towards +x."""
    surfaces = Surfaces(spec, rng)
    frame = surfaces.look("paint", VEHICLE_RGBS[int(rng.integers(len(VEHICLE_RGBS)))])
    steel, cage = surfaces.look("steel"), rng.random() < 0.4
    body = _mocap_body(spec, name)
    add_box(body, (1.1, 0.66, 0.06), (0, 0, 0.24), frame)
    for x in (-0.4, 0.4):
        add_cylinder(body, 0.1, 0.6, (x, 0, 0.1), surfaces.look("rubber"), axis="y", solid=False)
    top = 1.6 if cage else 1.0
    for y in (-0.28, 0.28):
        add_bar(body, (-0.53, y, 0.24), (-0.53, y, top), 0.04, steel)
    add_bar(body, (-0.53, -0.28, 1.0), (-0.53, 0.28, 1.0), 0.04, steel)
    if cage:
        for y in (-0.31, 0.31):
            for height in (0.5, 0.85, 1.2, 1.6):
                add_bar(body, (-0.53, y, height), (0.53, y, height), 0.03, steel, solid=height > 1.5)
        for y in (-0.31, 0.31):
            add_bar(body, (0.53, y, 0.24), (0.53, y, 1.6), 0.04, steel)
    _add_boxes(body, surfaces, rng)
    return MocapProp(name, name, (0.56, 0.34, top / 2))


def add_gate(spec: mujoco.MjSpec, rng: np.random.Generator, name: str) -> Gate:
    """A fence leaf, striped barrier or steel door, 1.2 to 2 m wide."""
    length, style = float(rng.uniform(1.2, 2.0)), int(rng.integers(3))
    height = (1.1, 1.3, 2.0)[style]
    surfaces = Surfaces(spec, rng)
    look = surfaces.look("paint", VEHICLE_RGBS[int(rng.integers(len(VEHICLE_RGBS)))])
    body = _mocap_body(spec, name)
    if style == 2:
        add_box(body, (length, 0.06, height - 0.05), (length / 2, 0, height / 2), look)
        add_box(body, (0.14, 0.14, 0.04), (length - 0.12, 0, 1.0), surfaces.look("steel"), solid=False)
        return Gate(name, body.name, length, height)
    for x in (0.04, length - 0.04):
        add_bar(body, (x, 0, 0.08), (x, 0, height), 0.06, look)
    rails = 2 if style == 0 else 5
    for rail in range(rails):
        z = height - rail * (height - 0.3) / (rails - 1)
        skin = surfaces.look("warning") if style == 0 else look
        add_box(body, (length, 0.05, 0.16 if style == 0 else 0.04), (length / 2, 0, z), skin)
    return Gate(name, body.name, length, height)


def add_hook_load(spec: mujoco.MjSpec, rng: np.random.Generator, name: str, cable_m: float = 3.0) -> HookLoad:
    """A crate, steel beam or coil on slings under a cable of the given length."""
    surfaces = Surfaces(spec, rng)
    form = int(rng.integers(3))
    half = ((0.45, 0.4, 0.35), (1.1, 0.12, 0.14), (0.45, 0.35, 0.45))[form]
    body, centre = _mocap_body(spec, name), -(cable_m + half[2])
    add_bar(body, (0, 0, 0), (0, 0, -cable_m + 0.55), 0.035, surfaces.look("rubber"), solid=False)
    add_box(body, (0.22, 0.16, 0.34), (0, 0, -cable_m + 0.6), surfaces.look("hazard"))
    for x in (-0.8 * half[0], 0.8 * half[0]):
        add_bar(body, (0, 0, -cable_m + 0.45), (x, 0, -cable_m), 0.03, surfaces.look("rubber"), solid=False)
    if form == 2:
        add_cylinder(body, half[0], 2 * half[1], (0, 0, centre), surfaces.look("steel"), axis="y")
        add_cylinder(
            body, 0.16, 2 * half[1] + 0.02, (0, 0, centre), surfaces.look("rubber"), axis="y", solid=False
        )
    else:
        look = surfaces.look("wood") if form == 0 else surfaces.look("rust")
        add_box(body, (2 * half[0], 2 * half[1], 2 * half[2]), (0, 0, centre), look)
    return HookLoad(name, name, cable_m, half)


def add_agv(spec: mujoco.MjSpec, rng: np.random.Generator, name: str) -> MocapProp:
    """A flat driverless carrier, sometimes loaded; forward is +x."""
    surfaces = Surfaces(spec, rng)
    body = _mocap_body(spec, name)
    paint = surfaces.look("paint", VEHICLE_RGBS[int(rng.integers(len(VEHICLE_RGBS)))])
    add_box(body, (1.3, 0.85, 0.24), (0, 0, 0.17), paint)
    add_box(body, (1.36, 0.88, 0.06), (0, 0, 0.08), surfaces.look("rubber"))
    add_box(body, (1.0, 0.7, 0.02), (0, 0, 0.30), surfaces.look("tread"), solid=False)
    add_cylinder(body, 0.05, 0.12, (0.5, 0.3, 0.36), surfaces.look("paint", (1.0, 0.55, 0.1)), solid=False)
    if rng.random() < 0.6:
        add_box(body, (0.9, 0.66, 0.7), (0, 0, 0.66), surfaces.look("cartons"))
    return MocapProp(name, name, (0.68, 0.44, 0.5))


def _parked(spec: mujoco.MjSpec) -> list[float]:
    slot = len(spec.bodies)  # apart from every other parked body
    return [(slot % 12 - 6) * _PARK_STEP_M, (slot // 12 - 4) * _PARK_STEP_M, PARK_Z_M]


def _free_body(spec: mujoco.MjSpec, name: str) -> Body:
    body = spec.worldbody.add_body(name=name, pos=_parked(spec), gravcomp=1.0)
    body.add_freejoint(name=f"{name}-joint")
    return body


def _mocap_body(spec: mujoco.MjSpec, name: str) -> Body:
    return spec.worldbody.add_body(name=name, pos=_parked(spec), mocap=True)


def _add_guard(body: Body, look: Look) -> None:
    for y in (-0.46, 0.46):
        add_bar(body, (0.36, y, 1.1), (0.12, y, 2.1), 0.06, look)
        add_bar(body, (-0.85, y, 1.05), (-0.75, y, 2.1), 0.06, look)
        add_bar(body, (0.15, y, 2.1), (-0.8, y, 2.1), 0.06, look)
    for x in (0.12, -0.18, -0.48, -0.78):
        add_box(body, (0.06, 0.96, 0.04), (x, 0, 2.11), look, solid=x in (0.12, -0.78))


def _add_mast(body: Body, steel: Look, *, load: Look | None) -> None:
    for y in (-0.3, 0.3):
        add_box(body, (0.12, 0.10, 2.05), (0.66, y, 1.07), steel)
        add_box(body, (0.85, 0.11, 0.045), (1.13, y * 0.8, 0.12), steel)
    for height in (0.35, 1.2, 2.02):
        add_box(body, (0.06, 0.66, 0.12), (0.70, 0, height), steel, solid=False)
    if load is not None:
        add_box(body, (0.76, 0.9, 0.12), (1.15, 0, 0.20), Look("skin-wood"))
        add_box(body, (0.72, 0.86, 0.62), (1.15, 0, 0.57), load)


def _fork_load(surfaces: Surfaces, rng: np.random.Generator) -> Look | None:
    if rng.random() < 0.45:
        return None
    surfaces.look("wood")
    return surfaces.look("cartons") if rng.random() < 0.6 else surfaces.look("wrap")


def _add_driver(body: Body, surfaces: Surfaces, rng: np.random.Generator) -> None:
    jacket = surfaces.look("paint", VEHICLE_RGBS[int(rng.integers(len(VEHICLE_RGBS)))])
    skin = surfaces.look("paint", (0.80, 0.60, 0.48))
    add_box(body, (0.26, 0.42, 0.56), (-0.42, 0, 1.22), jacket, solid=False, pitch_rad=-0.12)
    add_box(body, (0.48, 0.36, 0.16), (-0.20, 0, 0.97), surfaces.look("paint", DARK), solid=False)
    add_cylinder(body, 0.105, 0.24, (-0.38, 0, 1.62), skin, solid=False)
    add_cylinder(body, 0.13, 0.11, (-0.38, 0, 1.74), surfaces.look("paint", (0.95, 0.85, 0.2)), solid=False)
    for y in (-0.2, 0.2):
        add_bar(body, (-0.40, y, 1.38), (0.12, 0.6 * y, 1.16), 0.1, jacket, solid=False)
    add_sheet(body, (0.32, 0.32), (0.2, 0, 1.18), math.pi, surfaces.look("rubber"))


def _add_boxes(body: Body, surfaces: Surfaces, rng: np.random.Generator) -> None:
    for x in (-0.25, 0.25):
        for layer in range(int(rng.integers(0, 4))):
            shade = float(rng.uniform(0.75, 1.05))
            size = (float(rng.uniform(0.38, 0.46)), float(rng.uniform(0.42, 0.58)), 0.28)
            add_box(
                body, size, (x, 0, 0.42 + 0.29 * layer), surfaces.look("cardboard", (shade, shade, shade))
            )
