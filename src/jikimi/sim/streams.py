"""Untrimmed camera feeds: what `jikimi simulate --streams` makes. Normal work for hours, accidents between.

OUT/<camera>.mp4     a feed of the minutes asked for
OUT/truth.csv        camera, behavior, start_s, end_s and what it was: what `jikimi evaluate --truth` reads
OUT/cameras.csv      scene, light, view and picture of each camera
"""

import csv
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from jikimi.sim.accidents import ACCIDENTS
from jikimi.sim.clips import check_folder, write_text
from jikimi.sim.normal import NORMAL, Normal
from jikimi.sim.picture import Picture, PictureState
from jikimi.sim.play import Cast, Happening
from jikimi.sim.pool import run_jobs
from jikimi.sim.render import Eye, Moment, remember
from jikimi.sim.scene import Scene, build_scene
from jikimi.sim.script import Script
from jikimi.sim.stage import Worker
from jikimi.video import VideoWriter

# Seconds between two accidents on one camera, drawn between these: many more than in life, so that hours
# of footage hold enough of them to count.
PAUSE_S = (60.0, 240.0)

# Physics stops this long after everybody is at rest.
SETTLE_S = 3.0

# How often somebody goes out of the picture instead of starting something, and for how long.
LEAVES, AWAY_S = 0.3, (8.0, 80.0)

# Pictures a second of a feed: an analysed sub-stream's, and what the model looks at.
FPS = 8

# Scenes of streams are none of the clips': seeds of clips stay below this.
FIRST_SCENE = 500_000

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class TruthRow:
    """A row of truth.csv; `seen` is the share of the victim that the camera sees when it begins."""

    camera: str
    behavior: str
    start_s: float
    end_s: float
    kind: str
    seen: float


@dataclass(frozen=True, slots=True)
class CameraRow:
    """A row of cameras.csv."""

    camera: str
    room: str
    light: str
    picture: str
    view: str
    fps: int
    minutes: float
    seed: int


@dataclass(frozen=True, slots=True)
class StreamSummary:
    """What a simulation of streams made."""

    out: Path
    streams: int
    minutes: float
    events: int

    def lines(self) -> list[str]:
        """Lines for a person."""
        return [
            f"{self.streams} cameras of {self.minutes:g} minutes, {self.events} accidents",
            f"now: jikimi evaluate MODEL {self.out} --truth {self.out / 'truth.csv'} --out report",
        ]


def simulate_streams(
    out: Path, *, streams: int, minutes: float, seed: int, workers: int, progress: Progress | None = None
) -> StreamSummary:
    """Make camera feeds in `out`. The same seed makes the same feeds; what is there is kept.

    Raises:
        SimError: there is nothing to render with, or the folder holds another simulation.
    """
    check_folder(out, {"kind": "streams", "seed": seed, "minutes": minutes})
    first = seed * 1_000_000 + FIRST_SCENE
    jobs = [(out, first + number, minutes) for number in range(streams)]
    truth: list[TruthRow] = []
    cameras: list[CameraRow] = []
    for done, (camera, happenings) in enumerate(run_jobs(make_stream, jobs, workers=workers), start=1):
        cameras.append(camera)
        truth += happenings
        if progress:
            progress(done, streams)
    _write(out / "cameras.csv", CameraRow, cameras)
    _write(out / "truth.csv", TruthRow, truth)
    return StreamSummary(out, streams, minutes, len(truth))


def _write(path: Path, kind: type[Any], rows: list[Any]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, [field.name for field in fields(kind)])
        table.writeheader()
        table.writerows(asdict(row) for row in rows)
    temporary.replace(path)


def make_stream(out: Path, seed: int, minutes: float) -> tuple[CameraRow, list[TruthRow]]:
    """Make the feed of one scene, or read what it was when it is there."""
    done = out / ".scenes" / f"{seed}.json"
    if done.exists():
        known = json.loads(done.read_text(encoding="utf-8"))
        return CameraRow(**known["camera"]), [TruthRow(**row) for row in known["truth"]]
    scene = build_scene(seed)
    eye = scene.eye()
    try:
        director = Director(scene, np.random.default_rng([seed, 1]))
        _film(scene, eye, director, out / f"{scene.name}.mp4", minutes * 60)
    finally:
        eye.close()
    truth = director.truth()
    look = scene.look
    camera = CameraRow(scene.name, scene.room.kind, scene.room.light, look.mode, scene.view.kind,
                       FPS, minutes, seed)  # fmt: skip
    write_text(done, json.dumps({"camera": asdict(camera), "truth": [asdict(row) for row in truth]}))
    return camera, truth


def _film(scene: Scene, eye: Eye, director: "Director", path: Path, seconds: float) -> None:
    look, stream = scene.look, replace(scene.look.stream, fps=FPS)
    picture, state = Picture(look, seed=scene.seed), PictureState()
    before: Moment | None = None
    render = np.zeros(0, np.uint8)
    with VideoWriter(
        path, width_px=look.width_px, height_px=look.height_px, fps=stream.fps,
        bit_rate_kbps=stream.bit_rate_kbps, gop_frames=stream.gop_frames * 4,
    ) as video:  # fmt: skip
        for frame in range(round(seconds * stream.fps)):
            t_s = frame / stream.fps
            director.go_on(t_s)
            moment = remember(scene.stage)
            if before is None or not _same(before, moment):
                render, before = eye.see(moment), moment  # an empty hall needs no new render
            shown, state = picture.develop(render, state, t_s=t_s)
            video.write(shown, t_s)


def _same(a: Moment, b: Moment) -> bool:
    pairs = ((a.qpos, b.qpos), (a.mocap_pos, b.mocap_pos), (a.mocap_quat, b.mocap_quat))
    return all(np.array_equal(one, other) for one, other in pairs)


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

    def truth(self) -> list[TruthRow]:
        """What happened in view."""
        rows = []
        for place, happening in enumerate(self.cast.happenings):
            end_s = happening.end_s if happening.end_s is not None else happening.start_s + 4.0
            rows.append(
                TruthRow(self.scene.name, happening.behavior, round(happening.start_s, 3), round(end_s, 3),
                         happening.kind, round(self.seen.get(place, 0.0), 2))
            )  # fmt: skip
        return rows

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
        behaviors = [b for b in ACCIDENTS if b != "fall-off" or self.cast.shown & {"ladder", "platform", "truck"}]
        counts = [sum(h.behavior == b for h in self.cast.happenings) for b in behaviors]
        least = [b for b, n in zip(behaviors, counts, strict=True) if n == min(counts)]
        others = [w for w in self._idle(t_s) if w is not victim]
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
        if worker.script is None and self.scene.exit is not None:
            worker.script = self.cast.new_script(worker, self.scene.exit)
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
        moving = float(np.abs(stage.data.qvel).max()) if self._let_go() else 0.0
        props = float(np.abs(self._free_speeds()).max(initial=0.0))
        if max(moving if self._let_go() else 0.0, props) > 0.25 or self._held():
            self._quiet_s = t_s
        elif t_s - self._quiet_s > SETTLE_S:
            stage.physics = False

    def _let_go(self) -> bool:
        return any(worker.muscles is not None for worker in self.scene.stage.workers.values())

    def _held(self) -> bool:
        return any(
            worker.muscles is not None and worker.muscles.balance is not None
            for worker in self.scene.stage.workers.values()
        )

    def _free_speeds(self) -> np.ndarray:
        model, stage = self.scene.model, self.scene.stage
        furniture = self.scene.furniture
        speeds = [
            stage.data.qvel[int(model.jnt_dofadr[model.body(prop.body).jntadr[0]]) :][:3]
            for prop in (*furniture.crates, furniture.pipe, furniture.drum, furniture.tool)
            if model.body_gravcomp[model.body(prop.body).id] == 0
        ]
        return np.concatenate(speeds) if speeds else np.zeros(1)
