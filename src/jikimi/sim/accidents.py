"""The accidents: how each begins. What follows is physics.

Every function prepares one accident and returns the moment by which it will have begun, on the stage's
clock. The moment itself is noted when it comes (`Cast.happens`): contact, or loss of balance.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from jikimi.sim.blocking import (
    Deck,
    at_machine,
    behind,
    decks,
    feeding_machine,
    machine_runs,
    on_deck,
    press_cycles,
    press_down,
    push_along,
    up_ladder,
)
from jikimi.sim.play import Cast
from jikimi.sim.posture import CARRY, FEED, REACH_UP, STAGGER, STAND, WORK_AT_TABLE, Pose, arms, pose
from jikimi.sim.props import MocapProp
from jikimi.sim.script import RUN_MPS, Script
from jikimi.sim.stage import Worker
from jikimi.sim.struggle import caught

Accident = Callable[[Cast, Worker, list[Worker]], float]

_BRACED = pose(both=arms(85, 35, abduct=25)).angles_J


def _going_limp(cast: Cast, *, tense: float = 0.5, limp: float = 0.05) -> Callable[[float], float]:
    """Muscle tone after a fall begins: from tense to limp within a second, and some never quite."""
    slack = limp * cast.between(0.5, 2.5)
    fade = cast.between(0.5, 1.2)
    return lambda s: max(slack, tense * (1 - s / fade))


def _shove(
    cast: Cast, victim: Worker, part: str, newton_s: float, direction: float, *, up: float = 0.0
) -> None:
    """Give a part of a body an impulse in a direction over the floor, within 0.15 s."""
    force = newton_s / 0.15 * np.array([np.cos(direction), np.sin(direction), up])
    cast.stage.push(victim, part, force, seconds=0.15)


def _aftermath(cast: Cast, victim: Worker, start_s: float) -> None:
    """Some lie still, some get up after a while; in a stream everybody does, in the end."""
    lies_s = cast.between(1.5, 4.0) if cast.opening_s is not None else cast.between(6.0, 25.0)
    if cast.opening_s is None or cast.chance(0.35):
        cast.cues.at(start_s + 1.2 + lies_s, lambda: _stand_up(cast, victim))
        cast.busy_until_s[victim.name] = start_s + lies_s + 6.5


def _stand_up(cast: Cast, victim: Worker) -> None:
    if victim.muscles is not None:
        cast.gets_up(victim, slowly=cast.between(0.9, 1.6))


def _falls(
    cast: Cast, victim: Worker, behavior: str, kind: str, do: Callable[[], None], *, tense: float = 0.5,
    target: np.ndarray | None = None,
) -> None:  # fmt: skip
    """Let a victim go, now, and do what makes it fall; who lies already does not fall again."""
    if not victim.scripted:
        return
    cast.happens(behavior, kind, victim)
    cast.stage.let_go(victim, _going_limp(cast, tense=tense), target=target)
    do()
    _aftermath(cast, victim, cast.stage.t_s)


# --- fall-down


def fall_down(cast: Cast, victim: Worker, others: list[Worker]) -> float:
    """Slips, trips or faints, from walking, running, standing, carrying or working."""
    manner = cast.rng.choice(["walk", "walk", "carry", "run", "stand"])
    kind = str(cast.rng.choice(["faint", "side"] if manner == "stand" else ["slip", "trip", "side", "faint"]))
    speed_mps = RUN_MPS if manner == "run" else cast.between(0.9, 1.5)
    site = cast.site(before_m=2.5, after_m=1.8)
    upper = CARRY if manner == "carry" else None
    script = cast.bring(victim, [site.ahead(-3), site], speed_mps=speed_mps, upper=upper)
    falls_s = script.end_s
    if manner == "stand":
        falls_s += cast.between(0.0, 0.8)
        script.take(_one_of(cast, (STAND, WORK_AT_TABLE, REACH_UP)), 0.4).hold(5)
    else:
        script.walk(site.ahead(3), speed_mps=speed_mps, upper=upper)
    if manner == "carry":
        _carried(cast, victim, falls_s)
    cast.cues.at(falls_s, lambda: _fall(cast, victim, kind))
    return falls_s


def _carried(cast: Cast, victim: Worker, until_s: float) -> None:
    crate = cast.prop(cast.furniture.crates)
    cast.hold_between_hands(victim, crate.body, until_s=until_s)


def _fall(cast: Cast, victim: Worker, kind: str) -> None:
    heading = _heading(cast, victim)
    strength = cast.between(0.8, 1.3) * victim.height_m / 1.75
    side = cast.rng.choice([-1, 1]) * np.pi / 2

    def push() -> None:
        if kind == "slip":
            for foot in ("l_foot", "r_foot"):
                _shove(cast, victim, foot, 28 * strength, heading)
            _shove(cast, victim, "chest", 52 * strength, heading + np.pi)
        elif kind == "trip":
            _shove(cast, victim, "chest", 48 * strength, heading)
            _shove(cast, victim, str(cast.rng.choice(["l_foot", "r_foot"])), 22 * strength, heading + np.pi)
        elif kind == "side":
            _shove(cast, victim, "chest", 50 * strength, heading + side)
            _shove(cast, victim, "pelvis", 15 * strength, heading + side)
        else:
            _shove(cast, victim, "chest", 14 * strength, heading + cast.between(-np.pi, np.pi))

    braced = kind == "trip" and cast.chance(0.6)
    tense = 0.08 if kind == "faint" else 0.5
    _falls(cast, victim, "fall-down", kind, push, tense=tense, target=_BRACED.copy() if braced else None)


def _heading(cast: Cast, worker: Worker) -> float:
    """Which way a worker faces, rad."""
    forward = cast.stage.data.xmat[worker.body("pelvis")].reshape(3, 3)[:, 0]
    return float(np.arctan2(forward[1], forward[0]))


# --- fall-off


def fall_off(cast: Cast, victim: Worker, others: list[Worker]) -> float:
    """Falls from a ladder, a platform or a truck bed."""
    places: list[Accident] = [_off_deck] * sum(deck.kind in cast.shown for deck in decks(cast))
    if "ladder" in cast.shown or not places:
        places.append(_off_ladder)
    return places[int(cast.rng.integers(len(places)))](cast, victim, others)


def _off_ladder(cast: Cast, victim: Worker, others: list[Worker]) -> float:
    ladder = cast.furniture.ladder
    height_m = cast.between(0.45, 0.8) * ladder.top_xyz[2]
    script = up_ladder(cast, victim, height_m)
    works_s = cast.between(0.0, 0.6)
    script.hold(works_s + 6)
    falls_s = script.end_s - 6

    def push() -> None:
        away = _heading(cast, victim) + np.pi
        sideways = cast.between(-0.7, 0.7)
        _shove(cast, victim, "chest", cast.between(35, 60), away + sideways)
        _shove(cast, victim, "pelvis", cast.between(25, 40), away + sideways)

    cast.cues.at(falls_s, lambda: _falls(cast, victim, "fall-off", "ladder", push, tense=0.35))
    return falls_s


def _one_deck(cast: Cast) -> Deck:
    found = decks(cast)
    return found[int(cast.rng.integers(len(found)))]


def _off_deck(cast: Cast, victim: Worker, others: list[Worker]) -> float:
    """Steps over the edge of a platform or a truck bed, forwards, backwards or sideways."""
    deck = _one_deck(cast)
    edge, outward = deck.edge(cast.rng), deck.outward
    backwards = cast.chance(0.4)
    inside = replace(edge, yaw=outward).ahead(-min(1.6, deck.depth_m - 0.3))
    stops = replace(edge, yaw=outward).ahead(-0.3)
    if backwards:
        script = on_deck(cast, victim, [replace(stops, yaw=outward + np.pi)])
        script.turn(outward + np.pi, 0.3).hold(0.4)
        falls_s = script.end_s
        script.slide(stops.ahead(0.9), STAND, 0.9)
        script.keys[-1] = replace(script.keys[-1], spot=replace(stops.ahead(0.9), yaw=outward + np.pi))
    else:
        script = on_deck(cast, victim, [inside, stops])
        falls_s = script.end_s
        script.walk(stops.ahead(1.5), speed_mps=cast.between(0.9, 1.4))
    falls_s += 0.3

    def push() -> None:
        strength = cast.between(30, 55)
        _shove(cast, victim, "chest", strength, outward)
        _shove(cast, victim, "pelvis", strength * 0.8, outward)

    cast.cues.at(falls_s, lambda: _falls(cast, victim, "fall-off", deck.kind, push, tense=0.4))
    return falls_s


# --- bump


def bump(cast: Cast, victim: Worker, others: list[Worker]) -> float:
    """Is struck by a forklift, a trolley or a gate, or walks into somebody."""
    kinds: list[Accident] = [_by_forklift, _by_forklift, _by_trolley, _by_gate]
    if others:
        kinds += [_by_worker, _by_trolley]
    return kinds[int(cast.rng.integers(len(kinds)))](cast, victim, others)


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
        script.take(_one_of(cast, (STAND, WORK_AT_TABLE)), 0.3).hold(8)
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


def _one_of(cast: Cast, poses: Sequence[Pose]) -> Pose:
    return poses[int(cast.rng.integers(len(poses)))]


def _bumped_by(cast: Cast, victim: Worker, body: str, kind: str, around_s: float, *, newton_s: float) -> None:
    """As soon as a moving prop touches the victim, it is thrown the way the prop moves."""
    geoms = cast.stage.geoms_of(body)
    before: dict[str, np.ndarray] = {}

    def touches(t_s: float) -> bool:
        last, now = before.get("at"), cast.stage.position(body).copy()
        before["moved"] = now - last if last is not None else np.zeros(3)
        before["at"] = now
        return t_s > around_s - 1.2 and cast.stage.touching(victim, geoms)

    def strike() -> None:
        moved = before["moved"]
        direction = float(np.arctan2(moved[1], moved[0])) if np.hypot(moved[0], moved[1]) > 1e-4 else (
            _heading(cast, victim) + np.pi
        )  # fmt: skip

        def push() -> None:
            _shove(cast, victim, "chest", newton_s * 0.55, direction)
            _shove(cast, victim, "pelvis", newton_s * 0.45, direction)

        _falls(cast, victim, "bump", kind, push, tense=0.6)

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
            _shove(cast, victim, "chest", cast.between(50, 75), facing.yaw)

        _falls(cast, victim, "bump", "worker", push, tense=0.6)
        there = cast.stage.position(other.body("pelvis"))
        back = replace(facing, x=float(there[0]), y=float(there[1])).ahead(-0.7)
        stagger = cast.go_on(other)
        stagger.slide(back, STAGGER, 0.45).take(STAND, 0.8).hold(2)
        other.script = stagger

    cast.cues.at(meets_s, collide)
    return meets_s


# --- hit


def hit(cast: Cast, victim: Worker, others: list[Worker]) -> float:
    """Is struck by something that falls, flies, swings or topples."""
    kinds = [_by_falling, _by_falling, _by_flying, _by_swinging, _by_toppling]
    return kinds[int(cast.rng.integers(len(kinds)))](cast, victim, others)


def _standing_or_walking(cast: Cast, victim: Worker) -> tuple[Script, float]:
    """A victim at work or on the way; returns its script and the moment it will be struck."""
    site = cast.site(before_m=2.2, after_m=1.2)
    walking = cast.chance(0.4)
    script = cast.bring(victim, [site.ahead(-2.5), site], speed_mps=cast.between(0.9, 1.4))
    if walking:
        struck_s = script.end_s
        script.walk(site.ahead(2.5))
    else:
        script.take(_one_of(cast, (STAND, WORK_AT_TABLE, FEED, CARRY)), 0.4)
        struck_s = script.end_s + cast.between(0.0, 0.5)
        script.hold(6)
    return script, struck_s


def _struck_by(cast: Cast, victim: Worker, body: str, kind: str, struck_s: float, *, newton_s: float,
               direction: float | None = None) -> None:  # fmt: skip
    """As soon as a prop touches the victim it loses its balance."""
    geoms = cast.stage.geoms_of(body)
    cast.cues.when(
        lambda t_s: t_s > struck_s - 1.0 and cast.stage.touching(victim, geoms),
        lambda: _falls(
            cast, victim, "hit", kind,
            lambda: _shove(cast, victim, "chest", newton_s,
                           direction if direction is not None else cast.between(-np.pi, np.pi)),
            tense=0.35,
        ),
        until_s=struck_s + 1.5,
    )  # fmt: skip


def _head_at(script: Script, t_s: float, height_m: float) -> np.ndarray:
    spot = script.at(t_s).spot
    return np.array([spot.x, spot.y, spot.z + 0.92 * height_m])


def _by_falling(cast: Cast, victim: Worker, others: list[Worker]) -> float:
    """A box, a drum or a pipe falls on somebody from a shelf or a crane."""
    script, struck_s = _standing_or_walking(cast, victim)
    thing = cast.prop([*cast.furniture.crates, cast.furniture.drum, cast.furniture.pipe])
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
    thing = cast.prop([*cast.furniture.crates, cast.furniture.pipe, cast.furniture.tool])
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


# --- jam


def jam(cast: Cast, victim: Worker, others: list[Worker]) -> float:
    """Is caught by a press, by rollers, by a conveyor, or between a vehicle and something solid."""
    machines: dict[str, Accident] = {"press": _in_press, "machine": _in_rollers}
    shown = [play for name, play in machines.items() if name in cast.shown]
    kinds = [_between_vehicles, *shown, *shown]
    return kinds[int(cast.rng.integers(len(kinds)))](cast, victim, others)


def _in_press(cast: Cast, victim: Worker, others: list[Worker]) -> float:
    press = cast.furniture.press
    script = at_machine(cast, victim, press)
    script.take(FEED, 0.6)
    caught_s = script.end_s + cast.between(0.2, 0.7)
    script.hold(20)
    press_cycles(cast, press, until_s=caught_s - 0.9)
    press_down(cast, press, caught_s)
    hand = np.asarray(press.hands_xyz)
    cast.cues.at(caught_s, lambda: caught(cast, victim, "press", hand, drawn_m=np.zeros(3)))
    return caught_s


def _in_rollers(cast: Cast, victim: Worker, others: list[Worker]) -> float:
    machine = feeding_machine(cast.furniture)
    script = at_machine(cast, victim, machine)
    script.take(FEED, 0.6)
    caught_s = script.end_s + cast.between(0.2, 0.7)
    script.hold(20)
    machine_runs(cast, machine, until_s=caught_s + cast.between(1.5, 5))
    inward = np.array([np.cos(machine.stand_yaw), np.sin(machine.stand_yaw), 0]) * cast.between(0.12, 0.3)
    nip = np.asarray(machine.nip_xyz)
    cast.cues.at(caught_s, lambda: caught(cast, victim, machine.name, nip, drawn_m=inward))
    return caught_s


def _between_vehicles(cast: Cast, victim: Worker, others: list[Worker]) -> float:
    """A forklift pins somebody against a cage trolley that gives no way."""
    forklift, trolley = cast.furniture.forklift, cast.furniture.trolley
    site = cast.site(before_m=2.0, after_m=1.0)
    heading = cast.between(-np.pi, np.pi)
    across = replace(site, yaw=heading + np.pi / 2)
    script = cast.bring(victim, [across.ahead(-2.5), across], speed_mps=1.1)
    script.turn(heading + (np.pi if cast.chance(0.6) else 0.0), 0.4).take(WORK_AT_TABLE, 0.4)
    pinned_s = script.end_s + cast.between(0.1, 0.5)
    script.hold(20)
    along = replace(site, yaw=heading)
    wall = along.ahead(0.24 + trolley.half_m[0])
    cast.stage.put(trolley.body, (wall.x, wall.y, 0), yaw=heading)
    cast.cues.keep(trolley.body, lambda _t: None, until_s=pinned_s)
    backwards = cast.chance(0.5)
    faces = heading + (np.pi if backwards else 0.0)
    speed_mps = cast.between(0.9, 1.6)
    stop_m = forklift.half_m[0] + 0.17
    from_m = stop_m + speed_mps * 2.2
    path = [replace(along.ahead(-d), yaw=faces) for d in (from_m, stop_m)]
    cast.move(forklift.body, path, start_s=pinned_s - 2.2, speed_mps=speed_mps)
    cast.cues.at(pinned_s - 0.5, cast.wake)
    cast.cues.at(pinned_s, lambda: caught(cast, victim, "vehicle", None, drawn_m=np.zeros(3), facing=heading))
    return pinned_s


ACCIDENTS: dict[str, Accident] = {
    "bump": bump, "fall-down": fall_down, "fall-off": fall_off, "hit": hit, "jam": jam,
}  # fmt: skip
