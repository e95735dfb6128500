"""Jams: a press, rollers, a belt or a vehicle catches somebody. How they struggle is `struggle`'s."""

from dataclasses import replace

import numpy as np

from jikimi.sim.blocking import at_machine, feeding_machine, machine_runs, press_cycles, press_down
from jikimi.sim.play import Accident, Cast
from jikimi.sim.posture import FEED, WORK_AT_TABLE
from jikimi.sim.stage import Worker
from jikimi.sim.struggle import caught


def jam(cast: Cast, victim: Worker, others: list[Worker]) -> float:
    """Is caught by a press, by rollers, by a conveyor, or between a vehicle and something solid."""
    machines: dict[str, Accident] = {"press": _in_press, "machine": _in_rollers}
    shown = [play for name, play in machines.items() if name in cast.shown]
    kinds = [_between_vehicles, *shown, *shown]
    return cast.one_of(kinds)(cast, victim, others)


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
