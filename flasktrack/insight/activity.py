"""What the pages on activity ask besides counts: what changed, and who did how much when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pandas as pd
from sqlalchemy import case, func

from flasktrack.core.clocks import QUARTER
from flasktrack.insight import copy_tables
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.quarter_hours import quarter_hour
from flasktrack.insight.questions import Questions

TREND_POINTS = 24
"""How many equal parts of a span a trend line has."""

_record = copy_tables.record.c
_records = func.count().label("records")
_LATELY = timedelta(days=7)


class Periods(NamedTuple):
    """A period, from `start` up to `end`, and the one of the same length before it, from `before`.

    `days` is the length in days where nobody chose the period; otherwise None.
    """

    before: datetime
    start: datetime
    end: datetime
    days: int | None = None


def periods(chosen: RecordFilter, last: datetime, now: datetime, zone: ZoneInfo) -> Periods | None:
    """The filter's own period up to now, or else the last seven whole days up to that of the last act.

    Lengths are by the zone's clocks, so that days begin at midnight on both sides of a clock change. None where the
    filter's period has not begun, or the one before it lies before the calendar.
    """
    try:
        return _periods(chosen, last, now, zone)
    except OverflowError:
        return None


def _periods(chosen: RecordFilter, last: datetime, now: datetime, zone: ZoneInfo) -> Periods | None:
    days = None
    if chosen.occurred_from is None:
        last = min(last, now, chosen.occurred_to or now)
        midnight = last.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
        start, end = midnight - _LATELY + timedelta(days=1), midnight + timedelta(days=1)
        days = _LATELY.days
    else:
        start = chosen.occurred_from.astimezone(zone)
        end = (chosen.occurred_to or now).astimezone(zone)
    if start >= end:
        return None
    before = start - (end.replace(tzinfo=None) - start.replace(tzinfo=None))  # on the wall clock (PEP 495)
    return Periods(before.astimezone(UTC), start.astimezone(UTC), end.astimezone(UTC), days)


def within(chosen: RecordFilter, start: datetime, end: datetime) -> RecordFilter:
    """The filter with another period."""
    return replace(chosen, occurred_from=start, occurred_to=end)


def changes(questions: Questions, chosen: RecordFilter, compared: Periods) -> pd.DataFrame:
    """Records in both periods: [period (`now` or `before`), kind (`person` or `machine`), action, outcome, records]."""
    start = compared.start.astimezone(UTC).replace(tzinfo=None)
    period = case((_record.occurred_at >= start, "now"), else_="before").label("period")
    kind = case((_record.actor_type == "user", "person"), else_="machine").label("kind")
    by = (period, kind, _record.action, _record.outcome)
    both = within(chosen, compared.before, compared.end)
    return questions.frame(questions.select(both, *by, _records).group_by(*by))


def trends(
    questions: Questions, chosen: RecordFilter, actors: Sequence[str], first: datetime, last: datetime
) -> dict[str, list[int]]:
    """For each of the actors (`type:id`), their records in each of `TREND_POINTS` equal parts from first to last."""
    begin, end = (int(moment.timestamp()) // QUARTER for moment in (first, last))
    width = -(-(end - begin + 1) // TREND_POINTS)
    part = ((quarter_hour(_record.occurred_at) - begin) // width).label("part")
    by = (_record.actor_type, _record.actor_id, part)
    narrowed = replace(chosen, actors=tuple(actors))
    found = {actor: [0] * TREND_POINTS for actor in actors}
    rows = questions.rows(questions.select(narrowed, *by, _records).group_by(*by))
    for kind, name, number, records in map(tuple, rows):
        if number is not None and 0 <= number < TREND_POINTS:
            found[f"{kind}:{name}"][int(number)] += int(records)
    return found
