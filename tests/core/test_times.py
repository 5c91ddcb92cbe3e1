"""Times are UTC text with six decimals, whichever zone they came in (spec section 1)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasktrack.core.times import format_time, parse_time, utc_now

offsets = st.integers(-24 * 3600 + 1, 24 * 3600 - 1).map(lambda seconds: timezone(timedelta(seconds=seconds)))
# A day away from both ends of the calendar, so that no offset leads out of it.
moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=offsets)  # noqa: DTZ001


@given(moments)
def test_a_moment_survives_the_round_trip(moment: datetime) -> None:
    text = format_time(moment)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", text)
    assert parse_time(text) == moment
    assert parse_time(text).tzinfo is UTC
    assert format_time(parse_time(text)) == text


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_in_utc_is_written_as_isoformat_writes_it(moment: datetime) -> None:
    class Subclass(datetime):
        pass

    text = moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    assert format_time(moment) == text
    assert format_time(Subclass.combine(moment.date(), moment.timetz())) == text


@given(moments)
def test_iso_text_with_an_offset_is_the_same_moment(moment: datetime) -> None:
    assert parse_time(moment.isoformat()) == moment


@given(moments, moments)
def test_texts_sort_as_the_moments_do(one: datetime, other: datetime) -> None:
    assert (format_time(one) < format_time(other)) == (one < other)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 24, 5, 6, 7, 123456, UTC), "2026-11-24T05:06:07.123456Z"),
        (datetime(2026, 11, 24, 5, 6, 7, tzinfo=UTC), "2026-11-24T05:06:07.000000Z"),
        (datetime(2026, 11, 24, 0, 30, tzinfo=timezone(timedelta(hours=1))), "2026-11-23T23:30:00.000000Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000000Z"),
        (datetime(9999, 12, 31, 23, 59, 59, 999999, UTC), "9999-12-31T23:59:59.999999Z"),
        (datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")), "2026-10-25T00:30:00.000000Z"),
        (datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1), "2026-10-25T01:30:00.000000Z"),
    ],
)
def test_format(moment: datetime, text: str) -> None:
    assert format_time(moment) == text


class _NoOffset(tzinfo):
    def utcoffset(self, moment: datetime | None) -> None:
        return None

    dst = tzname = utcoffset


@pytest.mark.parametrize("zone", [None, _NoOffset()], ids=["none", "without-offset"])
def test_naive_time_is_refused(zone: tzinfo | None) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        format_time(datetime(2026, 11, 24, tzinfo=zone))


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
        datetime(9999, 12, 31, 23, 30, tzinfo=timezone(timedelta(hours=-1))),
    ],
)
def test_moment_outside_the_calendar_is_refused(moment: datetime) -> None:
    with pytest.raises(ValueError, match="outside the years 1 to 9999"):
        format_time(moment)
    with pytest.raises(ValueError, match="outside the years 1 to 9999"):
        parse_time(moment.isoformat())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("2026-11-24T05:06:07", "no time zone"),
        ("2026-11-24", "no time zone"),
        ("24.11.2026 05:06", "not an ISO 8601 time"),
        ("2026-02-30T00:00:00Z", "not an ISO 8601 time"),
        ("2026-11-24T25:00:00Z", "not an ISO 8601 time"),
        ("10000-01-01T00:00:00Z", "not an ISO 8601 time"),
        ("1764000000", "not an ISO 8601 time"),
        ("now", "not an ISO 8601 time"),
        ("", "not an ISO 8601 time"),
    ],
)
def test_text_that_is_no_moment_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_time(text)


def test_digits_beyond_the_microsecond_are_cut() -> None:
    assert format_time(parse_time("2026-11-24T05:06:07.123456789Z")) == "2026-11-24T05:06:07.123456Z"


def test_the_recorders_clock_is_in_utc() -> None:
    assert utc_now().tzinfo is UTC
