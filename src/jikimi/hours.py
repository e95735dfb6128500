"""The plant's own time: schedules, and how far its clock is ahead of UTC. Pure: moments are passed in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from jikimi.settings import DAYS, Hours

Local = Callable[[datetime], datetime]
"""A moment → the same moment on the plant's clock."""

DAY_S = 24 * 3600
WEEK_S = 7 * DAY_S


@dataclass(frozen=True, slots=True)
class Stretch:
    """[start, end) in which the plant's clock is `ahead_s` seconds ahead of UTC; summer time is another."""

    start: datetime
    end: datetime
    ahead_s: int


@dataclass(frozen=True, slots=True)
class Weekly:
    """Hours of every week on the plant's clock, for questions to a database, which knows UTC alone."""

    hours: tuple[Hours, ...]
    clock: tuple[Stretch, ...]

    def __post_init__(self) -> None:
        if not self.clock:
            raise ValueError("the plant's clock has at least one stretch")


def holds(hours: Hours, local: datetime) -> bool:
    """Whether `hours` hold at a local moment. A span past midnight belongs to the day on which it begins."""
    clock = local.time()
    today = DAYS[local.weekday()] in hours.days
    if hours.end == time.max:  # 24:00: the day's last moment belongs to it
        return today and hours.start <= clock
    if hours.start < hours.end:
        return today and hours.start <= clock < hours.end
    yesterday = DAYS[(local - timedelta(days=1)).weekday()] in hours.days
    return (today and clock >= hours.start) or (yesterday and clock < hours.end)


def due(schedule: Sequence[Hours], local: datetime) -> bool:
    """Whether a camera is watched at a local moment: always where it has no schedule."""
    return not schedule or any(holds(hours, local) for hours in schedule)


def week_spans(hours: Hours) -> list[tuple[int, int]]:
    """`holds` in numbers: half-open seconds of a week that begins on Monday 00:00, cut at the week's end.

    To the second: a start or end within a second counts as the next one.
    """
    start_s, end_s = _second(hours.start), _second(hours.end)
    if end_s <= start_s:
        end_s += DAY_S
    found = []
    for day in sorted(DAYS.index(day) for day in set(hours.days)):
        low, high = day * DAY_S + start_s, day * DAY_S + end_s
        found.append((low, min(high, WEEK_S)))
        if high > WEEK_S:
            found.append((0, high - WEEK_S))
    return [(low, high) for low, high in found if low < high]


def stretches(local: Local, *, since: datetime, until: datetime) -> tuple[Stretch, ...]:
    """Cut [since, until) where the plant's clock is put forward or back; one stretch where it never is."""
    found: list[Stretch] = []
    start, moment, ahead_s = since, since, _ahead_s(local, since)
    while moment < until:
        following = min(moment + timedelta(days=1), until)
        if _ahead_s(local, following) != ahead_s:
            following = _change(local, moment, following)
            found.append(Stretch(start, following, ahead_s))
            start, ahead_s = following, _ahead_s(local, following)
        moment = following
    if start < until or not found:
        found.append(Stretch(start, until, ahead_s))
    return tuple(found)


def _change(local: Local, before: datetime, after: datetime) -> datetime:
    """The whole second after `before` at which the clock is changed; it is changed by `after`."""
    low, high, ahead_s = int(before.timestamp()), int(after.timestamp()), _ahead_s(local, before)
    while high - low > 1:
        middle = (low + high) // 2
        changed = _ahead_s(local, datetime.fromtimestamp(middle, UTC)) != ahead_s
        low, high = (low, middle) if changed else (middle, high)
    return datetime.fromtimestamp(high, UTC)


def _ahead_s(local: Local, moment: datetime) -> int:
    ahead = local(moment).utcoffset()
    return round(ahead.total_seconds()) if ahead is not None else 0


def _second(clock: time) -> int:
    whole = clock.hour * 3600 + clock.minute * 60 + clock.second
    return whole + (clock.microsecond > 0)
