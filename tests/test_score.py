"""Scoring offline: the windows it takes, and that it answers what watching live answers."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest

from bundles import accident_between, make_bundle
from jikimi import sampling
from jikimi.bundle import Bundle, load_bundle
from jikimi.errors import BundleError, DataError, VideoError
from jikimi.frame import Floats
from jikimi.metrics import pool_windows
from jikimi.train import score
from jikimi.train.dataset import read_frame
from jikimi.watch.pipeline import watch
from prepared import Take, fall, write_prepared
from videos import write_video


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(make_bundle(tmp_path_factory.mktemp("bundle") / "colours.jikimi"), threads=1)


class Broken:
    """A model whose head answers NaN."""

    def __init__(self, bundle: Bundle) -> None:
        self.card = bundle.card
        self.encode = bundle.encode

    def classify(self, windows_NTD: Floats) -> Floats:
        return np.full((len(windows_NTD), len(self.card.behaviors)), np.nan, np.float32)


def test_clip_is_scored_window_by_window(bundle: Bundle, tmp_path: Path) -> None:
    manifest = write_prepared(tmp_path, [fall("one")])
    (row,) = manifest.rows
    scores = score.score_clip(bundle, manifest, row, stride=5)
    assert scores.ends.tolist() == sampling.window_ends(32, warm_up=4, stride=5)
    assert scores.times_s.tolist() == [end / 8 for end in scores.ends]
    for end, logits in zip(scores.ends, scores.logits_WC, strict=True):
        pictures = [read_frame(manifest, row, int(i)) for i in sampling.window_ending_at(int(end), 8)]
        window = bundle.encode(bundle.card.preprocess(pictures))
        np.testing.assert_allclose(logits, bundle.classify(window[None])[0], atol=1e-4)


def test_model_sees_the_fall_where_it_is(bundle: Bundle, tmp_path: Path) -> None:
    manifest = write_prepared(tmp_path, [fall("fallen", start_s=2), Take("quiet")])
    fallen, quiet = (score.score_clip(bundle, manifest, row) for row in manifest.rows)
    said = fallen.logits_WC.argmax(axis=1)
    assert said[fallen.times_s < 2].tolist() == [5] * 13
    assert (said[fallen.times_s > 3] == 1).all()
    assert pool_windows(fallen.logits_WC, 5).argmax() == 1
    assert pool_windows(quiet.logits_WC, 5).argmax() == 5


@pytest.mark.parametrize("n_frames", [1, 3, 4, 33, 65])
def test_clips_of_any_length_are_scored(bundle: Bundle, tmp_path: Path, n_frames: int) -> None:
    manifest = write_prepared(tmp_path, [Take("clip", n_frames=n_frames)])
    scores = score.score_clip(bundle, manifest, manifest.rows[0])
    assert scores.logits_WC.shape == (max(1, n_frames - 3), 6)
    assert scores.ends[-1] == n_frames - 1


def test_even_model_sees_one_window_over_the_whole_clip(tmp_path: Path) -> None:
    bundle = load_bundle(make_bundle(tmp_path / "even.jikimi", sampling="even", rate_hz=4.0), threads=1)
    manifest = write_prepared(tmp_path, [fall("one")])
    (row,) = manifest.rows
    scores = score.score_clip(bundle, manifest, row)
    pictures = [read_frame(manifest, row, int(i)) for i in sampling.evenly(32, 8)]
    window = bundle.encode(bundle.card.preprocess(pictures))
    np.testing.assert_allclose(scores.logits_WC, bundle.classify(window[None]), atol=1e-4)
    assert scores.ends.tolist() == [31]


def test_missing_frame_is_named(bundle: Bundle, tmp_path: Path) -> None:
    manifest = write_prepared(tmp_path, [Take("clip")])
    manifest.frame_path(manifest.rows[0], 7).unlink()
    with pytest.raises(DataError, match=r"clip/000008\.jpg"):
        score.score_clip(bundle, manifest, manifest.rows[0])


def test_damaged_frame_is_named(bundle: Bundle, tmp_path: Path) -> None:
    manifest = write_prepared(tmp_path, [Take("clip")])
    path = manifest.frame_path(manifest.rows[0], 3)
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(DataError, match=r"clip/000004\.jpg"):
        score.score_clip(bundle, manifest, manifest.rows[0])


def test_clip_of_another_rate_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    manifest = write_prepared(tmp_path, [Take("clip")])
    row = dataclasses.replace(manifest.rows[0], rate_hz=10.0)
    with pytest.raises(DataError, match=r"10 Hz.*--rate-hz 8"):
        score.score_clip(bundle, manifest, row)


def test_model_that_answers_nan_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    manifest = write_prepared(tmp_path, [Take("clip")])
    with pytest.raises(BundleError, match=r"clip clip.*NaN"):
        score.score_clip(Broken(bundle), manifest, manifest.rows[0])
    video = write_video(tmp_path / "stream.mp4", seconds=2)
    with pytest.raises(BundleError, match=r"stream\.mp4.*NaN"):
        score.score_stream(Broken(bundle), video)


def live(bundle: Bundle, path: Path) -> tuple[list[float], list[Floats]]:
    """What the watching half decides on a file: moments and calibrated scores."""
    times, scores = [], []

    def decided(camera: str, t_s: float, scores_C: Floats) -> None:
        times.append(t_s)
        scores.append(scores_C)

    watch([str(path)], bundle=bundle, emit=lambda event: None, on_scores=decided)
    return times, scores


@pytest.mark.parametrize("seconds", [0.6, 3.9, 4.0, 9.5])
def test_stream_is_scored_as_it_is_watched(bundle: Bundle, tmp_path: Path, seconds: float) -> None:
    path = write_video(tmp_path / "s.mp4", seconds=seconds, draw=accident_between(30, 60))
    offline = score.score_stream(bundle, path)
    times, scores = live(bundle, path)
    assert offline.times_s.tolist() == times
    np.testing.assert_allclose(bundle.card.probabilities(offline.logits_NC), scores, atol=1e-4)
    assert offline.times_s[0] == 3 / 8
    assert offline.duration_s == pytest.approx(seconds, abs=1 / 8)


@pytest.mark.parametrize("gap_s", [0.5, 1.0, 1.1, 4.0])
def test_gap_in_a_stream_is_scored_as_it_is_watched(bundle: Bundle, tmp_path: Path, gap_s: float) -> None:
    times_s = [i / 24 for i in range(60)] + [60 / 24 + gap_s + i / 24 for i in range(48)]
    path = write_video(tmp_path / "gap.mkv", times_s=times_s, draw=accident_between(30, 80))
    offline = score.score_stream(bundle, path)
    times, scores = live(bundle, path)
    assert offline.times_s.tolist() == times
    np.testing.assert_allclose(bundle.card.probabilities(offline.logits_NC), scores, atol=1e-4)


def test_stream_shorter_than_the_warm_up_has_no_decisions(bundle: Bundle, tmp_path: Path) -> None:
    scores = score.score_stream(bundle, write_video(tmp_path / "s.mp4", seconds=0.3))
    assert scores.logits_NC.shape == (0, 6) and not len(scores.times_s)
    assert scores.duration_s == pytest.approx(3 / 8)


def test_clip_as_a_stream_decides_from_the_warm_up_on(bundle: Bundle, tmp_path: Path) -> None:
    manifest = write_prepared(tmp_path, [fall("one"), Take("short", n_frames=3)])
    one, short = manifest.rows
    features = score.encode_clip(bundle, manifest, one)
    watched = score.watch_clip(bundle, one, features, step_s=0.1)
    windows = score.score_windows(bundle, one, features)
    np.testing.assert_allclose(watched.logits_NC, windows.logits_WC, atol=1e-5)
    assert watched.times_s.tolist() == windows.times_s.tolist()
    assert watched.duration_s == 4
    features = score.encode_clip(bundle, manifest, short)
    assert not len(score.watch_clip(bundle, short, features, step_s=0.1).times_s)


def test_compute_time_of_a_decision_is_measured_one_at_a_time(bundle: Bundle) -> None:
    ticks = itertools.count(step=0.25)
    assert score.measure_step_s(bundle, clock=lambda: next(ticks)) == 0.25


def test_file_without_video_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(VideoError, match=r"text\.mp4"):
        score.score_stream(bundle, tmp_path / "text.mp4")


def test_behaviour_the_model_does_not_know_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    manifest = write_prepared(tmp_path, [Take("clip")])
    with pytest.raises(DataError, match=r"clip clip is 'slip'.*fall-down"):
        score.class_index(bundle.card, dataclasses.replace(manifest.rows[0], behavior="slip"))
