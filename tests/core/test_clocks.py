"""Clocks show what Python's zones say, between 1970 and 2100; before and after, an hour that is some hour."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flasktrack.core.clocks import FIRST_SECOND, HOURS, LAST_SECOND, QUARTER, WEEK, local_hour, zone_offsets

ZONES = ("UTC", "Europe/Berlin", "America/Havana", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu")


@settings(deadline=None)  # a zone's offsets are found once
@given(st.integers(0, 4_102_444_800 // QUARTER - 1), st.sampled_from(ZONES))
def test_the_local_hour_is_that_of_pythons_zones(quarter: int, zone: str) -> None:
    clock = datetime.fromtimestamp(quarter * QUARTER, ZoneInfo(zone))
    assert local_hour(quarter * QUARTER, zone) == (clock.toordinal() - 1) * HOURS + clock.hour


@given(st.integers(FIRST_SECOND, LAST_SECOND))
def test_modulo_a_week_it_is_the_hour_of_the_week(second: int) -> None:
    clock = datetime.fromtimestamp(0, UTC).replace(tzinfo=None)
    hour = local_hour(second, "UTC")
    assert hour is not None
    days = (second // 86_400 + clock.toordinal() - 1) % 7
    assert hour % WEEK == days * HOURS + second % 86_400 // 3600


@pytest.mark.parametrize("second", [None, FIRST_SECOND - 1, LAST_SECOND + 1])
def test_what_is_no_time_in_every_zone_has_no_hour(second: int | None) -> None:
    assert local_hour(second, "Europe/Berlin") is None


def test_a_zone_whose_clocks_never_change_has_one_offset() -> None:
    assert [offset.seconds for offset in zone_offsets("UTC")] == [0]
