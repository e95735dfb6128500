"""A worker's body: a jointed figure with mass, joint limits and contacts, and the clothes it wears.

Body frame: x forward, y left, z up; the root is the pelvis. Angles are radians, positive as a physician
counts: flexion brings a limb forward (a knee backward), abduction brings it away from the middle.
"""

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

# Joints of the pose vector, in its order: name, axis in the body frame, range in degrees (Kapandji, The
# Physiology of the Joints, rounded), stiffness of a tense body in N·m/rad.
_SPINE = (
    ("spine_pitch", (0, 1, 0), (-35, 90), 260),
    ("spine_roll", (1, 0, 0), (-35, 35), 260),
    ("spine_twist", (0, 0, 1), (-45, 45), 160),
    ("neck_pitch", (0, 1, 0), (-50, 55), 30),
    ("neck_twist", (0, 0, 1), (-70, 70), 30),
)
_ARM = (
    ("shoulder_flex", (0, -1, 0), (-55, 175), 60),
    ("shoulder_abduct", (1, 0, 0), (-25, 170), 60),
    ("shoulder_twist", (0, 0, 1), (-80, 80), 30),
    ("elbow", (0, -1, 0), (0, 145), 40),
)
_LEG = (
    ("hip_flex", (0, -1, 0), (-25, 125), 240),
    ("hip_abduct", (1, 0, 0), (-20, 50), 160),
    ("hip_twist", (0, 0, 1), (-40, 40), 80),
    ("knee", (0, 1, 0), (0, 145), 200),
    ("ankle", (0, -1, 0), (-45, 30), 80),
)
_ALL = (
    *_SPINE,
    *((f"l_{name}", axis, span, tone) for name, axis, span, tone in _ARM),
    *((f"r_{name}", axis, span, tone) for name, axis, span, tone in _ARM),
    *((f"l_{name}", axis, span, tone) for name, axis, span, tone in _LEG),
    *((f"r_{name}", axis, span, tone) for name, axis, span, tone in _LEG),
)
JOINTS = tuple(name for name, *_ in _ALL)
RANGES_RAD = np.radians([span for _, _, span, _ in _ALL])
STIFFNESS = np.array([tone for *_, tone in _ALL], dtype=float)

# Points of the body that the truth names, and the body and place (in body heights) where each lies.
LANDMARKS = ("head", "neck", "pelvis", "l_elbow", "l_hand", "r_elbow", "r_hand",
             "l_hip", "l_knee", "l_foot", "r_hip", "r_knee", "r_foot")  # fmt: skip

# Lengths as shares of the body's height (Drillis & Contini 1966).
THIGH, SHANK, ANKLE, FOOT = 0.245, 0.246, 0.039, 0.152
TRUNK, NECK, UPPER_ARM, FOREARM = 0.288, 0.052, 0.186, 0.16
HIP_HALF, SHOULDER_HALF, HEAD_RADIUS = 0.055, 0.118, 0.062
HIP_HEIGHT = THIGH + SHANK + ANKLE

Rgba = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Clothes:
    """Colours of a worker, RGB 0 to 1. No vest means that the overalls show; no helmet, hair."""

    overalls: tuple[float, float, float]
    trousers: tuple[float, float, float]
    vest: tuple[float, float, float] | None
    helmet: tuple[float, float, float] | None
    hair: tuple[float, float, float]
    skin: tuple[float, float, float]
    shoes: tuple[float, float, float]


_OVERALLS = ((0.15, 0.2, 0.35), (0.25, 0.28, 0.3), (0.35, 0.36, 0.3), (0.1, 0.12, 0.14), (0.55, 0.57, 0.6),
             (0.12, 0.3, 0.28), (0.45, 0.2, 0.15), (0.75, 0.76, 0.78), (0.2, 0.35, 0.6))  # fmt: skip
_VESTS = ((0.95, 0.42, 0.05), (0.75, 0.95, 0.1), (0.9, 0.85, 0.1), (0.85, 0.15, 0.12))
_HELMETS = ((0.95, 0.95, 0.93), (0.95, 0.8, 0.1), (0.15, 0.35, 0.75), (0.85, 0.15, 0.1), (0.2, 0.6, 0.3))
_HAIR = ((0.06, 0.05, 0.05), (0.12, 0.08, 0.05), (0.3, 0.2, 0.1), (0.45, 0.45, 0.45))
_SKIN = ((0.9, 0.72, 0.6), (0.82, 0.62, 0.48), (0.65, 0.45, 0.32), (0.42, 0.28, 0.2))


def draw_clothes(rng: np.random.Generator) -> Clothes:
    """Draw what a worker wears: most have a helmet, half a vest."""

    def one(colours: tuple[tuple[float, float, float], ...]) -> tuple[float, float, float]:
        base = np.asarray(colours[rng.integers(len(colours))])
        r, g, b = np.clip(base * rng.uniform(0.8, 1.2) + rng.normal(0, 0.02, 3), 0.02, 1)
        return float(r), float(g), float(b)

    overalls = one(_OVERALLS)
    return Clothes(
        overalls=overalls,
        trousers=overalls if rng.random() < 0.5 else one(_OVERALLS),
        vest=one(_VESTS) if rng.random() < 0.5 else None,
        helmet=one(_HELMETS) if rng.random() < 0.7 else None,
        hair=one(_HAIR),
        skin=one(_SKIN),
        shoes=(0.08, 0.07, 0.06),
    )


def add_worker(spec: mujoco.MjSpec, name: str, *, height_m: float, build: float) -> None:
    """Add a worker's body to a scene, its parts named `name/part`. `build` scales girth, 1 is average."""
    _Builder(spec, name, height_m, build).worker()


class _Builder:
    """Adds one body part after another."""

    def __init__(self, spec: mujoco.MjSpec, name: str, height_m: float, build: float) -> None:
        self.spec, self.name, self.h, self.w = spec, name, height_m, build

    def worker(self) -> None:
        h = self.h
        pelvis = self.spec.worldbody.add_body(name=f"{self.name}/pelvis", pos=(0, 0, HIP_HEIGHT * h))
        pelvis.add_freejoint(name=f"{self.name}/root")
        self._capsule(pelvis, "hips", (0, -0.045 * h, 0.02 * h), (0, 0.045 * h, 0.02 * h), 0.072, 11)
        chest = self._trunk(pelvis)
        for side, y in (("l", 1.0), ("r", -1.0)):
            self._arm(chest, side, y)
            self._leg(pelvis, side, y)
            # Belly and thighs overlap in a standing body: they would push each other apart and roll falls.
            self.spec.add_exclude(bodyname1=f"{self.name}/chest", bodyname2=f"{self.name}/{side}_thigh")

    def _trunk(self, pelvis: Any) -> Any:
        h = self.h
        chest = pelvis.add_body(name=f"{self.name}/chest", pos=(0, 0, 0.06 * h))
        self._joints(chest, "", _SPINE[:3])
        self._capsule(chest, "belly", (0, -0.03 * h, 0.05 * h), (0, 0.03 * h, 0.05 * h), 0.068, 12)
        self._geom(chest, "torso", mujoco.mjtGeom.mjGEOM_ELLIPSOID, (0.068 * self.w, 0.108 * self.w, 0.125),
                   pos=(0, 0, 0.135 * h), mass=20)  # fmt: skip
        self._geom(chest, "shoulders", mujoco.mjtGeom.mjGEOM_ELLIPSOID, (0.055 * self.w, 0.12, 0.05),
                   pos=(0, 0, 0.2 * h), mass=6)  # fmt: skip
        self._geom(chest, "band", mujoco.mjtGeom.mjGEOM_ELLIPSOID, (0.0715 * self.w, 0.1115 * self.w, 0.018),
                   pos=(0, 0, 0.12 * h), mass=0)  # fmt: skip
        head = chest.add_body(name=f"{self.name}/head", pos=(0, 0, (TRUNK - 0.06) * h))
        self._joints(head, "", _SPINE[3:])
        self._capsule(head, "neck", (0, 0, 0), (0, 0, NECK * h), 0.032, 1)
        top = NECK + HEAD_RADIUS
        self._geom(head, "face", mujoco.mjtGeom.mjGEOM_ELLIPSOID, (0.055, 0.047, HEAD_RADIUS),
                   pos=(0.006 * h, 0, top * h), mass=4.5)  # fmt: skip
        self._geom(head, "cap", mujoco.mjtGeom.mjGEOM_ELLIPSOID, (0.064, 0.057, 0.045),
                   pos=(-0.004 * h, 0, (top + 0.028) * h), mass=0)  # fmt: skip
        return chest

    def _arm(self, chest: Any, side: str, y: float) -> None:
        h = self.h
        upper = chest.add_body(
            name=f"{self.name}/{side}_upper_arm", pos=(0, y * SHOULDER_HALF * h, (TRUNK - 0.085) * h)
        )
        self._joints(upper, f"{side}_", _ARM[:3], y)
        self._capsule(
            upper, f"{side}_upper_arm", (0, 0, -0.02 * h), (0, 0, -(UPPER_ARM - 0.02) * h), 0.031, 2
        )
        fore = upper.add_body(name=f"{self.name}/{side}_forearm", pos=(0, 0, -UPPER_ARM * h))
        self._joints(fore, f"{side}_", _ARM[3:], y)
        self._capsule(fore, f"{side}_forearm", (0, 0, 0), (0, 0, -(FOREARM - 0.03) * h), 0.025, 1.5)
        self._geom(fore, f"{side}_hand", mujoco.mjtGeom.mjGEOM_ELLIPSOID, (0.02, 0.028, 0.042),
                   pos=(0, 0, -FOREARM * h), mass=0.5)  # fmt: skip

    def _leg(self, pelvis: Any, side: str, y: float) -> None:
        h = self.h
        thigh = pelvis.add_body(name=f"{self.name}/{side}_thigh", pos=(0, y * HIP_HALF * h, 0))
        self._joints(thigh, f"{side}_", _LEG[:3], y)
        self._capsule(thigh, f"{side}_thigh", (0, 0, 0), (0, 0, -(THIGH - 0.02) * h), 0.05, 8)
        shank = thigh.add_body(name=f"{self.name}/{side}_shank", pos=(0, 0, -THIGH * h))
        self._joints(shank, f"{side}_", _LEG[3:4], y)
        self._capsule(shank, f"{side}_shank", (0, 0, 0), (0, 0, -(SHANK - 0.01) * h), 0.036, 3.5)
        foot = shank.add_body(name=f"{self.name}/{side}_foot", pos=(0, 0, -SHANK * h))
        self._joints(foot, f"{side}_", _LEG[4:], y)
        self._geom(foot, f"{side}_shoe", mujoco.mjtGeom.mjGEOM_BOX, (FOOT / 2 - 0.002, 0.027, 0.02),
                   pos=(0.032 * h, 0, -(ANKLE - 0.02) * h), mass=1)  # fmt: skip

    def _joints(self, body: Any, prefix: str, joints: tuple[Any, ...], y: float = 1.0) -> None:
        for name, axis, span, tone in joints:
            mirror = y if axis[0] or axis[2] else 1.0
            body.add_joint(
                name=f"{self.name}/{prefix}{name}",
                type=mujoco.mjtJoint.mjJNT_HINGE,
                axis=np.multiply(axis, mirror).tolist(),
                range=span,
                limited=True,
                damping=1.5 + tone / 60,
                armature=0.02,
            )

    def _capsule(self, body: Any, part: str, start: Any, end: Any, radius: float, mass: float) -> None:
        body.add_geom(
            name=f"{self.name}/{part}",
            type=mujoco.mjtGeom.mjGEOM_CAPSULE,
            fromto=[*start, *end],
            size=(radius * self.w * self.h, 0, 0),
            **self._matter(mass),
        )

    def _geom(self, body: Any, part: str, kind: Any, size: Any, *, pos: Any, mass: float) -> None:
        body.add_geom(
            name=f"{self.name}/{part}",
            type=kind,
            size=np.multiply(size, self.h),
            pos=pos,
            **self._matter(mass),
        )

    def _matter(self, mass: float) -> dict[str, Any]:
        """Contacts and mass; what weighs nothing is worn, and touches nothing."""
        solid = int(mass > 0)
        return {
            "mass": mass * (self.h / 1.75) ** 2 * self.w,
            "contype": solid,
            "conaffinity": solid,
            "friction": (0.7, 0.02, 0.001),
        }


def colours(clothes: Clothes) -> dict[str, Rgba]:
    """Colour of each part, by the part's name."""

    def solid(rgb: tuple[float, float, float]) -> Rgba:
        return (*rgb, 1.0)

    top = solid(clothes.overalls)
    found = dict.fromkeys(("belly", "shoulders"), top)
    found["torso"] = found["shoulders"] = solid(clothes.vest or clothes.overalls)
    found["band"] = (0.85, 0.87, 0.85, 1.0) if clothes.vest else (*clothes.overalls, 0.0)
    found |= {"face": solid(clothes.skin), "neck": solid(clothes.skin)}
    found["cap"] = solid(clothes.helmet or clothes.hair)
    found["hips"] = solid(clothes.trousers)
    for side in "lr":
        found |= {f"{side}_{part}": top for part in ("upper_arm", "forearm")}
        found |= {f"{side}_{part}": solid(clothes.trousers) for part in ("thigh", "shank")}
        found |= {f"{side}_hand": solid(clothes.skin), f"{side}_shoe": solid(clothes.shoes)}
    return found
