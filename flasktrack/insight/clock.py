"""When things happened by an organization's clocks: days and hours of the week.

The database counts by quarter hours in UTC, and the local hours are named here, of these few numbers only: databases
would have to be told each zone's clock changes, and ask them of each row.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd
from sqlalchemy import case, select

from flasktrack.core.clocks import FIRST_SECOND, HOURS, LAST_SECOND, QUARTER, WEEK
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.quarter_hours import Step, day_starts, local_hours
from flasktrack.insight.questions import Questions

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Clock:
    """Records on the clock. `days` has day (a date's ordinal), kind and records, `week` week_hour, kind and records.

    `kind` is `person` for a user and `machine` for every other actor; days and hours without records are left out.
    """

    days: pd.DataFrame
    week: pd.DataFrame
    zone: ZoneInfo

    @property
    def records(self) -> int:
        """How many records there are on the clock: all but those whose time was made none."""
        return int(self.days["records"].sum())

    @property
    def first_day(self) -> date | None:
        return None if self.days.empty else date.fromordinal(int(self.days["day"].min()))

    @property
    def last_day(self) -> date | None:
        return None if self.days.empty else date.fromordinal(int(self.days["day"].max()))

    def over_time(self, step: Step) -> pd.DataFrame:
        """Records by day, week (from Monday) or month: [start (in the zone), kind, records]."""
        counted = self.days.copy()
        counted["start"] = day_starts(counted["day"], self.zone, step)
        return counted.groupby(["start", "kind"], as_index=False)[["records"]].sum()


def clock(questions: Questions, chosen: RecordFilter, zone: ZoneInfo) -> Clock:
    """When the records of a filter occurred, by the clocks of a zone."""
    # By outcome as well, as the sums are kept: the database has nothing to put together then, and numpy adds quicker.
    quarters = questions.grouped(chosen, ("quarter", "actor_type", "outcome"), "records").subquery()
    by_person = case((quarters.c.actor_type == "user", 1), else_=0).label("by_person")
    known = quarters.c.quarter.between(-(-FIRST_SECOND // QUARTER), LAST_SECOND // QUARTER)
    found = questions.arrays(select(quarters.c.quarter, by_person, quarters.c.records).where(known))
    hours = local_hours(found["quarter"] * QUARTER, zone.key)
    people, records = found["by_person"] == 1, found["records"]
    days = _summed("day", hours // HOURS + 1, people, records)  # ordinals count from 1
    return Clock(days, _summed("week_hour", hours % WEEK, people, records), zone)


def _summed(name: str, numbers: Integers, people: npt.NDArray[np.bool_], records: Integers) -> pd.DataFrame:
    """Records by number and kind: [name, kind, records]; without those of which there is none."""
    first = int(numbers.min()) if len(numbers) else 0
    frames = []
    for kind, those in (("person", people), ("machine", ~people)):
        sums = np.bincount(numbers[those] - first, weights=records[those]).astype(np.int64)
        there = np.flatnonzero(sums)
        frames.append(pd.DataFrame({name: there + first, "kind": kind, "records": sums[there]}))
    return pd.concat(frames, ignore_index=True)
