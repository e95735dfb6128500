"""Normal work. Every function lets one worker do one thing and returns when it is done, on stage time."""

from collections.abc import Sequence
from dataclasses import replace

from jikimi.sim.blocking import (
    at_machine,
    behind,
    come,
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
from jikimi.sim.play import Activity, Cast
from jikimi.sim.posture import ATTENTIVE, BEND, CARRY, FEED, REACH_OUT, SQUAT, STAND, WORK_AT_TABLE, Pose
from jikimi.sim.stage import Worker


def posture(pose: Pose, *, down_s: tuple[float, float], stays_s: tuple[float, float]) -> Activity:
    """Come, take a posture, stay in it for a while, get up again."""

    def play(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
        script = come(cast, worker)
        script.take(pose.loosened(cast.rng), cast.between(*down_s)).hold(cast.between(*stays_s))
        return script.take(STAND, cast.between(0.6, 1.4)).hold(0.5).end_s

    return play


def low_posture(pose: Pose, *, by: Pose, down_s: float, stays_s: tuple[float, float]) -> Activity:
    """Go down by way of another posture, stay, and come up the same way."""

    def play(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
        script, slow = come(cast, worker), cast.between(0.7, 1.6)
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
    script = come(cast, worker)
    for _ in range(int(cast.rng.integers(2, 5))):
        script.turn(script.spot.yaw + cast.between(-1.5, 1.5), cast.between(0.4, 0.9))
        talking = replace(WORK_AT_TABLE, busy_arms=False).loosened(cast.rng, degrees=14)
        script.take(talking if cast.chance(0.5) else ATTENTIVE, 0.5).hold(cast.between(0.3, 2.5))
    return script.take(STAND, 0.4).end_s


def carries(cast: Cast, worker: Worker, others: Sequence[Worker]) -> float:
    """Carries a box, bends and puts it down, or lifts it up."""
    crate = cast.one_of(cast.furniture.crates)
    script = come(cast, worker, upper=CARRY)
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
    deck = cast.one_of(decks(cast))
    inner = [
        replace(deck.edge(cast.rng).ahead(-cast.between(0.3, max(0.4, deck.depth_m - 0.4)))) for _ in range(3)
    ]
    script = on_deck(cast, worker, inner, speed_mps=cast.between(0.7, 1.1))
    script.take(cast.one_of((WORK_AT_TABLE, SQUAT, BEND, ATTENTIVE)), 0.8).hold(cast.between(0.5, 3))
    script.take(STAND, 0.8)
    return off_deck(script, deck, cast.rng).end_s
