"""Times as people read them: in the organization's zone, short in tables, full in details."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pandas as pd

from flasktrack.core.display import display
from flasktrack.core.times import in_zone, parse_time, utc_now


def local(text: str, zone: ZoneInfo) -> datetime | None:
    """A record's time text in a zone; None where it is no time (an altered row may hold anything)."""
    try:
        return in_zone(parse_time(text), zone)
    except (TypeError, ValueError):
        return None


def short(text: str, zone: ZoneInfo) -> str:
    """`2026-11-24 05:06:07`, for tables whose header names the zone; a text that is no time, as it is.

    An hour that comes twice, when clocks go back, has its offset, too: `2026-10-25 02:30:00 +01:00`.
    """
    moment = local(text, zone)
    if moment is None:
        return display(text)
    twice = moment.replace(fold=0).utcoffset() != moment.replace(fold=1).utcoffset()
    return _with_offset(moment, "seconds") if twice else moment.replace(tzinfo=None).isoformat(" ", "seconds")


def full(text: str, zone: ZoneInfo) -> str:
    """`2026-11-24 05:06:07.123456 +01:00 (Europe/Berlin)`; a text that is no time, as it is."""
    moment = local(text, zone)
    return display(text) if moment is None else f"{_with_offset(moment, 'microseconds')} ({zone.key})"


def minute(moment: datetime, zone: ZoneInfo) -> str:
    """An aware time to the minute, with its offset: `2026-11-24 05:06 +01:00`."""
    return _with_offset(in_zone(moment, zone), "minutes")


def minutes(moments: pd.Series[pd.Timestamp], zone: ZoneInfo) -> list[str]:
    """Aware times to the minute, for tables whose header names the zone; "" where there is none."""
    known = (None if pd.isna(moment) else in_zone(moment.to_pydatetime(), zone) for moment in moments)
    return ["" if moment is None else moment.replace(tzinfo=None).isoformat(" ", "minutes") for moment in known]


def _with_offset(moment: datetime, precision: str) -> str:
    written = moment.isoformat(" ", precision)
    return f"{written[:-6]} {written[-6:]}"


def span_words(start: datetime, end: datetime, zone: ZoneInfo) -> str:
    """`11-18 to 11-24`, `11-24` or `11-24 09:00 to 11-25 10:30`: from a time up to another one, for headers.

    The year stands before the month where the two differ in it, or it is not the present one.
    """
    first, last = in_zone(start, zone), in_zone(end, zone)
    present = in_zone(utc_now(), zone).year
    day = "%m-%d" if first.year == last.year == present else "%Y-%m-%d"
    if first.time() == last.time() == time():
        last -= timedelta(days=1)
        if first.date() >= last.date():
            return first.strftime(day)
        return f"{first.strftime(day)} to {last.strftime(day)}"
    return f"{first.strftime(f'{day} %H:%M')} to {last.strftime(f'{day} %H:%M')}"
