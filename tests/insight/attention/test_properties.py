"""What the rules rest on, held against naive readings: nights by the clock, and series by counting."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from flasktrack.insight import copy_tables
from flasktrack.insight.attention.series import dense_ends, find_series
from flasktrack.insight.attention.times import bound, by_night
from flasktrack.insight.attention.working_hours import Stretch, off_hours
from flasktrack.insight.week_hours import DAYS
from tests.insight.attention.rows import BERLIN, NOON, act, ask, holding, in_memory, look
from tests.insight.lab import ZONES

MICROSECOND = timedelta(microseconds=1)
CLOCKS = st.sampled_from(["00:00", "02:30", "06:00", "07:15", "14:00", "20:00", "22:00", "23:59"])
ZONE = st.sampled_from([ZoneInfo(name) for name in ZONES])
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
WORKDAYS = st.sets(st.sampled_from(DAYS)).map(tuple)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return in_memory()


def works(moment: datetime, zone: ZoneInfo, begins: str, ends: str, days: tuple[str, ...]) -> bool:
    """Whether somebody is expected to work, from the days around: their beginnings and ends as instants."""
    opening, closing = time.fromisoformat(begins), time.fromisoformat(ends)
    today = moment.astimezone(zone).date()
    for day in (today - timedelta(days=1), today):
        if DAYS[day.weekday()] in days:
            end = day + timedelta(days=closing <= opening)
            if instant(day, opening, zone) <= moment < instant(end, closing, zone):
                return True
    return False


def instant(day: date, clock: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, clock, zone).astimezone(UTC)


@settings(max_examples=100, deadline=None)
@given(MOMENTS, ZONE, CLOCKS, CLOCKS, WORKDAYS)
@example(datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC), BERLIN, "02:30", "20:00", DAYS)
@example(datetime(2026, 10, 25, 0, 45, tzinfo=UTC), BERLIN, "02:30", "20:00", DAYS)
@example(datetime(2026, 10, 25, 1, 45, tzinfo=UTC), BERLIN, "02:30", "20:00", DAYS)
def test_a_moment_is_in_a_night_or_day_off_where_nobody_works(
    moment: datetime, zone: ZoneInfo, begins: str, ends: str, days: tuple[str, ...]
) -> None:
    nights = off_hours(zone, begins, ends, days, moment, moment + timedelta(seconds=1))
    within = [night for night in nights if night.start <= moment < night.end]
    assert len(within) == (0 if works(moment, zone, begins, ends, days) else 1)


@settings(max_examples=100, deadline=None)
@given(MOMENTS, st.integers(1, 400), ZONE, CLOCKS, CLOCKS, WORKDAYS)
def test_nights_follow_each_other_and_never_overlap(
    start: datetime, length: int, zone: ZoneInfo, begins: str, ends: str, days: tuple[str, ...]
) -> None:
    nights = off_hours(zone, begins, ends, days, start, start + timedelta(days=length))
    bounds = [moment for night in nights for moment in (night.start, night.end)]
    assert bounds == sorted(bounds)
    assert all(night.start < night.end for night in nights)


def test_the_night_of_the_clock_change_has_an_hour_more_or_less() -> None:
    spring = off_hours(BERLIN, "06:00", "20:00", DAYS, NOON.replace(month=3, day=28), NOON.replace(month=3, day=29))
    autumn = off_hours(BERLIN, "06:00", "20:00", DAYS, NOON.replace(month=10, day=24), NOON.replace(month=10, day=25))
    lengths = [(night.end - night.start).total_seconds() / 3600 for night in (spring[0], autumn[0])]
    assert lengths == [9, 11]
    assert spring[0] == Stretch(
        datetime(2026, 3, 28, 19, tzinfo=UTC), datetime(2026, 3, 29, 4, tzinfo=UTC), date(2026, 3, 28)
    )


@pytest.mark.parametrize(
    ("hour", "found"),
    [(3, True), (3.999, True), (4, False)],  # in UTC: 06:00 in Berlin is 04:00 from that very night on
)
def test_on_the_day_of_the_clock_change_work_begins_by_the_new_time(engine: Engine, hour: float, found: bool) -> None:
    moment = datetime(2026, 3, 30, tzinfo=UTC) - timedelta(days=1) + timedelta(hours=hour)
    night = [act(moment) for _ in range(3)]
    assert bool(ask(engine, "off_hours", night, days=DAYS).total) == found


@settings(max_examples=20, deadline=None)
@given(MOMENTS, st.integers(1, 400), ZONE, WORKDAYS, st.lists(MOMENTS, min_size=1, max_size=20))
def test_an_act_is_counted_in_the_night_that_it_lies_in(
    engine: Engine, start: datetime, length: int, zone: ZoneInfo, days: tuple[str, ...], moments: list[datetime]
) -> None:
    nights = off_hours(zone, "06:00", "20:00", days, start, start + timedelta(days=length))
    moments += [moment for night in nights[:3] for moment in (night.start, night.end, night.end - MICROSECOND)]
    with holding(engine, [act(moment, recorded_at=NOON) for moment in moments]) as connection:
        seen = look(connection)
        found = {row.number: row.number_of_acts for row in seen.rows(by_night(), **bound(nights))}
    within = [number for number, night in enumerate(nights) for one in moments if night.start <= one < night.end]
    assert found == Counter(within)


def dense(moments: list[int], acts: int, within: int) -> list[tuple[int, int, int]]:
    """Series by hand: every act that lies in some stretch of `acts` acts within the time; first, last, how many."""
    member = [False] * len(moments)
    joined = [False] * len(moments)  # to the act before it
    for start in range(len(moments) - acts + 1):
        if moments[start + acts - 1] - moments[start] <= within:
            for place in range(start, start + acts):
                member[place] = True
                joined[place] |= place > start
    found: list[list[int]] = []
    for place, moment in enumerate(moments):
        if member[place] and joined[place]:
            found[-1].append(moment)
        elif member[place]:
            found.append([moment])
    return [(one[0], one[-1], len(one)) for one in found]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 200), max_size=40), st.integers(2, 5), st.integers(1, 20))
def test_series_are_what_counting_by_hand_gives(engine: Engine, moments: list[int], acts: int, within: int) -> None:
    rows = [act(NOON + timedelta(seconds=moment), recorded_at=NOON) for moment in moments]
    with holding(engine, rows) as connection:
        condition = copy_tables.record.c.action == "update"
        ends = dense_ends(condition, acts, timedelta(seconds=within))
        found, _ = find_series(look(connection), ends, acts)
    times = [((one.first - NOON).total_seconds(), (one.last - NOON).total_seconds(), one.acts) for one in found]
    assert sorted(times) == dense(sorted(moments), acts, within)
