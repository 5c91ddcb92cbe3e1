"""An entity's history says what each act changed, what is missing, and where something changed it unrecorded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from flasktrack.core.record import Event, Reference
from flasktrack.insight import history as history_module
from flasktrack.insight.diff import Change
from flasktrack.insight.history import EntityHistory, Revision
from flasktrack.store.engine import writing
from flasktrack.store.organizations import create_organization
from flasktrack.store.reader import Ledger
from flasktrack.store.schema import audit_record
from flasktrack.store.scope import machine_scope
from flasktrack.store.writer import append
from tests.adversary import alter_record, alter_section, delete_records, delete_section
from tests.insight.lab import ENTITIES, HERE, ROWS, THERE

LAB = "northwind-labs"
START = datetime(2026, 11, 24, tzinfo=UTC)


def act(before: Any, after: Any, action: str = "update", entity_id: str = "S-1", **more: Any) -> Event:
    return Event(
        occurred_at=START,
        actor_type="user",
        actor_id="u-1",
        action=action,
        entity_type="sample",
        entity_id=entity_id,
        before=before,
        after=after,
        **more,
    )


def ledger_of(engine: Engine, *events: Event) -> Ledger:
    with writing(engine) as connection:
        create_organization(connection, LAB)
        append(connection, LAB, events)
    return Ledger(engine, machine_scope(LAB))


def of(ledger: Ledger, entity_id: str = "S-1", entity_type: str = "sample") -> EntityHistory:
    return EntityHistory(ledger, Reference(entity_type, entity_id))


def history(ledger: Ledger, entity_id: str = "S-1") -> list[Revision]:
    return of(ledger, entity_id).page()


def told(ledger: Ledger) -> list[tuple[int, list[int], bool]]:
    """Each revision's number, the missing ones before it, and whether there is a gap."""
    return marks(history(ledger))


def marks(page: list[Revision]) -> list[tuple[int, list[int], bool]]:
    return [(revision.number, list(revision.missing), revision.gap) for revision in page]


WHOLE = (
    act(None, {"ml": 10}, "create"),
    act({"ml": 10}, {"ml": 8}),
    act(None, None, "download"),
    act({"ml": 8}, {"ml": 8, "note": "x"}),
    act({"ml": 8, "note": "x"}, None, "delete"),
)


def test_a_whole_history_has_its_revisions_in_order_without_gap(engine: Engine) -> None:
    other = act({"ml": 99}, {"ml": 98}, entity_id="S-2")
    ledger = ledger_of(engine, WHOLE[0], other, *WHOLE[1:], other)
    assert told(ledger) == [(number, [], False) for number in (1, 2, 3, 4, 5)]
    assert [revision.checked.record.action for revision in history(ledger)] == [
        "create", "update", "download", "update", "delete",
    ]  # fmt: skip
    assert [revision.changes for revision in history(ledger)] == [
        [Change("ml", "added", after=10)],
        [Change("ml", "changed", 10, 8)],
        [],
        [Change("note", "added", after="x")],
        [Change("ml", "removed", before=8), Change("note", "removed", before="x")],
    ]


def test_what_has_no_record_has_no_history(sqlite_engine: Engine) -> None:
    ledger = ledger_of(sqlite_engine, *WHOLE)
    assert history(ledger, "S-9") == []
    assert of(ledger, "S-1", "batch").page() == []
    assert (of(ledger, "S-9").count(), of(ledger, "S-9").newest, of(ledger, "S-9").state(1).standing) == (0, 0, "never")


def test_a_history_is_one_organizations_and_one_entitys(lab: Engine) -> None:
    for organization_id in (HERE, THERE):
        for entity_type, entity_id, _ in ENTITIES:
            mine = [
                row.seq
                for row in ROWS[organization_id]
                if (row.event.entity_type, row.event.entity_id) == (entity_type, entity_id)
            ]
            found = of(Ledger(lab, machine_scope(organization_id)), entity_id, entity_type).page(limit=1000)
            assert [revision.checked.record.seq for revision in found] == mine
            assert [revision.number for revision in found] == list(range(1, len(mine) + 1))
            assert not any(revision.missing for revision in found)


def test_a_state_that_nobody_recorded_is_a_gap(sqlite_engine: Engine) -> None:
    ledger = ledger_of(
        sqlite_engine,
        act(None, {"ml": 10}),
        act({"ml": 9}, {"ml": 8}),  # it was 10
        act({"ml": 8}, {"ml": 7}),
        act(None, None),
        act({"ml": 7.0}, {"ml": 6}),  # written otherwise is another state
        act(None, {"ml": 5}),  # says nothing of the state before
        act({"ml": 6}, {"ml": 5}),  # it was 5
    )
    assert [revision.gap for revision in history(ledger)] == [False, True, False, False, True, False, True]


def test_missing_revisions_are_named_and_explain_a_change(engine: Engine) -> None:
    ledger = ledger_of(engine, *(act({"ml": n}, {"ml": n + 1}) for n in range(1, 8)))
    delete_records(engine, LAB, 1)
    delete_records(engine, LAB, 4, 5)
    delete_records(engine, LAB, 7)
    assert told(ledger) == [(2, [1], False), (3, [], False), (6, [4, 5], False)]


def test_a_modified_revision_is_shown_and_explains_a_change(engine: Engine) -> None:
    ledger = ledger_of(engine, *(act({"ml": n}, {"ml": n + 1}) for n in (1, 2, 5)), act({"ml": 4}, {"ml": 3}))
    alter_record(engine, LAB, 2, entity_seq=77, reason="as planned")
    assert told(ledger) == [(1, [], False), (3, [2], False), (4, [], True), (77, [], False)]  # where its number says
    assert [[finding.code for finding in revision.checked.findings] for revision in history(ledger)] == [
        [], [], [], ["record_modified"],
    ]  # fmt: skip
    assert of(ledger).newest == 4


def test_a_revision_that_was_given_to_another_entity_is_missing_here(sqlite_engine: Engine) -> None:
    ledger = ledger_of(sqlite_engine, *WHOLE)
    alter_record(sqlite_engine, LAB, 2, entity_id="S-2")
    assert told(ledger) == [(1, [], False), (3, [2], False), (4, [], False), (5, [], False)]


def test_an_altered_section_is_no_state_to_compare_with(sqlite_engine: Engine) -> None:
    ledger = ledger_of(sqlite_engine, *(act({"ml": n}, {"ml": n + 1}) for n in (1, 2, 3)))
    alter_section(sqlite_engine, LAB, 1, "after", '{"ml":50}')
    alter_section(sqlite_engine, LAB, 3, "before", '{"ml":60}')
    assert [revision.gap for revision in history(ledger)] == [False, False, False]
    assert history(ledger)[0].changes == [Change("ml", "changed", 1, 50)]  # as it stands there, with its finding
    assert [finding.code for finding in history(ledger)[0].checked.findings] == ["payload_modified"]


@pytest.mark.parametrize("section", ["before", "after"])
def test_without_one_of_its_sections_nobody_knows_what_an_act_changed(sqlite_engine: Engine, section: str) -> None:
    ledger = ledger_of(sqlite_engine, *(act({"ml": n}, {"ml": n + 1}) for n in (1, 2, 3)))
    delete_section(sqlite_engine, LAB, 2, section)
    first, second, third = history(ledger)
    assert second.changes is None
    assert (first.changes, third.changes) == ([Change("ml", "changed", 1, 2)], [Change("ml", "changed", 3, 4)])
    assert not any(revision.gap for revision in (first, second, third))


@pytest.mark.parametrize(
    "body", ["", "{", "NaN", '{"a":1}}', "[" * 5000, "[" * 300 + "]" * 300, '{"a":' * 900 + "1" + "}" * 900]
)
def test_a_body_that_is_unreadable_raises_nothing(sqlite_engine: Engine, body: str) -> None:
    ledger = ledger_of(sqlite_engine, act([1], [2]))
    alter_section(sqlite_engine, LAB, 1, "after", body)
    (revision,) = history(ledger)
    assert revision.changes is None
    assert [finding.code for finding in revision.checked.findings] == ["payload_modified"]


# What changed past the recorder


def unrecorded(ledger: Ledger) -> dict[int, list[Change]]:
    """What changed unrecorded before each record of the ledger, by position; where something did."""
    found = {
        checked.record.seq: of(ledger, checked.record.entity_id).unrecorded_change(checked)
        for checked in ledger.stream()
    }
    return {seq: changed for seq, changed in found.items() if changed}


def test_what_changed_unrecorded_is_named_field_by_field(engine: Engine) -> None:
    ledger = ledger_of(
        engine,
        act(None, {"ml": 10, "note": "x"}, "create"),
        act({"ml": 99}, {"ml": 99}, entity_id="S-2"),
        act(None, None, "download"),  # says nothing of the state
        act({"ml": 9, "note": "x"}, {"ml": 8, "note": "x"}),  # it was 10
        act({"ml": 8, "note": "x", "by": "u"}, None, "delete"),  # nobody was named
    )
    assert unrecorded(ledger) == {
        4: [Change("ml", "changed", 10, 9)],
        5: [Change("by", "added", after="u")],
    }


def test_it_is_told_where_a_gap_is_told(engine: Engine) -> None:
    ledger = ledger_of(
        engine,
        *WHOLE,
        act({"ml": 8}, {"ml": 7}, "create"),  # after it was deleted: compared with the last state that there was
        act({"ml": 6}, {"ml": 5}),
    )
    gaps = [revision.checked.record.seq for revision in history(ledger) if revision.gap]
    assert list(unrecorded(ledger)) == gaps == [6, 7]


def test_what_cant_be_relied_on_is_compared_with_nothing(sqlite_engine: Engine) -> None:
    ledger = ledger_of(sqlite_engine, *(act({"ml": n}, {"ml": n - 2}) for n in (20, 19, 18, 17, 16)))
    assert list(unrecorded(ledger)) == [2, 3, 4, 5]
    alter_section(sqlite_engine, LAB, 1, "after", '{"ml":50}')
    delete_section(sqlite_engine, LAB, 3, "before")
    alter_record(sqlite_engine, LAB, 4, reason="as planned")
    assert list(unrecorded(ledger)) == []


def test_a_missing_or_altered_record_between_explains_a_change(sqlite_engine: Engine) -> None:
    """As for `Revision.gap`: a verification reports the record itself."""
    ledger = ledger_of(sqlite_engine, *(act({"ml": n}, {"ml": n + 1}) for n in range(1, 7)))
    delete_records(sqlite_engine, LAB, 2)
    alter_record(sqlite_engine, LAB, 5, reason="as planned")
    assert [revision.checked.record.seq for revision in history(ledger) if revision.gap] == []
    assert unrecorded(ledger) == {}


# A page at a time


ROWS_OF_MANY = tuple(
    act({"ml": number - 1} if number % 3 else None, {"ml": number if number % 5 else 99} if number % 2 else None)
    for number in range(1, 60)
)


@pytest.fixture
def many(sqlite_engine: Engine) -> Ledger:
    """Fifty-nine revisions with every kind of neighbour, two of them deleted and one of them modified."""
    ledger = ledger_of(sqlite_engine, *ROWS_OF_MANY)
    delete_records(sqlite_engine, LAB, 20)
    delete_records(sqlite_engine, LAB, 33)
    alter_record(sqlite_engine, LAB, 45, reason="as planned")
    return ledger


@pytest.mark.parametrize("limit", [1, 2, 7, 19])
def test_pages_put_together_are_the_whole_history(many: Ledger, limit: int) -> None:
    whole = history(many)
    assert any(revision.gap for revision in whole)
    found: list[Revision] = []
    before = None
    while page := of(many).page(before=before, limit=limit):
        assert len(page) == min(limit, len(whole) - len(found))
        found = page + found
        before = page[0].number
    assert found == whole


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(st.sets(st.integers(1, 59)))
def test_what_is_picked_out_is_marked_as_in_the_whole_history(many: Ledger, picked: set[int]) -> None:
    condition = audit_record.c.seq.in_(picked)
    assert of(many).page(condition) == [revision for revision in history(many) if revision.number in picked]
    assert of(many).count(condition) == len(picked - {20, 33})


def test_the_way_back_to_newer_revisions(sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "PAGE_REVISIONS", 10)
    mine = of(ledger_of(sqlite_engine, *ROWS_OF_MANY))
    assert mine.newer(than=19) == 30  # whose page ends with 29
    assert mine.newer(than=49) is None
    assert mine.newer(audit_record.c.seq >= 40, than=19) == 50


def test_a_page_of_huge_revisions_is_shorter(sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "_PAGE_CHARACTERS", 2000)
    ledger = ledger_of(sqlite_engine, *(act({"x": "y" * 400}, {"x": "y" * 400}) for _ in range(9)))
    assert marks(history(ledger)) == [(8, [], False), (9, [], False)]
    assert marks(of(ledger).page(before=8)) == [(6, [], False), (7, [], False)]
    monkeypatch.setattr(history_module, "_PAGE_CHARACTERS", 2)
    assert marks(history(ledger)) == [(9, [], False)]


# The state at any moment


def states(ledger: Ledger) -> list[tuple[str, Any, int | None, int]]:
    """For each number up to the newest: how the state stands, the state, who says so, how many are missing since."""
    mine = of(ledger)
    found = [mine.state(number) for number in range(1, mine.newest + 1)]
    assert [state.number for state in found] == list(range(1, mine.newest + 1))
    return [
        (state.standing, state.value, state.source and state.source.record.entity_seq, state.missing) for state in found
    ]


def test_the_state_is_what_was_recorded_last(engine: Engine) -> None:
    ledger = ledger_of(engine, act(None, None, "view"), *WHOLE, act(None, None, "view"), act(None, {"ml": 1}, "create"))
    assert states(ledger) == [
        ("never", None, None, 0),
        ("recorded", {"ml": 10}, 2, 0),
        ("recorded", {"ml": 8}, 3, 0),
        ("recorded", {"ml": 8}, 3, 0),
        ("recorded", {"ml": 8, "note": "x"}, 5, 0),
        ("deleted", None, 6, 0),
        ("deleted", None, 6, 0),
        ("recorded", {"ml": 1}, 8, 0),
    ]


def test_a_state_says_what_it_cant_know(sqlite_engine: Engine) -> None:
    ledger = ledger_of(sqlite_engine, *(act(None, {"ml": number}) for number in range(1, 9)))
    delete_section(sqlite_engine, LAB, 2, "after")
    alter_section(sqlite_engine, LAB, 3, "after", "{")
    alter_section(sqlite_engine, LAB, 4, "after", '{"ml":50}')
    delete_records(sqlite_engine, LAB, 5, 7)
    assert states(ledger) == [
        ("recorded", {"ml": 1}, 1, 0),
        ("gone", None, 2, 0),
        ("unreadable", None, 3, 0),
        ("recorded", {"ml": 50}, 4, 0),
        *(("recorded", {"ml": 50}, 4, missing) for missing in (1, 2, 3)),
        ("recorded", {"ml": 8}, 8, 0),
    ]
    altered, absent = of(ledger).state(4), of(ledger).state(6)
    assert altered.source is not None
    assert [finding.code for finding in altered.source.findings] == ["payload_modified"]
    assert absent.revision is None


def test_a_moment_has_the_last_revision_that_had_occurred_by_then(engine: Engine) -> None:
    times = [START + timedelta(hours=hour) for hour in (1, 2, 4, 3, 6)]  # the fourth was entered late
    events = [act(None, {"ml": 1}) for _ in times]
    for event, time in zip(events, times, strict=True):
        event.occurred_at = time
    mine = of(ledger_of(engine, *events))
    assert [mine.number_at(START + timedelta(hours=hour)) for hour in range(8)] == [0, 1, 2, 4, 4, 4, 5, 5]
