"""Entities: found by words, opened by a click, and their history says what changed and what does not fit together."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.history import entity_history
from flasktrack.store.engine import open_engine
from flasktrack.store.reader import Ledger
from flasktrack.store.verifications import latest_verification
from tests.adversary import delete_records
from tests.ui.app import OpenApp
from tests.ui.nasty import NASTY

HERE = "alpenrand-bioanalytik"


@pytest.fixture
def ledger(lab_url: str) -> Iterator[Ledger]:
    engine = open_engine(lab_url)
    yield Ledger(engine, HERE)
    engine.dispose()


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
    revisions = list(entity_history(ledger, "protocol", "SOP-114"))
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
    revisions = list(entity_history(ledger, "protocol", "SOP-114"))
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


def test_a_deleted_revision_is_marked_where_it_is_missing(open_app: OpenApp, sample_lab_url: str) -> None:
    engine = open_engine(sample_lab_url)
    second = list(entity_history(Ledger(engine, HERE), "protocol", "SOP-114"))[1]
    delete_records(engine, HERE, second.checked.record.seq)
    engine.dispose()
    app = open_app(sample_lab_url, "entities", org=HERE, entity="protocol:SOP-114")
    shown = app.table("revisions_")
    (marked,) = shown[shown["look"] != ""].to_dict("records")
    assert (marked["revision"], marked["look"]) == (3, "missing before it: 2")
    assert "1 revision needs a look" in app.text


def test_what_relates_to_an_entity_leads_there(open_app: OpenApp, lab_url: str, ledger: Ledger) -> None:
    found = next(found for found in ledger.stream(first=9000) if found.record.related)
    entity = f"{found.record.entity_type}:{found.record.entity_id}"
    related = f"{found.record.related[0].type}:{found.record.related[0].id}"
    app = open_app(lab_url, "entities", org=HERE, entity=entity)
    app.click_link(related)
    assert app.params == {"org": [HERE], "entity": [related]}
    assert f"({related})" in app.text
    assert any(link.startswith(entity) for link in app.links) or "more" in app.text
    app.go("entities", **app.params)  # the same as when somebody opens the address anew
    assert f"({related})" in app.text


def test_an_entity_without_a_record_is_said_to_have_none(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "entities", entity="sample:never-seen")
    assert "No record is about sample:never-seen" in app.text
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
