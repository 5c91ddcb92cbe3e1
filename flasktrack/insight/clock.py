"""When things happened by an organization's clocks: days and hours of the week, in one statement.

The database counts by quarter hours in UTC first, and names the local hours of these few numbers only: naming the
hour of each record would take far longer than counting them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

import pandas as pd
from sqlalchemy import case, func, literal, select, union_all

from flasktrack.core.clocks import HOURS, WEEK
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.quarter_hours import Step, day_starts
from flasktrack.insight.questions import Questions
from flasktrack.insight.week_hours import local_hour


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
    quarters = questions.grouped(chosen, ("quarter", "actor_type"), "records").cte()
    kind = case((quarters.c.actor_type == "user", "person"), else_="machine").label("kind")
    hours = select(local_hour(quarters.c.quarter, zone.key).label("hour"), kind, quarters.c.records).cte()
    hours = hours.prefix_with("MATERIALIZED", dialect="duckdb")  # it is read twice
    total = func.sum(hours.c.records).label("records")
    day, of_week = (hours.c.hour // HOURS).label("number"), (hours.c.hour % WEEK).label("number")
    known = hours.c.hour.is_not(None)
    found = questions.rows(
        union_all(
            select(literal("day").label("by"), day, hours.c.kind, total).where(known).group_by(day, hours.c.kind),
            select(literal("week"), of_week, hours.c.kind, total).where(known).group_by(of_week, hours.c.kind),
        )
    )
    rows = pd.DataFrame(list(map(tuple, found)), columns=["by", "number", "kind", "records"])
    rows = rows.astype({"number": "int64", "records": "int64"})
    days, week = (rows[rows["by"] == by].drop(columns="by").reset_index(drop=True) for by in ("day", "week"))
    days["number"] += 1  # ordinals count from 1
    return Clock(days.rename(columns={"number": "day"}), week.rename(columns={"number": "week_hour"}), zone)
