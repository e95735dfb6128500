"""Lamps, sunlight and how bright a room is: one light that casts shadows, one or two that fill."""

from __future__ import annotations

import math
from dataclasses import dataclass

import mujoco
import numpy as np

from jikimi.sim.places import LightRegime
from jikimi.sim.solids import Xyz
from jikimi.sim.textures import Rgb


@dataclass(frozen=True, slots=True)
class Regime:
    """Ambient, the camera's own light, the shadow-casting key light and the fill: 0..1."""

    ambient: float
    headlight: float
    key: float
    fill: float


REGIMES: dict[LightRegime, Regime] = {
    "bright": Regime(ambient=0.40, headlight=0.10, key=0.55, fill=0.16),
    "day": Regime(ambient=0.34, headlight=0.06, key=0.70, fill=0.16),
    "dim": Regime(ambient=0.34, headlight=0.10, key=0.40, fill=0.14),
    "one-lamp": Regime(ambient=0.27, headlight=0.08, key=0.46, fill=0.10),
}
SHADOW_REACH_M = 6.5
"""How far above the origin the shadow map starts: over people and machines, under most of roof and walls."""
_TINTS: tuple[Rgb, ...] = (
    (1.0, 1.0, 1.0),
    (1.0, 0.95, 0.84),
    (0.92, 0.98, 1.04),
    (1.0, 0.90, 0.74),
    (0.95, 1.03, 0.96),
)


def draw_regime(rng: np.random.Generator) -> LightRegime:
    """Mostly well lit, sometimes dim or one lamp."""
    regimes: tuple[LightRegime, ...] = ("bright", "day", "dim", "one-lamp")
    return regimes[int(rng.choice(4, p=(0.38, 0.30, 0.20, 0.12)))]


def add_lights(spec: mujoco.MjSpec, rng: np.random.Generator, light: LightRegime, size_m: Xyz) -> None:
    """Directional lights only: a floor of one box has no vertices inside for a spot to light."""
    regime, tint = REGIMES[light], np.asarray(_TINTS[int(rng.integers(len(_TINTS)))])
    scale = float(rng.uniform(0.85, 1.15))
    headlight = spec.visual.headlight
    headlight.ambient, headlight.diffuse, headlight.specular = (
        (regime.ambient * scale * tint).tolist(), [regime.headlight] * 3, [0.0] * 3,
    )  # fmt: skip
    heading = float(rng.uniform(0, 2 * math.pi))
    lean = float(rng.uniform(0.5, 0.95)) if light == "day" else float(rng.uniform(0.05, 0.4))
    _add_light(spec, heading, lean, regime.key * scale * tint, size_m, casts=True)
    _add_light(spec, heading + math.pi, 1.4, regime.fill * scale * tint[::-1], size_m, casts=False)
    if light != "one-lamp":
        _add_light(spec, heading + math.pi / 2, 2.2, 0.7 * regime.fill * tint, size_m, casts=False)


def _add_light(
    spec: mujoco.MjSpec, heading: float, lean: float, diffuse: np.ndarray, size_m: Xyz, *, casts: bool
) -> None:  # fmt: skip
    direction = np.array([lean * math.cos(heading), lean * math.sin(heading), -1.0])
    direction /= np.linalg.norm(direction)
    spec.worldbody.add_light(
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, pos=(-direction * SHADOW_REACH_M).tolist(),
        dir=direction.tolist(), diffuse=diffuse.tolist(), specular=[0.1] * 3, castshadow=casts,
    )  # fmt: skip
