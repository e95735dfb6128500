"""Materials of a scene, made from the procedural textures when first asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import mujoco
import numpy as np

from jikimi.sim import textures
from jikimi.sim.textures import Paint, Rgb

Skin: TypeAlias = Literal[
    "paint", "steel", "rust", "wood", "cardboard", "cartons", "wrap", "hazard", "cabinet", "controls",
    "tread", "concrete", "rubber", "warning", "frame", "bin", "outdoors", "sack", "mesh",
]  # fmt: skip

_TIMBER: Rgb = (0.66, 0.50, 0.33)
_YELLOW: Rgb = (0.93, 0.76, 0.10)
_BLACK: Rgb = (0.10, 0.10, 0.11)
_WHITE: Rgb = (0.97, 0.97, 0.96)

# A cube texture's faces are +x, -x, +y, -y, +z, -z; these quarter turns set the sides upright (measured by
# rendering lettered faces in MuJoCo 4.0).
_UPRIGHT_TURNS = (1, -1, 2, 0, 0, 0)

_SIDES: dict[str, Callable[[np.random.Generator], Paint]] = {
    "paint": lambda rng: textures.worn_paint(rng, _WHITE),
    "steel": textures.steel,
    "rust": textures.rust,
    "wood": lambda rng: textures.planks(rng, _TIMBER),
    "cardboard": lambda rng: textures.cardboard(rng, (0.72, 0.55, 0.37)),
    "cartons": textures.cartons,
    "wrap": lambda rng: textures.planks(rng, (0.80, 0.84, 0.86), boards=8),
    "hazard": lambda _rng: textures.stripes(_YELLOW, _BLACK),
    "cabinet": lambda rng: textures.cabinet(rng, _WHITE),
    "controls": lambda rng: textures.controls(rng, (0.75, 0.76, 0.78)),
    "tread": textures.checker_plate,
    "concrete": lambda rng: textures.concrete(rng, (0.66, 0.65, 0.62)),
    "rubber": lambda rng: textures.concrete(rng, (0.13, 0.13, 0.14), textures.FACE_PX),
    "warning": lambda _rng: textures.stripes((0.95, 0.95, 0.95), (0.80, 0.12, 0.10)),
    "frame": lambda rng: textures.panelled(rng, _WHITE, panels=4, size_px=textures.FACE_PX),
    "bin": lambda rng: textures.corrugated(rng, _WHITE, ribs=8, size_px=textures.FACE_PX),
    "outdoors": textures.outdoors,
    "sack": lambda rng: textures.planks(rng, (0.83, 0.80, 0.72), boards=4),
    "mesh": lambda rng: textures.window(rng, (0.55, 0.56, 0.58), panes=8, size_px=textures.FACE_PX),
}


@dataclass(frozen=True, slots=True)
class Look:
    """A material and, where given, the colour it is multiplied with."""

    material: str
    rgb: Rgb | None = None
    alpha: float = 1.0

    @property
    def rgba(self) -> tuple[float, float, float, float] | None:
        """Colour for a geom, or None to keep the material's own."""
        if self.rgb is None and self.alpha == 1.0:
            return None
        red, green, blue = self.rgb or (1.0, 1.0, 1.0)
        return (red, green, blue, self.alpha)


class Surfaces:
    """The materials of one spec. Two instances over the same spec share what is already there."""

    def __init__(self, spec: mujoco.MjSpec, rng: np.random.Generator) -> None:
        self._spec = spec
        self._rng = rng

    def look(self, skin: Skin, rgb: Rgb | None = None) -> Look:
        """A skin for boxes and cylinders, the same picture on every side (the top too)."""
        name = f"skin-{skin}"
        if self._spec.material(name) is None:
            self._add_cube(name, _SIDES[skin](self._rng))
        return Look(name, rgb)

    def picture(
        self, name: str, paint: Paint, *, repeat: tuple[float, float] = (1, 1), glow: float = 0.0
    ) -> Look:
        """A flat picture for the +z side of a box: +x to the right, +y up. Adds it once for a name."""
        if self._spec.material(name) is None:
            pixels = textures.to_pixels(paint)
            texture = self._spec.add_texture(
                name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, width=pixels.shape[1], height=pixels.shape[0],
                nchannel=3,
            )  # fmt: skip
            texture.data = pixels.tobytes()
            self._add_material(name, repeat=repeat, glow=glow)
        return Look(name)

    def sky(self, rgb: Rgb) -> None:
        """What is seen beyond all geoms, above: a ribbed roof."""
        side = textures.to_pixels(textures.corrugated(self._rng, rgb, ribs=24))
        texture = self._spec.add_texture(
            name="sky",
            type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
            width=len(side),
            height=6 * len(side),
            nchannel=3,
        )
        texture.data = np.concatenate([side] * 6).tobytes()

    def _add_cube(self, name: str, side: Paint) -> None:
        pixels = textures.to_pixels(side)
        faces = [np.rot90(pixels, turns) for turns in _UPRIGHT_TURNS]
        texture = self._spec.add_texture(
            name=name, type=mujoco.mjtTexture.mjTEXTURE_CUBE, width=len(pixels), height=6 * len(pixels),
            nchannel=3,
        )  # fmt: skip
        texture.data = np.concatenate(faces).tobytes()
        self._add_material(name)

    def _add_material(self, name: str, *, repeat: tuple[float, float] = (1, 1), glow: float = 0.0) -> None:
        material = self._spec.add_material(
            name=name, texrepeat=list(repeat), emission=glow, specular=0.1, shininess=0.1
        )
        material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
