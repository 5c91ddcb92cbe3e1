"""An entity's history says what each act changed, what is missing, and where something changed it unrecorded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine

from flasktrack.core.record import Event
from flasktrack.insight.diff import Change
from flasktrack.insight.history import Revision, entity_history, related_to, unrecorded_change
from flasktrack.store.engine import writing
from flasktrack.store.organizations import create_organization
from flasktrack.store.reader import Ledger
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
    return Ledger(engine, LAB)


def history(ledger: Ledger, entity_id: str = "S-1") -> list[Revision]:
    return list(entity_history(ledger, "sample", entity_id))


def told(ledger: Ledger) -> list[tuple[int, list[int], bool]]:
    """Each revision's number, the missing ones before it, and whether there is a gap."""
    return [(revision.number, list(revision.missing), revision.gap) for revision in history(ledger)]


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
    assert list(entity_history(ledger, "batch", "S-1")) == []


def test_a_history_is_one_organizations_and_one_entitys(lab: Engine) -> None:
    for organization_id in (HERE, THERE):
        for entity_type, entity_id, _ in ENTITIES:
            mine = [
                row.seq
                for row in ROWS[organization_id]
                if (row.event.entity_type, row.event.entity_id) == (entity_type, entity_id)
            ]
            found = list(entity_history(Ledger(lab, organization_id), entity_type, entity_id))
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
    assert told(ledger) == [(1, [], False), (77, [], False), (3, [], False), (4, [], True)]
    assert [[finding.code for finding in revision.checked.findings] for revision in history(ledger)] == [
        [], ["record_modified"], [], [],
    ]  # fmt: skip


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
    found = {checked.record.seq: unrecorded_change(ledger, checked) for checked in ledger.stream()}
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


# Related records


def related_seqs(ledger: Ledger, entity_type: str, entity_id: str, **options: Any) -> list[int]:
    return [checked.record.seq for checked in related_to(ledger, entity_type, entity_id, **options)]


def test_records_that_name_an_entity_are_found_the_newest_first(lab: Engine) -> None:
    for organization_id in (HERE, THERE):
        for entity_type, entity_id, _ in ENTITIES:
            naming = [row.seq for row in ROWS[organization_id] if (entity_type, entity_id) in row.event.related]
            ledger = Ledger(lab, organization_id)
            assert related_seqs(ledger, entity_type, entity_id) == naming[::-1] != []
            assert related_seqs(ledger, entity_type, entity_id, descending=False, limit=3) == naming[:3]
            assert related_seqs(ledger, entity_type, entity_id, limit=1) == naming[-1:]


def test_a_record_that_names_an_entity_twice_comes_once_and_its_own_records_do_not(sqlite_engine: Engine) -> None:
    twice = act(None, None, entity_id="S-2", related=[("sample", "S-1"), ("sample", "S-1"), ("batch", "S-1")])
    ledger = ledger_of(sqlite_engine, act(None, None), twice)
    assert related_seqs(ledger, "sample", "S-1") == [2]
    assert related_seqs(ledger, "sample", "S-2") == []
