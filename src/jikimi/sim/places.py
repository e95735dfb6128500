"""Rectangles, bays and rooms: where things may stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from jikimi.sim.solids import Xy, Xyz

RoomKind: TypeAlias = Literal["hall", "aisle", "cell", "dock"]
LightRegime: TypeAlias = Literal["day", "dim", "one-lamp", "bright"]


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle on the floor, metres."""

    x0: float
    y0: float
    x1: float
    y1: float

    def __post_init__(self) -> None:
        if self.x0 >= self.x1 or self.y0 >= self.y1:
            raise ValueError(f"area {self!r} is empty: give x0 < x1 and y0 < y1")

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def depth(self) -> float:
        return self.y1 - self.y0

    @property
    def centre(self) -> Xy:
        return ((self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2)

    def contains(self, x: float, y: float, *, margin_m: float = 0.0) -> bool:
        """Whether the point lies inside, at least a margin from every side."""
        across = self.x0 + margin_m <= x <= self.x1 - margin_m
        return across and self.y0 + margin_m <= y <= self.y1 - margin_m

    def grown(self, by_m: float) -> Area:
        """The same centre, every side moved outwards (inwards for a negative length)."""
        return Area(self.x0 - by_m, self.y0 - by_m, self.x1 + by_m, self.y1 + by_m)

    def sample(self, rng: np.random.Generator, margin_m: float = 0.0) -> Xy:
        """A uniform point at least a margin from every side."""
        inner = self.grown(-margin_m)
        return (float(rng.uniform(inner.x0, inner.x1)), float(rng.uniform(inner.y0, inner.y1)))


@dataclass(frozen=True, slots=True)
class Bay:
    """A rectangle beside the open floor: `anchor` is the middle of their common edge, `yaw_rad` looks in."""

    anchor: Xy
    yaw_rad: float
    width_m: float
    depth_m: float


@dataclass(frozen=True, slots=True)
class Room:
    """A built room. `floor` is open; `bays` beside it are left free for machines (the widest first)."""

    kind: RoomKind
    light: LightRegime
    size_m: Xyz
    floor: Area
    bounds: Area
    lamps: tuple[Xyz, ...]
    bays: tuple[Bay, ...]
    camera_spots: tuple[Xy, ...]
    """Four corners off the open floor with nothing tall below, for cameras at 2.2 m to `size_m[2] - 0.3`."""
