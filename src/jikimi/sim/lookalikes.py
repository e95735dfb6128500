"""What looks like an accident but is none: each is played like one, and ends well."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from jikimi.sim.blocking import come, decks, feeding_machine, off_deck, on_deck
from jikimi.sim.equipment import Conveyor, Press, Rollers
from jikimi.sim.play import Cast
from jikimi.sim.posture import (
    ALL_FOURS,
    ATTENTIVE,
    BEND,
    CROUCH,
    HUG,
    KNEEL_ONE,
    LIE_BACK,
    LIE_FRONT,
    LIE_WORK,
    REACH_OUT,
    SIT_FLOOR,
    SQUAT,
    STAGGER,
    STAND,
    WORK_AT_TABLE,
)
from jikimi.sim.script import Spot
from jikimi.sim.stage import Worker


def runs(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
    """Hurries through the hall."""
    site = cast.site(before_m=4.0, after_m=3.0)
    speed_mps = cast.between(2.4, 3.6)
    script = cast.bring(worker, [site.ahead(-5), site], speed_mps=speed_mps)
    script.walk(cast.somewhere(), speed_mps=speed_mps)
    return script.take(ATTENTIVE, 0.4).hold(cast.between(0.3, 2)).end_s


def lies_and_repairs(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
    """Lies down on the back beside or under a machine and works there."""
    machines: tuple[Press | Rollers | Conveyor, ...] = (cast.furniture.press, feeding_machine(cast.furniture))
    machine = cast.one_of(machines)
    stand = Spot(*machine.stand_xy, machine.stand_yaw)
    script = cast.bring(worker, [stand.ahead(-2.2), stand.ahead(-0.6)])
    slow = cast.between(0.8, 1.5)
    script.take(SQUAT, 0.8 * slow).take(SIT_FLOOR, 0.9 * slow)
    script.take(LIE_WORK.loosened(cast.rng), 1.3 * slow).hold(cast.between(2, 12))
    return script.take(SIT_FLOOR, 1.2 * slow).take(KNEEL_ONE, 1.0 * slow).take(STAND, 0.9 * slow).end_s


def drops_tool(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
    """Lets a tool or a box fall, starts, and picks it up."""
    thing = cast.one_of([cast.furniture.tool, *cast.furniture.crates])
    script = come(cast, worker)
    script.take(WORK_AT_TABLE, 0.4)
    falls_s = script.end_s
    start = script.spot.ahead(0.45)

    def drop() -> None:
        cast.wake()
        cast.stage.put(thing.body, (start.x, start.y, 1.0), yaw=start.yaw, velocity=(0, 0, -0.3),
                       spin=cast.rng.normal(0, 2, 3))  # fmt: skip

    cast.cues.at(falls_s, drop)
    script.slide(script.spot.ahead(-0.25), STAGGER, 0.35).take(ATTENTIVE, 0.5).hold(cast.between(0.2, 1.2))
    return script.take(BEND, 0.8).hold(0.4).take(STAND, 0.9).end_s


def jumps(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
    """Jumps over or down a low step, or for joy, and lands on the feet."""
    script = come(cast, worker)
    for _ in range(int(cast.rng.integers(1, 4))):
        here = script.spot
        apex = replace(here.ahead(cast.between(0.0, 0.35)), z=cast.between(0.18, 0.4))
        script.take(CROUCH, 0.3).slide(apex, STAND, 0.22)
        script.slide(replace(apex.ahead(0.2), z=0.0), CROUCH, 0.24).take(STAND, 0.35)
    return script.hold(0.4).end_s


def steps_down(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
    """Jumps down from a deck of up to 1.3 m on purpose, or climbs down from a higher one."""
    found = decks(cast)
    deck = min(found, key=lambda d: d.height_m)
    edge = deck.edge(cast.rng)
    script = on_deck(cast, worker, [edge.ahead(-1.2), edge.ahead(-0.25)])
    if deck.height_m > 1.35:
        return off_deck(script, deck, cast.rng).end_s
    script.take(CROUCH, 0.35).slide(replace(edge.ahead(0.35), z=deck.height_m + 0.05), STAND, 0.22)
    script.slide(replace(edge.ahead(0.75), z=0.0), CROUCH, float(np.sqrt(2 * deck.height_m / 9.81)))
    return script.take(STAND, 0.5).walk(edge.ahead(2.0)).end_s


def hugs(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
    """Two people meet, hug or shake hands, and part."""
    other = others[0]
    site = cast.site(before_m=2.2, after_m=2.2)
    facing = replace(site.ahead(0.45), yaw=site.yaw + np.pi)
    script = cast.bring(worker, [site.ahead(-2.5), site])
    theirs = cast.bring(other, [facing.ahead(-2.5), facing])
    meets_s = max(script.end_s, theirs.end_s)
    stays_s = cast.between(1.0, 3.0)
    greeting = HUG if cast.chance(0.6) else REACH_OUT
    for part in (script, theirs):
        part.shift(meets_s - part.end_s)
        part.take(greeting, 0.5).hold(stays_s).take(STAND, 0.5).walk(part.spot.ahead(-2.0))
    return script.end_s


def passes(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
    """Two people pass each other closely."""
    site = cast.site(before_m=3.0, after_m=3.0)
    script = cast.bring(worker, [site.ahead(-3), site])
    side = site.ahead(cast.between(0.5, 0.8), turn=np.pi / 2)
    facing = replace(side, yaw=site.yaw + np.pi)
    theirs = cast.bring(others[0], [facing.ahead(-3), facing])
    meets_s = max(script.end_s, theirs.end_s)
    for part, ahead in ((script, site), (theirs, facing)):
        part.shift(meets_s - part.end_s)
        part.walk(ahead.ahead(3))
    return max(script.end_s, theirs.end_s)


def drives_by(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
    """A forklift drives by, or brakes just in time; the worker waits, or steps back."""
    forklift = cast.furniture.forklift
    script = come(cast, worker)
    spot, near_s = script.spot, script.end_s
    speed_mps, brakes = cast.between(1.2, 2.8), cast.chance(0.4)
    turn = cast.between(0.6, 2.5) * float(cast.rng.choice([-1, 1]))
    gap_m = forklift.half_m[1] + cast.between(0.45, 1.2)
    if brakes:
        lane = replace(spot, yaw=spot.yaw + turn)
        stop_m = forklift.half_m[0] + cast.between(0.5, 1.1)
        path = [replace(lane.ahead(-d), yaw=lane.yaw) for d in (stop_m + 6, stop_m)]
    else:
        beside = replace(spot.ahead(gap_m, turn=turn + np.pi / 2), yaw=spot.yaw + turn)
        path = [replace(beside.ahead(d), yaw=beside.yaw) for d in (-7.0, 7.0)]
    ends_s = cast.move(forklift.body, path, start_s=near_s - 6.0 / speed_mps, speed_mps=speed_mps)
    if brakes and cast.chance(0.6):
        script.slide(spot.ahead(-0.6), STAGGER, 0.4).take(ATTENTIVE, 0.5).hold(cast.between(0.5, 2))
    else:
        script.take(ATTENTIVE, 0.3).turn(spot.yaw + turn + np.pi, 0.5).hold(cast.between(0.5, 2))
    return max(script.take(STAND, 0.4).end_s, min(ends_s, script.end_s + 2))


def load_passes(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
    """A load on a hook swings or travels past somebody, near and harmless."""
    load = cast.furniture.hook_load
    script = come(cast, worker)
    spot, near_s = script.spot, script.end_s
    along = cast.between(-np.pi, np.pi)
    beside = spot.ahead(max(load.half_m) + cast.between(0.55, 1.1), turn=along - spot.yaw + np.pi / 2)
    height_m = load.load_centre_m + cast.between(0.5, 1.6)
    speed_mps, sways = cast.between(0.3, 0.9), cast.between(0.02, 0.14)

    def travel(t_s: float) -> None:
        moved = (t_s - near_s) * speed_mps
        angle = sways * np.sin(1.7 * t_s) / 2
        quat = (np.cos(angle), -np.sin(along) * np.sin(angle), np.cos(along) * np.sin(angle), 0)
        at = (beside.x + moved * np.cos(along), beside.y + moved * np.sin(along), height_m)
        cast.stage.put(load.body, at, quat=quat)

    script.take(ATTENTIVE, 0.4).hold(cast.between(1.5, 4))
    cast.cues.keep(load.body, travel, until_s=script.end_s + 4)
    return script.take(STAND, 0.4).end_s


def box_falls_beside(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
    """A box falls a good step away from somebody, who starts back."""
    crate = cast.one_of(cast.furniture.crates)
    script = come(cast, worker)
    spot, lands_s = script.spot, script.end_s + cast.between(0.1, 0.5)
    away = cast.between(-np.pi, np.pi)
    there = spot.ahead(cast.between(1.1, 2.0), turn=away)
    height_m = cast.between(1.2, 2.6)

    def drop() -> None:
        cast.wake()
        cast.stage.put(crate.body, (there.x, there.y, height_m), yaw=away, spin=cast.rng.normal(0, 1, 3))

    cast.cues.at(lands_s - float(np.sqrt(2 * height_m / 9.81)), drop)
    script.hold(max(0.01, lands_s - script.end_s))
    script.slide(spot.ahead(-0.45, turn=away), STAGGER, 0.4).take(ATTENTIVE, 0.5).hold(cast.between(0.5, 2.5))
    return script.take(STAND, 0.4).end_s


def stumbles(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
    """Stumbles, catches the balance and walks on."""
    script = come(cast, worker)
    script.slide(script.spot.ahead(0.5), STAGGER, 0.35).take(CROUCH, 0.3).take(STAND, 0.5)
    return script.hold(0.3).walk(script.spot.ahead(2)).end_s


def gets_up(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
    """Lies or sits on the floor, resting, and gets up."""
    site, slow = cast.site(before_m=0.5, after_m=0.5), cast.between(0.8, 1.5)
    if cast.opening_s is None:
        script = cast.bring(worker, [site.ahead(-1.5), site])
        script.take(SQUAT, 0.8).take(SIT_FLOOR, 0.8).take(cast.one_of((LIE_BACK, LIE_FRONT)), 1.4)
    else:
        script = cast.new_script(worker, site, pose=cast.one_of((LIE_BACK, LIE_FRONT, SIT_FLOOR)))
        worker.script = script
    script.hold(cast.between(0.3, 2.0)).take(ALL_FOURS if cast.chance(0.5) else SIT_FLOOR, 1.2 * slow)
    script.take(KNEEL_ONE, 0.9 * slow).take(STAND, 0.9 * slow)
    return script.walk(script.spot.ahead(2)).end_s
