"""Normal work, and what looks like an accident but is none. Each is played like an accident, and ends well.

Every function lets one worker do one thing and returns when it is done, on the stage's clock.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from jikimi.sim.blocking import (
    Deck,
    at_machine,
    behind,
    decks,
    feeding_machine,
    machine_runs,
    off_deck,
    on_deck,
    on_rungs,
    press_cycles,
    push_along,
    up_ladder,
)
from jikimi.sim.play import Cast
from jikimi.sim.posture import (
    ALL_FOURS,
    ATTENTIVE,
    BEND,
    CARRY,
    CROUCH,
    FEED,
    HUG,
    LIE_BACK,
    LIE_FRONT,
    KNEEL,
    KNEEL_ONE,
    LIE_WORK,
    REACH_OUT,
    REACH_UP,
    SIT_CROSSED,
    SIT_FLOOR,
    SQUAT,
    STAGGER,
    STAND,
    WORK_AT_TABLE,
    Pose,
)
from jikimi.sim.script import RUN_MPS, Script, Spot
from jikimi.sim.stage import Worker

Activity = Callable[[Cast, Worker, Sequence[Worker]], float]


@dataclass(frozen=True, slots=True)
class Normal:
    """An activity: what it is called, whether it resembles an accident, which props it needs for itself."""

    name: str
    play: Activity
    hard: bool = False
    props: tuple[str, ...] = ()
    company: bool = False
    places: tuple[str, ...] = ()

    def fits(self, cast: Cast, others: Sequence[Worker]) -> bool:
        """Whether it can be played here: with company where it takes two, where the camera sees it."""
        return (not self.company or bool(others)) and (
            not self.places or any(place in cast.shown for place in self.places)
        )


def _come(cast: Cast, worker: Worker, *, upper: Pose | None = None) -> Script:
    site = cast.site(before_m=2.0, after_m=0.5)
    return cast.bring(worker, [site.ahead(-2.5), site], speed_mps=cast.between(0.9, 1.5), upper=upper)


def _posture(pose: Pose, *, down_s: tuple[float, float], stays_s: tuple[float, float]) -> Activity:
    """Come, take a posture, stay in it for a while, get up again."""

    def play(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
        script = _come(cast, worker)
        script.take(pose.loosened(cast.rng), cast.between(*down_s)).hold(cast.between(*stays_s))
        return script.take(STAND, cast.between(0.6, 1.4)).hold(0.5).end_s

    return play


def _low_posture(pose: Pose, *, by: Pose, down_s: float, stays_s: tuple[float, float]) -> Activity:
    """Go down by way of another posture, stay, and come up the same way."""

    def play(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
        script, slow = _come(cast, worker), cast.between(0.7, 1.6)
        script.take(by, down_s * slow).take(pose.loosened(cast.rng), down_s * slow).hold(
            cast.between(*stays_s)
        )
        return script.take(by, 1.0 * slow).take(STAND, 0.8 * slow).hold(0.4).end_s

    return play


def walks(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
    """Walks from one place to another, and on."""
    speed_mps = cast.between(0.8, 1.7)
    site = cast.site(before_m=3.0, after_m=2.0)
    script = cast.bring(worker, [site.ahead(-3), site], speed_mps=speed_mps)
    for _ in range(int(cast.rng.integers(1, 4))):
        script.walk(cast.somewhere(), speed_mps=speed_mps)
        if cast.chance(0.4):
            script.take(ATTENTIVE, 0.4).hold(cast.between(0.5, 3))
    return script.end_s


def stands(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
    """Stands about, looks here and there, talks with hands."""
    script = _come(cast, worker)
    for _ in range(int(cast.rng.integers(2, 5))):
        script.turn(script.spot.yaw + cast.between(-1.5, 1.5), cast.between(0.4, 0.9))
        talking = replace(WORK_AT_TABLE, busy_arms=False).loosened(cast.rng, degrees=14)
        script.take(talking if cast.chance(0.5) else ATTENTIVE, 0.5).hold(cast.between(0.3, 2.5))
    return script.take(STAND, 0.4).end_s


def runs(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
    """Hurries through the hall."""
    site = cast.site(before_m=4.0, after_m=3.0)
    speed_mps = cast.between(2.4, 3.6)
    script = cast.bring(worker, [site.ahead(-5), site], speed_mps=speed_mps)
    script.walk(cast.somewhere(), speed_mps=speed_mps)
    return script.take(ATTENTIVE, 0.4).hold(cast.between(0.3, 2)).end_s


def carries(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
    """Carries a box, bends and puts it down, or lifts it up."""
    crate = cast.prop(cast.furniture.crates)
    script = _come(cast, worker, upper=CARRY)
    cast.hold_between_hands(worker, crate.body, until_s=script.end_s + 0.9)
    x, y = script.spot.ahead(0.45).x, script.spot.ahead(0.45).y
    yaw, low_s = script.spot.yaw, script.end_s + 0.9
    cast.cues.at(low_s, lambda: cast.stage.put(crate.body, (x, y, crate.half_m[2]), yaw=yaw))
    script.take(SQUAT if cast.chance(0.6) else BEND, 0.9).take(STAND, 0.9).hold(cast.between(0.3, 1.5))
    return script.end_s


def pushes(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
    """Pushes a trolley along."""
    trolley, speed_mps = cast.furniture.trolley, cast.between(0.9, 1.4)
    site = cast.site(before_m=2.5, after_m=3.0)
    path = [site.ahead(-2.5), site.ahead(2.5)]
    path = [replace(spot, yaw=site.yaw) for spot in path]
    starts_s = cast.stage.t_s - cast.between(0.0, 1.0)
    if cast.opening_s is None:
        starts_s = cast.bring(worker, [behind(trolley, path[0])]).end_s + 0.6
    cast.move(trolley.body, path, start_s=starts_s, speed_mps=speed_mps)
    return push_along(cast, worker, trolley, path, start_s=starts_s, speed_mps=speed_mps).end_s


def feeds_press(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
    """Feeds a press that cycles, hands near and safely away, again and again."""
    press = cast.furniture.press
    script = at_machine(cast, worker, press)
    for _ in range(int(cast.rng.integers(3, 7))):
        near = FEED if cast.chance(0.5) else REACH_OUT
        script.take(near.loosened(cast.rng), cast.between(0.4, 0.8)).hold(cast.between(0.1, 0.5))
        script.take(WORK_AT_TABLE, cast.between(0.4, 0.7)).hold(cast.between(0.3, 1.2))
    press_cycles(cast, press, until_s=script.end_s)
    return script.take(STAND, 0.5).end_s


def feeds_machine(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
    """Works at turning rollers with the hands at a safe distance."""
    machine = feeding_machine(cast.furniture)
    script = at_machine(cast, worker, machine)
    for _ in range(int(cast.rng.integers(2, 6))):
        script.take(FEED.loosened(cast.rng), cast.between(0.4, 0.8)).hold(cast.between(0.3, 1.5))
        script.take(WORK_AT_TABLE, cast.between(0.4, 0.8)).hold(cast.between(0.2, 1.0))
    machine_runs(cast, machine, until_s=script.end_s)
    return script.take(STAND, 0.5).end_s


def climbs(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
    """Climbs a ladder, works up there, climbs down."""
    ladder = cast.furniture.ladder
    height_m = cast.between(0.35, 0.75) * ladder.top_xyz[2]
    script = up_ladder(cast, worker, height_m)
    script.hold(cast.between(0.5, 3)).climb(on_rungs(ladder, 0.0), speed_mps=cast.between(0.4, 0.8))
    return script.take(STAND, 0.4).hold(0.3).end_s


def walks_on_deck(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
    """Works on a platform or a truck bed, near the edge at times, and climbs down."""
    found = decks(cast)
    deck: Deck = found[int(cast.rng.integers(len(found)))]
    inner = [
        replace(deck.edge(cast.rng).ahead(-cast.between(0.3, max(0.4, deck.depth_m - 0.4)))) for _ in range(3)
    ]
    script = on_deck(cast, worker, inner, speed_mps=cast.between(0.7, 1.1))
    script.take(_any(cast, (WORK_AT_TABLE, SQUAT, BEND, ATTENTIVE)), 0.8).hold(cast.between(0.5, 3))
    script.take(STAND, 0.8)
    return off_deck(script, deck, cast.rng).end_s


def lies_and_repairs(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
    """Lies down on the back beside or under a machine and works there."""
    machine = _any(cast, (cast.furniture.press, feeding_machine(cast.furniture)))
    stand = Spot(*machine.stand_xy, machine.stand_yaw)
    script = cast.bring(worker, [stand.ahead(-2.2), stand.ahead(-0.6)])
    slow = cast.between(0.8, 1.5)
    script.take(SQUAT, 0.8 * slow).take(SIT_FLOOR, 0.9 * slow)
    script.take(LIE_WORK.loosened(cast.rng), 1.3 * slow).hold(cast.between(2, 12))
    return script.take(SIT_FLOOR, 1.2 * slow).take(KNEEL_ONE, 1.0 * slow).take(STAND, 0.9 * slow).end_s


def drops_tool(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
    """Lets a tool or a box fall, starts, and picks it up."""
    thing = cast.prop([cast.furniture.tool, *cast.furniture.crates])
    script = _come(cast, worker)
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
    script = _come(cast, worker)
    for _ in range(int(cast.rng.integers(1, 4))):
        here = script.spot
        apex = replace(here.ahead(cast.between(0.0, 0.35)), z=cast.between(0.18, 0.4))
        script.take(CROUCH, 0.3).slide(apex, STAND, 0.22)
        script.slide(replace(apex.ahead(0.2), z=0.0), CROUCH, 0.24).take(STAND, 0.35)
    return script.hold(0.4).end_s


def steps_down(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
    """Jumps down from a deck of up to 1.3 m on purpose, or climbs down from a higher one."""
    found = decks(cast)
    deck: Deck = min(found, key=lambda d: d.height_m)
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
    script = _come(cast, worker)
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
    script = _come(cast, worker)
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
    crate = cast.prop(cast.furniture.crates)
    script = _come(cast, worker)
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
    script = _come(cast, worker)
    script.slide(script.spot.ahead(0.5), STAGGER, 0.35).take(CROUCH, 0.3).take(STAND, 0.5)
    return script.hold(0.3).walk(script.spot.ahead(2)).end_s


def gets_up(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
    """Lies or sits on the floor, resting, and gets up."""
    site, slow = cast.site(before_m=0.5, after_m=0.5), cast.between(0.8, 1.5)
    if cast.opening_s is None:
        script = cast.bring(worker, [site.ahead(-1.5), site])
        script.take(SQUAT, 0.8).take(SIT_FLOOR, 0.8).take(_any(cast, (LIE_BACK, LIE_FRONT)), 1.4)
    else:
        script = cast.new_script(worker, site, pose=_any(cast, (LIE_BACK, LIE_FRONT, SIT_FLOOR)))
        worker.script = script
    script.hold(cast.between(0.3, 2.0)).take(ALL_FOURS if cast.chance(0.5) else SIT_FLOOR, 1.2 * slow)
    script.take(KNEEL_ONE, 0.9 * slow).take(STAND, 0.9 * slow)
    return script.walk(script.spot.ahead(2)).end_s


def _any(cast: Cast, things: Sequence):  # type: ignore[no-untyped-def,type-arg]
    return things[int(cast.rng.integers(len(things)))]


NORMAL: tuple[Normal, ...] = (
    Normal("walks", walks),
    Normal("stands", stands),
    Normal("works at a table", _posture(WORK_AT_TABLE, down_s=(0.4, 0.7), stays_s=(2, 8))),
    Normal("reaches up", _posture(REACH_UP, down_s=(0.5, 0.9), stays_s=(0.6, 3))),
    Normal("bends", _posture(BEND, down_s=(0.6, 1.1), stays_s=(0.3, 3))),
    Normal("kneels", _low_posture(KNEEL, by=KNEEL_ONE, down_s=0.8, stays_s=(1.5, 8))),
    Normal("ties a shoe", _posture(KNEEL_ONE, down_s=(0.6, 1.0), stays_s=(1.5, 4))),
    Normal("carries", carries, props=("crates",)),
    Normal("pushes a trolley", pushes, props=("trolley",)),
    Normal("feeds a press", feeds_press, props=("press",), places=("press",)),
    Normal("feeds rollers or a belt", feeds_machine, props=("machine",), places=("machine",)),
    Normal("climbs a ladder", climbs, props=("ladder",), places=("ladder",)),
    Normal("works on a deck", walks_on_deck, props=("deck",), places=("platform", "truck")),
    Normal("squats fast", _posture(SQUAT, down_s=(0.3, 0.5), stays_s=(0.3, 3)), hard=True),
    Normal("sits down on the floor", _low_posture(SIT_FLOOR, by=SQUAT, down_s=0.55, stays_s=(1.5, 9)), hard=True),
    Normal("sits cross-legged", _low_posture(SIT_CROSSED, by=SQUAT, down_s=0.6, stays_s=(2, 9)), hard=True),
    Normal("crawls", _low_posture(ALL_FOURS, by=KNEEL_ONE, down_s=0.7, stays_s=(1, 5)), hard=True),
    Normal("lies and repairs", lies_and_repairs, hard=True, places=("press", "machine")),
    Normal("gets up", gets_up, hard=True),
    Normal("runs", runs, hard=True),
    Normal("jumps", jumps, hard=True),
    Normal("jumps down a step", steps_down, hard=True, props=("deck",), places=("platform", "truck")),
    Normal("drops a tool", drops_tool, hard=True, props=("crates",)),
    Normal("stumbles", stumbles, hard=True),
    Normal("hugs", hugs, hard=True, company=True),
    Normal("passes closely", passes, hard=True, company=True),
    Normal("forklift near miss", drives_by, hard=True, props=("forklift",)),
    Normal("load near miss", load_passes, hard=True, props=("load",)),
    Normal("box falls beside", box_falls_beside, hard=True, props=("crates",)),
)  # fmt: skip
