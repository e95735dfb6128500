"""Bumps: a vehicle, a gate or a colleague runs into somebody."""

from dataclasses import replace

import numpy as np

from jikimi.sim.balance import heading_of, loses_balance, shove
from jikimi.sim.blocking import behind, push_along
from jikimi.sim.play import Accident, Cast
from jikimi.sim.posture import STAGGER, STAND, WORK_AT_TABLE
from jikimi.sim.props import MocapProp
from jikimi.sim.script import RUN_MPS
from jikimi.sim.stage import Floats, Worker


def bump(cast: Cast, victim: Worker, others: list[Worker]) -> float:
    """Is struck by a forklift, a trolley or a gate, or walks into somebody."""
    kinds: list[Accident] = [_by_forklift, _by_forklift, _by_trolley, _by_gate]
    if others:
        kinds += [_by_worker, _by_trolley]
    return cast.one_of(kinds)(cast, victim, others)


def _by_forklift(cast: Cast, victim: Worker, others: list[Worker]) -> float:
    forklift = cast.furniture.forklift
    hits_s = _driven_into(
        cast, victim, forklift, speed_mps=cast.between(1.8, 3.2), backwards=cast.chance(0.3)
    )
    _bumped_by(cast, victim, forklift.body, "forklift", hits_s, newton_s=cast.between(90, 150))
    return hits_s


def _by_trolley(cast: Cast, victim: Worker, others: list[Worker]) -> float:
    trolley, pusher = cast.furniture.trolley, others[0] if others else None
    hits_s = _driven_into(cast, victim, trolley, speed_mps=cast.between(1.3, 2.0), pusher=pusher)
    _bumped_by(cast, victim, trolley.body, "trolley", hits_s, newton_s=cast.between(60, 100))
    return hits_s


def _driven_into(
    cast: Cast, victim: Worker, prop: MocapProp, *, speed_mps: float, backwards: bool = False,
    pusher: Worker | None = None,
) -> float:  # fmt: skip
    """Let a victim walk or stand where a vehicle will be; returns when they meet."""
    site, reach_m = cast.site(before_m=2.0, after_m=0.5), prop.half_m[0]
    heading = replace(site, yaw=site.yaw + cast.between(0.5, 2.6) * float(cast.rng.choice([-1, 1])))
    from_m = reach_m + min(7.0, speed_mps * 2.5)
    faces = heading.yaw + (np.pi if backwards else 0.0)
    path = [replace(heading.ahead(d), yaw=faces) for d in (-from_m, -reach_m + 0.9)]
    drives_s = (from_m - reach_m - 0.15) / speed_mps
    script = cast.bring(victim, [site.ahead(-2.5), site], speed_mps=cast.between(0.9, 1.4))
    meets_s = script.end_s
    if cast.chance(0.35):
        script.take(cast.one_of((STAND, WORK_AT_TABLE)), 0.3).hold(8)
    else:
        script.walk(site.ahead(2.5))
    if pusher is not None and cast.opening_s is None:
        ready_s = cast.bring(pusher, [behind(prop, path[0])]).end_s + 0.6
        script.shift(max(0.0, ready_s + drives_s - meets_s))
        meets_s = max(meets_s, ready_s + drives_s)
    cast.move(prop.body, path, start_s=meets_s - drives_s, speed_mps=speed_mps)
    if pusher is not None:
        push_along(cast, pusher, prop, path, start_s=meets_s - drives_s, speed_mps=speed_mps)
    return meets_s


def _bumped_by(cast: Cast, victim: Worker, body: str, kind: str, around_s: float, *, newton_s: float) -> None:
    """As soon as a moving prop touches the victim, it is thrown the way the prop moves."""
    geoms = cast.stage.geoms_of(body)
    before: dict[str, Floats] = {}

    def touches(t_s: float) -> bool:
        last, now = before.get("at"), cast.stage.position(body).copy()
        before["moved"] = now - last if last is not None else np.zeros(3)
        before["at"] = now
        return t_s > around_s - 1.2 and cast.stage.touching(victim, geoms)

    def strike() -> None:
        moved = before["moved"]
        direction = float(np.arctan2(moved[1], moved[0])) if np.hypot(moved[0], moved[1]) > 1e-4 else (
            heading_of(cast, victim) + np.pi
        )  # fmt: skip

        def push() -> None:
            shove(cast, victim, "chest", newton_s * 0.55, direction)
            shove(cast, victim, "pelvis", newton_s * 0.45, direction)

        loses_balance(cast, victim, "bump", kind, push, tense=0.6)

    cast.cues.at(around_s - 1.2, cast.wake)
    cast.cues.when(touches, strike, until_s=around_s + 2.5)


def _by_gate(cast: Cast, victim: Worker, others: list[Worker]) -> float:
    """A gate swings into somebody who walks past."""
    gate = cast.furniture.gate
    site = cast.site(before_m=2.0, after_m=1.0)
    script = cast.bring(victim, [site.ahead(-2.5), site], speed_mps=cast.between(0.9, 1.4))
    meets_s = script.end_s
    script.walk(site.ahead(2.5))
    side = float(cast.rng.choice([-1, 1]))
    hinge = replace(site.ahead(0.45).ahead(gate.length_m * 0.75, turn=side * np.pi / 2), yaw=0)
    closed = site.yaw - side * np.pi / 2
    swings_s = cast.between(0.35, 0.6)

    def swing(t_s: float) -> None:
        share = float(np.clip((t_s - meets_s + swings_s - 0.1) / swings_s, 0, 1.35))
        yaw = closed + side * (1 - share) * -np.pi / 2
        cast.stage.put(gate.body, (hinge.x, hinge.y, 0), yaw=yaw)

    cast.cues.keep(gate.body, swing, until_s=meets_s + 3)
    _bumped_by(cast, victim, gate.body, "gate", meets_s, newton_s=cast.between(60, 95))
    return meets_s


def _by_worker(cast: Cast, victim: Worker, others: list[Worker]) -> float:
    """Two people run into each other: one falls, the other staggers."""
    other = others[0]
    site = cast.site(before_m=2.2, after_m=0.5)
    speed_mps = float(cast.rng.choice([1.4, RUN_MPS]))
    script = cast.bring(victim, [site.ahead(-3), site], speed_mps=speed_mps)
    turn = np.pi + cast.between(-1.1, 1.1)
    facing = replace(site.ahead(0.3), yaw=site.yaw + turn)
    theirs = cast.bring(other, [facing.ahead(-3), facing], speed_mps=cast.between(1.2, 1.6))
    meets_s = max(script.end_s, theirs.end_s)
    script.shift(meets_s - script.end_s)
    theirs.shift(meets_s - theirs.end_s)

    def collide() -> None:
        def push() -> None:
            shove(cast, victim, "chest", cast.between(50, 75), facing.yaw)

        loses_balance(cast, victim, "bump", "worker", push, tense=0.6)
        there = cast.stage.position(other.body("pelvis"))
        back = replace(facing, x=float(there[0]), y=float(there[1])).ahead(-0.7)
        stagger = cast.go_on(other)
        stagger.slide(back, STAGGER, 0.45).take(STAND, 0.8).hold(2)
        other.script = stagger

    cast.cues.at(meets_s, collide)
    return meets_s
