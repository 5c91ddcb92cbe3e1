"""Actors: people and machines, how much, when and on what; a click leads to one of them."""

from __future__ import annotations

import json
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
from flasktrack.store.scope import machine_scope
from tests.ui.app import OpenApp

HERE, THERE = "alpenrand-bioanalytik", "cascade-assays"


@pytest.fixture
def ledger(lab_url: str) -> Iterator[Ledger]:
    engine = open_engine(lab_url)
    yield Ledger(engine, machine_scope(THERE))
    engine.dispose()


def test_every_actor_is_listed_with_their_records(open_app: OpenApp, lab_url: str, ledger: Ledger) -> None:
    chosen = RecordFilter(outcomes=("denied", "failure"))
    records = [found.record for found in ledger.stream(*chosen.conditions())]
    app = open_app(lab_url, "actors", org=THERE, outcome=["denied", "failure"])
    shown = app.table("actors_table")
    acts = Counter(record.actor_id for record in records)
    assert dict(zip(shown["id"], shown["records"], strict=True)) == acts
    denied = Counter(record.actor_id for record in records if record.outcome == "denied")
    shares = {id_: share for id_, share in zip(shown["id"], shown["denied"], strict=True) if share}
    assert shares == {id_: number / acts[id_] for id_, number in denied.items()}
    assert [sum(trend) for trend in shown["trend"]] == list(shown["records"])
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


def test_actors_are_found_by_typing(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "actors", org=THERE, find="REYES analyst")
    assert list(app.table("actors_table")["id"]) == ["u-32"]
    assert "1 actor of" in app.text
    app.click_cell("actors_table", 0, "actor")
    assert app.params["actor"] == ["user:u-32"]
    app = open_app(lab_url, "actors", org=THERE, find="nobody at all")
    assert "No actor is called so" in app.text


@pytest.mark.parametrize("actor", ["user:u-32", "api_key:key_eln"])
def test_each_point_of_an_actors_figures_leads_to_exactly_its_records(
    actor: str, open_app: OpenApp, lab_url: str, ledger: Ledger
) -> None:
    app = open_app(lab_url, "actors", org=THERE, actor=actor)
    drawn = {
        name: app.figure(name)["data"][0]
        for name in ("matrix", "entities", "used_credentials", "used_ips", "used_on_behalf_of", "used_actions")
        if app.has_figure(name)
    }
    assert len(drawn) >= 4
    for name, points in drawn.items():
        place = len(points["customdata"]) - 1
        number = int(points["text"][place].replace(",", ""))
        app.go("actors", org=THERE, actor=actor)
        app.click_point(name, points["customdata"][place])
        assert app.params["actor"] == [actor]
        assert len(app.params) > 2, name
        assert ledger.count(*RecordFilter.from_params(app.params).conditions()) == number, name


@pytest.mark.parametrize(
    ("actor", "words", "parameter"),
    [
        ("user:u-32", "off-hours", "hours"),
        ("user:u-32", "on their behalf", "on_behalf_of"),
        ("api_key:key_eln", "on behalf of others", "on_behalf_of"),
        ("api_key:key_eln", "failed or denied", "outcome"),
    ],
)
def test_an_actors_figures_lead_to_their_records(
    actor: str, words: str, parameter: str, open_app: OpenApp, lab_url: str, ledger: Ledger
) -> None:
    app = open_app(lab_url, "actors", org=THERE, actor=actor)
    label = next(label for label in app.buttons if words in label)
    app.click(label)
    assert parameter in app.params
    number = ledger.count(*RecordFilter.from_params(app.params).conditions())
    assert label.startswith(f"**{number:,}** ")
    assert app.counted == number > 0


def test_two_actors_stand_side_by_side_on_one_scale(open_app: OpenApp, lab_url: str, ledger: Ledger) -> None:
    app = open_app(lab_url, "actors", org=THERE, actor="user:u-32")
    other = next(box for box in app.test.selectbox if str(box.key).startswith("compare_"))
    other.select("user:u-33").run()
    assert app.params["actor"] == ["user:u-32", "user:u-33"]
    figures = [json.loads(chart.proto.spec) for chart in app.test.get("plotly_chart") if "over_time" in str(chart.key)]
    assert len(figures) == 2
    assert figures[0]["layout"]["yaxis"]["range"] == figures[1]["layout"]["yaxis"]["range"]
    assert figures[0]["layout"]["xaxis"]["range"] == figures[1]["layout"]["xaxis"]["range"]
    assert app.counted == ledger.count(*RecordFilter(actors=("user:u-32", "user:u-33")).conditions())
    app.click("All actors")
    assert "actor" not in app.params


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
