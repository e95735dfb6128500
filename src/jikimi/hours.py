"""When a camera is due to be watched: schedules in the plant's own time. Pure: moments are passed in."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta

from jikimi.settings import DAYS, Hours


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
