"""Hits: something falls, flies, swings or topples onto somebody."""

from dataclasses import replace

import numpy as np

from jikimi.sim.balance import loses_balance, shove
from jikimi.sim.play import Accident, Cast
from jikimi.sim.posture import CARRY, FEED, STAND, WORK_AT_TABLE
from jikimi.sim.script import Script
from jikimi.sim.stage import Floats, Worker


def hit(cast: Cast, victim: Worker, others: list[Worker]) -> float:
    """Is struck by something that falls, flies, swings or topples."""
    kinds: list[Accident] = [_by_falling, _by_falling, _by_flying, _by_swinging, _by_toppling]
    return cast.one_of(kinds)(cast, victim, others)


def _standing_or_walking(cast: Cast, victim: Worker) -> tuple[Script, float]:
    """A victim at work or on the way; returns its script and the moment it will be struck."""
    site = cast.site(before_m=2.2, after_m=1.2)
    walking = cast.chance(0.4)
    script = cast.bring(victim, [site.ahead(-2.5), site], speed_mps=cast.between(0.9, 1.4))
    if walking:
        struck_s = script.end_s
        script.walk(site.ahead(2.5))
    else:
        script.take(cast.one_of((STAND, WORK_AT_TABLE, FEED, CARRY)), 0.4)
        struck_s = script.end_s + cast.between(0.0, 0.5)
        script.hold(6)
    return script, struck_s


def _struck_by(cast: Cast, victim: Worker, body: str, kind: str, struck_s: float, *, newton_s: float,
               direction: float | None = None) -> None:  # fmt: skip
    """As soon as a prop touches the victim it loses its balance."""
    geoms = cast.stage.geoms_of(body)
    cast.cues.when(
        lambda t_s: t_s > struck_s - 1.0 and cast.stage.touching(victim, geoms),
        lambda: loses_balance(
            cast, victim, "hit", kind,
            lambda: shove(cast, victim, "chest", newton_s,
                           direction if direction is not None else cast.between(-np.pi, np.pi)),
            tense=0.35,
        ),
        until_s=struck_s + 1.5,
    )  # fmt: skip


def _head_at(script: Script, t_s: float, height_m: float) -> Floats:
    spot = script.at(t_s).spot
    return np.array([spot.x, spot.y, spot.z + 0.92 * height_m])


def _by_falling(cast: Cast, victim: Worker, others: list[Worker]) -> float:
    """A box, a drum or a pipe falls on somebody from a shelf or a crane."""
    script, struck_s = _standing_or_walking(cast, victim)
    thing = cast.one_of([*cast.furniture.crates, cast.furniture.drum, cast.furniture.pipe])
    head = _head_at(script, struck_s, victim.height_m)
    drop_m = min(cast.between(1.5, 3.0), cast.room.size_m[2] - head[2] - 0.6)
    falls_s = float(np.sqrt(2 * drop_m / 9.81))
    along = cast.between(-np.pi, np.pi)
    drift = cast.between(0, 1.0) * np.array([np.cos(along), np.sin(along), 0])
    start = head + (0, 0, drop_m + 0.2) - drift * falls_s
    quat = cast.any_quat() if cast.chance(0.5) else None

    def drop() -> None:
        cast.wake()
        spin = cast.rng.normal(0, 1.5, 3)
        cast.stage.put(thing.body, start, quat=quat, velocity=drift, spin=spin)

    cast.cues.at(struck_s - falls_s, drop)
    _struck_by(cast, victim, thing.body, "falling", struck_s, newton_s=cast.between(15, 40))
    return struck_s


def _by_flying(cast: Cast, victim: Worker, others: list[Worker]) -> float:
    """A box, a tool or a pipe flies at somebody."""
    script, struck_s = _standing_or_walking(cast, victim)
    thing = cast.one_of([*cast.furniture.crates, cast.furniture.pipe, cast.furniture.tool])
    aim = _head_at(script, struck_s, victim.height_m) - (0, 0, cast.between(0.1, 0.5))
    along, speed_mps = cast.between(-np.pi, np.pi), cast.between(5, 9)
    flies_s = cast.between(0.4, 0.7)
    velocity = speed_mps * np.array([np.cos(along), np.sin(along), 0])
    start = aim - velocity * flies_s
    velocity = velocity + (0, 0, 9.81 * flies_s / 2)

    def throw() -> None:
        cast.wake()
        cast.stage.put(thing.body, start, yaw=along, velocity=velocity, spin=cast.rng.normal(0, 4, 3))

    cast.cues.at(struck_s - flies_s, throw)
    _struck_by(cast, victim, thing.body, "flying", struck_s, newton_s=cast.between(35, 60), direction=along)
    return struck_s


def _by_swinging(cast: Cast, victim: Worker, others: list[Worker]) -> float:
    """A load on a hook swings into somebody."""
    script, struck_s = _standing_or_walking(cast, victim)
    load = cast.furniture.hook_load
    chest = _head_at(script, struck_s, victim.height_m) - (0, 0, cast.between(0.15, 0.4))
    along, period_s = cast.between(-np.pi, np.pi), float(2 * np.pi * np.sqrt(load.load_centre_m / 9.81))
    swing_rad = cast.between(0.4, 0.7)
    top = chest + (0, 0, load.load_centre_m)

    def swing(t_s: float) -> None:
        phase = (t_s - struck_s) / period_s * 2 * np.pi
        angle = (
            swing_rad * np.sin(np.clip(phase, -np.pi / 2, None)) * np.exp(-max(0.0, t_s - struck_s) * 0.15)
        )
        half = -angle / 2  # about the level axis across the swing
        quat = (np.cos(half), -np.sin(along) * np.sin(half), np.cos(along) * np.sin(half), 0)
        cast.stage.put(load.body, top, quat=quat)

    cast.cues.keep(load.body, swing, until_s=struck_s + 8)
    cast.cues.at(struck_s - 0.8, cast.wake)
    _struck_by(cast, victim, load.body, "swinging", struck_s, newton_s=cast.between(55, 90), direction=along)
    return struck_s


def _by_toppling(cast: Cast, victim: Worker, others: list[Worker]) -> float:
    """A stack of boxes topples onto somebody."""
    script, struck_s = _standing_or_walking(cast, victim)
    spot = script.at(struck_s).spot
    along = cast.between(-np.pi, np.pi)
    stack = sorted(cast.furniture.crates, key=lambda crate: -crate.half_m[0])[:4]
    base = replace(spot, yaw=along).ahead(-(0.45 + stack[0].half_m[0] + cast.between(0.05, 0.25)))
    heights, z = [], 0.0
    for crate in stack:
        heights.append(z + crate.half_m[2])
        z += 2 * crate.half_m[2] + 0.005

    def stand() -> None:
        for crate, height in zip(stack, heights, strict=True):
            cast.stage.put(crate.body, (base.x, base.y, height), yaw=along)

    def topple() -> None:
        cast.wake()
        for rank, (crate, height) in enumerate(zip(stack, heights, strict=True)):
            speed = (0.0, 0.9, 2.0, 2.8)[rank]
            velocity = speed * np.array([np.cos(along), np.sin(along), 0.15])
            spin = (0, 1.2 * rank, 0)
            cast.stage.put(crate.body, (base.x, base.y, height), yaw=along, velocity=velocity, spin=spin)

    cast.cues.at(cast.stage.t_s, stand)
    cast.cues.at(struck_s - 0.4, topple)
    for crate in stack[2:]:
        _struck_by(
            cast, victim, crate.body, "toppling", struck_s, newton_s=cast.between(25, 45), direction=along
        )
    return struck_s
