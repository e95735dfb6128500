"""Draws many boxes and cylinders as one mesh with one texture atlas.

Software OpenGL spends its time on draw calls: three a geom with a shadow light. A room of 280 geoms took
26 ms a frame (400x300, one busy core); welded, with the shadow map halved to 512, 14 ms. The geoms stay for
collisions, made invisible (alpha 0).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import mujoco
import numpy as np
import numpy.typing as npt

from jikimi.sim.solids import Body

Floats: TypeAlias = npt.NDArray[np.float64]
Cell: TypeAlias = tuple[str, tuple[int, int, int]]

CELL_PX = 128
_SLICES = 10
_SHADES = 12
"""Colours are rounded to 1/12, so that alike ones share a cell."""
_OPAQUE = 0.995  # MuJoCo draws anything below as transparent
_UPRIGHT_FACE = 3  # of a cube texture: -y, see surfaces
_FACES = ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))


@dataclass(frozen=True, slots=True)
class _Patch:
    """Triangles in one cell: vertices_V3, normals_V3, uv_V2 in 0..1 (v down), triangles_F3."""

    vertices: Floats
    normals: Floats
    uv: Floats
    triangles: npt.NDArray[np.int64]
    cell: Cell


def weld(spec: mujoco.MjSpec, name: str, fixed: Sequence[Body], moving: Sequence[Body] = ()) -> None:
    """Draw all fixed bodies as one mesh, each moving body as one of its own; all share one atlas."""
    groups: list[tuple[Body, list[_Patch]]] = []
    patches = [patch for body in fixed for patch in _take(spec, body, in_world=True)]
    if patches:
        groups.append((spec.worldbody.add_body(name=name), patches))
    for body in moving:
        patches = _take(spec, body, in_world=False)
        if patches:
            groups.append((body, patches))
    cells = {patch.cell: None for _, taken in groups for patch in taken}
    grid = _add_atlas(spec, name, list(cells))
    index = {cell: number for number, cell in enumerate(cells)}
    for number, (body, taken) in enumerate(groups):
        _add_mesh(spec, f"{name}-{number}", name, body, taken, index, grid)


def _take(spec: mujoco.MjSpec, body: Body, *, in_world: bool) -> list[_Patch]:
    """The body's drawable geoms as patches; the geoms themselves become invisible."""
    patches = []
    for geom in list(body.geoms):
        if not _weldable(spec, geom):
            continue
        frame = (body.pos, body.quat) if in_world else (np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]))
        patches.append(_patch(spec, geom, frame))
        geom.rgba, geom.material = [0.5, 0.5, 0.5, 0.0], ""  # deleting decoration takes 1.5 ms a geom
    return patches


def _weldable(spec: mujoco.MjSpec, geom: Any) -> bool:
    kinds = (mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CYLINDER)
    if geom.type not in kinds or not geom.material or geom.rgba[3] < _OPAQUE:
        return False
    material = spec.material(geom.material)
    return bool(material.emission == 0 and max(material.texrepeat) <= 1)


def _patch(spec: mujoco.MjSpec, geom: Any, frame: tuple[Floats, Floats]) -> _Patch:
    texture = spec.texture(geom.material)
    flat = texture.type == mujoco.mjtTexture.mjTEXTURE_2D
    box = geom.type == mujoco.mjtGeom.mjGEOM_BOX
    shape = _box(np.asarray(geom.size), picture_only=flat) if box else _cylinder(geom.size[0], geom.size[1])
    vertices, normals, uv, triangles = shape
    vertices, normals = _moved(vertices, geom.pos, geom.quat), _moved(normals, np.zeros(3), geom.quat)
    vertices, normals = _moved(vertices, *frame), _moved(normals, np.zeros(3), frame[1])
    plain = tuple(geom.rgba[:3]) == (0.5, 0.5, 0.5)  # MuJoCo's default: the material's own colour
    rgb = np.ones(3) if plain else np.asarray(geom.rgba[:3])
    red, green, blue = (round(float(v) * _SHADES) for v in rgb)
    return _Patch(vertices, normals, uv, triangles, (geom.material, (red, green, blue)))


def _moved(points_V3: Floats, position: Any, quat: Any) -> Floats:
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, np.asarray(quat, dtype=float))
    return np.asarray(points_V3 @ matrix.reshape(3, 3).T + np.asarray(position))


def _unit_box() -> tuple[Floats, Floats, Floats, npt.NDArray[np.int64]]:
    vertices: list[Floats] = []
    normals: list[Floats] = []
    uv: list[tuple[float, float]] = []
    triangles: list[tuple[int, int, int]] = []
    for face in _FACES:
        normal = np.array(face, dtype=float)
        up = np.array((0.0, 1.0, 0.0)) if face[2] else np.array((0.0, 0.0, 1.0))
        right = np.cross(up, normal)
        start = len(vertices)
        for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
            vertices.append(normal + x * right + y * up)
            normals.append(normal)
            uv.append(((x + 1) / 2, (1 - y) / 2))
        triangles += [(start, start + 1, start + 2), (start, start + 2, start + 3)]
    return np.array(vertices), np.array(normals), np.array(uv), np.array(triangles)


_UNIT_BOX = _unit_box()


def _box(half: Floats, *, picture_only: bool) -> tuple[Floats, Floats, Floats, npt.NDArray[np.int64]]:
    """Six upright faces, or the +z face alone for a picture."""
    vertices, normals, uv, triangles = _UNIT_BOX
    if picture_only:
        return vertices[16:20] * half, normals[16:20], uv[16:20], triangles[:2]
    return vertices * half, normals, uv, triangles


def _cylinder(radius: float, half: float) -> tuple[Floats, Floats, Floats, npt.NDArray[np.int64]]:
    """A side and two lids, the axis along z."""
    turn = np.linspace(0, 2 * np.pi, _SLICES + 1)
    ring = np.stack([np.cos(turn), np.sin(turn), np.zeros_like(turn)], axis=1)
    low, high = ring * radius - (0, 0, half), ring * radius + (0, 0, half)
    share = turn / (2 * np.pi)
    side_uv = [np.stack([share, np.full_like(share, v)], axis=1) for v in (1.0, 0.0)]
    lid_uv = 0.5 + 0.45 * ring[:, :2] * (1, -1)
    vertices = np.concatenate([low, high, low, high])
    up = np.tile((0.0, 0.0, 1.0), (_SLICES + 1, 1))
    normals = np.concatenate([ring, ring, -up, up])
    count, faces = _SLICES + 1, []
    for i in range(_SLICES):
        faces += [(i, i + 1, count + i + 1), (i, count + i + 1, count + i)]
    for i in range(1, _SLICES - 1):
        faces += [
            (2 * count, 2 * count + i + 1, 2 * count + i),
            (3 * count, 3 * count + i, 3 * count + i + 1),
        ]
    return vertices, normals, np.concatenate([*side_uv, lid_uv, lid_uv]), np.array(faces)


def _add_atlas(spec: mujoco.MjSpec, name: str, cells: list[Cell]) -> int:
    """One square texture of all cells, row by row; returns how many cells a row holds."""
    grid = max(1, math.ceil(math.sqrt(len(cells))))
    pixels = np.zeros((grid * CELL_PX, grid * CELL_PX, 3), dtype=np.uint8)
    for number, (material, shades) in enumerate(cells):
        row, column = divmod(number, grid)
        tint = np.array(shades) / _SHADES
        picture = np.clip(_picture(spec, material) * tint, 0, 255).astype(np.uint8)
        y, x = row * CELL_PX, column * CELL_PX
        pixels[y : y + CELL_PX, x : x + CELL_PX] = picture
    texture = spec.add_texture(
        name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, width=len(pixels), height=len(pixels), nchannel=3
    )
    texture.data = pixels.tobytes()
    material = spec.add_material(name=name, specular=0.1, shininess=0.1)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    return grid


def _picture(spec: mujoco.MjSpec, material: str) -> npt.NDArray[np.uint8]:
    """A material's picture, resampled to a cell."""
    texture = spec.texture(material)
    pixels = np.frombuffer(bytes(texture.data), dtype=np.uint8)
    pixels = pixels.reshape(texture.height, texture.width, 3)
    if texture.type == mujoco.mjtTexture.mjTEXTURE_CUBE:
        pixels = pixels[_UPRIGHT_FACE * texture.width : (_UPRIGHT_FACE + 1) * texture.width]
    rows = np.arange(CELL_PX) * pixels.shape[0] // CELL_PX
    columns = np.arange(CELL_PX) * pixels.shape[1] // CELL_PX
    return np.asarray(pixels[np.ix_(rows, columns)])


def _add_mesh(
    spec: mujoco.MjSpec,
    name: str,
    material: str,
    body: Body,
    patches: list[_Patch],
    index: dict[Cell, int],
    grid: int,
) -> None:
    starts = np.cumsum([0, *(len(patch.vertices) for patch in patches)])
    inset = 1.0 / CELL_PX  # stay off the neighbour's first pixels
    uv = []
    for patch in patches:
        row, column = divmod(index[patch.cell], grid)
        uv.append((np.array([column, row]) + inset + (1 - 2 * inset) * patch.uv) / grid)
    triangles = np.concatenate(
        [patch.triangles + start for patch, start in zip(patches, starts, strict=False)]
    )
    spec.add_mesh(
        name=name, uservert=np.concatenate([patch.vertices for patch in patches]).ravel().tolist(),
        usernormal=np.concatenate([patch.normals for patch in patches]).ravel().tolist(),
        usertexcoord=np.concatenate(uv).ravel().tolist(), userface=triangles.ravel().tolist(),
        inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
    )  # fmt: skip
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=name,
        material=material,
        contype=0,
        conaffinity=0,
        group=0,
        mass=0.0,
    )
