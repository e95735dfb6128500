"""Postures and gait: joint angles as pure functions of what a worker does and how far along it is.

A pose says joint angles and how the pelvis is turned; where the body stands, and how high the pelvis then
is, follows from what it rests on (`stage`).
"""

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from jikimi.sim.body import JOINTS, RANGES_RAD

Angles = npt.NDArray[np.float64]

_PLACE = {name: place for place, name in enumerate(JOINTS)}

# A walking stride (two steps) as a share of body height, and a running one (Perry, Gait Analysis: 0.8).
STRIDE_WALK, STRIDE_RUN = 0.8, 1.25


@dataclass(frozen=True, slots=True)
class Pose:
    """Joint angles (J,) in rad, and pitch (forward) and roll (to the right) of the pelvis in rad.

    `busy_arms` keeps the arms where they are while walking: they carry, push or hold something.
    """

    angles_J: Angles
    pitch: float = 0.0
    roll: float = 0.0
    busy_arms: bool = False

    def mixed(self, other: "Pose", share: float) -> "Pose":
        """The pose `share` of the way to another, 0 to 1."""
        return Pose(
            self.angles_J + share * (other.angles_J - self.angles_J),
            self.pitch + share * (other.pitch - self.pitch),
            self.roll + share * (other.roll - self.roll),
            other.busy_arms if share > 0.5 else self.busy_arms,
        )

    def loosened(self, rng: np.random.Generator, *, degrees: float = 4.0) -> "Pose":
        """The same pose as another person would take it: every angle a little different."""
        angles = self.angles_J + rng.normal(0, np.radians(degrees), len(JOINTS))
        return replace(self, angles_J=np.clip(angles, RANGES_RAD[:, 0], RANGES_RAD[:, 1]))


def pose(
    *, pitch: float = 0.0, roll: float = 0.0, busy_arms: bool = False, both: dict[str, float] | None = None,
    **degrees: float,
) -> Pose:  # fmt: skip
    """A pose from joint angles in degrees; `both` names joints of the left and right side at once."""
    angles = np.zeros(len(JOINTS))
    for name, value in (both or {}).items():
        angles[_PLACE[f"l_{name}"]] = angles[_PLACE[f"r_{name}"]] = np.radians(value)
    for name, value in degrees.items():
        angles[_PLACE[name]] = np.radians(value)
    return Pose(angles, float(np.radians(pitch)), float(np.radians(roll)), busy_arms)


def legs(hip: float, knee: float, ankle: float = 0.0, *, abduct: float = 4.0) -> dict[str, float]:
    """Angles of both legs in degrees."""
    return {"hip_flex": hip, "knee": knee, "ankle": ankle, "hip_abduct": abduct}


def arms(flex: float, elbow: float, *, abduct: float = 8.0, twist: float = 0.0) -> dict[str, float]:
    """Angles of both arms in degrees."""
    return {"shoulder_flex": flex, "elbow": elbow, "shoulder_abduct": abduct, "shoulder_twist": twist}


STAND = pose(both=arms(3, 12) | legs(2, 5, 3))
ATTENTIVE = pose(both=arms(5, 20) | legs(2, 5, 3), neck_pitch=20)
CARRY = pose(both=arms(35, 70, abduct=6, twist=-15) | legs(2, 5, 3), spine_pitch=-5, busy_arms=True)
PUSH = pose(both=arms(50, 35, abduct=10) | legs(5, 10, 5), spine_pitch=22, busy_arms=True)
REACH_UP = pose(both=arms(150, 15, abduct=15) | legs(0, 3, -8), spine_pitch=-8, busy_arms=True)
REACH_OUT = pose(both=arms(72, 18, abduct=4) | legs(2, 5, 3), spine_pitch=16, busy_arms=True)
FEED = pose(both=arms(52, 38, abduct=4) | legs(2, 6, 3), spine_pitch=14, neck_pitch=22, busy_arms=True)
WORK_AT_TABLE = pose(both=arms(30, 62, abduct=8, twist=-15) | legs(2, 5, 3), spine_pitch=10, neck_pitch=25,
                     busy_arms=True)  # fmt: skip
HUG = pose(both=arms(70, 60, abduct=25, twist=-35) | legs(2, 5, 3), spine_pitch=10, busy_arms=True)
BEND = pose(both=arms(75, 10) | legs(55, 25, 8), pitch=40, spine_pitch=55, neck_pitch=-10)
SQUAT = pose(both=arms(60, 30) | legs(118, 132, 28, abduct=14), pitch=22, spine_pitch=25)
KNEEL = pose(both=arms(25, 50) | legs(0, 95, -45), spine_pitch=12, neck_pitch=15)
KNEEL_ONE = pose(l_hip_flex=88, l_knee=88, r_hip_flex=-2, r_knee=88, r_ankle=-30, spine_pitch=22,
                 both=arms(40, 45), neck_pitch=15)  # fmt: skip
SIT_FLOOR = pose(both=arms(-18, 8, abduct=16) | legs(92, 28, -10, abduct=8), pitch=-12, spine_pitch=14)
SIT_CROSSED = pose(both=arms(22, 55) | legs(95, 125, 0, abduct=38), pitch=-5, spine_pitch=18)
LIE_BACK = pose(pitch=-88, both=arms(12, 18, abduct=22) | legs(4, 8, -25, abduct=9))
LIE_FRONT = pose(pitch=88, both=arms(140, 60, abduct=30) | legs(0, 6, -40, abduct=9))
LIE_WORK = pose(pitch=-86, both=arms(80, 35, abduct=10) | legs(45, 80, 0, abduct=8))  # repairing from below
CROUCH = pose(both=arms(-20, 30) | legs(55, 75, 25), pitch=18, spine_pitch=15)  # about to jump, or landing
STAGGER = pose(both=arms(30, 40, abduct=55) | legs(12, 28, 8, abduct=12), spine_pitch=-15)
ALL_FOURS = pose(pitch=72, both=arms(88, 5) | legs(88, 92, -45), neck_pitch=-35)


def in_gait(upper: Pose, phase: float, *, run: float, vigour: float) -> Pose:
    """A step of walking or running under an upper body: `phase` in strides, `run` 0 (walk) to 1.

    `vigour` 0 to 1 fades the movement in and out. The curves are the first harmonics of hip, knee, ankle and
    shoulder in normal gait (Perry, Gait Analysis).
    """
    angles = upper.angles_J.copy()
    lean = (3 + 9 * run) * vigour
    for side, turn in (("l", 2 * np.pi * phase), ("r", 2 * np.pi * phase + np.pi)):
        swing = np.sin(turn)
        bent = max(0.0, float(np.cos(turn - 0.35)))  # the leg comes forward with a bent knee
        hip = (8 + 8 * run) + (23 + 15 * run) * swing
        knee = (6 + 12 * run) + (52 + 42 * run) * bent
        ankle = 6 * swing - 14 * max(0.0, float(-np.cos(turn + 0.6)))
        for joint, value in (("hip_flex", hip), ("knee", knee), ("ankle", ankle)):
            place = _PLACE[f"{side}_{joint}"]
            angles[place] += vigour * (np.radians(value) - angles[place])
        if not upper.busy_arms:
            angles[_PLACE[f"{side}_shoulder_flex"]] -= vigour * np.radians((20 + 18 * run) * swing)
            angles[_PLACE[f"{side}_elbow"]] += vigour * np.radians(6 + 62 * run)
    angles[_PLACE["spine_pitch"]] += np.radians(lean)
    angles[_PLACE["spine_twist"]] += np.radians(5 * vigour * np.sin(2 * np.pi * phase))
    return replace(upper, angles_J=angles)


def on_ladder(phase: float) -> Pose:
    """Climbing: `phase` in rungs; hands and feet take turns."""
    turn = 2 * np.pi * phase / 2
    up = 0.5 + 0.5 * np.sin(turn)
    return pose(
        pitch=6, busy_arms=True, spine_pitch=4,
        l_shoulder_flex=95 + 45 * up, l_elbow=70 - 45 * up,
        r_shoulder_flex=140 - 45 * up, r_elbow=25 + 45 * up,
        l_hip_flex=25 + 50 * (1 - up), l_knee=30 + 60 * (1 - up),
        r_hip_flex=25 + 50 * up, r_knee=30 + 60 * up,
        both={"shoulder_abduct": 10, "ankle": 10, "hip_abduct": 6},
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Style:
    """How one person moves: shares of the usual stride and swing, and a habit in every angle."""

    stride: float = 1.0
    swing: float = 1.0
    habit_J: Angles = field(default_factory=lambda: np.zeros(len(JOINTS)))


def draw_style(rng: np.random.Generator) -> Style:
    """Draw one person's way of moving."""
    habit = rng.normal(0, np.radians(3), len(JOINTS))
    return Style(float(rng.uniform(0.88, 1.1)), float(rng.uniform(0.75, 1.2)), habit)
