"""When a camera is due: days, spans past midnight, whole days, and clocks that are put forward or back."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jikimi.hours import due, holds
from jikimi.settings import DAYS, Hours

SEOUL, BERLIN = ZoneInfo("Asia/Seoul"), ZoneInfo("Europe/Berlin")

# 2026-07-01 is a Wednesday.
WED = datetime(2026, 7, 1, tzinfo=SEOUL)


def hours(start: str, end: str, *days: str) -> Hours:
    return Hours.model_validate({"start": start, "end": end} | ({"days": days} if days else {}))


def at(clock: str, day: datetime = WED) -> datetime:
    return datetime.combine(day.date(), time.fromisoformat(clock), tzinfo=day.tzinfo)


def test_camera_without_a_schedule_is_always_due() -> None:
    assert due((), WED)


@pytest.mark.parametrize(
    ("clock", "expected"), [("07:59:59", False), ("08:00", True), ("16:59:59", True), ("17:00", False)]
)
def test_span_is_half_open(clock: str, expected: bool) -> None:
    assert holds(hours("08:00", "17:00"), at(clock)) is expected


def test_span_past_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    night = hours("22:00", "06:00", "wed")
    assert holds(night, at("23:00")) and not holds(night, at("05:00"))
    thursday = WED + timedelta(days=1)
    assert holds(night, at("05:59", thursday))
    assert not holds(night, at("06:00", thursday)) and not holds(night, at("22:00", thursday))


def test_sunday_night_lasts_into_monday() -> None:
    night, sunday = hours("22:00", "06:00", "sun"), WED + timedelta(days=4)
    assert holds(night, at("23:30", sunday)) and holds(night, at("01:00", sunday + timedelta(days=1)))


@pytest.mark.parametrize("clock", ["18:00", "23:59:59", "23:59:59.999999"])
def test_day_lasts_until_24_o_clock(clock: str) -> None:
    evening = hours("18:00", "24:00", "wed")
    assert holds(evening, at(clock))
    assert not holds(evening, at("00:00", WED + timedelta(days=1))) and not holds(evening, at("17:59"))


def test_midnight_may_be_said_as_the_next_days_beginning() -> None:
    evening = hours("18:00", "00:00", "wed")
    assert holds(evening, at("23:59:59.999999"))
    assert not holds(evening, at("00:00")) and not holds(evening, at("00:00", WED + timedelta(days=1)))


def test_same_start_and_end_is_a_whole_day_from_there() -> None:
    whole = hours("08:00", "08:00", "wed")
    assert holds(whole, at("08:00")) and holds(whole, at("07:59", WED + timedelta(days=1)))
    assert not holds(whole, at("07:59")) and not holds(whole, at("08:00", WED + timedelta(days=1)))


def test_any_of_several_spans_is_enough() -> None:
    schedule = [hours("08:00", "12:00"), hours("13:00", "17:00")]
    assert [due(schedule, at(clock)) for clock in ("11:00", "12:30", "13:00")] == [True, False, True]


def test_hour_that_is_skipped_in_spring_neither_adds_nor_loses_a_shift() -> None:
    night = hours("22:00", "06:00", "sat")  # 2026-03-29 at 2 o'clock it is 3
    evening = datetime(2026, 3, 28, 22, tzinfo=BERLIN).astimezone(UTC)
    held = [holds(night, (evening + timedelta(minutes=30 * k)).astimezone(BERLIN)) for k in range(20)]
    assert held == [True] * 14 + [False] * 6


def test_hour_that_comes_twice_in_autumn_is_watched_twice() -> None:
    night = hours("22:00", "06:00", "sat")  # 2026-10-25 at 3 o'clock it is 2 again
    evening = datetime(2026, 10, 24, 22, tzinfo=BERLIN).astimezone(UTC)
    held = [holds(night, (evening + timedelta(minutes=30 * k)).astimezone(BERLIN)) for k in range(20)]
    assert held == [True] * 18 + [False] * 2
    short = hours("02:15", "02:45", "sun")
    both = [datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=fold) for fold in (0, 1)]
    assert all(holds(short, moment) for moment in both) and both[0].utcoffset() != both[1].utcoffset()


moments = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)).map(lambda t: t.replace(tzinfo=SEOUL))
clocks = st.times()


@given(moments)
def test_default_hours_always_hold(moment: datetime) -> None:
    assert holds(Hours(), moment)


@given(moments, clocks, clocks)
def test_span_and_the_rest_of_the_day_leave_no_gap(moment: datetime, a: time, b: time) -> None:
    if a == b or time.max in (a, b):
        return
    one, other = Hours(start=a, end=b), Hours(start=b, end=a)
    assert holds(one, moment) != holds(other, moment)


@given(moments, clocks, clocks, st.sets(st.sampled_from(DAYS)))
def test_days_that_are_not_named_are_only_reached_past_midnight(
    moment: datetime, a: time, b: time, days: set[str]
) -> None:
    span = Hours(days=tuple(day for day in DAYS if day in days), start=a, end=b)
    yesterday = DAYS[(moment.weekday() - 1) % 7]
    if DAYS[moment.weekday()] not in days and (a < b or yesterday not in days):
        assert not holds(span, moment)
