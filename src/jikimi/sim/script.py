"""What a worker does when: keyframes of place and pose, with gait between them. Pure; knows no physics.

A script is written forwards (`walk`, `take`, `hold`, …) and read at any time with `at`.
"""

from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from jikimi.sim.body import JOINTS
from jikimi.sim.posture import STAND, STRIDE_RUN, STRIDE_WALK, Pose, Style, in_gait, on_ladder

Gait = Literal["none", "walk", "run", "climb"]

# Walking and running speeds (m/s) that look unhurried and hurried; a gait fades in over this long.
WALK_MPS, RUN_MPS, FADE_S, TURN_S = 1.25, 3.0, 0.25, 0.45
RUNG_M = 0.3


@dataclass(frozen=True, slots=True)
class Spot:
    """Where somebody is: x, y and the height of what they stand on in m, heading in rad (0: along +x)."""

    x: float
    y: float
    yaw: float = 0.0
    z: float = 0.0

    def ahead(self, distance_m: float, *, turn: float = 0.0) -> "Spot":
        """The spot so far ahead, in a direction turned by `turn` rad to the left of the heading."""
        angle = self.yaw + turn
        return replace(self, x=self.x + distance_m * np.cos(angle), y=self.y + distance_m * np.sin(angle))

    def distance_m(self, other: "Spot") -> float:
        """Distance over ground."""
        return float(np.hypot(other.x - self.x, other.y - self.y))

    def toward(self, other: "Spot") -> float:
        """Heading from here to there."""
        return float(np.arctan2(other.y - self.y, other.x - self.x))


@dataclass(frozen=True, slots=True)
class Key:
    """A moment of a script; `gait` is how the worker gets here from the key before."""

    t_s: float
    spot: Spot
    pose: Pose
    gait: Gait = "none"
    phase: float = 0.0


@dataclass(frozen=True, slots=True)
class Posed:
    """One worker at one moment."""

    spot: Spot
    pose: Pose


class Script:
    """The keyframes of one worker, written one after another."""

    def __init__(
        self, spot: Spot, *, height_m: float = 1.75, style: Style | None = None, pose: Pose = STAND,
        t_s: float = 0.0,
    ) -> None:  # fmt: skip
        self.height_m, self.style = height_m, style or Style()
        self.keys = [Key(t_s, spot, pose)]
        self._times = [t_s]

    @property
    def end_s(self) -> float:
        """When the last key is reached."""
        return self.keys[-1].t_s

    @property
    def spot(self) -> Spot:
        """Where the last key is."""
        return self.keys[-1].spot

    @property
    def pose(self) -> Pose:
        """The pose of the last key."""
        return self.keys[-1].pose

    def _add(self, seconds: float, *, gait: Gait = "none", phase: float | None = None,
             spot: Spot | None = None, pose: Pose | None = None) -> "Script":  # fmt: skip
        last = self.keys[-1]
        t_s = last.t_s + max(seconds, 1e-3)
        phase = last.phase if phase is None else phase
        self.append(Key(t_s, spot or last.spot, pose or last.pose, gait, phase))
        return self

    def hold(self, seconds: float) -> "Script":
        """Stay as one is."""
        return self._add(seconds)

    def take(self, pose: Pose, seconds: float) -> "Script":
        """Move into a pose."""
        return self._add(seconds, pose=pose)

    def turn(self, yaw: float, seconds: float = 0.6) -> "Script":
        """Turn on the spot, the short way round."""
        return self._add(seconds, spot=replace(self.spot, yaw=_near(self.spot.yaw, yaw)))

    def walk(self, to: Spot, *, speed_mps: float = WALK_MPS, upper: Pose | None = None) -> "Script":
        """Walk, or above 2.2 m/s run, in a straight line; faces the way it goes and stays so."""
        here = self.spot
        distance_m = here.distance_m(to)
        if distance_m < 0.05:
            return self
        run = speed_mps > 2.2
        stride_m = (STRIDE_RUN if run else STRIDE_WALK) * self.height_m * self.style.stride
        there = replace(to, yaw=_near(here.yaw, here.toward(to)))
        phase = self.keys[-1].phase + distance_m / stride_m
        pose = upper or (self.pose if self.pose.busy_arms else STAND)
        return self._add(
            distance_m / speed_mps, gait="run" if run else "walk", phase=phase, spot=there, pose=pose
        )

    def climb(self, to: Spot, *, speed_mps: float = 0.45) -> "Script":
        """Climb a ladder to a spot above or below."""
        height_m = abs(to.z - self.spot.z)
        phase = self.keys[-1].phase + (to.z - self.spot.z) / RUNG_M
        return self._add(max(height_m, 0.05) / speed_mps, gait="climb", phase=phase, spot=to)

    def slide(self, to: Spot, pose: Pose, seconds: float) -> "Script":
        """Be at another place in another pose: a jump, a step up, a roll."""
        return self._add(seconds, spot=replace(to, yaw=_near(self.spot.yaw, to.yaw)), pose=pose)

    def shift(self, seconds: float) -> "Script":
        """Begin later: the first key lasts longer."""
        self.keys = [self.keys[0], *(replace(key, t_s=key.t_s + seconds) for key in self.keys[1:])]
        first = self.keys[0]
        self.keys.insert(1, replace(first, t_s=first.t_s + seconds))
        self._times = [key.t_s for key in self.keys]
        return self

    def append(self, key: Key) -> None:
        """Add a key that was made elsewhere, later than the last."""
        self.keys.append(key)
        self._times.append(key.t_s)

    def at(self, t_s: float) -> Posed:
        """The worker at a moment; before the first key and after the last one it stands still."""
        place = bisect_right(self._times, t_s)
        if place == 0 or place == len(self.keys):
            key = self.keys[max(0, place - 1)]
            return Posed(key.spot, self._lively(self._settled(key), t_s))
        return self._between(self.keys[place - 1], self.keys[place], t_s, place)

    def _settled(self, key: Key) -> Pose:
        return on_ladder(key.phase) if key.gait == "climb" else key.pose

    def _between(self, a: Key, b: Key, t_s: float, place: int) -> Posed:
        share = (t_s - a.t_s) / (b.t_s - a.t_s)
        smooth = share * share * (3 - 2 * share)
        phase = a.phase + (b.phase - a.phase) * share
        if b.gait == "climb":
            return Posed(_mix(a.spot, b.spot, share, share), self._lively(on_ladder(phase), t_s))
        if b.gait == "none":
            pose = self._settled(a).mixed(b.pose, smooth)
            return Posed(_mix(a.spot, b.spot, smooth, smooth), self._lively(pose, t_s))
        turned = min(1.0, (t_s - a.t_s) / min(TURN_S, b.t_s - a.t_s))
        upper = a.pose.mixed(b.pose, min(1.0, (t_s - a.t_s) / 0.4))
        vigour = self._vigour(a, b, t_s, place) * self.style.swing
        walking = in_gait(upper, phase, run=float(b.gait == "run"), vigour=min(1.0, vigour))
        return Posed(_mix(a.spot, b.spot, share, turned), self._lively(walking, t_s))

    def _vigour(self, a: Key, b: Key, t_s: float, place: int) -> float:
        """The gait fades in where nobody walked before, and out where nobody walks on."""
        after = self.keys[place + 1].gait if place + 1 < len(self.keys) else "none"
        rising = 1.0 if a.gait in ("walk", "run") else (t_s - a.t_s) / FADE_S
        falling = 1.0 if after in ("walk", "run") else (b.t_s - t_s) / FADE_S
        return float(np.clip(min(rising, falling), 0, 1))

    def _lively(self, pose: Pose, t_s: float) -> Pose:
        """Nobody is a statue: habits, breathing and sway."""
        sway = np.radians(1.2) * np.sin(2 * np.pi * 0.4 * t_s + np.arange(len(JOINTS)) * 1.7)
        return replace(pose, angles_J=pose.angles_J + self.style.habit_J + sway)


def _near(yaw: float, wanted: float) -> float:
    """`wanted`, give or take whole turns, as near to `yaw` as can be."""
    return yaw + float((wanted - yaw + np.pi) % (2 * np.pi) - np.pi)


def _mix(a: Spot, b: Spot, share: float, turned: float) -> Spot:
    return Spot(
        a.x + (b.x - a.x) * share,
        a.y + (b.y - a.y) * share,
        a.yaw + (b.yaw - a.yaw) * turned,
        a.z + (b.z - a.z) * share,
    )
