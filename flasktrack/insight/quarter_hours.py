"""Counting by the clock of a zone: the database counts by quarters of an hour in UTC, which the zone then names.

Every offset in use today is a multiple of 15 minutes (Kathmandu is UTC+05:45), so a quarter of an hour never belongs
to two hours of a zone. Databases would have to know each zone's clock changes to count local days; pandas does.
"""

from __future__ import annotations

from datetime import date, tzinfo
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd
from sqlalchemy import BigInteger, ColumnElement
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from flasktrack.core.clocks import FIRST_SECOND, HOURS_TO_1970, LAST_SECOND, QUARTER, zone_offsets

Step = Literal["hour", "day", "week", "month"]
_ORDINAL_OF_1970 = date(1970, 1, 1).toordinal()
_SHIFT = 62_135_596_800  # seconds from the year 1 to 1970: SQLite's integer division rounds towards zero, not down


class quarter_hour(GenericFunction[int]):  # noqa: N801 (a function in SQL)
    """The quarter hour since 1970 that holds a time; null where the stored text is no time."""

    type = BigInteger()
    inherit_cache = True

    def __init__(self, time: ColumnElement[str]) -> None:
        super().__init__(time)


@compiles(quarter_hour, "sqlite")
def _in_sqlite(element: quarter_hour, compiler: SQLCompiler, **kw: Any) -> str:
    # Without its seconds, since strftime rounds 59.9996 up to the next minute.
    minute = f"substr({compiler.process(element.clauses, **kw)}, 1, 16)"
    quarter = f"(CAST(strftime('%s', {minute}) AS INTEGER) + {_SHIFT}) / {QUARTER} - {_SHIFT // QUARTER}"
    return f"CASE WHEN {minute} LIKE '____-__-__T__:__' THEN {quarter} END"  # strftime takes `now` and 2461000.5, too


@compiles(quarter_hour, "postgresql")
def _in_postgresql(element: quarter_hour, compiler: SQLCompiler, **kw: Any) -> str:
    time = compiler.process(element.clauses, **kw)
    return f"CASE WHEN isfinite({time}) THEN CAST(floor(extract(epoch FROM {time}) / {QUARTER}) AS bigint) END"


@compiles(quarter_hour, "duckdb")
def _in_duckdb(element: quarter_hour, compiler: SQLCompiler, **kw: Any) -> str:
    shifted = f"epoch_us({compiler.process(element.clauses, **kw)}) + {_SHIFT * 1_000_000}"  # rounds towards zero, too
    return f"(({shifted}) // {QUARTER * 1_000_000} - {_SHIFT // QUARTER})"


def on_a_calendar(quarters: pd.Series[int]) -> pd.Series[bool]:
    """Which quarter hours have a local time in every zone: not those beyond the years 1 to 9999, nor at their ends."""
    return quarters.between(FIRST_SECOND // QUARTER, LAST_SECOND // QUARTER)


def local_times(quarters: pd.Series[int], zone: ZoneInfo) -> pd.Series[pd.Timestamp]:
    """When each quarter hour begins, in the zone."""
    seconds = quarters.to_numpy(dtype="int64") * QUARTER
    utc = pd.Series(seconds.astype("datetime64[s]").astype("datetime64[us]"), index=quarters.index)
    return utc.dt.tz_localize("UTC").dt.tz_convert(zone)


def step_starts(times: pd.Series[pd.Timestamp], step: Step) -> pd.Series[pd.Timestamp]:
    """When the hour, day, week (from Monday) or month around each time begins in its zone.

    A day that has no midnight, since clocks go forward then, begins at its first minute; one that has two begins at
    the earlier one.
    """
    if step == "hour":
        return _hour_starts(times)
    return _starts(times.dt.tz_localize(None).dt.normalize(), times.dt.tz, step)


def day_starts(days: pd.Series[int], zone: ZoneInfo, step: Step) -> pd.Series[pd.Timestamp]:
    """When days, or the weeks or months around them, begin in a zone; days are given as ordinals (1 is 1 January 1)."""
    since = (days.to_numpy(dtype="int64") - _ORDINAL_OF_1970).astype("datetime64[D]").astype("datetime64[us]")
    return _starts(pd.Series(since, index=days.index), zone, step)


def _starts(days: pd.Series[pd.Timestamp], zone: tzinfo | None, step: Step) -> pd.Series[pd.Timestamp]:
    """The starts, in a zone, of steps of whole days around days that say no zone."""
    if step == "week":
        days = days - pd.to_timedelta(days.dt.day_of_week, unit="D")
    elif step == "month":
        days = days - pd.to_timedelta(days.dt.day - 1, unit="D")
    earlier = np.ones(len(days), dtype=bool)
    return days.dt.tz_localize(zone, ambiguous=earlier, nonexistent="shift_forward")


def _hour_starts(times: pd.Series[pd.Timestamp]) -> pd.Series[pd.Timestamp]:
    """When the hours began; one within which clocks changed (Lord Howe's, by half an hour) has two beginnings."""
    clock = times.dt.tz_localize(None)
    hours = clock.dt.floor("h")
    starts = times - (clock - hours)  # of the instant, so that the hour which comes twice stays two hours
    odd = starts.dt.tz_localize(None) != hours
    if odd.any():
        starts[odd] = times[odd].map(_walk_back)
    return starts


def _walk_back(time: pd.Timestamp) -> pd.Timestamp:
    """The first quarter hour from which clocks ran through one hour up to `time`."""
    before = time - pd.Timedelta(seconds=QUARTER)
    clock, hour = before.tz_localize(None), time.tz_localize(None).floor("h")
    return _walk_back(before) if hour <= clock < time.tz_localize(None) else time


def local_hours(seconds: npt.NDArray[np.int64], zone: str) -> npt.NDArray[np.int64]:
    """As `core.clocks.local_hour`, of many POSIX times that every zone has."""
    offsets = np.array(zone_offsets(zone), dtype=np.int64)
    place = np.searchsorted(offsets[1:, 0], seconds, side="right")
    hours: npt.NDArray[np.int64] = (seconds + offsets[place, 1]) // 3600 + HOURS_TO_1970
    return hours
