"""The filter bar and the address say the same, and what is counted is what the filter selects in the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine

from flasktrack.insight.filter import RecordFilter
from flasktrack.store.engine import open_engine
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope
from flasktrack.ui.presets import presets
from tests.ui.app import App, OpenApp, unescaped

HERE, BERLIN = "alpenrand-bioanalytik", ZoneInfo("Europe/Berlin")
PAGES_WITH_A_BAR = ("overview", "actors", "entities", "records", "exports")


@pytest.fixture
def ledger(lab_url: str) -> Iterator[Ledger]:
    engine: Engine = open_engine(lab_url)
    yield Ledger(engine, machine_scope(HERE))
    engine.dispose()


def warned(app: App) -> str:
    (warning,) = app.test.warning
    return unescaped(warning.value)


FILTERS: list[dict[str, Any]] = [
    {},
    {"action": ["delete"]},
    {"action": ["delete", "approve"], "outcome": ["success"]},
    {"outcome": ["denied", "failure"]},
    {"actor": ["user:u-14"], "entity_type": ["sample"]},
    {"actor_type": ["api_key", "automation"]},
    {"entity": ["protocol:SOP-114"]},
    {"entity": ["protocol:SOP-114", "workflow:WF-PK"], "with_related": ["1"]},
    {"seq": ["100-199"]},
    {"seq": ["-50"], "actor_type": ["user"]},
    {"seq": ["15000-"]},
    {"seq": ["17"]},
    {"text": ["cleanup"]},
    {"text": ["paper WORKSHEET"]},
    {"text": ["wójcik"]},
    {"text": ["no such words anywhere"]},
    {"from": ["2026-10-01"], "to": ["2026-10-08"]},
    {"from": ["2026-10-25T00:00:00Z"], "to": ["2026-10-25T01:30:00+01:00"]},
]


@pytest.mark.timeout(30)  # none of them may read all of one table for every row of another
@pytest.mark.parametrize(
    "params", FILTERS, ids=[",".join(f"{name}={value[0]}" for name, value in params.items()) for params in FILTERS]
)
def test_a_page_counts_what_the_same_filter_selects_in_the_ledger(
    params: dict[str, list[str]], open_app: OpenApp, lab_url: str, ledger: Ledger
) -> None:
    expected = ledger.count(*RecordFilter.from_params(params, BERLIN).conditions())
    app = open_app(lab_url, "records", org=HERE, **params)
    assert app.counted == expected
    assert app.params == {"org": [HERE], **params}  # looking at a page does not change its address


@pytest.mark.parametrize("page", PAGES_WITH_A_BAR)
def test_every_page_has_the_same_bar(page: str, open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, page, action=["delete"], outcome=["success"])
    assert app.filter("actions").value == ["delete"]
    assert {"Action: delete", "Outcome: success", "Clear"} <= set(app.buttons)


# Widgets


@pytest.mark.parametrize(
    ("widget", "value", "params"),
    [
        ("actions", ["delete", "approve"], {"action": ["delete", "approve"]}),
        ("outcomes", ["denied"], {"outcome": ["denied"]}),
        ("actor_types", ["api_key"], {"actor_type": ["api_key"]}),
        ("entity_types", ["file"], {"entity_type": ["file"]}),
        ("actors", ["user:u-14"], {"actor": ["user:u-14"]}),
        ("entities", ["protocol:SOP-114"], {"entity": ["protocol:SOP-114"]}),
    ],
)
def test_a_choice_of_several_goes_to_the_address_and_comes_back(
    widget: str, value: list[str], params: dict[str, list[str]], open_app: OpenApp, lab_url: str, ledger: Ledger
) -> None:
    app = open_app(lab_url, "records", entity=["workflow:WF-PK"] if widget == "entities" else [])
    app.filter(widget).set_value(value).run()
    assert app.params == params
    assert app.filter(widget).value == value
    assert app.counted == ledger.count(*RecordFilter.from_params(params, BERLIN).conditions())
    app.filter(widget).set_value([]).run()
    assert app.params == {}


def test_words_go_to_the_address(open_app: OpenApp, lab_url: str, ledger: Ledger) -> None:
    app = open_app(lab_url, "records")
    app.filter("text").input("  cleanup  ").run()
    assert app.params == {"text": ["cleanup"]}
    assert app.counted == ledger.count(*RecordFilter(text="cleanup").conditions()) > 0
    app.filter("text").input(" ").run()
    assert app.params == {}


def test_positions_go_to_the_address(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "records")
    app.filter("seq").input("10-19").run()
    assert app.params == {"seq": ["10-19"]}
    assert app.counted == 10
    app.filter("seq").input("").run()
    assert app.params == {}


def test_times_are_read_in_the_organizations_zone(open_app: OpenApp, lab_url: str, ledger: Ledger) -> None:
    app = open_app(lab_url, "records", org=HERE)
    app.filter("occurred_from").set_value(datetime.fromisoformat("2026-10-01T08:30")).run()
    app.filter("occurred_to").set_value(datetime.fromisoformat("2026-11-02")).run()
    assert app.params["from"] == ["2026-10-01T06:30:00Z"]
    assert app.params["to"] == ["2026-11-01T23:00:00Z"]
    start, end = datetime(2026, 10, 1, 6, 30, tzinfo=UTC), datetime(2026, 11, 1, 23, tzinfo=UTC)
    assert app.counted == ledger.count(*RecordFilter(occurred_from=start, occurred_to=end).conditions())
    assert {"From 2026-10-01 08:30 +02:00", "Before 2026-11-02 00:00 +01:00"} <= set(app.buttons)


def test_related_records_are_offered_once_there_is_an_entity(open_app: OpenApp, lab_url: str) -> None:
    assert open_app(lab_url, "records").filter("with_related").disabled
    app = open_app(lab_url, "records", entity="workflow:WF-PK")
    alone = app.counted
    app.filter("with_related").check().run()
    assert app.params["with_related"] == ["1"]
    assert app.counted > alone


@pytest.mark.parametrize("name", presets(datetime.now(UTC), BERLIN))
def test_a_period_goes_to_the_address_and_is_recognized_there(
    name: str, open_app: OpenApp, lab_url: str, ledger: Ledger
) -> None:
    app = open_app(lab_url, "records", org=HERE, from_="2020-01-01")
    app.filter("period").select(name).run()
    chosen = RecordFilter.from_params(app.params, BERLIN)
    assert (chosen.occurred_from, chosen.occurred_to) == presets(datetime.now(UTC), BERLIN)[name]
    assert app.filter("period").value == name
    assert not any(button.startswith(("From ", "Before ")) for button in app.buttons)  # its name says it
    assert app.counted == ledger.count(*chosen.conditions())


def test_a_period_without_a_name_is_shown_as_such(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "records", from_="2026-10-03")
    assert app.filter("period").value == "Other period"
    app.filter("period").select("All time").run()
    assert "from" not in app.params


# Chips


def test_each_chip_drops_its_own_part_alone(open_app: OpenApp, lab_url: str) -> None:
    given: dict[str, list[str]] = {
        "from": ["2026-06-01T00:00:00Z"],
        "actor": ["user:u-14", "user:u-17"],
        "actor_type": ["user"],
        "action": ["delete", "approve"],
        "entity": ["protocol:SOP-114"],
        "with_related": ["1"],
        "outcome": ["success"],
        "seq": ["1-15000"],
        "text": ["a"],
    }
    expected: dict[str, dict[str, list[str] | None]] = {
        "Actor: user:u-14": {"actor": ["user:u-17"]},
        "Action: approve": {"action": ["delete"]},
        "Actor type: user": {"actor_type": None},
        "Entity: protocol:SOP-114": {"entity": None},
        "and what relates to it": {"with_related": None},
        "Outcome: success": {"outcome": None},
        "Positions: 1-15000": {"seq": None},
        "Words: a": {"text": None},
        "From 2026-06-01 02:00 +02:00": {"from": None},
    }
    for chip, change in expected.items():
        app = open_app(lab_url, "records", **given)
        app.click(chip)
        assert app.params == {name: value for name, value in {**given, **change}.items() if value is not None}
        assert chip not in app.buttons


def test_clear_drops_all_and_nothing_else(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "records", org=HERE, role="qa-lead", action="delete", text="cleanup", before="9000")
    app.click("Clear")
    assert app.params == {"org": [HERE], "role": ["qa-lead"]}
    assert "Clear" not in app.buttons


def test_many_values_stay_a_few_chips(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "records", actor=[f"user:u-{number}" for number in range(100)])
    assert sum(button.startswith("Actor:") for button in app.buttons) < 20
    assert "more" in app.text


def test_a_long_value_is_shortened_on_its_chip_alone(open_app: OpenApp, lab_url: str) -> None:
    long = f"sample:{'x' * 200}"
    app = open_app(lab_url, "records", entity=long)
    assert max(map(len, app.buttons)) < 80
    assert app.params["entity"] == [long]


def test_another_filter_leaves_the_place_that_belonged_to_the_former_one(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "records", before="9000", record="8999")
    app.filter("actions").set_value(["delete"]).run()
    assert app.params == {"action": ["delete"]}


# What can't be meant


@pytest.mark.parametrize(
    ("widget", "typed", "word"),
    [
        ("actors", ["u-17"], "u-17"),
        ("actors", ["robot:r2"], "robot"),
        ("entities", ["S-1"], "S-1"),
        ("seq", "twenty", "twenty"),
        ("seq", "20-10", "20"),
        ("text", "x" * 300, "letters"),
    ],
)
def test_what_cant_be_meant_is_explained_and_the_filter_stays(
    widget: str, typed: Any, word: str, open_app: OpenApp, lab_url: str
) -> None:
    app = open_app(lab_url, "records", action="delete")
    before = app.counted
    app.filter(widget).set_value(typed).run()
    assert not app.test.exception
    assert app.errors == []
    assert word in warned(app)
    assert app.params == {"action": ["delete"]}
    assert app.counted == before
    app.run()
    assert not app.test.warning  # said once


def test_an_end_before_the_beginning_is_explained(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "records", from_="2026-10-01T00:00:00Z")
    app.filter("occurred_to").set_value(datetime.fromisoformat("2026-09-01")).run()
    assert "no time lies between" in warned(app)
    assert app.params == {"from": ["2026-10-01T00:00:00Z"]}


def test_a_value_that_no_record_has_is_kept_and_finds_nothing(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "records", action="levitate")
    assert app.filter("actions").value == ["levitate"]
    assert "No record meets the filter" in app.text
