"""Labelled clips: the same again from the seed, resumable, readable by what trains on them."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from jikimi.behaviors import BEHAVIORS
from jikimi.data.annotations import read_annotations
from jikimi.data.ingest import check_sources, ingest
from jikimi.data.source import BehaviorNames
from jikimi.errors import SimError
from jikimi.sim import clips
from jikimi.sim.clips import CLIP_S, PROGRAMME, make_scene, simulate_clips
from jikimi.video import info, open_input

SEED = 3


@pytest.fixture(scope="module")
def made(egl: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One scene: every accident, and as much of normal work."""
    out = tmp_path_factory.mktemp("clips") / "videos"
    summary = simulate_clips(out, clips=len(PROGRAMME), seed=SEED, workers=1)
    assert summary.made == len(PROGRAMME)
    assert summary.lines()[0].startswith("8 clips: ")
    return out


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_annotations_are_read_whole(made: Path) -> None:
    found = read_annotations(made / "annotations.csv", [made], BehaviorNames(BEHAVIORS))
    assert not found.rejections and len(found.clips) == len(PROGRAMME)
    assert {clip.behavior for clip in found.clips} == {behavior.key for behavior in BEHAVIORS}
    assert len({clip.group for clip in found.clips}) == 1  # one scene stays on one side of the split
    for clip in found.clips:
        assert (clip.event is None) == (clip.behavior == "no-accident")
        if clip.event is not None:
            assert 0.6 <= clip.event.start_s < clip.event.end_s <= CLIP_S


def test_prepare_takes_the_folder_as_it_is(made: Path) -> None:
    found = ingest(
        check_sources([made]), layout="auto", annotations=None, modality="rgb", behaviors=BEHAVIORS
    )
    assert found.layout == "csv" and not found.rejections and len(found.clips) == len(PROGRAMME)


def test_clips_are_as_long_and_as_large_as_they_say(made: Path) -> None:
    for path in made.glob("*/*.mp4"):
        truth = json.loads((made / "truth" / f"{path.stem}.json").read_text())
        with open_input(path) as container:
            stream = info(container.streams.video[0])
        assert stream.duration_s == pytest.approx(CLIP_S, abs=0.15)
        assert [stream.width_px, stream.height_px] == truth["size_px"]


def test_boxes_are_inside_the_picture_and_around_the_joints(made: Path) -> None:
    shown = 0
    for path in (made / "truth").glob("*.json"):
        truth = json.loads(path.read_text())
        width, height = truth["size_px"]
        assert [picture["t_s"] for picture in truth["pictures"]] == sorted(
            p["t_s"] for p in truth["pictures"]
        )
        for picture in truth["pictures"]:
            for person in picture["workers"].values():
                left, top, right, bottom = person["box"]
                assert 0 <= left < right <= width and 0 <= top < bottom <= height
                joints = np.clip(person["joints"], 0, (width, height))
                assert len(joints) == len(truth["joints"])
                assert (joints[:, 0] >= left - 1).all() and (joints[:, 0] <= right + 1).all()
                assert (joints[:, 1] >= top - 1).all() and (joints[:, 1] <= bottom + 1).all()
                shown += 1
    assert shown > 100


def test_truth_names_the_victim_of_an_accident(made: Path) -> None:
    for path in made.glob("*/*.mp4"):
        truth = json.loads((made / "truth" / f"{path.stem}.json").read_text())
        if path.parent.name == "no-accident":
            assert truth["victim"] is None
        else:
            assert any(truth["victim"] in picture["workers"] for picture in truth["pictures"])


def test_run_that_was_cut_short_goes_on_to_the_same_files(made: Path, tmp_path: Path) -> None:
    # What a run leaves that ended in its first scene: settings and half a film.
    shutil.copy(made / "simulation.json", tmp_path)
    (tmp_path / "bump").mkdir()
    (tmp_path / "bump" / "sim-3000000-0.mp4").write_bytes(b"cut short")
    simulate_clips(tmp_path, clips=2, seed=SEED, workers=1)
    before, again = digests(made), digests(tmp_path)
    films = {name: digest for name, digest in again.items() if name.endswith(".mp4") or "truth" in name}
    assert len(films) == 4
    assert films == {name: before[name] for name in films}
    simulate_clips(tmp_path, clips=2, seed=SEED, workers=1)
    assert digests(tmp_path) == again


def test_what_is_there_is_not_made_again(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clips, "build_scene", lambda seed: pytest.fail("built a scene that was there"))
    rows = make_scene(made, SEED * 1_000_000, len(PROGRAMME))
    assert [row.group for row in rows] == ["sim-3000000"] * len(PROGRAMME)


@pytest.mark.parametrize("settings", ['{"kind": "clips", "seed": 4}', '{"kind": "streams"}', "[]"])
def test_folder_of_another_simulation_is_refused(tmp_path: Path, settings: str) -> None:
    (tmp_path / "simulation.json").write_text(settings)
    refused(tmp_path, "another simulation")


def test_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    refused(tmp_path, "is not empty")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_damaged_settings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "simulation.json").write_text("{")
    refused(tmp_path, "can be written")


def test_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    refused(tmp_path / "out", "can be written")


def refused(out: Path, says: str) -> None:
    with pytest.raises(SimError, match=says) as error:
        simulate_clips(out, clips=1, seed=SEED, workers=1)
    assert "\n" not in str(error.value) and str(out) in str(error.value)
