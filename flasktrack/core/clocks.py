"""What clocks in a time zone show, as numbers: the same in Python, in pandas and in every database.

Databases bring zones of their own, of other years than Python's: in one of them the clocks of a country may still go
back in autumn. So none of them is asked; they are given the offsets that `zone_offsets` finds.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

HOURS = 24
WEEK = 7 * HOURS
QUARTER = 900
"""Seconds. Clocks have changed by whole quarter hours, at the beginning of one, nearly everywhere since 1970."""
HOURS_TO_1970 = HOURS * (date(1970, 1, 1).toordinal() - 1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_SECOND, LAST_SECOND = (
    int((day - _EPOCH).total_seconds()) for day in (datetime(1, 2, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC))
)
"""POSIX times, from the first to the last, that have a local time in every zone, as has the month around the first."""
_LAST_YEAR = 2100
_STRIDE = timedelta(days=4)  # between two changes of clocks there were always more


class Offset(NamedTuple):
    """From a POSIX time on, clocks are ahead of UTC by so many seconds."""

    since: int
    seconds: int


@lru_cache
def zone_offsets(zone: str) -> tuple[Offset, ...]:
    """A zone's offsets from 1970 to 2100, to the quarter hour; what was before is taken for the first one, what comes
    after for the last. `since` of the first one says nothing."""
    clock = ZoneInfo(zone)
    moment, end = _EPOCH, datetime(_LAST_YEAR, 1, 1, tzinfo=UTC)
    found = [Offset(0, _offset(moment, clock))]
    while moment < end:
        if _offset(moment + _STRIDE, clock) != found[-1].seconds:
            for number in range(1, _STRIDE // timedelta(seconds=QUARTER) + 1):
                later = moment + timedelta(seconds=QUARTER * number)
                if (seconds := _offset(later, clock)) != found[-1].seconds:
                    found.append(Offset(int(later.timestamp()), seconds))
        moment += _STRIDE
    return tuple(found)


def _offset(moment: datetime, zone: ZoneInfo) -> int:
    offset = moment.astimezone(zone).utcoffset()
    return 0 if offset is None else round(offset.total_seconds())


def local_hour(seconds: int | None, zone: str) -> int | None:
    """The hour that clocks in a zone show at a POSIX time, numbered from 0: that after midnight on 1 January 1.

    That was a Monday, so modulo 168 it is the hour of the week. None where there is no time, or none that every zone
    has (`FIRST_SECOND` to `LAST_SECOND`).
    """
    if seconds is None or not FIRST_SECOND <= seconds <= LAST_SECOND:
        return None
    offsets = zone_offsets(zone)
    place = bisect_right(offsets, seconds, lo=1, key=lambda offset: offset.since)
    return (seconds + offsets[place - 1].seconds) // 3600 + HOURS_TO_1970
