"""Labelled clips: what `jikimi simulate --clips` makes, and `jikimi prepare` reads.

OUT/annotations.csv                path, behaviour, event times, scene (the split group), what was drawn
OUT/<behavior>/<scene>-<n>.mp4     clips of 4 s
OUT/truth/<scene>-<n>.json         boxes and joints of every worker in every picture
OUT/.scenes/<scene>.json           rows of the scenes that are done: a run that was cut short goes on
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import mujoco
import numpy as np

from jikimi.errors import SimError
from jikimi.sim.accidents import ACCIDENTS
from jikimi.sim.folder import check_folder, write_rows, write_text
from jikimi.sim.normal import NORMAL, Normal
from jikimi.sim.picture import Picture, PictureState
from jikimi.sim.play import Cast
from jikimi.sim.pool import run_jobs
from jikimi.sim.render import Eye, Moment, remember
from jikimi.sim.scene import Scene, build_scene
from jikimi.sim.stage import Worker
from jikimi.sim.truth import Witness, write_truth
from jikimi.video import VideoWriter

CLIP_S = 4.0

# What one scene shows: every accident once, and as much normal work, most of it of the misleading kind.
PROGRAMME = ("bump", "fall-down", "fall-off", "hit", "jam", "normal", "hard", "hard")

# Plays that do not come off (nobody struck, victim hidden behind a rack) are tried again this often.
TRIES = 12

# An accident counts as seen when this share of the victim's landmarks is, when it begins and just after.
SEEN_SHARE = 0.5

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ClipRow:
    """A row of annotations.csv."""

    path: str
    behavior: str
    event_start_s: str
    event_end_s: str
    group: str
    kind: str
    room: str
    light: str
    camera: str
    view: str
    fps: int
    seed: int
    truth: str


@dataclass(frozen=True, slots=True)
class Take:
    """A play as it was acted: every moment to render, what it was, and when."""

    behavior: str
    kind: str
    start_s: float | None
    end_s: float | None
    victim: str | None
    moments: list[Moment]
    witness: Witness


@dataclass(frozen=True, slots=True)
class Summary:
    """What a simulation made."""

    out: Path
    made: int
    by_behavior: dict[str, int]

    def lines(self) -> list[str]:
        """Lines for a person."""
        counts = ", ".join(f"{n} {behavior}" for behavior, n in sorted(self.by_behavior.items()))
        return [f"{self.made} clips: {counts}", f"now: jikimi prepare {self.out} --out data"]


def simulate_clips(
    out: Path, *, clips: int, seed: int, workers: int, progress: Progress | None = None
) -> Summary:
    """Make `clips` labelled clips in `out`. The same seed makes the same clips; what is there is kept.

    Raises:
        SimError: there is nothing to render with, the folder holds another simulation, or a scene fails.
    """
    check_folder(out, {"kind": "clips", "seed": seed})
    scenes = -(-clips // len(PROGRAMME))
    jobs = [(out, seed * 1_000_000 + number, min(len(PROGRAMME), clips - number * len(PROGRAMME)))
            for number in range(scenes)]  # fmt: skip
    rows: list[ClipRow] = []
    for done, found in enumerate(run_jobs(make_scene, jobs, workers=workers), start=1):
        rows += found
        if progress:
            progress(done, scenes)
    rows.sort(key=lambda row: row.path)
    write_rows(out / "annotations.csv", ClipRow, rows)
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.behavior] = counts.get(row.behavior, 0) + 1
    return Summary(out, len(rows), counts)


def make_scene(out: Path, seed: int, clips: int) -> list[ClipRow]:
    """Make the clips of one scene, or read what they were when they are there."""
    done = out / ".scenes" / f"{seed}-{clips}.json"
    if done.exists():
        return [ClipRow(**row) for row in json.loads(done.read_text(encoding="utf-8"))]
    scene = build_scene(seed)
    eye = scene.eye()
    try:
        rows = [
            _make_clip(out, scene, eye, number, wanted) for number, wanted in enumerate(PROGRAMME[:clips])
        ]
    finally:
        eye.close()
    write_text(done, json.dumps([asdict(row) for row in rows], indent=1))
    return rows


def _make_clip(out: Path, scene: Scene, eye: Eye, number: int, wanted: str) -> ClipRow:
    take = act(scene, number, wanted)
    name = f"{scene.name}-{number}"
    path = out / take.behavior / f"{name}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    film(scene, eye, take.moments, path, seed=scene.seed * 100 + number)
    truth = f"truth/{name}.json"
    write_truth(out / truth, take.witness, camera=scene.name, seed=scene.seed, victim=take.victim)
    times = ["" if t is None else f"{t:.3f}" for t in (take.start_s, take.end_s)]
    look = scene.look
    return ClipRow(
        f"{take.behavior}/{name}.mp4", take.behavior, times[0], times[1], scene.name, take.kind,
        scene.room.kind, scene.room.light, look.mode, scene.view.kind, look.stream.fps, scene.seed, truth,
    )  # fmt: skip


def film(scene: Scene, eye: Eye, moments: list[Moment], path: Path, *, seed: int) -> None:
    """Render moments as the scene's camera would send them, into a file."""
    look = scene.look
    picture, state = Picture(look, seed=seed), PictureState()
    stream = look.stream
    with VideoWriter(
        path, width_px=look.width_px, height_px=look.height_px, fps=stream.fps,
        bit_rate_kbps=stream.bit_rate_kbps, gop_frames=stream.gop_frames,
    ) as video:  # fmt: skip
        for moment in moments:
            shown, state = picture.develop(eye.see(moment), state, t_s=moment.t_s)
            video.write(shown, moment.t_s)


def act(scene: Scene, number: int, wanted: str) -> Take:
    """Act a play until it comes off.

    Raises:
        SimError: it never does.
    """
    # What this camera cannot show makes room for what any camera can.
    fallback = "fall-down" if wanted in ACCIDENTS else "normal"
    for attempt in range(2 * TRIES):
        rng = np.random.default_rng([scene.seed, 1 + number, attempt])
        take = _try(scene, rng, wanted if attempt < TRIES else fallback)
        if take is not None:
            return take
    raise SimError(f"scene {scene.name}: no {wanted!r} came off in {TRIES} tries; give another seed")


def _try(scene: Scene, rng: np.random.Generator, wanted: str) -> Take | None:
    cast = scene.cast(rng, opening_s=float(rng.uniform(1.0, 2.2)))
    workers = list(scene.stage.workers.values())
    order = [workers[i] for i in rng.permutation(len(workers))]
    lead, others = order[0], order[1 : 1 + int(rng.choice([0, 1, 2], p=[0.4, 0.35, 0.25]))]
    kind = _stage_play(cast, wanted, lead, others)
    witness = Witness(scene.projection, scene.look)
    moments, seen = [], []
    for moment in _moments(scene, cast):
        moments.append(moment)
        witness.note(scene.stage, moment.t_s)
        seen.append(_seen_share(scene, lead))
    if scene.stage.data.warning[mujoco.mjtWarning.mjWARN_BADQACC].number:
        return None  # bodies inside one another: physics gave up and began anew
    if wanted not in ACCIDENTS:
        return (
            Take("no-accident", kind, None, None, None, moments, witness)
            if np.mean(seen) > SEEN_SHARE
            else None
        )
    return _accident(cast, moments, witness, seen)


def _stage_play(cast: Cast, wanted: str, lead: Worker, others: list[Worker]) -> str:
    """Set up the lead's play and what the others do meanwhile; returns the lead's activity."""
    if wanted in ACCIDENTS:
        ACCIDENTS[wanted](cast, lead, others)
        kind = wanted
    else:
        choice = [n for n in NORMAL if n.hard == (wanted == "hard") and n.fits(cast, others)]
        chosen = choice[int(cast.rng.integers(len(choice)))]
        chosen.play(cast, lead, others)
        kind = chosen.name
    plain: list[Normal] = [n for n in NORMAL if not n.props and not n.company and not n.places]
    for other in others:
        if other.script is None:
            cast.opening_s = cast.between(0.2, 3.0)
            plain[int(cast.rng.integers(len(plain)))].play(cast, other, [])
    return kind


def _moments(scene: Scene, cast: Cast) -> Iterator[Moment]:
    fps = scene.look.stream.fps
    for frame in range(round(CLIP_S * fps)):
        scene.stage.advance(frame / fps, cast.cues.run)
        yield remember(scene.stage)


def _seen_share(scene: Scene, worker: Worker) -> float:
    own = set(worker.bodies.values())
    points = scene.stage.landmarks(worker)[::2]
    return float(scene.projection.visible(scene.stage, points, ignore=own).mean())


def _accident(cast: Cast, moments: list[Moment], witness: Witness, seen: list[float]) -> Take | None:
    """The take of an accident, or None where it did not happen in time or in view."""
    if len(cast.happenings) != 1:
        return None
    happening = cast.happenings[0]
    times = np.array([moment.t_s for moment in moments])
    around = np.array(seen)[(times > happening.start_s - 0.1) & (times < happening.start_s + 0.9)]
    if not 0.6 <= happening.start_s <= CLIP_S - 1.2 or around.mean() < SEEN_SHARE:
        return None
    end_s = min(happening.end_s or CLIP_S, CLIP_S)
    return Take(
        happening.behavior, happening.kind, happening.start_s, end_s, happening.victim, moments, witness
    )
