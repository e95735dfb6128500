"""The floor's picture: stains, tyre marks, painted lines, pools of light and soft shade, in one texture."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from jikimi.sim.places import Area, Bay, LightRegime
from jikimi.sim.textures import Paint, Rgb, cloud

FloorKind: TypeAlias = Literal["concrete", "epoxy", "asphalt", "tiles"]
LONG_SIDE_PX = 640

_EPOXY_RGBS: tuple[Rgb, ...] = (
    (0.36, 0.50, 0.42), (0.52, 0.56, 0.58), (0.40, 0.48, 0.58), (0.58, 0.36, 0.30), (0.66, 0.62, 0.52),
)  # fmt: skip
YELLOW: Rgb = (0.90, 0.74, 0.14)
WHITE: Rgb = (0.88, 0.88, 0.86)
_POOLS: dict[LightRegime, tuple[float, float]] = {
    "day": (0.95, 0.12), "bright": (0.92, 0.16), "dim": (0.78, 0.35), "one-lamp": (0.55, 0.80),
}  # fmt: skip


class FloorPainting:
    """A picture of an area, row 0 at y1. All lengths in metres."""

    def __init__(self, rng: np.random.Generator, area: Area, kind: FloorKind) -> None:
        self._rng = rng
        self._area = area
        self._scale = LONG_SIDE_PX / max(area.width, area.depth)
        shape = (int(area.depth * self._scale), int(area.width * self._scale))
        self._y, self._x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float64)
        self._x = area.x0 + (self._x + 0.5) / self._scale
        self._y = area.y1 - (self._y + 0.5) / self._scale
        self.paint: Paint = self._base(kind, shape)

    def _base(self, kind: FloorKind, shape: tuple[int, int]) -> Paint:
        rng = self._rng
        wear = cloud(rng, shape, 80) + 0.6 * cloud(rng, shape, 24) + 0.3 * rng.uniform(-1, 1, shape)
        grey = float(rng.uniform(0.46, 0.64))
        rgb: Rgb = (grey, grey * 0.99, grey * 0.96)
        if kind == "epoxy":
            rgb = _EPOXY_RGBS[int(rng.integers(len(_EPOXY_RGBS)))]
        elif kind == "asphalt":
            rgb, wear = (0.30, 0.30, 0.31), wear + 0.8 * rng.uniform(-1, 1, shape)
        strength = 0.045 if kind == "epoxy" else 0.09
        paint = np.asarray(rgb) * (1 + strength * wear)[..., None]
        joint = {"concrete": 4.0, "tiles": 0.8}.get(kind)
        if joint is not None:
            near = np.minimum(self._x % joint, self._y % joint) < 1.3 / self._scale
            paint[near] *= 0.72 if kind == "concrete" else 0.82
        return paint

    def stains(self, count: int) -> None:
        """Dark oily blots with ragged edges."""
        ragged = 0.5 * cloud(self._rng, self._x.shape, 16)
        for _ in range(count):
            x, y = self._area.sample(self._rng)
            radius = float(self._rng.uniform(0.15, 0.9))
            away = np.hypot(self._x - x, (self._y - y) * float(self._rng.uniform(0.7, 1.5))) / radius
            mask = np.clip(1.4 - away + ragged, 0, 1) * float(self._rng.uniform(0.10, 0.40))
            self.paint *= 1 - mask[..., None]

    def tyre_marks(self, area: Area, count: int) -> None:
        """Pairs of dark curved tracks."""
        for _ in range(count):
            x, y = area.sample(self._rng)
            radius, wide = float(self._rng.uniform(1.5, 6.0)), 0.06
            for track in (radius, radius + 0.95):
                ring = np.abs(np.hypot(self._x - x - radius, self._y - y) - track) < wide
                self.paint[ring & (self._x > x - 2.5) & (self._x < x + 3.5)] *= 0.86

    def line(self, x0: float, y0: float, x1: float, y1: float, rgb: Rgb, wide_m: float = 0.10) -> None:
        """A worn painted line along x or y."""
        half = wide_m / 2
        inside = (self._x > min(x0, x1) - half) & (self._x < max(x0, x1) + half)
        inside &= (self._y > min(y0, y1) - half) & (self._y < max(y0, y1) + half)
        self._cover(inside, np.asarray(rgb))

    def frame(self, area: Area, rgb: Rgb, wide_m: float = 0.10) -> None:
        """The outline of an area."""
        self.line(area.x0, area.y0, area.x1, area.y0, rgb, wide_m)
        self.line(area.x0, area.y1, area.x1, area.y1, rgb, wide_m)
        self.line(area.x0, area.y0, area.x0, area.y1, rgb, wide_m)
        self.line(area.x1, area.y0, area.x1, area.y1, rgb, wide_m)

    def hazard(self, area: Area) -> None:
        """Yellow and black stripes."""
        on = ((self._x + self._y) / 0.36 % 1.0 < 0.5)[..., None]
        self._cover(self._inside(area), np.where(on, np.asarray(YELLOW), np.asarray((0.12, 0.12, 0.12))))

    def zebra(self, area: Area) -> None:
        """White bars across the longer side: a crossing."""
        along = self._x if area.width > area.depth else self._y
        self._cover(self._inside(area) & (along % 0.9 < 0.48), np.asarray(WHITE))

    def fill(self, area: Area, rgb: Rgb) -> None:
        """A painted walkway."""
        self._cover(self._inside(area), np.asarray(rgb))

    def patch(self, area: Area, strength: float) -> None:
        """A brighter or darker repair of the floor."""
        self.paint[self._inside(area)] *= 1 + strength

    def shade(self, bounds: Area, bays: list[Bay], floor: Area) -> None:
        """Soft darkness towards the walls and under what stands beside the open floor."""
        edge = np.minimum.reduce(
            [self._x - bounds.x0, bounds.x1 - self._x, self._y - bounds.y0, bounds.y1 - self._y]
        )
        self.paint *= (0.62 + 0.38 * np.clip(edge / 1.2, 0, 1))[..., None]
        outside = np.maximum.reduce(
            [
                floor.x0 - self._x,
                self._x - floor.x1,
                floor.y0 - self._y,
                self._y - floor.y1,
                np.zeros_like(self._x),
            ]
        )
        if bays:
            self.paint *= (1 - 0.28 * np.clip(outside / 1.0, 0, 1))[..., None]

    def lamp_pools(self, lamps: list[tuple[float, float]], regime: LightRegime, radius_m: float) -> None:
        """Light falling off from below each lamp."""
        rest, gain = _POOLS[regime]
        light = np.full(self._x.shape, rest)
        for x, y in lamps:
            light += gain * np.exp(-((self._x - x) ** 2 + (self._y - y) ** 2) / (2 * (radius_m * 0.5) ** 2))
        self.paint *= np.clip(light, 0, 1.35)[..., None]

    def sun(self, x: float, y: float, lean: float, size_m: tuple[float, float]) -> None:
        """A slanted bright patch from a window or an open gate, with bars."""
        u, v = self._x - x - lean * (self._y - y), self._y - y
        edge = np.minimum(size_m[0] / 2 - np.abs(u), size_m[1] / 2 - np.abs(v))
        bars = np.where((u % 1.2 < 0.12) | (v % 1.5 < 0.12), 0.35, 1.0)
        mask = np.clip(edge / 0.12, 0, 1) * bars * 0.55
        self.paint *= 1 + mask[..., None] * np.array([1.0, 0.92, 0.75])

    def _inside(self, area: Area) -> npt.NDArray[np.bool_]:
        return np.asarray(
            (self._x >= area.x0) & (self._x <= area.x1) & (self._y >= area.y0) & (self._y <= area.y1)
        )

    def _cover(self, inside: npt.NDArray[np.bool_], rgb: npt.NDArray[np.float64]) -> None:
        rows, columns = np.nonzero(inside)
        if not len(rows):
            return
        wear = np.clip(0.82 + 0.22 * self._rng.uniform(-1, 1, len(rows)), 0, 1)[:, None]
        colour = rgb if rgb.ndim == 1 else rgb[rows, columns]
        self.paint[rows, columns] = wear * colour + (1 - wear) * self.paint[rows, columns]
