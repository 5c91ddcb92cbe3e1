"""When things happened by an organization's clocks: days and hours of the week.

The database counts by quarter hours in UTC, and the local hours are named here, of these few numbers only: databases
would have to be told each zone's clock changes, and ask them of each row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd
from sqlalchemy import ColumnElement, Integer, case, cast, select

from flasktrack.core.clocks import FIRST_SECOND, HOURS, LAST_SECOND, QUARTER, WEEK
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.questions import Questions
from flasktrack.insight.steps import Step, day_starts, local_hours

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
    known = quarters.c.quarter.between(-(-FIRST_SECOND // QUARTER), LAST_SECOND // QUARTER)
    of_people = case((quarters.c.actor_type == "user", quarters.c.records), else_=0)
    columns = (quarters.c.quarter, quarters.c.records, of_people.label("of_people"))
    small: list[ColumnElement[Any]] = [cast(column, Integer).label(column.name) for column in columns]
    found = questions.arrays(select(*small).where(known))  # half as much to be moved
    quarter, records, people = _together(found["quarter"], found["records"], found["of_people"])
    hours, records, people = _together(local_hours(quarter * QUARTER, zone.key), records, people)
    kinds = {"person": people, "machine": records - people}
    days = _summed("day", hours // HOURS + 1, kinds)  # ordinals count from 1
    return Clock(days, _summed("week_hour", hours % WEEK, kinds), zone)


def _together(numbers: npt.NDArray[np.integer], *amounts: npt.NDArray[np.integer]) -> list[Integers]:
    """Numbers, and the amounts of each, with neighbours of the same number put together."""
    ends = np.append(np.flatnonzero(numbers[1:] != numbers[:-1]), len(numbers) - 1)[: len(numbers)]
    sums = (np.diff(np.cumsum(amount, dtype=np.int64)[ends], prepend=0) for amount in amounts)
    return [numbers[ends].astype(np.int64), *sums]


def _summed(name: str, numbers: Integers, kinds: Mapping[str, Integers]) -> pd.DataFrame:
    """Records by number and kind: [name, kind, records]; without those of which there is none."""
    first = int(numbers.min()) if len(numbers) else 0
    frames = []
    for kind, records in kinds.items():
        sums = np.bincount(numbers - first, weights=records).astype(np.int64)
        there = np.flatnonzero(sums)
        frames.append(pd.DataFrame({name: there + first, "kind": kind, "records": sums[there]}))
    return pd.concat(frames, ignore_index=True)
