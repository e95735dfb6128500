"""How a camera looks when it is well, learned slowly, and how far a picture is from that."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jikimi.frame import Floats
from jikimi.watch.health.settings import HealthSettings
from jikimi.watch.health.view import View, mean_view, over_tiles

Tiles = npt.NDArray[np.bool_]
"""Which tiles of the grid, bool (6, 8)."""

_TINY = 1e-3

# A tile with half the light is expected to show half the step at its edges. Below 0.4 that would make a dark
# cover's noise a detail; lamps that bright as 4 times are glare.
_LIGHT = (0.4, 4.0)


@dataclass(frozen=True, slots=True)
class Likeness:
    """A picture beside the reference: levels 0 to 1, None where too little is recognised to tell.

    `covered`: share of the detailed tiles that lost their detail. `moved`: share of those left whose edges
    are elsewhere. `blurred`: what edges lost of their sharpness. `bare`: the reference itself shows nothing.
    """

    covered: float | None = None
    moved: float | None = None
    blurred: float | None = None
    bare: bool = False


class Reference:
    """The running mean of healthy pictures: people and machines that move average out of it."""

    def __init__(self, settings: HealthSettings) -> None:
        self._settings = settings
        self._mean: View | None = None
        self._seen_s = 0.0

    @property
    def ready(self) -> bool:
        """Whether enough was seen to judge by."""
        return self._seen_s >= self._settings.learn_s

    def learn(self, view: View, dt_s: float) -> None:
        """Take in a healthy picture that stands for `dt_s` seconds."""
        if self._mean is None:
            self._mean = view
            return
        self._seen_s += dt_s
        # Like the plain mean at first (the picture before this stands for as long as it does).
        share = dt_s / max(min(self._seen_s + dt_s, self._settings.remember_s), _TINY)
        self._mean = mean_view(self._mean, view, share=share)

    def compare(self, view: View, before: View) -> Likeness:
        """Judge a picture by the reference, which must be `ready`; `before` is the picture before it."""
        wanted, settings = self._mean, self._settings
        assert wanted is not None
        detailed = self._detailed(wanted)
        if detailed.sum() < settings.tiles_min:
            still_bare = self._detailed(view).sum() < settings.tiles_min
            return Likeness(covered=float(still_bare), bare=True)
        alike = _alike(view, wanted)
        gone = ~self._detailed(view) & (alike <= settings.alike_above)  # plain now, and not merely dim
        lost = detailed & (gone | (_amplitude(view, wanted) < settings.lost_below))
        covered = float(lost.sum() / detailed.sum())
        if covered > settings.covered.end_below and _pattern(view, wanted) > settings.pattern_above:
            return Likeness(covered=0.0, blurred=1.0)
        left = detailed & ~lost
        if left.sum() < settings.tiles_min:
            return Likeness(covered=covered)
        known = left & (alike > settings.alike_above)
        moved = float(1 - known.sum() / left.sum())
        if moved > settings.moved.begin_above:
            return Likeness(covered=covered, moved=moved)  # another view has another sharpness
        return Likeness(
            covered=covered, moved=moved, blurred=1 - _sharpness(view, before, wanted, known, left)
        )

    def _detailed(self, view: View) -> Tiles:
        found: Tiles = view.energy_coarse > self._settings.detail_min
        return found


def _amplitude(view: View, wanted: View) -> Floats:
    """Edges of each tile over those wanted, both for the light there is: (6, 8), 1 where nothing changed."""
    light = np.clip(view.tiles / np.maximum(wanted.tiles, 1.0), *_LIGHT)
    found = np.sqrt(view.energy_coarse / (wanted.energy_coarse + _TINY)) / light
    return found.astype(np.float32)


def _alike(view: View, wanted: View) -> Floats:
    """Correlation of the coarse edges of each tile, (6, 8): the light's strength drops out."""
    shared = over_tiles(view.edges_coarse * wanted.edges_coarse)
    found: Floats = shared / np.sqrt(view.energy_coarse * wanted.energy_coarse + _TINY)
    return found


def _pattern(view: View, wanted: View) -> float:
    """Correlation of the tiles' brightness: what is left when only the edges are gone."""
    here, there = view.tiles - view.tiles.mean(), wanted.tiles - wanted.tiles.mean()
    return float((here * there).sum() / np.sqrt((here**2).sum() * (there**2).sum() + _TINY))


def _sharpness(view: View, before: View, wanted: View, known: Tiles, left: Tiles) -> float:
    """How strong fine edges are against coarse ones, compared to the reference: 1 when in focus.

    The projection on the reference's edges is blind to noise, but falls too when the camera turned a
    little; the energy of the edges is blind to turning, but noise adds to it. Sharp by one is sharp.
    """
    coarse = over_tiles(view.edges_coarse * wanted.edges_coarse) / (wanted.energy_coarse + _TINY)
    fine = over_tiles(view.edges_fine * wanted.edges_fine) / (wanted.energy_fine + _TINY)
    projected = float(np.median((fine / np.maximum(coarse, _TINY))[known])) if known.any() else 0.0
    if projected > 1:
        return projected
    noise = float(np.median(over_tiles((view.edges_fine - before.edges_fine) ** 2))) / 2
    energy = np.maximum(view.energy_fine - noise, 0) / (wanted.energy_fine + _TINY)
    ratio = energy / np.maximum(view.energy_coarse / (wanted.energy_coarse + _TINY), _TINY)
    return max(projected, float(np.sqrt(np.median(ratio[left]))))
