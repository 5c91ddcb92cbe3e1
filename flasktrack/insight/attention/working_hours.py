"""When nobody is expected to work: the nights and days off of a period, by the clocks of the organization's zone."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from flasktrack.insight.week_hours import DAYS

_ENDS_OF_TIME = (2, 9998)  # years that are whole in every zone


class Stretch(NamedTuple):
    """A night or a day off, from the first moment up to but not including the last (UTC), and its date."""

    start: datetime
    end: datetime
    day: date


def off_hours(
    zone: ZoneInfo, begins: str, ends: str, days: Collection[str], start: datetime, end: datetime
) -> list[Stretch]:
    """The stretches outside working hours that touch the time from `start` to `end`, in order.

    Work on a working day goes from the first moment at which clocks show `begins` to the first at which they show
    `ends` (on the next day, where that is no later time of day). The night after a working day belongs to it; a day
    off goes from `begins` to `begins`. Where clocks go forward past one of these times, it is the moment at which
    they would have shown it.
    """
    found: list[Stretch] = []
    first, last = (moment.astimezone(zone).date() for moment in (start, end))
    if not _ENDS_OF_TIME[0] <= first.year <= last.year <= _ENDS_OF_TIME[1]:
        return found
    opening, closing = time.fromisoformat(begins), time.fromisoformat(ends)
    over_night = timedelta(days=closing <= opening)
    day = first - timedelta(days=2)
    while day <= last:
        works = DAYS[day.weekday()] in days
        away = _moment(day + over_night, closing, zone) if works else _moment(day, opening, zone)
        back = _moment(day + timedelta(days=1), opening, zone)
        if away < back and away < end and start < back:
            found.append(Stretch(away, back, day))
        day += timedelta(days=1)
    return found


def _moment(day: date, clock: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, clock, zone).astimezone(UTC)
