"""Falls: on the level (`fall_down`) and from a ladder, a platform or a truck (`fall_off`)."""

from dataclasses import replace

import numpy as np

from jikimi.sim.balance import heading_of, loses_balance, shove
from jikimi.sim.blocking import decks, on_deck, up_ladder
from jikimi.sim.play import Accident, Cast
from jikimi.sim.posture import CARRY, REACH_UP, STAND, WORK_AT_TABLE, arms, pose
from jikimi.sim.script import RUN_MPS
from jikimi.sim.stage import Worker

_BRACED = pose(both=arms(85, 35, abduct=25)).angles_J


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
        script.take(cast.one_of((STAND, WORK_AT_TABLE, REACH_UP)), 0.4).hold(5)
    else:
        script.walk(site.ahead(3), speed_mps=speed_mps, upper=upper)
    if manner == "carry":
        _carried(cast, victim, falls_s)
    cast.cues.at(falls_s, lambda: _fall(cast, victim, kind))
    return falls_s


def _carried(cast: Cast, victim: Worker, until_s: float) -> None:
    crate = cast.one_of(cast.furniture.crates)
    cast.hold_between_hands(victim, crate.body, until_s=until_s)


def _fall(cast: Cast, victim: Worker, kind: str) -> None:
    heading = heading_of(cast, victim)
    strength = cast.between(0.8, 1.3) * victim.height_m / 1.75
    side = cast.rng.choice([-1, 1]) * np.pi / 2

    def push() -> None:
        if kind == "slip":
            for foot in ("l_foot", "r_foot"):
                shove(cast, victim, foot, 28 * strength, heading)
            shove(cast, victim, "chest", 52 * strength, heading + np.pi)
        elif kind == "trip":
            shove(cast, victim, "chest", 48 * strength, heading)
            shove(cast, victim, str(cast.rng.choice(["l_foot", "r_foot"])), 22 * strength, heading + np.pi)
        elif kind == "side":
            shove(cast, victim, "chest", 50 * strength, heading + side)
            shove(cast, victim, "pelvis", 15 * strength, heading + side)
        else:
            shove(cast, victim, "chest", 14 * strength, heading + cast.between(-np.pi, np.pi))

    braced = kind == "trip" and cast.chance(0.6)
    tense = 0.08 if kind == "faint" else 0.5
    loses_balance(
        cast, victim, "fall-down", kind, push, tense=tense, target=_BRACED.copy() if braced else None
    )


def fall_off(cast: Cast, victim: Worker, others: list[Worker]) -> float:
    """Falls from a ladder, a platform or a truck bed."""
    places: list[Accident] = [_off_deck] * sum(deck.kind in cast.shown for deck in decks(cast))
    if "ladder" in cast.shown or not places:
        places.append(_off_ladder)
    return cast.one_of(places)(cast, victim, others)


def _off_ladder(cast: Cast, victim: Worker, others: list[Worker]) -> float:
    ladder = cast.furniture.ladder
    height_m = cast.between(0.45, 0.8) * ladder.top_xyz[2]
    script = up_ladder(cast, victim, height_m)
    works_s = cast.between(0.0, 0.6)
    script.hold(works_s + 6)
    falls_s = script.end_s - 6

    def push() -> None:
        away = heading_of(cast, victim) + np.pi
        sideways = cast.between(-0.7, 0.7)
        shove(cast, victim, "chest", cast.between(35, 60), away + sideways)
        shove(cast, victim, "pelvis", cast.between(25, 40), away + sideways)

    cast.cues.at(falls_s, lambda: loses_balance(cast, victim, "fall-off", "ladder", push, tense=0.35))
    return falls_s


def _off_deck(cast: Cast, victim: Worker, others: list[Worker]) -> float:
    """Steps over the edge of a platform or a truck bed, forwards, backwards or sideways."""
    deck = cast.one_of(decks(cast))
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
        shove(cast, victim, "chest", strength, outward)
        shove(cast, victim, "pelvis", strength * 0.8, outward)

    cast.cues.at(falls_s, lambda: loses_balance(cast, victim, "fall-off", deck.kind, push, tense=0.4))
    return falls_s
