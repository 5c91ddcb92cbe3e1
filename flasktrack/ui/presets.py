"""Periods that people ask for by name, in whole days of the organization's zone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo


class Period(NamedTuple):
    """From the first moment, up to but not including the last; None is open."""

    start: datetime | None
    end: datetime | None


def presets(now: datetime, zone: ZoneInfo) -> dict[str, Period]:
    """Periods by their name; those that reach up to now are open at the end."""
    today = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    month = today.replace(day=1)
    last_month = (month - timedelta(days=1)).replace(day=1)
    quarter = month.replace(month=month.month - (month.month - 1) % 3)
    return {
        "All time": Period(None, None),
        "Today": Period(today, None),
        # Subtraction is on the wall clock (PEP 495), so these begin at midnight whatever summer time does.
        "Last 7 days": Period(today - timedelta(days=6), None),
        "Last 30 days": Period(today - timedelta(days=29), None),
        "This month": Period(month, None),
        "Last month": Period(last_month, month),
        "This quarter": Period(quarter, None),
        "This year": Period(month.replace(month=1), None),
    }
