"""Clips cut from recordings: where the model errs, where an accident is, and nowhere else."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from bundles import accident_between, make_bundle
from jikimi.behaviors import BEHAVIORS, keys
from jikimi.data.annotations import FILE, read_annotations
from jikimi.data.source import BehaviorNames
from jikimi.errors import DataError
from jikimi.stream_metrics import Truth
from jikimi.train.mine import AFTER_S, BEFORE_S, LATE_S, Mined, cuts_of, hard_moments, mine
from jikimi.train.truth import StreamSet, read_truth
from jikimi.video import read_frames
from videos import write_video

TIMES = np.arange(0, 60, 1 / 8)


def peaks(heights: dict[float, float]) -> np.ndarray:
    scores = np.zeros(len(TIMES))
    for t_s, height in heights.items():
        scores[round(t_s * 8)] = height
    return scores


def test_highest_moments_first_apart_from_each_other_and_from_accidents() -> None:
    scores = peaks({10: 0.5, 12: 0.9, 30: 0.7, 45: 0.6, 55: 0.05})
    found = hard_moments(TIMES, scores, busy=[(44, 46)], above=0.1, limit=9)
    assert found == [(12, 0.9), (30, 0.7)]  # 10 s overlaps, 45 s is an accident, 55 s is easy
    assert hard_moments(TIMES, scores, busy=[], above=0.1, limit=1) == [(12, 0.9)]


def test_accidents_are_cut_whole_and_long_ones_cut_short() -> None:
    truths = [Truth("gate", "hit", 1, 2), Truth("gate", "jam", 20, 59)]
    cuts = cuts_of(
        TIMES, peaks({2 + LATE_S + BEFORE_S: 0.8}), truths,
        normal="no-accident", duration_s=60, above=0.1, per_hour=3600,
    )  # fmt: skip
    assert [(cut.behavior, cut.start_s, cut.end_s) for cut in cuts] == [
        ("hit", 0, 4),
        ("jam", 17, 29),
    ]  # 16 s lies too near to the second accident
    quiet = cuts_of(TIMES, peaks({1: 0.8}), [], normal="no-accident", duration_s=60, above=0.1, per_hour=60)
    assert [(cut.start_s, cut.end_s, cut.score) for cut in quiet] == [(0, 1 + AFTER_S, 0.8)]
    assert not cuts_of(TIMES, peaks({1: 0.8}), [], normal="no-accident", duration_s=60, above=0.1, per_hour=0)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StreamSet]:
    """The model takes both for falls: what happens on `yard` is none."""
    folder = tmp_path_factory.mktemp("recordings")
    write_video(folder / "gate.mp4", seconds=20, draw=accident_between(8 * 24, 11 * 24))
    write_video(folder / "yard.mp4", seconds=20, draw=accident_between(10 * 24, 12 * 24))
    table = folder / "truth.csv"
    table.write_text("camera,behavior,start_s,end_s\ngate,fall-down,8,11\nyard,no-accident,,\n")
    make_bundle(folder / "b.jikimi")
    return folder, read_truth(folder, table, behaviors=keys(BEHAVIORS), normal="no-accident")


@pytest.fixture(scope="module")
def mined(recordings: tuple[Path, StreamSet], tmp_path_factory: pytest.TempPathFactory) -> Mined:
    folder, streams = recordings
    return mine(folder / "b.jikimi", streams, tmp_path_factory.mktemp("mined") / "hard", above=0.5, workers=2)


def test_clips_show_what_they_say(mined: Mined) -> None:
    with (mined.out / FILE).open(encoding="utf-8") as file:
        fell, mistaken = list(csv.DictReader(file))
    assert mined.counts == {"fall-down": 1, "no-accident": 1} and mined.hours * 3600 == pytest.approx(
        40, 0.02
    )
    assert (fell["behavior"], fell["group"]) == ("fall-down", "gate")
    assert (float(fell["event_start_s"]), float(fell["event_end_s"])) == pytest.approx((3, 6), abs=0.05)
    assert mistaken["behavior"] == "no-accident" and mistaken["event_start_s"] == ""
    assert float(mistaken["score"]) > 0.5
    for row, seconds in ((fell, 8), (mistaken, BEFORE_S + AFTER_S)):
        frames = list(read_frames(mined.out / row["path"], rate_hz=8, short_side_px=120))
        assert len(frames) == pytest.approx(seconds * 8, abs=2)
    yellow = [frame.image_HWC[..., 2].mean() < 60 for frame in frames]
    assert any(yellow) and not all(yellow)  # what was mistaken is on it, and what came before


def test_prepare_reads_them_and_knows_them(mined: Mined) -> None:
    found = read_annotations(mined.out / FILE, [mined.out], BehaviorNames(BEHAVIORS))
    fell, mistaken = found.clips
    assert not found.rejections and not found.remarks
    assert fell.event is not None and fell.event.start_s == pytest.approx(3, abs=0.05)
    assert mistaken.behavior == "no-accident" and json.loads(mistaken.extra)["mined"] == "1"


def test_folder_that_holds_something_is_left_alone(
    recordings: tuple[Path, StreamSet], tmp_path: Path
) -> None:
    folder, streams = recordings
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(DataError, match="is not empty"):
        mine(folder / "b.jikimi", streams, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
