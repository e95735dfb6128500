"""Rooms of a factory: an open floor in the middle, bays and clutter around it, walls, light."""

from __future__ import annotations

import math
from dataclasses import dataclass

import mujoco
import numpy as np

from jikimi.sim import clutter
from jikimi.sim.clutter import Clutter
from jikimi.sim.floors import WHITE, YELLOW, FloorKind, FloorPainting
from jikimi.sim.lighting import add_lights, draw_regime
from jikimi.sim.places import Area, Bay, LightRegime, Room, RoomKind
from jikimi.sim.shell import add_shell
from jikimi.sim.solids import Xy, add_body, add_box, place
from jikimi.sim.surfaces import Look, Surfaces
from jikimi.sim.weld import weld

__all__ = ["Area", "Bay", "LightRegime", "Room", "RoomKind", "add_room"]

RING_M = 2.7
"""Depth of the ring of bays around the open floor: the deepest machine (a ladder and its tank) fits."""
_FREE_BAYS = 4  # press, rollers or conveyor, ladder, platform

_ANYWHERE: tuple[Clutter, ...] = (
    clutter.add_pallets, clutter.add_drums, clutter.add_bench, clutter.add_cabinets, clutter.add_cart,
    clutter.add_skip, clutter.add_pipe_stand, clutter.add_cylinders, clutter.add_lathe, clutter.add_vat,
    clutter.add_rack, clutter.add_empty_pallets,
)  # fmt: skip
_BY_KIND: dict[RoomKind, tuple[Clutter, ...]] = {
    "hall": _ANYWHERE,
    "aisle": (
        clutter.add_rack,
        clutter.add_rack,
        clutter.add_rack,
        clutter.add_pallets,
        clutter.add_empty_pallets,
    ),
    "cell": (
        clutter.add_fence,
        clutter.add_fence,
        clutter.add_lathe,
        clutter.add_cabinets,
        clutter.add_cart,
        clutter.add_vat,
    ),
    "dock": (
        clutter.add_pallets,
        clutter.add_empty_pallets,
        clutter.add_rack,
        clutter.add_drums,
        clutter.add_pallets,
    ),
}
_SHALLOW: tuple[Clutter, ...] = (
    clutter.add_rack,
    clutter.add_rack,
    clutter.add_pallets,
    clutter.add_bench,
    clutter.add_cabinets,
    clutter.add_drums,
    clutter.add_pipe_stand,
)
_ROW_M = 1.6  # depth of a row of these along a wall
_LOW: tuple[Clutter, ...] = (clutter.add_cart, clutter.add_drums, clutter.add_empty_pallets)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Sizes drawn before anything is built."""

    floor: Area
    bounds: Area
    height_m: float


def add_room(spec: mujoco.MjSpec, rng: np.random.Generator, kind: RoomKind) -> Room:
    """Build a room and its lights into the spec; sets the spec's extent and cheap drawing quality too."""
    plan, light = _draw_plan(rng, kind), draw_regime(rng)
    _set_view(spec, plan)
    free, taken = _draw_bays(rng, kind, plan)
    lamps = add_shell(spec, rng, kind, light, plan.bounds, plan.height_m)
    for number, bay in enumerate(taken):
        _fill_bay(spec, rng, f"clutter-{number}", bay, _BY_KIND[kind])
    _fill_back(spec, rng, plan)
    spots = _fill_corners(spec, rng, plan)
    _add_floor(spec, rng, kind, light, plan, [*free, *taken], [(x, y) for x, y, _ in lamps])
    size = (plan.bounds.width, plan.bounds.depth, plan.height_m)
    fixed = [body for body in spec.worldbody.bodies if body.name != "floor"]
    weld(spec, "room", fixed)
    add_lights(spec, rng, light, size)
    return Room(kind, light, size, plan.floor, plan.bounds, lamps, free, spots)


def _draw_plan(rng: np.random.Generator, kind: RoomKind) -> _Plan:
    low, high = {
        "hall": ((7.5, 6.0), (9.5, 7.5)),
        "aisle": ((9.0, 5.2), (11.0, 5.8)),
        "cell": ((6.6, 5.6), (7.6, 6.6)),
        "dock": ((7.5, 6.0), (9.5, 7.0)),
    }[kind]
    width, depth = (float(v) for v in rng.uniform(low, high))
    floor = Area(-width / 2, -depth / 2, width / 2, depth / 2)
    ring = floor.grown(RING_M)
    west, south, east, north = (
        float(v) for v in rng.uniform(0.0, {"hall": 4.5, "dock": 2.5}.get(kind, 0.6), 4)
    )
    bounds = Area(ring.x0 - west, ring.y0 - south, ring.x1 + east, ring.y1 + north)
    tall = {"hall": (5.2, 8.0), "aisle": (4.8, 7.0), "cell": (4.2, 5.4), "dock": (4.8, 6.5)}[kind]
    return _Plan(floor, bounds, float(rng.uniform(*tall)))


def _set_view(spec: mujoco.MjSpec, plan: _Plan) -> None:
    """Extent and centre by the room alone: parked props 20 m below must not stretch shadows and depth."""
    extent = 0.5 * math.hypot(plan.bounds.width, plan.bounds.depth)
    spec.stat.extent, spec.stat.center = extent, [0.0, 0.0, 1.0]
    spec.visual.map.znear, spec.visual.map.zfar = 0.08 / extent, 60.0 / extent
    spec.visual.map.shadowclip = (0.5 * math.hypot(plan.floor.width, plan.floor.depth) + 1.5) / extent
    quality = spec.visual.quality
    quality.numquads, quality.numslices, quality.numstacks = 1, 12, 6
    quality.shadowsize, quality.offsamples = 512, 0  # 2.5 cm a texel over the open floor


def _sides(floor: Area) -> tuple[tuple[Xy, float, float], ...]:
    """Middle, inward heading and length of each edge; the two long ones first."""
    x, y = floor.centre
    return (
        ((x, floor.y1), -math.pi / 2, floor.width), ((x, floor.y0), math.pi / 2, floor.width),
        ((floor.x1, y), math.pi, floor.depth), ((floor.x0, y), 0.0, floor.depth),
    )  # fmt: skip


def _draw_bays(rng: np.random.Generator, kind: RoomKind, plan: _Plan) -> tuple[tuple[Bay, ...], list[Bay]]:
    """Bays left free (a truck's first, where the kind has one) and bays for clutter."""
    truck_side = int(rng.integers(2)) if kind in ("hall", "dock") else -1
    truck: list[Bay] = []
    single: list[Bay] = []
    for number, (middle, yaw, length) in enumerate(_sides(plan.floor)):
        if number == truck_side:
            truck.append(Bay(middle, yaw, length, RING_M))
            continue
        count = max(1, int(length / 2.75))
        for index in range(count):
            along = ((index + 0.5) / count - 0.5) * length
            single.append(Bay(place(middle, yaw, (0, along)), yaw, length / count, RING_M))
    order = rng.permutation(len(single)).tolist()
    free = [single[i] for i in order[:_FREE_BAYS]]
    return (*truck, *free), [single[i] for i in order[_FREE_BAYS:]]


def _fill_bay(
    spec: mujoco.MjSpec,
    rng: np.random.Generator,
    name: str,
    bay: Bay,
    choice: tuple[Clutter, ...],
    back_m: float = 0.4,
) -> None:
    """One kind of clutter, moved back from the bay's edge by up to a length."""
    back = float(rng.uniform(0.0, back_m))
    body = add_body(spec, name, place(bay.anchor, bay.yaw_rad, (-back, 0)), bay.yaw_rad)
    fill = choice[int(rng.integers(len(choice)))]
    fill(body, Surfaces(spec, rng), rng, bay.width_m - 0.2)


def _fill_back(spec: mujoco.MjSpec, rng: np.random.Generator, plan: _Plan) -> None:
    """Rows along the walls where the room reaches well beyond the ring."""
    ring, bounds, density = plan.floor.grown(RING_M), plan.bounds, float(rng.uniform(0.4, 0.95))
    beyond = (bounds.y1 - ring.y1, ring.y0 - bounds.y0, bounds.x1 - ring.x1, ring.x0 - bounds.x0)
    for number, (middle, yaw, length) in enumerate(_sides(ring)):
        count = int(length / 3.2) if beyond[number] >= _ROW_M else 0
        for index in range(count):
            if rng.random() < density:
                along = ((index + 0.5) / count - 0.5) * length
                anchor = place(middle, yaw, (_ROW_M - beyond[number], along))
                bay = Bay(anchor, yaw, length / count - 0.4, _ROW_M)
                _fill_bay(spec, rng, f"back-{number}-{index}", bay, _SHALLOW, back_m=0.0)


def _fill_corners(spec: mujoco.MjSpec, rng: np.random.Generator, plan: _Plan) -> tuple[Xy, ...]:
    """Low things in the ring's corners, under the cameras; pillars at some of them."""
    spots, surfaces = [], Surfaces(spec, rng)
    body = spec.worldbody.add_body(name="pillars")
    hazard, pillared = surfaces.look("hazard"), set(rng.permutation(4)[: int(rng.integers(0, 3))].tolist())
    for number, (sx, sy) in enumerate(((1, 1), (-1, 1), (-1, -1), (1, -1))):
        corner = (sx * plan.floor.width / 2, sy * plan.floor.depth / 2)
        spots.append((corner[0] + sx * 1.9, corner[1] + sy * 1.9))
        if rng.random() < 0.55:
            yaw = math.atan2(-sy, -sx)
            bay = Bay((corner[0] + sx * 0.5, corner[1] + sy * 0.5), yaw, 1.5, 1.5)
            _fill_bay(spec, rng, f"corner-{number}", bay, _LOW)
        if number in pillared:
            at = (corner[0] + sx * 0.25, corner[1] + sy * 2.3)  # beside what the camera above sees
            add_box(body, (0.36, 0.36, plan.height_m), (*at, plan.height_m / 2), surfaces.look("concrete"))
            add_box(body, (0.37, 0.37, 1.1), (*at, 0.55), hazard, solid=False)
    return tuple(spots)


def _add_floor(
    spec: mujoco.MjSpec,
    rng: np.random.Generator,
    kind: RoomKind,
    light: LightRegime,
    plan: _Plan,
    bays: list[Bay],
    lamps: list[Xy],
) -> None:
    bounds = plan.bounds
    kinds: tuple[FloorKind, ...] = (
        ("asphalt", "concrete") if kind == "dock" else ("concrete", "epoxy", "epoxy", "tiles")
    )
    painting = FloorPainting(rng, bounds, kinds[int(rng.integers(len(kinds)))])
    for _ in range(int(rng.integers(0, 3))):
        x, y = bounds.sample(rng, 2.0)
        painting.patch(Area(x - 1.2, y - 0.8, x + 1.2, y + 0.8), float(rng.uniform(-0.12, 0.12)))
    _mark_floor(painting, rng, plan.floor, bays)
    painting.tyre_marks(plan.floor, int(rng.integers(0, 4)))
    painting.stains(int(rng.integers(4, 16)))
    painting.shade(bounds, bays, plan.floor)
    painting.lamp_pools(lamps, light, plan.height_m)
    if light == "day":
        x, y = plan.floor.sample(rng, 1.0)
        painting.sun(
            x, y, float(rng.uniform(-0.6, 0.6)), (float(rng.uniform(2.0, 4.5)), float(rng.uniform(2.0, 3.5)))
        )
    look = Surfaces(spec, rng).picture("floor", painting.paint)
    x, y = bounds.centre
    body = spec.worldbody.add_body(name="floor")
    add_box(body, (bounds.width, bounds.depth, 1.0), (x, y, -0.5), Look(look.material))


def _mark_floor(painting: FloorPainting, rng: np.random.Generator, floor: Area, bays: list[Bay]) -> None:
    rgb = YELLOW if rng.random() < 0.7 else WHITE
    if rng.random() < 0.75:
        painting.frame(floor.grown(0.05), rgb)
    if rng.random() < 0.45:
        y = float(rng.uniform(floor.y0 + 1.2, floor.y1 - 1.2))
        lane = Area(floor.x0, y - 0.6, floor.x1, y + 0.6)
        if rng.random() < 0.5:
            painting.fill(
                lane, ((0.24, 0.46, 0.36), (0.30, 0.40, 0.56), (0.56, 0.27, 0.23))[int(rng.integers(3))]
            )
        painting.line(lane.x0, lane.y0, lane.x1, lane.y0, rgb)
        painting.line(lane.x0, lane.y1, lane.x1, lane.y1, rgb)
    if rng.random() < 0.35:
        x = float(rng.uniform(floor.x0 + 1.0, floor.x1 - 1.0))
        painting.zebra(Area(x - 0.8, floor.y0, x + 0.8, floor.y1))
    for bay in bays:
        if rng.random() < 0.3:
            x, y = place(bay.anchor, bay.yaw_rad, (-0.1, 0))
            across = abs(math.cos(bay.yaw_rad)) > 0.5
            half = (0.18, bay.width_m / 2 - 0.2) if across else (bay.width_m / 2 - 0.2, 0.18)
            painting.hazard(Area(x - half[0], y - half[1], x + half[0], y + half[1]))
