"""Periods begin at midnight of the organization's zone, whatever its clocks do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasktrack.insight.filter import RecordFilter
from flasktrack.ui.presets import presets

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Kiritimati"]


def texts(now: str, zone: ZoneInfo = BERLIN) -> dict[str, tuple[str | None, str | None]]:
    found = presets(datetime.fromisoformat(now), zone)
    return {name: tuple(moment and moment.isoformat() for moment in period) for name, period in found.items()}  # type: ignore[misc]


def test_periods_are_whole_days_of_the_zone() -> None:
    """Half past midnight in Berlin is still the day before in UTC."""
    assert texts("2026-11-23T23:30:00+00:00") == {
        "All time": (None, None),
        "Today": ("2026-11-24T00:00:00+01:00", None),
        "Last 7 days": ("2026-11-18T00:00:00+01:00", None),
        "Last 30 days": ("2026-10-26T00:00:00+01:00", None),
        "This month": ("2026-11-01T00:00:00+01:00", None),
        "Last month": ("2026-10-01T00:00:00+02:00", "2026-11-01T00:00:00+01:00"),
        "This quarter": ("2026-10-01T00:00:00+02:00", None),
        "This year": ("2026-01-01T00:00:00+01:00", None),
    }


def test_days_are_counted_across_a_change_of_clocks() -> None:
    """Seven days that hold the 25-hour day of 25 October still begin at midnight."""
    assert texts("2026-10-26T12:00:00+00:00")["Last 7 days"] == ("2026-10-20T00:00:00+02:00", None)


def test_in_january_the_last_month_is_in_the_year_before() -> None:
    assert texts("2027-01-05T12:00:00+00:00")["Last month"] == (
        "2026-12-01T00:00:00+01:00", "2027-01-01T00:00:00+01:00",
    )  # fmt: skip


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)), st.sampled_from(ZONES))  # noqa: DTZ001 (made UTC below)
def test_every_period_is_a_filter_that_holds_the_time_it_is_named_after(moment: datetime, name: str) -> None:
    now, zone = moment.replace(tzinfo=UTC), ZoneInfo(name)
    for title, (start, end) in presets(now, zone).items():
        RecordFilter(occurred_from=start, occurred_to=end)
        if start is not None:
            assert (start.hour, start.minute, start.second, start.microsecond) == (0, 0, 0, 0)
            assert start <= now
        if title == "Last month":
            assert end is not None
            assert end <= now
            assert (end - timedelta(days=1)).astimezone(zone).month == (now.astimezone(zone).month - 2) % 12 + 1
        else:
            assert end is None


@pytest.mark.parametrize(("month", "begins"), [(1, 1), (3, 1), (4, 4), (6, 4), (8, 7), (12, 10)])
def test_a_quarter_begins_in_its_first_month(month: int, begins: int) -> None:
    start = presets(datetime(2026, month, 15, tzinfo=UTC), BERLIN)["This quarter"].start
    assert start is not None
    assert (start.month, start.day) == (begins, 1)
