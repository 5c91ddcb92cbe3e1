"""Times as people read them: in the organization's zone, and whatever an altered row holds is shown as it is."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from flasktrack.core.display import display
from flasktrack.ui.times import full, local, minute, minutes, short

BERLIN = ZoneInfo("Europe/Berlin")
RECORDED = "2026-11-24T05:06:07.123456Z"
IN_SUMMER = "2026-10-24T22:30:00.000000Z"


def test_a_time_is_short_in_tables_and_full_in_details() -> None:
    assert short(RECORDED, BERLIN) == "2026-11-24 06:06:07"
    assert full(RECORDED, BERLIN) == "2026-11-24 06:06:07.123456 +01:00 (Europe/Berlin)"
    assert minute(datetime.fromisoformat(RECORDED), BERLIN) == "2026-11-24 06:06 +01:00"


def test_the_offset_is_the_one_of_that_day() -> None:
    assert short(IN_SUMMER, BERLIN) == "2026-10-25 00:30:00"
    assert full(IN_SUMMER, BERLIN) == "2026-10-25 00:30:00.000000 +02:00 (Europe/Berlin)"


def test_the_hour_that_comes_twice_is_told_apart() -> None:
    """Both are half past two by the clock on 25 October; the offset says which."""
    first, second = (minute(datetime.fromisoformat(f"2026-10-25T0{hour}:30:00Z"), BERLIN) for hour in (0, 1))
    assert (first, second) == ("2026-10-25 02:30 +02:00", "2026-10-25 02:30 +01:00")
    in_tables = [short(f"2026-10-25T0{hour}:30:00.000000Z", BERLIN) for hour in (0, 1, 2)]
    assert in_tables == ["2026-10-25 02:30:00 +02:00", "2026-10-25 02:30:00 +01:00", "2026-10-25 03:30:00"]


@pytest.mark.parametrize("west", ["America/St_Johns", "America/Los_Angeles"])
def test_an_offset_to_the_west_keeps_its_sign(west: str) -> None:
    assert minute(datetime.fromisoformat(RECORDED), ZoneInfo(west))[-6] == "-"


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00.000000Z", "infinity", "44-03-15 BC", 17, None])
def test_what_is_no_time_is_shown_as_it_is(text: str) -> None:
    assert local(text, BERLIN) is None
    assert short(text, BERLIN) == full(text, BERLIN) == display(text)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"])
def test_the_ends_of_time_do_not_stop_a_page(text: str) -> None:
    for zone in ("Pacific/Kiritimati", "America/Los_Angeles", "UTC"):
        assert short(text, ZoneInfo(zone))[:4] == text[:4]
        assert full(text, ZoneInfo(zone))[:4] == text[:4]
        assert minute(datetime.fromisoformat(text), ZoneInfo(zone))[:4] == text[:4]


def test_columns_of_times_have_blanks_where_there_is_none() -> None:
    times = pd.Series(
        [datetime.fromisoformat(RECORDED), None, datetime(1, 1, 1, tzinfo=UTC)], dtype="datetime64[us, UTC]"
    )
    assert minutes(times, BERLIN) == ["2026-11-24 06:06", "", "0001-01-01 00:53"]
