"""Boxes, cylinders and bars put on a body, with full sizes in metres instead of MuJoCo's half sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import mujoco
import numpy as np

from jikimi.sim.surfaces import Look

Body: TypeAlias = Any  # mujoco.MjsBody: MuJoCo ships no types
Xy: TypeAlias = tuple[float, float]
Xyz: TypeAlias = tuple[float, float, float]
Quat: TypeAlias = tuple[float, float, float, float]
Axis: TypeAlias = Literal["x", "y", "z"]

_HALF = math.sqrt(0.5)
AXIS_QUATS: dict[str, Quat] = {"x": (_HALF, 0, _HALF, 0), "y": (_HALF, -_HALF, 0, 0), "z": (1, 0, 0, 0)}


def yaw_quat(yaw_rad: float) -> Quat:
    """Turn about z."""
    return (math.cos(yaw_rad / 2), 0.0, 0.0, math.sin(yaw_rad / 2))


def quat_product(first: Sequence[float], second: Sequence[float]) -> Quat:
    """The turn that does `second` first, then `first`."""
    result = np.zeros(4)
    mujoco.mju_mulQuat(result, np.asarray(first, dtype=float), np.asarray(second, dtype=float))
    return (float(result[0]), float(result[1]), float(result[2]), float(result[3]))


def place(xy: Xy, yaw_rad: float, offset_xy: Xy) -> Xy:
    """World xy of a point given in the frame at `xy` turned by `yaw_rad`."""
    cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
    return (xy[0] + cos * offset_xy[0] - sin * offset_xy[1], xy[1] + sin * offset_xy[0] + cos * offset_xy[1])


def add_box(
    body: Body,
    size_m: Xyz,
    at: Xyz,
    look: Look,
    *,
    solid: bool = True,
    yaw_rad: float = 0.0,
    pitch_rad: float = 0.0,
    mass_kg: float | None = None,
) -> None:
    """A box by its full size and centre; pitch turns it about its own y."""
    turn = yaw_quat(yaw_rad)
    if pitch_rad:
        turn = quat_product(turn, (math.cos(pitch_rad / 2), 0.0, math.sin(pitch_rad / 2), 0.0))
    half = [length / 2 for length in size_m]
    _add(body, mujoco.mjtGeom.mjGEOM_BOX, half, at, turn, look, solid, mass_kg)


def add_cylinder(
    body: Body,
    radius_m: float,
    length_m: float,
    at: Xyz,
    look: Look,
    *,
    axis: Axis = "z",
    solid: bool = True,
    mass_kg: float | None = None,
) -> None:
    """A cylinder by its centre, lying along one of the body's axes."""
    size = [radius_m, length_m / 2, 0.0]
    _add(body, mujoco.mjtGeom.mjGEOM_CYLINDER, size, at, AXIS_QUATS[axis], look, solid, mass_kg)


def add_bar(
    body: Body,
    start: Xyz,
    end: Xyz,
    thick_m: float,
    look: Look,
    *,
    solid: bool = True,
    mass_kg: float | None = None,
) -> None:
    """A square bar between two points (a box: cheaper to draw than a capsule)."""
    along = np.subtract(end, start)
    length = float(np.linalg.norm(along))
    turn = np.zeros(4)
    mujoco.mju_quatZ2Vec(turn, along / length)
    centre = (np.add(start, end) / 2).tolist()
    half = [thick_m / 2, thick_m / 2, length / 2]
    _add(body, mujoco.mjtGeom.mjGEOM_BOX, half, centre, turn.tolist(), look, solid, mass_kg)


def add_sheet(
    body: Body, size_m: Xy, at: Xyz, yaw_rad: float, look: Look, *, solid: bool = False, thick_m: float = 0.03
) -> None:
    """An upright board whose picture faces along `yaw_rad`; `at` is its centre."""
    stand = (0.5, 0.5, 0.5, 0.5)  # local z to +x, local x to +y, local y to +z
    half = [size_m[0] / 2, size_m[1] / 2, thick_m / 2]
    turn = quat_product(yaw_quat(yaw_rad), stand)
    _add(body, mujoco.mjtGeom.mjGEOM_BOX, half, at, turn, look, solid, None)


def add_body(
    spec: mujoco.MjSpec, name: str, xy: Xy, yaw_rad: float, z_m: float = 0.0, *, mocap: bool = False
) -> Body:
    """A body of the world at a place and heading."""
    return spec.worldbody.add_body(
        name=name, pos=[xy[0], xy[1], z_m], quat=list(yaw_quat(yaw_rad)), mocap=mocap
    )


def _add(
    body: Body,
    kind: Any,
    size: Sequence[float],
    at: Sequence[float],
    turn: Sequence[float],
    look: Look,
    solid: bool,
    mass_kg: float | None,
) -> None:
    touch = 1 if solid else 0
    geom = body.add_geom(
        type=kind, size=list(size), pos=list(at), quat=list(turn), material=look.material, contype=touch,
        conaffinity=touch, group=0,
    )  # fmt: skip
    if look.rgba is not None:
        geom.rgba = list(look.rgba)
    if mass_kg is not None:
        geom.mass = mass_kg
