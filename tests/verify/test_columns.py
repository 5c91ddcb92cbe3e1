"""No column can be altered unseen, whatever is put into it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from flasktrack.core.header import header_hash, record_header
from flasktrack.store.reader import Ledger
from flasktrack.store.schema import audit_record
from flasktrack.store.scope import machine_scope
from flasktrack.verify.runner import verify_organization
from tests import adversary
from tests.verify.chains import Said, error, findings, make_chain, verify

SIZE = 9
OTHER: dict[str, list[Any]] = {
    "organization_id": ["elsewhere"],
    "seq": [40],
    "record_id": ["00000000-0000-0000-0000-000000000000", ""],
    "occurred_at": ["2026-11-24T05:06:07.123457Z", "0001-01-01T00:00:00.000000Z"],
    "recorded_at": ["2026-11-24T05:06:07.123457Z", "9999-12-31T23:59:59.999999Z"],
    "actor_type": ["system", ""],
    "actor_id": ["u-99", "u-2 "],
    "actor_name": [None, "", "zoë Ångström", "Zoe\u0308 A\u030angstro\u0308m"],
    "actor_role": [None, "lead"],
    "actor_seq": [0, 3, -1, 2**62],
    "credential_id": [None, "key-8"],
    "on_behalf_of": [None, "user:u-8"],
    "action": ["delete", "Update"],
    "outcome": ["failure"],
    "entity_type": ["batch"],
    "entity_id": ["S-2"],
    "entity_name": [None, "Plasma"],
    "entity_seq": [0, 3],
    "related": [
        "[]",
        "",
        "null",
        "{",
        "7",
        '[{"type":"batch","id":"B-5"}]',
        '[{"type":"workflow","id":"W-1"},{"type":"batch","id":"B-5"}]',
        '[{"type":"batch","id":"B-5"}, {"type":"workflow","id":"W-1"}]',
        '[{"type":"batch","id":"B-5","note":"x"},{"type":"workflow","id":"W-1"}]',
        '[{"type":"batch","id":"B-6","id":"B-5"},{"type":"workflow","id":"W-1"}]',
    ],
    "reason": [None, "", "as planned."],
    "correlation_id": [None, "c-6"],
    "before_digest": [None, b"", bytes(32)],
    "after_digest": [None, bytes(31)],
    "context_digest": [None, bytes(33)],
    "prev_hash": [b"", bytes(31) + b"\x01"],
    "hash": [b"", bytes(32)],
}


def test_there_are_values_for_every_column() -> None:
    assert list(OTHER) == [column.name for column in audit_record.columns]


@pytest.mark.parametrize("column", [name for name in OTHER if name not in ("organization_id", "seq")])
def test_an_altered_column_is_one_finding(engine: Engine, lab: str, column: str) -> None:
    record = make_chain(engine, lab, SIZE)[4]
    as_recorded = '[{"type":"batch","id":"B-5"},{"type":"workflow","id":"W-1"}]' if column == "related" else None
    for value in OTHER[column]:
        adversary.alter_record(engine, lab, 5, **{column: value})
        assert findings(engine, lab) == [error("record_modified", 5)], value
        adversary.alter_record(engine, lab, 5, **{column: as_recorded or getattr(record, column)})
        assert findings(engine, lab) == [], "put back as it was, it is sound again"


def test_an_altered_position_or_organization_is_seen(engine: Engine, lab: str) -> None:
    make_chain(engine, lab, SIZE)
    adversary.alter_record(engine, lab, 5, seq=40)
    assert findings(engine, lab) == [error("head_mismatch", 10, 40), error("record_reordered", 40)]
    adversary.alter_record(engine, lab, 40, organization_id=f"{lab}-2")
    assert findings(engine, lab) == [error("record_missing", 5)]
    assert verify(engine, f"{lab}-2").status == "broken"


def test_no_related_entities_written_otherwise_is_seen(engine: Engine, lab: str) -> None:
    make_chain(engine, lab, 3, related=[])
    for text in ("{}", '""', "[ ]", "null", ""):
        adversary.alter_record(engine, lab, 2, related=text)
        assert findings(engine, lab) == [error("record_modified", 2)], text


@pytest.mark.parametrize("column", ["occurred_at", "recorded_at"])
@pytest.mark.parametrize("value", ["'infinity'", "'-infinity'", "'22026-11-24'", "BC"])
def test_times_that_only_postgresql_holds_are_seen(
    postgresql_engine: Engine, lab: str, column: str, value: str
) -> None:
    if value == "BC":  # the same digits, two thousand years and more before Christ
        value = f"(to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00 BC')::timestamptz"
    make_chain(postgresql_engine, lab, SIZE)
    adversary.run_sql(postgresql_engine, _at_5("audit_record", f"{column} = {value}"), id=lab)
    assert findings(postgresql_engine, lab) == [error("record_modified", 5)]


def _at_5(table: str, change: str) -> str:
    return f"UPDATE {table} SET {change} WHERE organization_id = :id AND seq = 5"


OF_ANY_TYPE: dict[str, tuple[str, list[Said]]] = {
    "a position in words": (_at_5("audit_record", "seq = 'five'"), [error("record_missing", 5)]),
    "a position in bytes": (_at_5("audit_record", "seq = x'00'"), [error("record_missing", 5)]),
    "half a position": (_at_5("audit_record", "seq = 4.5"), [error("record_missing", 5)]),
    "text in bytes": (_at_5("audit_record", "actor_id = x'752d32'"), [error("record_modified", 5)]),
    "broken UTF-8": (_at_5("audit_record", "actor_name = CAST(x'ff' AS TEXT)"), [error("record_modified", 5)]),
    "broken related text": (_at_5("audit_record", "related = CAST(x'ff' AS TEXT)"), [error("record_modified", 5)]),
    "a hash in text": (_at_5("audit_record", "hash = 'five'"), [error("record_modified", 5)]),
    "a hash in broken text": (_at_5("audit_record", "hash = CAST(x'ff' AS TEXT)"), [error("record_modified", 5)]),
    "a link in text": (_at_5("audit_record", "prev_hash = 'five'"), [error("record_modified", 5)]),
    "a number as digest": (_at_5("audit_record", "after_digest = 5.5"), [error("record_modified", 5)]),
    "an ordinal in words": (_at_5("audit_record", "actor_seq = 'five'"), [error("record_modified", 5)]),
    "a text with U+0000": (_at_5("audit_record", "reason = reason || char(0)"), [error("record_modified", 5)]),
    "a body in bytes": (_at_5("audit_payload", "after = x'ff'"), [error("payload_modified", 5, section="after")]),
    "a number as body": (_at_5("audit_payload", "after = 5"), [error("payload_modified", 5, section="after")]),
    "a salt in text": (
        _at_5("audit_payload", "after_salt = 'sixteen letters.'"),
        [error("payload_modified", 5, section="after")],
    ),
    "a number as salt": (_at_5("audit_payload", "context_salt = 5"), [error("payload_modified", 5, section="context")]),
    "a link's position in words": (_at_5("record_link", "seq = 'five'"), [error("link_mismatch", 5)]),
    "a link to bytes": (_at_5("record_link", "entity_id = x'ff'"), [error("link_mismatch", 5)]),
    "a link to broken text": (_at_5("record_link", "entity_id = CAST(x'ff' AS TEXT)"), [error("link_mismatch", 5)]),
    "a head's size in words": (
        "UPDATE chain_head SET size = 'nine' WHERE organization_id = :id",
        [error("head_mismatch", 9)],
    ),
    "a head's hash in broken text": (
        "UPDATE chain_head SET hash = CAST(x'ff' AS TEXT) WHERE organization_id = :id",
        [error("head_mismatch", 9)],
    ),
}


@pytest.mark.parametrize("name", OF_ANY_TYPE)
def test_what_only_sqlite_keeps_in_a_column_is_reported_and_stops_nothing(
    sqlite_engine: Engine, lab: str, name: str
) -> None:
    sql, expected = OF_ANY_TYPE[name]
    make_chain(sqlite_engine, lab, SIZE)
    adversary.run_sql(sqlite_engine, sql, id=lab)
    adversary.alter_section(sqlite_engine, lab, 8, "after", "{}")
    last = [finding for finding in expected if finding[2] == 9]
    first = [finding for finding in expected if finding[2] != 9]
    assert findings(sqlite_engine, lab) == [*first, error("payload_modified", 8, section="after"), *last]


def test_broken_text_is_not_taken_for_the_replacement_character(sqlite_engine: Engine, lab: str) -> None:
    make_chain(sqlite_engine, lab, SIZE, actor_name="Zo\ufffd")
    assert findings(sqlite_engine, lab) == []
    adversary.run_sql(sqlite_engine, _at_5("audit_record", "actor_name = CAST(x'5a6fff' AS TEXT)"), id=lab)
    assert findings(sqlite_engine, lab) == [error("record_modified", 5)]


def test_readers_can_still_read_broken_text_after_a_verification(sqlite_engine: Engine, lab: str) -> None:
    make_chain(sqlite_engine, lab, SIZE)
    adversary.run_sql(sqlite_engine, _at_5("audit_record", "actor_name = CAST(x'5a6fff' AS TEXT)"), id=lab)

    def cancel(*_: int) -> None:
        raise KeyboardInterrupt

    for progress in (None, cancel):
        try:
            verify_organization(sqlite_engine, lab, started_by="user:u-1", progress=progress)
        except KeyboardInterrupt:
            assert progress is cancel
        read = [checked.record.actor_name for checked in Ledger(sqlite_engine, machine_scope(lab)).stream()]
        assert read[4] == "Zo\ufffd"


def test_a_forged_record_without_a_time_stops_nothing(postgresql_engine: Engine, lab: str) -> None:
    """An insider may also take away a constraint."""
    engine = postgresql_engine
    record = make_chain(engine, lab, SIZE)[4]
    timeless = record_header(record).replace(f'"{record.recorded_at}"'.encode(), b"null")
    adversary.run_sql(engine, "ALTER TABLE audit_record ALTER recorded_at DROP NOT NULL")
    adversary.alter_record(engine, lab, 5, recorded_at=None, hash=header_hash(timeless))
    assert findings(engine, lab) == [error("record_modified", 5)]
    adversary.alter_record(engine, lab, 5, recorded_at=record.recorded_at)
    adversary.run_sql(engine, "ALTER TABLE audit_record ALTER recorded_at SET NOT NULL")
