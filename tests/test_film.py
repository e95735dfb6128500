"""Runs as an epoch sees them: which frames, and how they look."""

import numpy as np
import pytest

from jikimi.preprocess import Preprocess
from jikimi.train.film import draw_times, film

MOTION = Preprocess(48, 64, inputs="motion", lags=(1, 4))


@pytest.mark.parametrize("n_frames", [1, 2, 10, 24, 32, 100])
@pytest.mark.parametrize("jitter", [True, False])
def test_run_lies_in_its_clip_in_order(n_frames: int, jitter: bool) -> None:
    for seed in range(60):
        rng = np.random.default_rng(seed)
        times = draw_times(n_frames, span=24, history=4, rng=rng, jitter=jitter)
        frames = np.concatenate([times.past, times.shown])
        assert len(times.shown) == min(24, n_frames) and len(times.past) in (0, 4)
        assert (np.diff(frames) >= 0).all() and frames[0] >= 0 and frames[-1] < n_frames
        if not jitter:
            assert (np.diff(frames) == 1).all()


def test_runs_differ_in_where_they_start_and_what_they_know() -> None:
    drawn = [draw_times(32, span=24, history=4, rng=np.random.default_rng(s)) for s in range(200)]
    assert len({int(times.shown[0]) for times in drawn}) > 5
    assert 0.05 < np.mean([not times.fresh for times in drawn]) < 0.6


def test_run_prefers_the_beginning_of_an_event() -> None:
    hits = [
        bool(times.shown[0] <= 70 <= times.shown[-1])
        for times in (
            draw_times(100, span=20, history=1, rng=np.random.default_rng(s), onset=70) for s in range(200)
        )
    ]
    assert np.mean(hits) > 0.7


@pytest.mark.parametrize("preprocess", [MOTION, Preprocess(48, 48), Preprocess(32, 64)])
def test_film_has_the_networks_size_and_follows_its_seed(preprocess: Preprocess) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (6, 60, 80, preprocess.channels), np.uint8)
    for seed in range(30):
        seen, _ = film(frames, preprocess, np.random.default_rng(seed))
        assert seen.shape == (6, preprocess.height_px, preprocess.width_px, preprocess.channels)
        assert seen.dtype == np.uint8
        np.testing.assert_array_equal(seen, film(frames, preprocess, np.random.default_rng(seed))[0])


def test_what_is_drawn_holds_for_the_whole_run() -> None:
    frames = np.repeat(np.random.default_rng(0).integers(0, 256, (1, 60, 80, 1), np.uint8), 4, axis=0)
    runs = [film(frames, MOTION, np.random.default_rng(seed))[0] for seed in range(40)]
    still = [bool((run == run[:1]).all()) for run in runs]
    assert sum(still) > 8  # the others flicker, tremble or are noisy
    assert len({run.tobytes() for run in runs}) == 40


def test_some_runs_look_from_close_at_what_counts_and_keep_it_in_sight() -> None:
    frames = np.zeros((2, 120, 160, 1), np.uint8)
    focus = (0.95, 0.1)
    near = 0
    for seed in range(200):
        _, geometry = film(frames, MOTION, np.random.default_rng(seed), focus=focus)
        x, y = geometry.points(np.array(focus))
        if abs(geometry.size_x) > 1.75 * MOTION.width_px:
            near += 1
            assert 0 <= x < MOTION.width_px and 0 <= y < MOTION.height_px
        _, plain = film(frames, MOTION, np.random.default_rng(seed))
        assert abs(plain.size_x) < 1.75 * MOTION.width_px
    assert 30 < near < 100
