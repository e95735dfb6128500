"""Matching of alarms and events, false-alarm bounds and delays."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from jikimi.stream_metrics import (
    Alarm,
    Truth,
    event_free_hours,
    false_alarm_bound,
    match,
    stream_report,
)


def event(start_s: float, *, camera: str = "gate", behavior: str = "fall-down", length_s: float = 5) -> Truth:
    return Truth(camera, behavior, start_s, start_s + length_s)


def alarm(
    t_s: float, *, camera: str = "gate", behavior: str = "fall-down", closed_s: float | None = 0
) -> Alarm:
    """An alarm whose incident closed at once, unless said otherwise."""
    return Alarm(camera, behavior, t_s, closed_s)


@pytest.mark.parametrize(("t_s", "found"), [(98.9, 0), (99, 1), (100, 1), (110, 1), (110.1, 0)])
def test_alarm_counts_from_one_second_before_to_tau_after(t_s: float, found: int) -> None:
    assert len(match([event(100)], [alarm(t_s)]).matches) == found


def test_tau_shortens_what_counts() -> None:
    assert match([event(100)], [alarm(104)], tau_s=5).matches
    assert not match([event(100)], [alarm(104)], tau_s=3).matches


def test_camera_and_behaviour_must_agree() -> None:
    assert not match([event(100)], [alarm(101, camera="yard")]).matches
    assert not match([event(100)], [alarm(101, behavior="jam")]).matches


def test_behaviour_may_be_ignored() -> None:
    found = match([event(100)], [alarm(101, behavior="jam")], by_behavior=False)
    assert len(found.matches) == 1 and not found.false_alarms
    assert not match([event(100)], [alarm(101, camera="yard")], by_behavior=False).matches


def test_first_alarm_finds_the_event_and_gives_the_delay() -> None:
    found = match([event(100)], [alarm(107), alarm(102)])
    assert [m.delay_s for m in found.matches] == [2]
    assert [a.t_s for a in found.false_alarms] == [107]


def test_second_alarm_on_an_event_is_false() -> None:
    found = match([event(100)], [alarm(101, closed_s=103), alarm(105)])
    assert [a.t_s for a in found.false_alarms] == [105] and not found.repeats


@pytest.mark.parametrize("closed_s", [None, 120.0])
def test_second_alarm_is_forgiven_while_its_incident_is_open(closed_s: float | None) -> None:
    found = match([event(100)], [alarm(101, closed_s=closed_s), alarm(105, closed_s=closed_s)])
    assert not found.false_alarms and [a.t_s for a in found.repeats] == [105]


def test_open_incident_that_found_nothing_forgives_nothing() -> None:
    found = match([event(100)], [alarm(50, closed_s=None), alarm(60, closed_s=None)])
    assert len(found.false_alarms) == 2


def test_two_alarms_find_two_events_close_together() -> None:
    found = match([event(100), event(104)], [alarm(103.5), alarm(109)])
    assert len(found.matches) == 2 and not found.missed


def test_event_without_known_time_is_found_anywhere_in_its_span() -> None:
    somewhere = Truth("gate", "jam", 0, 60, timed=False)
    found = match([somewhere], [alarm(45, behavior="jam")])
    assert len(found.matches) == 1
    report = stream_report([somewhere], [alarm(45, behavior="jam")], durations_s={"gate": 60})
    assert report.recall[10.0] == 1 and report.delay_median_s is None


def best_possible(starts: list[float], times: list[float]) -> int:
    """The largest one-to-one matching, by trying every assignment."""
    options = [[None, *(i for i, s in enumerate(starts) if s - 1 <= t <= s + 10)] for t in times]
    sizes = (
        len(taken)
        for choice in itertools.product(*options)
        if len(taken := [c for c in choice if c is not None]) == len(set(taken))
    )
    return max(sizes)


seconds = st.integers(0, 40).map(float)


@settings(deadline=None, max_examples=150)
@given(starts=st.lists(seconds, max_size=5), times=st.lists(seconds, max_size=5))
def test_matching_is_as_large_as_can_be(starts: list[float], times: list[float]) -> None:
    found = match([event(s) for s in starts], [alarm(t) for t in times])
    assert len(found.matches) == best_possible(starts, times)
    assert len(found.matches) + len(found.missed) == len(starts)
    assert len(found.matches) + len(found.false_alarms) + len(found.repeats) == len(times)
    assert all(-1 <= m.delay_s <= 10 for m in found.matches)


@settings(deadline=None)
@given(count=st.integers(0, 3000), hours=st.floats(0.01, 1e4))
def test_bound_is_the_chi_squared_quantile(count: int, hours: float) -> None:
    expected = chi2.ppf(0.95, 2 * count + 2) / (2 * hours)
    assert false_alarm_bound(count, hours) == pytest.approx(expected, rel=1e-9)


def test_nothing_seen_bounds_the_rate_by_three_over_hours() -> None:
    assert false_alarm_bound(0, 100) == pytest.approx(3 / 100, rel=0.002)
    assert false_alarm_bound(0, 0) is None
    assert false_alarm_bound(5, 0) is None


def test_event_free_time_counts_overlaps_once_and_stops_at_the_end() -> None:
    truths = [Truth("a", "jam", 10, 30), Truth("a", "hit", 20, 40), Truth("a", "hit", 3590, 9999)]
    assert event_free_hours({"a": 3600, "b": 3600}, truths) * 3600 == pytest.approx(7200 - 30 - 10)
    assert event_free_hours({"a": 100}, [Truth("a", "jam", 200, 300)]) * 3600 == pytest.approx(100)
    assert event_free_hours({}, []) == 0


@settings(deadline=None)
@given(spans=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 20)), max_size=6))
def test_event_free_time_agrees_with_counting_seconds(spans: list[tuple[int, int]]) -> None:
    covered = {s for start, length in spans for s in range(start, start + length) if s < 40}
    truths = [event(start, length_s=length) for start, length in spans]
    assert event_free_hours({"gate": 40}, truths) * 3600 == pytest.approx(40 - len(covered))


def test_report_adds_up() -> None:
    truths = [event(100), event(500), event(900, behavior="jam")]
    alarms = [alarm(102), alarm(504), alarm(901, behavior="hit"), alarm(700)]
    report = stream_report(truths, alarms, durations_s={"gate": 3615})
    assert report.recall == {1.0: 0, 3.0: 1 / 3, 5.0: 2 / 3, 10.0: 2 / 3}
    assert report.precision == 1 / 2 and report.f1 == pytest.approx(2 * 2 / (2 * 2 + 2 + 1))
    assert report.event_free_hours == 1 and report.false_alarms_per_hour == 2
    assert report.delay_median_s == 3 and report.delay_p90_s == pytest.approx(np.percentile([2, 4], 90))
    ignoring = stream_report(truths, alarms, durations_s={"gate": 3615}, by_behavior=False)
    assert ignoring.recall[10.0] == 1 and ignoring.n_false == 1


def test_no_events_no_alarms_and_no_hours_are_not_zero() -> None:
    report = stream_report([], [], durations_s={"gate": 7200})
    assert report.recall[10.0] is None and report.precision is None and report.f1 is None
    assert report.delay_median_s is None
    assert report.false_alarms_per_hour == 0
    assert report.false_alarms_per_hour_upper == pytest.approx(1.5, rel=0.002)
    nothing = stream_report([], [], durations_s={})
    assert nothing.false_alarms_per_hour is None and nothing.false_alarms_per_hour_upper is None
    json.dumps(nothing.as_dict(), allow_nan=False)


def test_camera_that_was_not_watched_is_refused() -> None:
    with pytest.raises(ValueError, match="yard"):
        stream_report([event(1, camera="yard")], [], durations_s={"gate": 10})
    with pytest.raises(ValueError, match="yard"):
        stream_report([], [alarm(1, camera="yard")], durations_s={"gate": 10})


@pytest.mark.parametrize(("start_s", "end_s"), [(5, 5), (6, 5), (float("nan"), 5), (0, float("inf"))])
def test_event_without_length_is_refused(start_s: float, end_s: float) -> None:
    with pytest.raises(ValueError, match="time span"):
        Truth("gate", "jam", start_s, end_s)
