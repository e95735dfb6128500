"""Caught: what a worker does whom a machine or a vehicle holds. Pulls, writhes, calls, sinks down."""

from collections.abc import Callable

import numpy as np

from jikimi.sim.play import Cast
from jikimi.sim.posture import Pose, arms, legs, pose
from jikimi.sim.stage import Floats, Grip, Worker

# Where a forearm is held: at the hand, in body heights below the elbow.
_HAND = -0.15

_PULL = (
    pose(both=legs(28, 40, 12, abduct=12), spine_pitch=-22, l_shoulder_flex=85, r_shoulder_flex=85,
         l_elbow=10, r_elbow=15),
    pose(both=legs(12, 22, 8, abduct=12), spine_pitch=28, spine_twist=28, l_shoulder_flex=70, l_elbow=70,
         r_shoulder_flex=90, r_elbow=10),
    pose(both=legs(45, 62, 18, abduct=14), spine_pitch=8, spine_twist=-28, spine_roll=15, l_shoulder_flex=120,
         l_elbow=20, r_shoulder_flex=60, r_elbow=80, neck_pitch=-30),
    pose(both=legs(20, 25, 5, abduct=10) | arms(150, 30, abduct=35), spine_pitch=12, neck_pitch=-25),
)  # fmt: skip
_PINNED = (
    pose(both=legs(4, 8, 0) | arms(95, 20, abduct=40), spine_pitch=30, neck_pitch=-15),
    pose(both=legs(2, 4, 0) | arms(40, 50, abduct=30), spine_pitch=-18, neck_pitch=-35),
    pose(both=legs(4, 8, 0) | arms(60, 10, abduct=15), spine_pitch=48, spine_twist=22),
    pose(both=legs(4, 8, 0), l_shoulder_flex=150, l_shoulder_abduct=30, r_shoulder_flex=50, r_elbow=60,
         spine_twist=-30, spine_pitch=10),
)  # fmt: skip
_SLUMP = pose(both=legs(40, 62, 10, abduct=12) | arms(70, 25), spine_pitch=42, neck_pitch=35)


def caught(
    cast: Cast,
    victim: Worker,
    kind: str,
    point_m: Floats | None,
    *,
    drawn_m: Floats,
    facing: float | None = None,
) -> None:
    """The victim is caught, now: a hand at `point_m`, drawn in by `drawn_m`; None pins the whole body.

    It struggles on its feet, and may sink down after a while. In a stream it comes free in the end.
    """
    stage = cast.stage
    happening = cast.happens("jam", kind, victim)
    start_s = stage.t_s
    grips = [] if point_m is None else _grips(cast, victim, point_m, drawn_m)
    gives_way_s = cast.between(3.0, 12.0)
    sinks = cast.chance(0.4)
    muscles = stage.let_go(
        victim,
        lambda s: 0.9 if not sinks or s < gives_way_s else 0.3,
        balance=lambda s: 1.0 if not sinks or s < gives_way_s else 0.45,
        grips=grips,
    )
    poses = _PINNED if point_m is None else _PULL
    struggle = _struggle(cast, poses, until_s=gives_way_s if sinks else 1e9)
    jerk_s = cast.between(0.25, 0.5)

    def writhe(t_s: float) -> None:
        muscles.target_J = struggle(t_s - start_s)
        if point_m is not None and int((t_s - start_s) / jerk_s) % 3 == 0 and cast.chance(0.1):
            back = stage.data.xmat[victim.body("pelvis")].reshape(3, 3)[:, 0]
            stage.push(victim, "chest", -cast.between(80, 220) * back, seconds=0.12)

    cast.cues.keep(f"struggle {victim.name}", writhe, until_s=1e9)
    if cast.opening_s is None:
        frees_s = start_s + cast.between(8.0, 16.0)
        cast.busy_until_s[victim.name] = frees_s + 10
        cast.cues.at(frees_s, lambda: _comes_free(cast, victim))
        cast.cues.at(frees_s, lambda: setattr(happening, "end_s", frees_s))


def _grips(cast: Cast, victim: Worker, point_m: Floats, drawn_m: Floats) -> list[Grip]:
    """One hand is held, or both."""
    side = str(cast.rng.choice(["l", "r"]))
    sides = ("l", "r") if cast.chance(0.3) else (side,)
    takes_s = cast.between(0.8, 2.0)
    place = (0.0, 0.0, _HAND * victim.height_m)
    across = cast.stage.data.xmat[victim.body("pelvis")].reshape(3, 3)[:, 1] * 0.12

    def drawn(offset: Floats) -> Callable[[float], Floats]:
        return lambda s: point_m + offset + min(1.0, s / takes_s) * drawn_m

    return [
        Grip(f"{s}_forearm", place, drawn(across * (1 if s == "l" else -1) if len(sides) > 1 else 0 * across))
        for s in sides
    ]


def _struggle(cast: Cast, poses: tuple[Pose, ...], *, until_s: float) -> Callable[[float], Floats]:
    """Target angles over the seconds since: from one pose to another, in uneven time, shaking."""
    order = [poses[int(cast.rng.integers(len(poses)))].loosened(cast.rng, degrees=9) for _ in range(60)]
    times = np.cumsum(cast.rng.uniform(0.25, 0.75, len(order)))
    shakes = cast.rng.uniform(2.5, 5.0)

    def target(s: float) -> Floats:
        if s > until_s:
            return np.asarray(_SLUMP.angles_J + np.radians(3) * np.sin(2 * s))
        place = int(np.searchsorted(times, s % times[-1]))
        tremble = np.radians(5) * np.sin(2 * np.pi * shakes * s + np.arange(len(_SLUMP.angles_J)))
        return np.asarray(order[min(place, len(order) - 1)].angles_J + tremble)

    return target


def _comes_free(cast: Cast, victim: Worker) -> None:
    cast.cues.drop(f"struggle {victim.name}")
    if victim.muscles is not None:
        cast.gets_up(victim, slowly=1.3)
