"""The grid that training and watching share."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jikimi.clip import EventSpan
from jikimi.sampling import (
    TICK_SLACK_S,
    TickGrid,
    evenly,
    event_share,
    shows_event,
    window_ending_at,
    window_ends,
)

RATES = st.sampled_from([1.0, 4.0, 8.0, 12.5])
TIMES = st.lists(st.floats(0.0, 3.0), min_size=1, max_size=80).map(lambda steps: list(np.cumsum(steps)))


@given(rate_hz=RATES, times_s=TIMES)
def test_every_tick_is_answered_once_by_the_first_frame_at_or_after_it(
    rate_hz: float, times_s: list[float]
) -> None:
    grid = TickGrid(rate_hz)
    answers: list[float] = []
    for t_s in times_s:
        assert grid.wants(t_s) == (grid.next_tick <= (t_s + TICK_SLACK_S) * rate_hz)
        answers += [t_s] * grid.due(t_s)
    for tick, t_s in enumerate(answers):
        moment_s = tick / rate_hz
        first = next(t for t in times_s if t + TICK_SLACK_S >= moment_s - 1e-9)
        assert t_s == first
    assert len(answers) == grid.next_tick


@given(rate_hz=RATES, times_s=TIMES)
def test_a_frame_is_wanted_exactly_when_it_answers_something(rate_hz: float, times_s: list[float]) -> None:
    grid = TickGrid(rate_hz)
    for t_s in times_s:
        wanted = grid.wants(t_s)
        assert wanted == (grid.due(t_s) > 0)


@pytest.mark.parametrize("fps", [10, 23.976, 25, 29.97, 30, 60])
def test_steady_video_gives_the_grids_rate(fps: float) -> None:
    grid = TickGrid(8.0)
    due = [grid.due(round(i / fps, 3)) for i in range(round(20 * fps))]
    assert sum(due) == math.floor((20 - 1 / fps + TICK_SLACK_S) * 8) + 1
    assert max(due) == 1


def test_slow_video_repeats_its_frames() -> None:
    grid = TickGrid(8.0)
    assert [grid.due(t) for t in (0.0, 0.5, 1.0)] == [1, 4, 4]


@given(n_frames=st.integers(1, 500), length=st.integers(1, 40))
def test_even_indices_rise_and_stay_inside(n_frames: int, length: int) -> None:
    indices = evenly(n_frames, length)
    assert indices.shape == (length,) and indices.dtype == np.int64
    assert indices[0] >= 0 and indices[-1] < n_frames and (np.diff(indices) >= 0).all()


def test_even_indices_are_the_middles_of_equal_parts() -> None:
    assert evenly(16, 4).tolist() == [2, 6, 10, 14]
    assert evenly(2, 4).tolist() == [0, 0, 1, 1]


def test_nothing_cannot_be_sampled() -> None:
    with pytest.raises(ValueError):
        evenly(0, 4)
    with pytest.raises(ValueError):
        window_ends(0, warm_up=1, stride=1)


def test_window_repeats_the_first_frame_before_the_start() -> None:
    assert window_ending_at(2, 5).tolist() == [0, 0, 0, 1, 2]
    assert window_ending_at(9, 3).tolist() == [7, 8, 9]


@given(n_frames=st.integers(1, 300), warm_up=st.integers(1, 30), stride=st.integers(1, 20))
def test_windows_begin_after_warm_up_and_end_with_the_clip(n_frames: int, warm_up: int, stride: int) -> None:
    ends = window_ends(n_frames, warm_up=warm_up, stride=stride)
    assert ends[-1] == n_frames - 1
    assert ends == sorted(set(ends)) and all(b - a == stride for a, b in pairwise(ends))
    assert ends[0] >= min(warm_up, n_frames) - 1
    assert ends[0] < min(warm_up, n_frames) - 1 + stride


@given(
    start_s=st.floats(0, 20),
    length_s=st.floats(0.05, 10),
    last=st.integers(0, 300),
    length=st.integers(1, 32),
)
def test_event_share_is_a_share(start_s: float, length_s: float, last: int, length: int) -> None:
    event = EventSpan(start_s, start_s + length_s)
    assert 0.0 <= event_share(event, last=last, length=length, rate_hz=8.0) <= 1.0 + 1e-9


def test_event_share_is_one_inside_and_nought_outside() -> None:
    event = EventSpan(4.0, 6.0)
    assert event_share(event, last=39, length=8, rate_hz=8.0) == pytest.approx(1.0)
    assert event_share(event, last=15, length=8, rate_hz=8.0) == 0.0


def test_window_shows_an_event_soon_after_its_beginning_and_no_longer_than_half_after_its_end() -> None:
    event = EventSpan(4.0, 7.0)

    def said(end_s: float) -> bool | None:
        return shows_event(event, last=round(end_s * 8) - 1, length=16, rate_hz=8.0)

    assert [said(end_s) for end_s in (3.0, 4.0, 4.125)] == [False] * 3
    assert [said(end_s) for end_s in (4.25, 4.5)] == [None] * 2
    assert all(said(end_s / 8) for end_s in range(37, 65))  # from 4.625 s to 8 s
    assert [said(end_s) for end_s in (8.25, 8.75, 9.0)] == [None, None, False]


def test_short_event_is_shown_as_long_as_half_of_it_is_seen() -> None:
    event = EventSpan(4.0, 4.5)
    assert shows_event(event, last=33, length=16, rate_hz=8.0)  # 0.25 s of it
    assert shows_event(event, last=45, length=16, rate_hz=8.0)
    assert not shows_event(event, last=50, length=16, rate_hz=8.0)
