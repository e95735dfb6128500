"""Streams: truth that evaluation can read, within the film, and the same again from the seed."""

import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest

from jikimi.behaviors import BEHAVIORS, keys
from jikimi.errors import SimError
from jikimi.sim import director
from jikimi.sim.director import Director, TruthRow
from jikimi.sim.folder import write_rows
from jikimi.sim.play import Happening
from jikimi.sim.streams import simulate_streams
from jikimi.train.truth import read_truth
from jikimi.video import info, open_input
from sim_scenes import LOADING_DOCK, STORE_WITH_DECK, scene_of

MINUTES = 0.25


def directed(seed: int, minutes: float) -> Director:
    """A stream as it is played, without a film."""
    found = Director(scene_of(seed), np.random.default_rng([seed, 1]))
    for frame in range(round(minutes * 60 * 8)):
        found.go_on(frame / 8)
    return found


@pytest.fixture(scope="module")
def eventful() -> Director:
    """Seven minutes with an accident every minute or so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(director, "PAUSE_S", (20.0, 40.0))
        return directed(LOADING_DOCK, 7)


@pytest.fixture(scope="module")
def made(egl: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cameras, too short for an accident."""
    out = tmp_path_factory.mktemp("streams") / "cameras"
    summary = simulate_streams(out, streams=2, minutes=MINUTES, seed=5, workers=2)
    assert summary.lines()[0] == "2 cameras of 0.25 minutes, 0 accidents"
    return out


def test_evaluation_reads_the_truth_of_every_camera(made: Path) -> None:
    found = read_truth(made, made / "truth.csv", behaviors=keys(BEHAVIORS), normal="no-accident")
    assert len(found.files) == 2
    assert not found.unnamed and not found.elsewhere and not found.truths


def test_films_are_as_long_as_asked(made: Path) -> None:
    with (made / "cameras.csv").open() as table:
        cameras = list(csv.DictReader(table))
    for camera in cameras:
        with open_input(made / f"{camera['camera']}.mp4") as container:
            stream = info(container.streams.video[0])
        assert stream.duration_s == pytest.approx(MINUTES * 60, abs=0.2)
        assert float(camera["minutes"]) == MINUTES
    assert len(cameras) == 2


def test_stream_that_was_cut_short_goes_on_to_the_same_film(made: Path) -> None:
    film = sorted(made.glob("*.mp4"))[0]
    before, table = hashlib.sha256(film.read_bytes()).hexdigest(), (made / "truth.csv").read_text()
    sorted((made / ".scenes").iterdir())[0].unlink()
    film.unlink()
    simulate_streams(made, streams=2, minutes=MINUTES, seed=5, workers=1)
    assert hashlib.sha256(film.read_bytes()).hexdigest() == before
    assert (made / "truth.csv").read_text() == table


def test_streams_of_another_length_are_refused(tmp_path: Path) -> None:
    (tmp_path / "simulation.json").write_text('{"kind": "streams", "seed": 1, "minutes": 30}')
    with pytest.raises(SimError, match="another simulation"):
        simulate_streams(tmp_path, streams=1, minutes=1, seed=1, workers=1)


def test_accidents_of_every_kind_come_one_after_another(eventful: Director) -> None:
    rows = eventful.truth(420)
    assert len(rows) >= 6
    assert {row.behavior for row in rows} == {"bump", "fall-down", "fall-off", "hit", "jam"}
    ends = [row.end_s for row in rows]
    for row, previous_s in zip(rows, [0.0, *ends[:-1]], strict=True):
        assert row.start_s is not None and row.end_s is not None and previous_s is not None
        assert previous_s < row.start_s < row.end_s <= 420
        assert row.seen is not None and 0 <= row.seen <= 1


def test_most_accidents_are_in_view(eventful: Director) -> None:
    seen = [row.seen for row in eventful.truth(420) if row.seen is not None]
    assert np.mean([share > 0.25 for share in seen]) > 0.7


def test_same_seed_plays_the_same() -> None:
    ends = [directed(STORE_WITH_DECK, 1).scene.stage.data.qpos.copy() for _ in range(2)]
    assert (ends[0] == ends[1]).all()


def test_rows_pass_through_the_table(eventful: Director, tmp_path: Path) -> None:
    rows = eventful.truth(420)
    (tmp_path / f"{rows[0].camera}.mp4").touch()
    write_rows(tmp_path / "truth.csv", TruthRow, rows)
    found = read_truth(tmp_path, tmp_path / "truth.csv", behaviors=keys(BEHAVIORS), normal="no-accident")
    assert [(truth.behavior, truth.start_s, truth.end_s) for truth in found.truths] == [
        (row.behavior, row.start_s, row.end_s) for row in rows
    ]


def test_events_end_with_the_film() -> None:
    quiet = Director(scene_of(LOADING_DOCK), np.random.default_rng(0))
    quiet.cast.happenings += [
        Happening("fall-down", "slip", "w0", 10.0, 12.0),
        Happening("hit", "falling", "w0", 20.0),
        Happening("fall-down", "slip", "w0", 58.0),
        Happening("jam", "press", "w1", 30.0),
    ]
    assert [row.end_s for row in quiet.truth(60.0)] == [12.0, 24.0, 60.0, 60.0]


def test_camera_without_accidents_says_so() -> None:
    (row,) = Director(scene_of(LOADING_DOCK), np.random.default_rng(0)).truth(60.0)
    assert (row.behavior, row.start_s, row.end_s) == ("no-accident", None, None)


def test_people_come_and_go_out_of_the_picture(eventful: Director) -> None:
    scene = eventful.scene
    assert scene.exit is not None
    points = np.array([[scene.exit.x, scene.exit.y, z] for z in (0.1, 1.0, 1.7)])
    assert not scene.projection.inside(points).any()


def test_nobody_appears_out_of_thin_air() -> None:
    scene = scene_of(LOADING_DOCK)
    found = Director(scene, np.random.default_rng(2))
    before = dict.fromkeys(scene.stage.workers, False)
    for frame in range(8 * 120):
        found.go_on(frame / 8)
        for worker in scene.stage.workers.values():
            there = scene.stage.on_stage(worker)
            if there and not before[worker.name]:
                marks = scene.stage.landmarks(worker)
                assert scene.projection.inside(marks, margin=0.02).mean() < 0.5
            before[worker.name] = there
