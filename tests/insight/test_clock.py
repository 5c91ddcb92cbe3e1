"""Days and hours of the week are those that clocks in the organization's zone showed, whatever its clocks did."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasktrack.core.clocks import WEEK
from flasktrack.insight.clock import clock
from flasktrack.insight.copy import Copy
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.questions import Questions
from flasktrack.insight.steps import Step
from flasktrack.insight.week_hours import DAYS, WeekHours, hours_between, other_hours, read_week_hours
from flasktrack.store.scope import machine_scope
from tests.insight.lab import HERE, ROWS, ZONES, Row, selected

CHOSEN = RecordFilter(outcomes=("success", "denied"))


def kind_of(row: Row) -> str:
    return "person" if row.event.actor_type == "user" else "machine"


def clocks(row: Row, zone: ZoneInfo) -> datetime:
    return row.moment.astimezone(zone)


@pytest.mark.parametrize("zone_name", ZONES)
def test_days_and_hours_of_the_week_in_every_zone(copy: Copy, zone_name: str) -> None:
    zone = ZoneInfo(zone_name)
    found = clock(Questions(copy, machine_scope(HERE)), CHOSEN, zone)
    rows = selected(HERE, CHOSEN)
    days = Counter((clocks(row, zone).toordinal(), kind_of(row)) for row in rows)
    assert {(day, kind): n for day, kind, n in found.days.itertuples(index=False)} == days
    week = Counter((clocks(row, zone).weekday() * 24 + clocks(row, zone).hour, kind_of(row)) for row in rows)
    assert {(hour, kind): n for hour, kind, n in found.week.itertuples(index=False)} == week
    assert found.records == len(rows)
    assert (found.first_day, found.last_day) == (min(days)[0] and _day(min(days)), _day(max(days)))


def _day(key: tuple[int, str]) -> object:
    return datetime.fromordinal(key[0]).date()


@pytest.mark.parametrize("step", ["day", "week", "month"])
@pytest.mark.parametrize("zone_name", ["Europe/Berlin", "Africa/Cairo", "America/Havana"])
def test_days_add_up_to_what_is_counted_by_quarter_hours(copy: Copy, zone_name: str, step: Step) -> None:
    zone, questions = ZoneInfo(zone_name), Questions(copy, machine_scope(HERE))
    by = ["start", "kind"]
    days = clock(questions, CHOSEN, zone).over_time(step).sort_values(by, ignore_index=True)
    quarters = questions.over_time(CHOSEN, zone, "kind", step).sort_values(by, ignore_index=True)
    assert days.astype({"start": quarters["start"].dtype}).equals(quarters)


def test_nothing_selected_is_nothing_on_the_clock(copy: Copy) -> None:
    found = clock(Questions(copy, machine_scope(HERE)), RecordFilter(actions=("levitate",)), ZoneInfo("Europe/Berlin"))
    assert (found.records, found.first_day, found.last_day) == (0, None, None)
    assert found.over_time("day").empty


SPANS = st.builds(
    WeekHours, st.integers(0, 6), st.integers(0, 6), st.integers(0, 11), st.integers(12, 24), st.just(ZoneInfo("UTC"))
)


@given(SPANS)
def test_hours_of_the_week_come_back_from_their_text(hours: WeekHours) -> None:
    assert read_week_hours(str(hours)) == hours
    assert hours.numbers == {
        day * 24 + hour
        for day in range(7)
        for hour in range(hours.from_hour, hours.to_hour)
        if (day - hours.first_day) % 7 <= (hours.last_day - hours.first_day) % 7
    }


@given(st.lists(SPANS, max_size=4))
def test_the_other_hours_are_all_that_are_left(hours: list[WeekHours]) -> None:
    rest = other_hours(hours, ZoneInfo("UTC"))
    meant = frozenset[int]().union(*(span.numbers for span in hours))
    assert frozenset[int]().union(*(span.numbers for span in rest)) == frozenset(range(WEEK)) - meant
    assert sum(len(span.numbers) for span in rest) == WEEK - len(meant)  # none is named twice


def test_off_hours_are_nights_and_the_weekend() -> None:
    zone = ZoneInfo("Europe/Berlin")
    working = hours_between("06:30", "19:00", DAYS[:5], zone)
    assert list(map(str, working)) == ["mon-fri:6-19@Europe/Berlin"]
    off = other_hours(working, zone)
    assert [str(span).removesuffix("@Europe/Berlin") for span in off] == ["mon-fri:0-6", "mon-fri:19-24", "sat-sun"]


def test_a_night_shift_ends_on_the_next_day() -> None:
    working = hours_between("22:00", "06:00", ("fri", "sun"), ZoneInfo("UTC"))
    numbers = frozenset[int]().union(*(span.numbers for span in working))
    assert numbers == {hour % WEEK for day in (4, 6) for hour in range(day * 24 + 22, day * 24 + 30)}


@pytest.mark.parametrize("zone_name", ["America/Havana", "Pacific/Chatham"])
def test_an_hour_on_the_clock_leads_to_its_records(copy: Copy, zone_name: str) -> None:
    """What the figure counts in these hours is what the filter selects in the copy."""
    zone = ZoneInfo(zone_name)
    hours = [read_week_hours(text, zone) for text in ("sat-mon:0-3", "wed:14")]
    chosen = RecordFilter(hours=tuple(map(str, hours)))
    questions = Questions(copy, machine_scope(HERE))
    meant = hours[0].numbers | hours[1].numbers
    week = clock(questions, RecordFilter(), zone).week
    counted = int(week[week["week_hour"].isin(meant)]["records"].sum())
    assert counted == questions.totals(chosen).records
    assert counted == sum(clocks(row, zone).weekday() * 24 + clocks(row, zone).hour in meant for row in ROWS[HERE]) > 0


@pytest.mark.parametrize("ips", [("192.0.2.7",), ("192.0.2.7", "192.0.2.77", "7")])
def test_the_copy_knows_the_network_addresses(copy: Copy, ips: tuple[str, ...]) -> None:
    chosen = RecordFilter(ips=ips)
    assert Questions(copy, machine_scope(HERE)).totals(chosen).records == len(selected(HERE, chosen)) > 0
