"""The director of a stream: who does what on a camera, hour after hour, and when an accident comes."""

from dataclasses import dataclass

import numpy as np

from jikimi.sim.accidents import ACCIDENTS
from jikimi.sim.normal import NORMAL, Normal
from jikimi.sim.play import Cast, Happening
from jikimi.sim.scene import Scene
from jikimi.sim.script import Script
from jikimi.sim.stage import Floats, Worker

# Seconds between two accidents on one camera, drawn between these: many more than in life, so that hours
# of footage hold enough of them to count.
PAUSE_S = (60.0, 240.0)

# How long an accident lasts whose victim never comes to rest, in s.
UNRESTING_S = 4.0

# Physics stops this long after nothing that it moves is faster than this (m/s or rad/s).
SETTLE_S, STILL = 3.0, 0.25

# How often somebody goes out of the picture instead of starting something, and for how long.
LEAVES, AWAY_S = 0.3, (8.0, 80.0)


@dataclass(frozen=True, slots=True)
class TruthRow:
    """A row of truth.csv; `seen` is the share of the victim that the camera sees when it begins.

    A camera on which nothing happens has one row of `no-accident`, without times.
    """

    camera: str
    behavior: str
    start_s: float | None
    end_s: float | None
    kind: str
    seen: float | None


class Director:
    """Decides who does what on a camera, hour after hour."""

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        self.scene, self.rng = scene, rng
        self.cast: Cast = scene.cast(rng, opening_s=None)
        self.seen: dict[int, float] = {}
        self._free_at_s = {name: float(rng.uniform(0, 25)) for name in scene.stage.workers}
        self._props_busy: dict[str, float] = {}
        self._accident_s = float(rng.uniform(20, PAUSE_S[1]))
        self._quiet_s = 0.0

    def go_on(self, t_s: float) -> None:
        """Let time pass until a moment."""
        for worker in self.scene.stage.workers.values():
            busy = max(self._free_at_s[worker.name], self.cast.busy_until_s.get(worker.name, 0.0))
            if worker.muscles is None and worker.rising is None and t_s >= busy:
                self._next(worker, t_s)
        self.scene.stage.advance(t_s, self.cast.cues.run)
        self._note_seen()
        self._rest(t_s)

    def truth(self, duration_s: float) -> list[TruthRow]:
        """What happened within the film. Where nothing did, a row without times says so: it was watched."""
        rows = []
        for place, happening in enumerate(self.cast.happenings):
            # A jam without an end still lasts; whoever has not come to rest has rolled on long enough.
            lasts_s = duration_s if happening.behavior == "jam" else happening.start_s + UNRESTING_S
            end_s = min(happening.end_s if happening.end_s is not None else lasts_s, duration_s)
            rows.append(
                TruthRow(self.scene.name, happening.behavior, round(happening.start_s, 3), round(end_s, 3),
                         happening.kind, round(self.seen.get(place, 0.0), 2))
            )  # fmt: skip
        return rows or [TruthRow(self.scene.name, "no-accident", None, None, "", None)]

    def _next(self, worker: Worker, t_s: float) -> None:
        if t_s >= self._accident_s and self._calm():
            self._accident(worker, t_s)
        elif self.scene.exit is not None and self.rng.random() < LEAVES:
            self._leave(worker)
        else:
            self._work(worker, t_s)

    def _calm(self) -> bool:
        """Whether nobody lies about and no accident is under way."""
        workers = self.scene.stage.workers.values()
        return all(worker.muscles is None and worker.rising is None for worker in workers)

    def _accident(self, victim: Worker, t_s: float) -> None:
        behaviors = [
            b for b in ACCIDENTS if b != "fall-off" or self.cast.shown & {"ladder", "platform", "truck"}
        ]
        counts = [sum(h.behavior == b for h in self.cast.happenings) for b in behaviors]
        least = [b for b, n in zip(behaviors, counts, strict=True) if n == min(counts)]
        others = [w for w in self._idle(t_s) if w is not victim and w.script is not None]
        self._enter(victim)
        begins_s = ACCIDENTS[least[int(self.rng.integers(len(least)))]](self.cast, victim, others)
        self._accident_s = begins_s + float(self.rng.uniform(*PAUSE_S))
        for worker in (victim, *others):
            if worker.script is not None:
                self._free_at_s[worker.name] = max(begins_s + 2.5, min(worker.script.end_s, begins_s + 20))
        for prop in ("crates", "forklift", "trolley", "load", "gate"):
            self._props_busy[prop] = begins_s + 12
        self.cast.cues.at(begins_s + 30, self._tidy_up)

    def _idle(self, t_s: float) -> list[Worker]:
        """Who is on stage and has just finished, or is about to."""
        return [
            worker
            for worker in self.scene.stage.workers.values()
            if worker.muscles is None and worker.rising is None and self._free_at_s[worker.name] <= t_s + 1.5
        ]

    def _tidy_up(self) -> None:
        """Vehicles and boxes leave when nobody needs them."""
        furniture, t_s = self.scene.furniture, self.scene.stage.t_s
        if not self._calm():
            self.cast.cues.at(t_s + 5, self._tidy_up)
            return
        for prop, bodies in (
            ("crates", [crate.body for crate in furniture.crates]),
            ("load", [furniture.hook_load.body]), ("gate", [furniture.gate.body]),
            ("forklift", [furniture.forklift.body]), ("trolley", [furniture.trolley.body]),
        ):  # fmt: skip
            if self._props_busy.get(prop, 0.0) <= t_s:
                for body in bodies:
                    self.cast.away(body)

    def _enter(self, worker: Worker) -> None:
        """Let whoever is away come in where people come from, not out of thin air."""
        if worker.script is None and self.scene.exit is not None:
            worker.script = self.cast.new_script(worker, self.scene.exit)

    def _leave(self, worker: Worker) -> None:
        assert self.scene.exit is not None
        away_s = float(self.rng.uniform(*AWAY_S))
        if worker.script is None:
            self._free_at_s[worker.name] = self.scene.stage.t_s + away_s
            return
        script = self.cast.bring(worker, [self.scene.exit])
        leaves_s = script.end_s
        script.hold(away_s)
        self._free_at_s[worker.name] = script.end_s
        self.cast.cues.at(leaves_s + 0.3, lambda: self._gone(worker, script))

    def _gone(self, worker: Worker, script: Script) -> None:
        if worker.script is script and worker.muscles is None:
            worker.script = None

    def _work(self, worker: Worker, t_s: float) -> None:
        others = [w for w in self._idle(t_s) if w is not worker and w.script is not None]
        free = [
            n for n in NORMAL
            if n.fits(self.cast, others) and all(self._props_busy.get(p, 0.0) <= t_s for p in n.props)
        ]  # fmt: skip
        hard = self.rng.random() < 0.4
        choice: list[Normal] = [n for n in free if n.hard == hard] or free
        normal = choice[int(self.rng.integers(len(choice)))]
        self._enter(worker)
        ends_s = normal.play(self.cast, worker, others)
        self._free_at_s[worker.name] = ends_s
        if normal.company:
            self._free_at_s[others[0].name] = max(ends_s, others[0].script.end_s if others[0].script else 0)
        for prop in normal.props:
            self._props_busy[prop] = ends_s + 2
        if normal.props:
            self.cast.cues.at(ends_s + 6, self._tidy_up)

    def _note_seen(self) -> None:
        """Note how much of a victim the camera sees as soon as an accident begins."""
        for place, happening in enumerate(self.cast.happenings):
            if place not in self.seen:
                self.seen[place] = self._share(happening)

    def _share(self, happening: Happening) -> float:
        worker = self.scene.stage.workers[happening.victim]
        points = self.scene.stage.landmarks(worker)
        own = set(worker.bodies.values())
        return float(self.scene.projection.visible(self.scene.stage, points, ignore=own).mean())

    def _rest(self, t_s: float) -> None:
        """Stop physics when everything that it moved has come to rest."""
        stage = self.scene.stage
        if not stage.physics:
            self._quiet_s = t_s
            return
        if np.abs(self._speeds()).max(initial=0.0) > STILL or self._held():
            self._quiet_s = t_s
        elif t_s - self._quiet_s > SETTLE_S:
            stage.rest()

    def _held(self) -> bool:
        return any(
            worker.muscles is not None and worker.muscles.balance is not None
            for worker in self.scene.stage.workers.values()
        )

    def _speeds(self) -> Floats:
        """Speeds of what physics moves: of workers who are let go, and of loose props."""
        model, furniture = self.scene.model, self.scene.furniture
        qvel = self.scene.stage.data.qvel
        speeds = [np.zeros(0)]
        for worker in self.scene.stage.workers.values():
            if worker.muscles is not None:
                speeds += [qvel[worker.root_v : worker.root_v + 6], qvel[worker.angles_v]]
        for prop in (*furniture.crates, furniture.pipe, furniture.drum, furniture.tool):
            if model.body_gravcomp[model.body(prop.body).id] == 0:
                first = int(model.jnt_dofadr[model.body(prop.body).jntadr[0]])
                speeds.append(qvel[first : first + 3])
        return np.concatenate(speeds)
