"""Folding counts into the plant's days, shares and waits: nothing lost, nothing twice, whatever the clock."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jikimi.hours import WEEK_S, Local, Stretch, Weekly, holds, stretches, week_spans
from jikimi.serve.folding import bin_of, calendar, month_before, month_of, waits, week_of, wilson
from jikimi.settings import DAYS, Hours
from jikimi.stream_metrics import false_alarm_bound

ZONES = [
    ZoneInfo(name)
    for name in ("Asia/Seoul", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns")
]
START = datetime(2026, 1, 1, tzinfo=UTC)

zones = st.sampled_from(ZONES)
seconds = st.integers(0, 400 * 86400)
hours = st.builds(
    lambda days, start, end: Hours.model_validate({"days": days, "start": start, "end": end}),
    st.lists(st.sampled_from(DAYS), min_size=1, max_size=7, unique=True),
    st.times().map(lambda clock: clock.replace(microsecond=0).isoformat()),
    st.times().map(lambda clock: clock.replace(microsecond=0).isoformat()) | st.just("24:00"),
)


def clock_of(zone: ZoneInfo) -> Local:
    return lambda moment: moment.astimezone(zone)


@given(hours, st.integers(0, WEEK_S - 1))
def test_spans_of_a_week_hold_when_the_hours_hold(wanted: Hours, second: int) -> None:
    monday = datetime(2026, 6, 29)
    inside = any(low <= second < high for low, high in week_spans(wanted))
    assert inside == holds(wanted, monday + timedelta(seconds=second))
    assert all(0 <= low < high <= WEEK_S for low, high in week_spans(wanted))


@given(zones, seconds, st.integers(0, 400 * 86400), st.integers(0, 800 * 86400))
def test_stretches_cover_the_range_and_know_how_far_ahead_the_clock_is(
    zone: ZoneInfo, since_s: int, long_s: int, at_s: int
) -> None:
    since, until = START + timedelta(seconds=since_s), START + timedelta(seconds=since_s + long_s)
    found = stretches(clock_of(zone), since=since, until=until)
    assert found[0].start == since and found[-1].end == until
    assert all(one.end == following.start for one, following in pairwise(found))
    moment = START + timedelta(seconds=at_s)
    for each in found:
        if each.start <= moment < each.end:
            ahead = moment.astimezone(zone).utcoffset()
            assert ahead is not None and ahead.total_seconds() == each.ahead_s


def test_a_clock_that_is_put_forward_and_back_has_three_stretches() -> None:
    year = stretches(clock_of(ZONES[1]), since=START, until=START + timedelta(days=365))
    assert [each.ahead_s for each in year] == [3600, 7200, 3600]
    assert [each.end for each in year[:2]] == [
        datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC),
    ]  # fmt: skip


def test_hours_of_the_week_need_a_clock() -> None:
    with pytest.raises(ValueError, match="stretch"):
        Weekly((), ())


@given(zones, seconds, st.integers(1, 60 * 86400), st.lists(st.integers(0, 60 * 86400), max_size=40))
def test_the_calendar_counts_each_incident_once_as_the_plants_clock_has_it(
    zone: ZoneInfo, since_s: int, long_s: int, opened_s: list[int]
) -> None:
    local, since = clock_of(zone), START + timedelta(seconds=since_s)
    until = since + timedelta(seconds=long_s)
    opened = [since + timedelta(seconds=second) for second in opened_s if second < long_s]
    bin_s = bin_of(stretches(local, since=since, until=until))
    bins = Counter((int(moment.timestamp()) // bin_s * bin_s, "jam") for moment in opened)
    found = calendar(bins, local=local, since=since, until=until)
    clocks = [local(moment) for moment in opened]
    assert list(found.by_hour) == [sum(clock.hour == hour for clock in clocks) for hour in range(24)]
    assert list(found.by_weekday) == [sum(clock.weekday() == day for clock in clocks) for day in range(7)]
    days = Counter(clock.date() for clock in clocks)
    assert {day: sum(counts.values()) for day, counts in found.by_day.items() if counts} == dict(days)
    assert sum(sum(counts.values()) for counts in found.by_week.values()) == len(opened)
    assert list(found.by_day) == sorted(found.by_day) and local(since).date() == next(iter(found.by_day))
    assert all((following - day).days == 1 for day, following in pairwise(found.by_day))


def test_a_range_that_ends_at_midnight_does_not_touch_the_next_day() -> None:
    since, until = month_of(date(2026, 11, 17), ZONES[0])
    assert (since, until) == (
        datetime(2026, 10, 31, 15, tzinfo=UTC), datetime(2026, 11, 30, 15, tzinfo=UTC),
    )  # fmt: skip
    found = calendar({}, local=clock_of(ZONES[0]), since=since, until=until)
    assert len(found.by_day) == 30 and list(found.by_day)[-1] == date(2026, 11, 30)
    assert next(iter(found.by_week)) == week_of(date(2026, 11, 1)) == date(2026, 10, 26)


@given(st.dates(date(2000, 1, 1), date(2100, 12, 31)), zones)
def test_months_follow_each_other_without_a_gap(day: date, zone: ZoneInfo) -> None:
    since, until = month_of(day, zone)
    assert month_of(month_before(day), zone)[1] == since < until
    assert since.astimezone(zone).date() == day.replace(day=1)


def test_bins_fit_into_the_hours_of_clocks_that_are_half_an_hour_off() -> None:
    assert bin_of([Stretch(START, START, ahead_s=9 * 3600)]) == 3600
    assert bin_of([Stretch(START, START, ahead_s=20700)]) == 900
    assert bin_of([Stretch(START, START, ahead_s=ahead) for ahead in (37800, 39600)]) == 1800


# From Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_intervals_of_shares_are_the_published_ones(hits: int, of: int, low: float, high: float) -> None:
    found = wilson(hits, of)
    assert found is not None
    assert found == pytest.approx((low, high), abs=5e-5)
    mirrored = wilson(of - hits, of)
    assert mirrored is not None and mirrored == pytest.approx((1 - high, 1 - low), abs=5e-5)


@given(st.integers(0, 500), st.integers(0, 500))
def test_intervals_of_shares_hold_the_share_and_stay_shares(hits: int, more: int) -> None:
    found = wilson(hits, hits + more)
    if hits + more == 0:
        assert found is None
        return
    assert found is not None and 0 <= found[0] <= hits / (hits + more) <= found[1] <= 1


# chi2.ppf(0.95, 2 n + 2) / 2 of scipy 1.14.
@pytest.mark.parametrize(
    ("count", "bound"), [(0, 2.9957), (1, 4.7439), (2, 6.2958), (10, 16.9622), (100, 118.0793)]
)
def test_bounds_of_rates_are_those_of_chi_square(count: int, bound: float) -> None:
    assert false_alarm_bound(count, 1.0) == pytest.approx(bound, abs=2e-3)
    assert false_alarm_bound(count, 0.0) is None


@given(st.lists(st.integers(-5, 500), max_size=60))
def test_waits_are_what_sorting_them_says(values: list[int]) -> None:
    found = waits(Counter(values).items(), edges_s=(10, 100))
    true = [max(0, value) for value in values]
    assert found.count == len(values) == sum(found.below)
    assert found.below == (
        sum(value < 10 for value in true),
        sum(10 <= value < 100 for value in true),
        sum(value >= 100 for value in true),
    )
    if not values:
        assert found.median_s is None and found.p90_s is None
        return
    assert found.median_s == np.quantile(true, 0.5, method="inverted_cdf")
    assert found.p90_s == np.quantile(true, 0.9, method="inverted_cdf")
