"""The play: who is on stage, what happens when, and what is noted down as truth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TypeVar

import numpy as np

from jikimi.sim.furniture import Furniture
from jikimi.sim.places import Room
from jikimi.sim.posture import ALL_FOURS, KNEEL_ONE, SIT_FLOOR, STAND, Pose, Style, draw_style
from jikimi.sim.script import WALK_MPS, Script, Spot
from jikimi.sim.stage import Floats, Stage, Worker

# Somebody is at rest below this speed for this long.
REST_MPS, REST_S = 0.2, 0.3

Thing = TypeVar("Thing")


@dataclass(slots=True)
class Happening:
    """An accident as it happened on stage: from contact or loss of balance to rest; times in s."""

    behavior: str
    kind: str
    victim: str
    start_s: float
    end_s: float | None = None


@dataclass(slots=True)
class Cues:
    """What is to happen: at a moment, as soon as something holds, or all the time until a moment."""

    _at: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    _when: list[tuple[Callable[[float], bool], Callable[[], None], float]] = field(default_factory=list)
    _while: dict[str, tuple[Callable[[float], None], float]] = field(default_factory=dict)

    def at(self, t_s: float, do: Callable[[], None]) -> None:
        """Do something at a moment."""
        self._at.append((t_s, do))

    def when(self, holds: Callable[[float], bool], do: Callable[[], None], *, until_s: float = 1e9) -> None:
        """Do something once, as soon as `holds(t_s)`; after `until_s` no more."""
        self._when.append((holds, do, until_s))

    def keep(self, what: str, do: Callable[[float], None], *, until_s: float) -> None:
        """Call `do(t_s)` every tick until a moment; a later one for the same `what` takes its place."""
        self._while[what] = (do, until_s)

    def drop(self, what: str) -> None:
        """Stop what was kept."""
        self._while.pop(what, None)

    def run(self, t_s: float) -> None:
        """Let happen what is due."""
        for what, (do, until_s) in list(self._while.items()):
            do(t_s)
            if t_s >= until_s:
                self._while.pop(what, None)
        due = sorted((cue for cue in self._at if cue[0] <= t_s), key=lambda cue: cue[0])
        self._at = [cue for cue in self._at if cue[0] > t_s]
        for _, act in due:
            act()
        waiting, self._when = self._when, []
        for holds, act, until_s in waiting:
            if holds(t_s):
                act()
            elif t_s < until_s:
                self._when.append((holds, act, until_s))


@dataclass(slots=True)
class Cast:
    """Who plays where, and how plays begin.

    In a clip (`opening_s` set) the play opens in the middle: whoever is brought to a place gets there at
    `opening_s`. In a stream everybody walks from where they are.
    """

    stage: Stage
    room: Room
    furniture: Furniture
    rng: np.random.Generator
    sees: Callable[[Spot], bool]
    shown: frozenset[str]
    opening_s: float | None = None
    cues: Cues = field(default_factory=Cues)
    happenings: list[Happening] = field(default_factory=list)
    styles: dict[str, Style] = field(default_factory=dict)
    busy_until_s: dict[str, float] = field(default_factory=dict)

    # --- who stands where

    def style(self, worker: Worker) -> Style:
        """How a worker moves; drawn once."""
        return self.styles.setdefault(worker.name, draw_style(self.rng))

    def new_script(self, worker: Worker, spot: Spot, *, pose: Pose = STAND) -> Script:
        """A script that begins now."""
        return Script(spot, height_m=worker.height_m, style=self.style(worker), pose=pose, t_s=self.stage.t_s)

    def bring(
        self, worker: Worker, path: Sequence[Spot], *, speed_mps: float = WALK_MPS, upper: Pose | None = None
    ) -> Script:
        """Let a worker walk along a path; the script ends where the path does. It becomes the worker's."""
        if self.opening_s is None:
            script = self.go_on(worker)
        else:
            path, wait_s = _last_stretch(path, self.opening_s * speed_mps, speed_mps)
            script = self.new_script(worker, path[0], pose=upper or STAND)
            if wait_s > 0.05:
                script.hold(wait_s)
        for spot in path:
            script.walk(spot, speed_mps=speed_mps, upper=upper)
        worker.script = script
        return script

    def go_on(self, worker: Worker) -> Script:
        """A script that goes on from what a worker is doing this moment."""
        if worker.script is None:
            return self.new_script(worker, self.somewhere())
        now = worker.script.at(self.stage.t_s)
        script = self.new_script(worker, replace(now.spot), pose=now.pose)
        script.take(STAND, 0.5)
        return script

    def somewhere(self, *, margin_m: float = 0.8) -> Spot:
        """A place on the open floor, with any heading."""
        x, y = self.room.floor.sample(self.rng, margin_m)
        return Spot(x, y, float(self.rng.uniform(-np.pi, np.pi)))

    def inside(self, spot: Spot, *, margin_m: float = 0.5) -> bool:
        """Whether a spot is on the open floor."""
        return self.room.floor.contains(spot.x, spot.y, margin_m=margin_m)

    def site(self, *, before_m: float, after_m: float) -> Spot:
        """A place and heading in view, with room to walk before and after it and nobody in the way."""
        best, best_room = self.somewhere(), -1
        for _ in range(40):
            spot = self.somewhere(margin_m=0.7)
            if not self.sees(spot):
                continue
            room = (
                self.inside(spot.ahead(-before_m)) + self.inside(spot.ahead(after_m)) + 3 * self.clear(spot)
            )
            if room > best_room:
                best, best_room = spot, room
            if room == 5:
                break
        return best

    def clear(self, spot: Spot, *, distance_m: float = 1.3) -> bool:
        """Whether nobody else is, or soon will be, near a spot."""
        moments = self.stage.t_s + np.arange(0, 8, 0.5)
        scripts = [worker.script for worker in self.stage.workers.values() if worker.script is not None]
        return all(script.at(t).spot.distance_m(spot) > distance_m for script in scripts for t in moments)

    def chance(self, share: float) -> bool:
        """True so often."""
        return bool(self.rng.random() < share)

    def between(self, low: float, high: float) -> float:
        """A number between."""
        return float(self.rng.uniform(low, high))

    def one_of(self, things: Sequence[Thing]) -> Thing:
        """One of these."""
        return things[int(self.rng.integers(len(things)))]

    # --- props

    def hold_between_hands(self, worker: Worker, body: str, *, until_s: float, drop: float = 0.0) -> None:
        """Keep a prop between a worker's hands."""

        def follow(_t_s: float) -> None:
            left, right = (self._hand(worker, side) for side in "lr")
            middle = (left + right) / 2
            chest = self.stage.data.xmat[worker.body("pelvis")].reshape(3, 3)
            yaw = float(np.arctan2(chest[1, 0], chest[0, 0]))
            self.stage.put(body, (middle[0], middle[1], middle[2] - drop), yaw=yaw)

        self.cues.keep(body, follow, until_s=until_s)

    def _hand(self, worker: Worker, side: str) -> Floats:
        fore = worker.body(f"{side}_forearm")
        turned = self.stage.data.xmat[fore].reshape(3, 3) @ np.array([0, 0, -0.16 * worker.height_m])
        return np.asarray(self.stage.data.xpos[fore] + turned)

    def move(
        self, body: str, points: Sequence[Spot], *, start_s: float, speed_mps: float, z: float = 0.0,
        turn_s: float = 0.8,
    ) -> float:  # fmt: skip
        """Drive a prop along points at a steady speed, heading as the spots say; returns when it is there."""
        times = [start_s]
        for a, b in pairwise(points):
            times.append(times[-1] + max(a.distance_m(b) / speed_mps, turn_s if a.yaw != b.yaw else 0.02))
        yaws = np.unwrap([p.yaw for p in points])

        def drive(t_s: float) -> None:
            x = float(np.interp(t_s, times, [p.x for p in points]))
            y = float(np.interp(t_s, times, [p.y for p in points]))
            self.stage.put(body, (x, y, z), yaw=float(np.interp(t_s, times, yaws)))

        self.cues.keep(body, drive, until_s=times[-1])
        return times[-1]

    def any_quat(self) -> Floats:
        """Any way a thing may lie in the air."""
        quat = self.rng.normal(0, 1, 4)
        return np.asarray(quat / np.linalg.norm(quat))

    def wake(self) -> None:
        """Let physics run from now on."""
        self.stage.physics = True

    def away(self, body: str) -> None:
        """Take a prop off the stage."""
        self.cues.drop(body)
        self.stage.park(body)

    # --- what becomes of people

    def happens(self, behavior: str, kind: str, victim: Worker) -> Happening:
        """Note an accident that begins now; it ends when the victim comes to rest."""
        happening = Happening(behavior, kind, victim.name, self.stage.t_s)
        self.happenings.append(happening)
        quiet_since: list[float] = []

        def at_rest(t_s: float) -> bool:
            if self.stage.speed_mps(victim) > REST_MPS or t_s < happening.start_s + 0.5:
                quiet_since.clear()
            elif not quiet_since:
                quiet_since.append(t_s)
            return bool(quiet_since) and t_s - quiet_since[0] >= REST_S

        def note_end() -> None:
            if happening.end_s is None:
                happening.end_s = self.stage.t_s

        if behavior != "jam":
            self.cues.when(at_rest, note_end, until_s=self.stage.t_s + 6)
        return happening

    def gets_up(self, worker: Worker, *, slowly: float = 1.0) -> Script:
        """Let a worker who lies or sits get up, now."""
        x, y, _ = self.stage.position(worker.body("pelvis"))
        chest = self.stage.data.xmat[worker.body("chest")].reshape(3, 3)
        face_down = chest[2, 0] < 0
        head = self.stage.position(worker.body("head"))
        yaw = float(np.arctan2(head[1] - y, head[0] - x)) + (0.0 if face_down else np.pi)
        script = self.new_script(
            worker, Spot(float(x), float(y), yaw), pose=ALL_FOURS if face_down else SIT_FLOOR
        )
        script.hold(1.3 * slowly).take(KNEEL_ONE, 1.0 * slowly).take(STAND, 1.0 * slowly).hold(0.6)
        self.stage.rise(worker, script, seconds=1.3 * slowly)
        return script


def _last_stretch(path: Sequence[Spot], length_m: float, speed_mps: float) -> tuple[list[Spot], float]:
    """The end of a path of this length, and the seconds to wait where the path is shorter than that."""
    kept = [path[-1]]
    left_m = length_m
    for before in reversed(path[:-1]):
        leg_m = before.distance_m(kept[0])
        if leg_m >= left_m:
            share = left_m / leg_m if leg_m else 0.0
            start = Spot(
                kept[0].x + (before.x - kept[0].x) * share,
                kept[0].y + (before.y - kept[0].y) * share,
                before.toward(kept[0]),
                kept[0].z,
            )
            return [start, *kept], 0.0
        kept.insert(0, before)
        left_m -= leg_m
    if len(kept) > 1:
        kept[0] = replace(kept[0], yaw=kept[0].toward(kept[1]))
    return kept, left_m / speed_mps


Accident = Callable[[Cast, Worker, list[Worker]], float]
"""Prepares an accident of a victim, with others; returns when it will have begun, on the stage's clock."""

Activity = Callable[[Cast, Worker, Sequence[Worker]], float]
"""Lets a worker do something, with others; returns when it is done, on the stage's clock."""
