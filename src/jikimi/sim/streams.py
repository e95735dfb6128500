"""Untrimmed camera feeds: what `jikimi simulate --streams` makes. Normal work for hours, accidents between.

OUT/<camera>.mp4     a feed of the minutes asked for
OUT/truth.csv        camera, behavior, start_s, end_s and what it was: what `jikimi evaluate --truth` reads
OUT/cameras.csv      scene, light, view and picture of each camera
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from jikimi.sim.director import Director, TruthRow
from jikimi.sim.folder import check_folder, write_rows, write_text
from jikimi.sim.picture import Picture, PictureState
from jikimi.sim.pool import run_jobs
from jikimi.sim.render import Eye, Moment, remember
from jikimi.sim.scene import Scene, build_scene
from jikimi.video import VideoWriter

# Pictures a second of a feed: an analysed sub-stream's, and what the model looks at.
FPS = 8

# Scenes of streams are none of the clips': seeds of clips stay below this.
FIRST_SCENE = 500_000

Progress = Callable[[int, int], None]


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
    write_rows(out / "cameras.csv", CameraRow, cameras)
    write_rows(out / "truth.csv", TruthRow, truth)
    return StreamSummary(out, streams, minutes, sum(row.start_s is not None for row in truth))


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
    truth = director.truth(minutes * 60)
    look = scene.look
    camera = CameraRow(scene.name, scene.room.kind, scene.room.light, look.mode, scene.view.kind,
                       FPS, minutes, seed)  # fmt: skip
    write_text(done, json.dumps({"camera": asdict(camera), "truth": [asdict(row) for row in truth]}))
    return camera, truth


def _film(scene: Scene, eye: Eye, director: Director, path: Path, seconds: float) -> None:
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
