"""Blocking: how workers get up ladders, onto decks and to machines, and how machines and vehicles move."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from jikimi.sim.equipment import Conveyor, Press, Rollers
from jikimi.sim.furniture import Furniture
from jikimi.sim.play import Cast
from jikimi.sim.posture import PUSH, STAND, Pose, on_ladder
from jikimi.sim.props import MocapProp
from jikimi.sim.script import RUNG_M, Script, Spot
from jikimi.sim.solids import quat_product
from jikimi.sim.stage import Worker
from jikimi.sim.structures import Ladder


@dataclass(frozen=True, slots=True)
class Deck:
    """Something to stand on and fall off: its kind, its top, the way over its open edge."""

    kind: str
    x0: float
    y0: float
    x1: float
    y1: float
    height_m: float
    outward: float

    @property
    def depth_m(self) -> float:
        """How far it reaches back from the open edge."""
        return self.x1 - self.x0 if abs(np.cos(self.outward)) > 0.5 else self.y1 - self.y0

    def edge(self, rng: np.random.Generator) -> Spot:
        """A place on the open edge, heading outward."""
        margin = 0.4
        x = float(rng.uniform(self.x0 + margin, self.x1 - margin))
        y = float(rng.uniform(self.y0 + margin, self.y1 - margin))
        out_x, out_y = np.cos(self.outward), np.sin(self.outward)
        if abs(out_x) > 0.5:
            x = self.x1 if out_x > 0 else self.x0
        else:
            y = self.y1 if out_y > 0 else self.y0
        return Spot(x, y, self.outward, self.height_m)


def decks(cast: Cast) -> list[Deck]:
    """What there is to fall off in this scene."""
    found = []
    platform, truck = cast.furniture.platform, cast.furniture.truck
    if platform is not None:
        top = platform.top
        found.append(Deck("platform", top.x0, top.y0, top.x1, top.y1, platform.height_m, platform.edge_yaw))
    if truck is not None:
        bed = truck.bed
        found.append(Deck("truck", bed.x0, bed.y0, bed.x1, bed.y1, truck.bed_height_m, truck.edge_yaw))
    return [deck for deck in found if deck.kind in cast.shown] or found


def on_deck(cast: Cast, worker: Worker, path: Sequence[Spot], *, speed_mps: float = 1.1) -> Script:
    """Let a worker walk on a deck. In a stream it climbs up first, at the edge."""
    if cast.opening_s is not None:
        return cast.bring(worker, path, speed_mps=speed_mps)
    edge = replace(path[-1])
    down = replace(edge.ahead(1.1), z=0.0) if len(path) == 1 else replace(path[-1].ahead(1.3), z=0.0)
    script = cast.bring(worker, [down])
    script.turn(down.toward(path[0]), 0.4)
    script.climb(replace(edge, yaw=script.spot.yaw, x=(edge.x + down.x) / 2, y=(edge.y + down.y) / 2))
    script.slide(replace(path[0], yaw=script.spot.yaw), STAND, 0.9)
    for spot in path:
        script.walk(spot, speed_mps=speed_mps)
    return script


def off_deck(script: Script, deck: Deck, rng: np.random.Generator) -> Script:
    """Climb down from a deck, at its open edge."""
    edge = replace(deck.edge(rng), yaw=deck.outward)
    script.walk(edge.ahead(-0.3)).turn(deck.outward + np.pi, 0.6)
    below = replace(edge.ahead(0.35), yaw=script.spot.yaw)
    script.slide(below, on_ladder(0.5), 0.7)
    script.climb(replace(below, z=0.0))
    return script.take(STAND, 0.4)


def up_ladder(cast: Cast, worker: Worker, height_m: float, *, speed_mps: float = 0.45) -> Script:
    """Let a worker climb a ladder to this height; in a clip it is on it already, so as to be up in time."""
    ladder = cast.furniture.ladder
    foot = Spot(*ladder.stand_xy, ladder.stand_yaw)
    if cast.opening_s is None:
        script = cast.bring(worker, [foot])
        script.turn(ladder.stand_yaw, 0.4)
    else:
        begins_m = max(0.0, height_m - cast.opening_s * speed_mps)
        script = cast.new_script(worker, on_rungs(ladder, begins_m))
        key = script.keys[0]
        script.keys[0] = replace(
            key, gait="climb", phase=begins_m / RUNG_M, pose=on_ladder(begins_m / RUNG_M)
        )
        worker.script = script
    return script.climb(on_rungs(ladder, height_m), speed_mps=speed_mps)


def on_rungs(ladder: Ladder, height_m: float) -> Spot:
    """Where a climber is whose feet are at this height."""
    share = height_m / ladder.top_xyz[2]
    back = np.hypot(ladder.top_xyz[0] - ladder.base_xyz[0], ladder.top_xyz[1] - ladder.base_xyz[1])
    return replace(Spot(*ladder.stand_xy, ladder.stand_yaw).ahead(share * float(back)), z=height_m)


def come(cast: Cast, worker: Worker, *, upper: Pose | None = None) -> Script:
    """Let a worker walk to a place in view, carrying or not."""
    site = cast.site(before_m=2.0, after_m=0.5)
    return cast.bring(worker, [site.ahead(-2.5), site], speed_mps=cast.between(0.9, 1.5), upper=upper)


def at_machine(cast: Cast, worker: Worker, machine: Press | Rollers | Conveyor) -> Script:
    """Let a worker come to a machine and face it."""
    stand = Spot(*machine.stand_xy, machine.stand_yaw)
    start = stand.ahead(-2.2, turn=cast.between(-0.7, 0.7))
    script = cast.bring(worker, [start, stand])
    return script.turn(machine.stand_yaw, 0.3)


def press_cycles(cast: Cast, press: Press, *, until_s: float) -> None:
    """The ram goes up and down, the hands being away: a second down, a second and more up."""
    period_s, begins_s = cast.between(1.6, 3.0), cast.stage.t_s

    def cycle(t_s: float) -> None:
        share = ((t_s - begins_s) / period_s) % 1.0
        _ram(cast, press, float(np.clip(1 - abs(share - 0.3) / 0.12, 0, 1)))

    cast.cues.keep(press.ram_body, cycle, until_s=until_s)


def press_down(cast: Cast, press: Press, at_s: float) -> None:
    """The ram comes down and is there at a moment, a hand's thickness above the bed."""

    def descend(t_s: float) -> None:
        _ram(cast, press, float(np.clip((t_s - at_s + 0.35) / 0.35, 0, 0.94)))

    cast.cues.at(at_s - 0.4, lambda: cast.cues.keep(press.ram_body, descend, until_s=at_s + 0.1))


def _ram(cast: Cast, press: Press, down: float) -> None:
    z = press.ram_up_z_m + down * (press.ram_down_z_m - press.ram_up_z_m)
    cast.stage.put(press.ram_body, (*press.ram_xy, z), yaw=press.stand_yaw + np.pi)


def feeding_machine(furniture: Furniture) -> Rollers | Conveyor:
    """The machine of a scene that draws things in."""
    machine = furniture.rollers or furniture.conveyor
    assert machine is not None, "furnish gives one of the two"
    return machine


def machine_runs(cast: Cast, machine: Rollers | Conveyor, *, until_s: float) -> None:
    """Rollers run inwards; a belt takes its parcels to the head roller and begins again."""
    speed = cast.between(2.0, 5.0)
    if isinstance(machine, Conveyor):
        cast.cues.keep(f"{machine.name} belt", _belt(cast, machine, speed * 0.1), until_s=until_s)
        turning = [(machine.roller_body, machine.roller_rest_quat, -1.0)]
    else:
        turning = [(machine.top_body, machine.rest_quat, 1.0), (machine.bottom_body, machine.rest_quat, -1.0)]

    def turn(t_s: float) -> None:
        for body, rest, way in turning:
            half = way * speed * t_s / 2
            quat = quat_product(rest, (np.cos(half), 0.0, 0.0, np.sin(half)))
            cast.stage.put(body, cast.stage.position(body), quat=quat)

    cast.cues.keep(machine.name, turn, until_s=until_s)


def _belt(cast: Cast, conveyor: Conveyor, speed_mps: float) -> Callable[[float], None]:
    start, end = np.asarray(conveyor.belt_start_xyz), np.asarray(conveyor.belt_end_xyz)
    length_m = float(np.linalg.norm(end - start))
    yaw = float(np.arctan2(end[1] - start[1], end[0] - start[0]))

    def travel(t_s: float) -> None:
        for number, body in enumerate(conveyor.parcel_bodies):
            along = (speed_mps * t_s / length_m + number / len(conveyor.parcel_bodies)) % 1.0
            height = cast.stage.position(body)[2]
            x, y, _ = start + along * (end - start)
            cast.stage.put(body, (x, y, height), yaw=yaw)

    return travel


def push_along(
    cast: Cast, worker: Worker, trolley: MocapProp, path: Sequence[Spot], *, start_s: float, speed_mps: float
) -> Script:
    """Let a worker walk behind a trolley, hands on its handle, that is driven along a path from then on."""
    begin, end = (behind(trolley, spot) for spot in (path[0], path[-1]))
    if cast.opening_s is not None:
        script = Script(begin, height_m=worker.height_m, style=cast.style(worker), pose=PUSH, t_s=start_s)
    else:
        script = worker.script or cast.new_script(worker, begin, pose=PUSH)
        script.take(PUSH, 0.3).hold(max(0.01, start_s - script.end_s - 0.3))
    script.walk(end, speed_mps=speed_mps, upper=PUSH).hold(0.8).take(STAND, 0.6).hold(1.0)
    worker.script = script
    return script


def behind(prop: MocapProp, spot: Spot) -> Spot:
    """Where somebody stands who pushes a prop that is at a spot."""
    return spot.ahead(-prop.half_m[0] - 0.42)
