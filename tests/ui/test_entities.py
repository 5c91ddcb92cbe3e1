"""Entities: found by words, opened by a click, and their history says what changed and what does not fit together."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from flasktrack.core.record import Reference
from flasktrack.core.times import parse_time
from flasktrack.insight.diff import changes
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.history import EntityHistory, Revision
from flasktrack.insight.wording import values
from flasktrack.store.engine import open_engine
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope
from flasktrack.store.verifications import latest_verification
from tests.adversary import delete_records
from tests.ui.app import OpenApp
from tests.ui.nasty import NASTY

HERE = "alpenrand-bioanalytik"


@pytest.fixture
def ledger(lab_url: str) -> Iterator[Ledger]:
    engine = open_engine(lab_url)
    yield Ledger(engine, machine_scope(HERE))
    engine.dispose()


def history_of(ledger: Ledger) -> list[Revision]:
    return EntityHistory(ledger, Reference("protocol", "SOP-114")).page()


def test_an_entity_is_found_by_words_and_opened_by_a_click(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "entities", org=HERE)
    app.test.text_input("find_entity").input("  SOP-114 ").run()
    assert app.params["find"] == ["SOP-114"]
    found = app.table("entities_")
    row = list(found["id"]).index("SOP-114")
    app.click_cell("entities_", row, "name")
    assert app.params["entity"] == ["protocol:SOP-114"]
    assert "(protocol:SOP-114)" in app.text
    app.click("All entities")
    assert app.params == {"org": [HERE], "find": ["SOP-114"]}
    assert list(app.table("entities_")["id"]) == list(found["id"])


def test_words_that_find_nothing_say_what_to_do(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "entities", find="no such thing")
    assert app.tables() == []
    assert "No entity is found" in app.text
    assert "fewer words" in app.text


def test_words_that_cant_be_searched_for_are_explained(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "entities", find="x" * 300)
    assert app.errors == []
    assert "200 letters" in app.text


def test_the_list_keeps_to_the_filter(open_app: OpenApp, lab_url: str, ledger: Ledger) -> None:
    app = open_app(lab_url, "entities", org=HERE, action="delete", entity_type="sample")
    chosen = RecordFilter(actions=("delete",), entity_types=("sample",))
    expected: dict[str, int] = {}
    for found in ledger.stream(*chosen.conditions()):
        expected[found.record.entity_id] = expected.get(found.record.entity_id, 0) + 1
    shown = app.table("entities_")
    assert len(shown) == min(len(expected), 200)
    assert {id_: expected[id_] for id_ in shown["id"]} == dict(zip(shown["id"], shown["records"], strict=True))
    assert f"{len(expected):,} entities touched by {sum(expected.values()):,} records" in app.text


def test_a_history_shows_every_revision_newest_first(open_app: OpenApp, lab_url: str, ledger: Ledger) -> None:
    revisions = history_of(ledger)
    app = open_app(lab_url, "entities", org=HERE, entity="protocol:SOP-114")
    shown = app.table("revisions_")
    assert list(shown["revision"]) == [revision.number for revision in reversed(revisions)]
    assert list(shown["action"]) == [revision.checked.record.action for revision in reversed(revisions)]
    assert f"{len(revisions)} revisions" in app.text
    points = [point for trace in app.figure("timeline_")["data"] for point in trace["customdata"]]
    assert sorted(point[0] for point in points) == [revision.checked.record.seq for revision in revisions]


def test_a_revision_says_what_changed_in_words(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "entities", org=HERE, entity="protocol:SOP-114")
    shown = app.table("revisions_")
    changed = shown[shown["changes"].str.contains("→")]
    assert not changed.empty
    assert not any("{" in text or '"' in text for text in changed["changes"])


def test_a_click_on_a_revision_or_a_point_opens_the_record(open_app: OpenApp, lab_url: str, ledger: Ledger) -> None:
    revisions = history_of(ledger)
    app = open_app(lab_url, "entities", org=HERE, entity="protocol:SOP-114")
    app.click_cell("revisions_", 0, "reason")
    assert app.params["record"] == [str(revisions[-1].checked.record.seq)]
    first = revisions[0].checked.record.seq
    app.click_point("timeline_", [first])
    assert app.params["record"] == [str(first)]
    assert f"Record {first:,}" in app.text
    app.click("Close")
    assert app.params == {"org": [HERE], "entity": ["protocol:SOP-114"]}


def test_a_gap_in_the_state_is_marked(open_app: OpenApp, lab_url: str, ledger: Ledger) -> None:
    """A result that was changed past the application (docs/sample-lab.md)."""
    verification = latest_verification(ledger.engine, HERE)
    assert verification is not None
    (gap,) = (finding for finding in verification.findings if finding.code == "state_gap")
    checked = ledger.get(gap.seq)
    assert checked is not None
    app = open_app(lab_url, "entities", org=HERE, entity=f"sample:{checked.record.entity_id}")
    marks = app.table("revisions_")["look"]
    assert [mark for mark in marks if mark] == ["changed unrecorded before it"]
    assert "1 revision needs a look" in app.text


def test_a_deleted_revision_is_shown_where_it_is_missing(open_app: OpenApp, sample_lab_url: str) -> None:
    engine = open_engine(sample_lab_url)
    second = history_of(Ledger(engine, machine_scope(HERE)))[1]
    delete_records(engine, HERE, second.checked.record.seq)
    engine.dispose()
    app = open_app(sample_lab_url, "entities", org=HERE, entity="protocol:SOP-114")
    shown = app.table("revisions_")
    third, missing = shown[shown["look"] != ""].to_dict("records")
    assert (third["revision"], third["look"]) == (3, "missing before it: 2")
    assert (missing["revision"], missing["changes"]) == (2, "Revision 2 is missing")
    assert "1 revision needs a look; 1 revision is missing" in app.text
    app.click_cell("revisions_", list(shown["revision"]).index(2), "action")  # there is nothing to open
    assert "record" not in app.params
    app.go("entities", org=HERE, entity="protocol:SOP-114", view="state", revision="2")
    assert any("Revision 2 is missing" in warning.value for warning in app.test.warning)
    assert app.errors == []


def test_a_history_keeps_to_the_filter(open_app: OpenApp, lab_url: str, ledger: Ledger) -> None:
    approved = [revision.number for revision in history_of(ledger) if revision.checked.record.action == "approve"]
    app = open_app(lab_url, "entities", org=HERE, entity="protocol:SOP-114", action="approve")
    assert list(app.table("revisions_")["revision"]) == approved[::-1]
    assert len([point for trace in app.figure("timeline_")["data"] for point in trace["customdata"]]) == len(approved)
    app.go("entities", org=HERE, entity="protocol:SOP-114", action="sign_in")
    assert "None of its revisions meets the filter" in app.text


def test_a_long_history_comes_a_page_at_a_time_and_is_narrowed_by_a_click(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "entities", org=HERE, entity="freezer:F-80/1")
    newest = list(app.table("revisions_")["revision"])
    assert newest == list(range(newest[0], newest[0] - 200, -1))
    assert f"200 of {newest[0]:,} revisions" in app.text
    app.click("Older")
    assert app.params["before"] == [str(newest[-1])]
    assert next(iter(app.table("revisions_")["revision"])) == newest[-1] - 1
    app.click("Newer")
    assert list(app.table("revisions_")["revision"]) == newest
    bars = next(trace for trace in app.figure("over_time_")["data"] if trace["name"] == "machines")
    app.click_point("over_time_", bars["customdata"][3])
    assert len(app.table("revisions_")) == bars["y"][3]
    assert app.has_figure("timeline_")


# The state at any moment


def test_the_state_after_any_revision_is_shown(open_app: OpenApp, lab_url: str, ledger: Ledger) -> None:
    app = open_app(lab_url, "entities", org=HERE, entity="protocol:SOP-114", view="state")
    newest = history_of(ledger)[-1].number
    assert f"State after revision {newest}" in app.text
    app.test.slider("state_slider").set_value(2).run()
    assert app.params["revision"] == ["2"]
    state = EntityHistory(ledger, Reference("protocol", "SOP-114")).state(2)
    (table,) = app.plain_tables()
    assert dict(zip(table["Field"], table["Value"], strict=True)) == dict(values(state.value))
    app.test.number_input("state_revision").set_value(5).run()
    assert app.params["revision"] == ["5"]


def test_a_moment_leads_to_the_revision_that_was_the_last_by_then(
    open_app: OpenApp, lab_url: str, ledger: Ledger
) -> None:
    fourth = history_of(ledger)[3].checked.record
    moment = parse_time(fourth.occurred_at).astimezone(ZoneInfo("Europe/Berlin")) + timedelta(minutes=1)
    app = open_app(lab_url, "entities", org=HERE, entity="protocol:SOP-114", view="state")
    picker: Any = app.test.get("datetime_input")[-1]
    picker.set_value(moment.replace(tzinfo=None, second=0)).run()
    assert app.params["revision"] == ["4"]
    picker.set_value(datetime(1999, 1, 1)).run()  # noqa: DTZ001 (as the picker gives it)
    assert app.params["revision"] == ["4"]
    assert app.test.toast


def test_two_revisions_are_compared(open_app: OpenApp, lab_url: str, ledger: Ledger) -> None:
    app = open_app(lab_url, "entities", org=HERE, entity="protocol:SOP-114", view="state", revision="7")
    app.test.number_input("state_against").set_value(2).run()
    assert app.params["against"] == ["2"]
    history = EntityHistory(ledger, Reference("protocol", "SOP-114"))
    expected = changes(history.state(2).value, history.state(7).value)
    assert f"From revision 2 to revision 7: {len(expected)} differences" in app.text.replace("*", "")
    (table,) = app.plain_tables()
    assert list(table["Change"]) == [change.kind for change in expected]
    app.click("All entities")
    assert app.params == {"org": [HERE]}


def test_a_record_leads_to_the_state_after_it(open_app: OpenApp, lab_url: str, ledger: Ledger) -> None:
    third = history_of(ledger)[2].checked.record
    app = open_app(lab_url, "records", org=HERE, record=str(third.seq))
    app.click_link("Its state after this act (revision 3)")
    assert app.page == "entities"
    assert app.params == {"org": [HERE], "entity": ["protocol:SOP-114"], "view": ["state"], "revision": ["3"]}


# Relations


def test_relations_lead_on_and_are_one_timeline(open_app: OpenApp, lab_url: str, ledger: Ledger) -> None:
    found = next(found for found in ledger.stream(first=9000) if found.record.entity_type == "batch")
    batch = f"batch:{found.record.entity_id}"
    app = open_app(lab_url, "entities", org=HERE, entity=batch, view="relations")
    nodes = [tuple(data) for trace in app.figure("relations_")["data"] for data in trace.get("customdata", ())]
    samples = [value for kind, value in nodes if kind == "entity" and value.startswith("sample:")]
    assert samples
    named = {value for kind, value in nodes if kind == "entity"} | {batch}
    lanes = app.figure("acts_")["layout"]["yaxis"]["ticktext"]
    assert all(any(one.startswith(lane.replace(" ", ":", 1).rstrip("…")) for one in named) for lane in lanes)
    assert app.counted == ledger.count(*RecordFilter(entities=tuple(named)).conditions())
    app.click_point("relations_", ["type", "sample"])
    assert (app.params["related"], app.params["entity_type"]) == ([batch], ["sample"])
    assert set(samples) < {f"sample:{id_}" for id_ in app.table("entities_")["id"]}
    app.go("entities", org=HERE, entity=batch, view="relations")
    app.click_point("relations_", ["entity", samples[0]])
    assert (app.params["entity"], app.params["view"]) == ([samples[0]], ["relations"])
    assert batch in [value for trace in app.figure("relations_")["data"] for _, value in trace.get("customdata", ())]


def test_entities_are_found_by_what_is_related_to_them(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "entities", org=HERE)
    app.test.text_input("related_entity").input("batch B-260100").run()
    assert app.params["related"] == ["batch B-260100"]
    found = app.table("entities_")
    assert {"sample", "run", "file"} <= set(found["type"])
    assert f"{len(found)} entities found" in app.text


def test_an_entity_without_relations_says_so(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "entities", org=HERE, entity="freezer:F-80/1", view="relations")
    assert "No record names it as related" in app.text
    assert not app.has_figure("relations_")


def test_an_entity_without_a_record_is_said_to_have_none(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "entities", entity="sample:never-seen")
    assert "No record is about sample:never-seen" in app.text
    assert "No record names it as related" in app.text
    assert app.errors == []


def test_an_entity_that_others_name_has_relations_without_a_record(open_app: OpenApp, nasty_url: str) -> None:
    app = open_app(nasty_url, "entities", entity=f"batch:{NASTY}")
    assert "No record is about" in app.text
    nodes = [data for trace in app.figure("relations_")["data"] for data in trace.get("customdata", ())]
    assert ["entity", f"sample:{NASTY}"] in nodes
    app.click_point("relations_", ["entity", f"sample:{NASTY}"])
    assert len(app.table("revisions_")) == 4
    app.go("entities", entity=f"sample:{NASTY}", view="state", revision="2", against="1")
    assert "From revision 1 to revision 2" in app.text
    assert app.errors == []


def test_several_entities_are_a_list(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "entities", org=HERE, entity=["protocol:SOP-114", "workflow:WF-PK"])
    assert set(app.table("entities_")["id"]) == {"SOP-114", "WF-PK"}


def test_an_entity_with_any_name_has_a_history(open_app: OpenApp, nasty_url: str) -> None:
    app = open_app(nasty_url, "entities")
    app.click_cell("entities_", 0, "id")
    assert app.params["entity"] == [f"sample:{NASTY}"]
    assert len(app.table("revisions_")) == 4
    assert app.errors == []
