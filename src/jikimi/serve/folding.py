"""From the store's counts to figures that people read: the plant's days and hours, shares, waits. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from jikimi.hours import Local, Stretch

# The normal distribution's 97.5 % point.
_Z_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Calendar:
    """Incidents on the plant's clock: `by_day` has every day of the range, also those without any."""

    by_hour: tuple[int, ...]
    by_weekday: tuple[int, ...]
    by_day: Mapping[date, Mapping[str, int]]
    by_week: Mapping[date, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Waits:
    """How long something took, in seconds: the value that half, or nine tenths, do not go beyond.

    `below` counts those that took less than each edge and no less than the edge before; its last count has
    no edge.
    """

    count: int
    median_s: float | None
    p90_s: float | None
    below: tuple[int, ...]


def bin_of(clock: Sequence[Stretch]) -> int:
    """Return the widest bin, in seconds, that falls whole into one hour of the plant's clock at all times."""
    return math.gcd(3600, *(each.ahead_s for each in clock))


def calendar(
    bins: Mapping[tuple[int, str], int], *, local: Local, since: datetime, until: datetime
) -> Calendar:
    """Fold bins of incidents in [since, until) into hours of day, weekdays from Monday, days and weeks.

    Of a bin that begins before `since` the rest counts: no incident of it was earlier.
    """
    by_hour, by_weekday = [0] * 24, [0] * 7
    by_day: dict[date, Counter[str]] = {day: Counter() for day in days(local, since=since, until=until)}
    by_week: dict[date, Counter[str]] = {week_of(day): Counter() for day in by_day}
    moments = {
        second: local(max(datetime.fromtimestamp(second, UTC), since)) for second in {key[0] for key in bins}
    }
    for (second, behavior), count in bins.items():
        moment = moments[second]
        by_hour[moment.hour] += count
        by_weekday[moment.weekday()] += count
        day = moment.date()
        by_day[day][behavior] += count
        by_week[week_of(day)][behavior] += count
    return Calendar(tuple(by_hour), tuple(by_weekday), by_day, by_week)


def days(local: Local, *, since: datetime, until: datetime) -> Iterator[date]:
    """The plant's days that [since, until) touches."""
    day, last = local(since).date(), local(until - timedelta(microseconds=1)).date()
    while day <= last:
        yield day
        day += timedelta(days=1)


def week_of(day: date) -> date:
    """The Monday of a day's week (ISO 8601)."""
    return day - timedelta(days=day.weekday())


def wilson(hits: int, of: int) -> tuple[float, float] | None:
    """95 % interval of a share, None of nothing. Wilson 1927: it holds for few and for none, too."""
    if of <= 0:
        return None
    share, z2 = hits / of, _Z_95**2
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = _Z_95 * math.sqrt(share * (1 - share) / of + z2 / (4 * of**2)) / (1 + z2 / of)
    return (0.0 if hits == 0 else max(0.0, middle - half), 1.0 if hits == of else min(1.0, middle + half))


def waits(seconds: Iterable[tuple[float, int]], *, edges_s: Sequence[float] = ()) -> Waits:
    """Fold (seconds, how often) into a median, a 90th percentile and counts between edges.

    Both percentiles are values that occurred. Negative ones, of clocks that were put back, count as 0.
    """
    counts: Counter[float] = Counter()
    for value_s, count in seconds:
        counts[max(0.0, value_s)] += count
    ordered, total = sorted(counts), counts.total()
    below = [0] * (len(edges_s) + 1)
    for value_s in ordered:
        below[sum(edge <= value_s for edge in edges_s)] += counts[value_s]
    return Waits(total, _percentile(ordered, counts, 0.5), _percentile(ordered, counts, 0.9), tuple(below))


def _percentile(ordered: Sequence[float], counts: Mapping[float, int], share: float) -> float | None:
    needed, met = math.ceil(round(share * sum(counts.values()), 6)), 0
    for value in ordered:
        met += counts[value]
        if met >= needed:
            return value
    return None


def month_of(day: date, zone: tzinfo | None) -> tuple[datetime, datetime]:
    """[since, until) of a day's month at the plant, in UTC; no zone: the machine's."""
    first = day.replace(day=1)
    following = (first + timedelta(days=31)).replace(day=1)
    since, until = (
        datetime.combine(each, time(0), tzinfo=zone).astimezone(UTC) for each in (first, following)
    )
    return since, until


def month_before(day: date) -> date:
    """The first day of the month before a day's."""
    return (day.replace(day=1) - timedelta(days=1)).replace(day=1)
