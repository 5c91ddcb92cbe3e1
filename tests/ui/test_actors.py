"""Actors: people and machines, how much, when and on what; a click leads to one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from flasktrack.core.times import parse_time
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.week_hours import DAYS
from flasktrack.store.engine import open_engine
from flasktrack.store.reader import Ledger
from tests.ui.app import OpenApp

HERE, THERE = "alpenrand-bioanalytik", "cascade-assays"


@pytest.fixture
def ledger(lab_url: str) -> Iterator[Ledger]:
    engine = open_engine(lab_url)
    yield Ledger(engine, THERE)
    engine.dispose()


def test_every_actor_is_listed_with_their_records(open_app: OpenApp, lab_url: str, ledger: Ledger) -> None:
    chosen = RecordFilter(outcomes=("denied", "failure"))
    records = [found.record for found in ledger.stream(*chosen.conditions())]
    app = open_app(lab_url, "actors", org=THERE, outcome=["denied", "failure"])
    shown = app.table("actors_table")
    assert dict(zip(shown["id"], shown["records"], strict=True)) == Counter(record.actor_id for record in records)
    denied = Counter(record.actor_id for record in records if record.outcome == "denied")
    assert {id_: number for id_, number in zip(shown["id"], shown["denied"], strict=True) if number} == denied
    assert list(shown["records"]) == sorted(shown["records"], reverse=True)


def test_a_click_shows_one_actor_alone(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "actors", org=THERE)
    shown = app.table("actors_table")
    row = list(shown["id"]).index("u-32")
    number = int(shown["records"][row])
    app.click_cell("actors_table", row, "actor")
    assert app.params == {"org": [THERE], "actor": ["user:u-32"]}
    assert f"acted {number:,} times" in app.text
    assert "Daniel Reyes (Person" in app.text
    assert set(app.table("records_")["actor"]) == {"Daniel Reyes"}


def test_work_at_night_shows_in_the_week(open_app: OpenApp, lab_url: str, ledger: Ledger) -> None:
    """Four results reintegrated at 3 a.m. (docs/sample-lab.md): by the organization's clock, in its own cell."""
    zone = ZoneInfo("America/Los_Angeles")
    acts = [
        parse_time(found.record.occurred_at).astimezone(zone)
        for found in ledger.stream(*RecordFilter(actors=("user:u-32",)).conditions())
    ]
    expected = Counter((act.weekday(), act.hour) for act in acts)
    app = open_app(lab_url, "actors", org=THERE, actor="user:u-32")
    (cells,) = app.figure("week")["data"]
    hours = [data for (data,) in cells["customdata"] if data]
    assert set(hours) == {f"{DAYS[day]}:{hour}" for day, hour in expected}
    night = next(hour for hour in hours if hour.endswith(":3"))
    app.click_point("week", [night])
    assert app.params["hours"] == [f"{night}@America/Los_Angeles"]
    assert app.counted == expected[DAYS.index(night[:3]), 3] >= 4
    assert all(" 03:" in time for time in app.table("records_")["time"])


def test_people_and_machines_are_told_apart(open_app: OpenApp, lab_url: str) -> None:
    shown = open_app(lab_url, "actors", org=THERE).table("actors_table")
    types = dict(zip(shown["id"], shown["type"], strict=True))
    assert types["u-31"] == "Person"
    assert types["key_eln"] == "API key"
    assert types["nightly-qc"] == "Automation"
    assert "8 people" in open_app(lab_url, "actors", org=THERE, actor_type="user").text


def test_a_bar_over_time_narrows_to_its_time_and_kind(open_app: OpenApp, lab_url: str, ledger: Ledger) -> None:
    app = open_app(lab_url, "actors", org=THERE)
    machines = app.figure("over_time")["data"][1]
    start, end, kind = machines["customdata"][3]
    app.click_point("over_time", machines["customdata"][3])
    chosen = RecordFilter.from_params(app.params)
    assert (chosen.occurred_from, chosen.occurred_to) == (datetime.fromisoformat(start), datetime.fromisoformat(end))
    assert kind == "machine"
    assert "user" not in chosen.actor_types
    assert ledger.count(*chosen.conditions()) == machines["y"][3]
