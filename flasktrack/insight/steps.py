"""Hours, days, weeks and months of a zone, which quarters of an hour in UTC fall into.

Databases would have to know each zone's clock changes to count local days; pandas does.
"""

from __future__ import annotations

from datetime import date, tzinfo
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from flasktrack.core.clocks import FIRST_SECOND, HOURS_TO_1970, LAST_SECOND, QUARTER, zone_offsets

Step = Literal["hour", "day", "week", "month"]
_ORDINAL_OF_1970 = date(1970, 1, 1).toordinal()


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
