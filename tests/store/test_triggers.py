"""The database itself refuses to change the history, whoever is connected; only an erasure is let through."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from flasktrack.store.engine import writing
from flasktrack.store.triggers import REFUSAL
from tests.store.samples import SOUTHPORT, codes, event, everything, organizations, record, second_record, stored

RECORD, PAYLOAD, LINK = "audit_record", "audit_payload", "record_link"

CHANGES = {
    RECORD: [
        "UPDATE audit_record SET actor_name = 'N. N.' WHERE seq = 2",
        "UPDATE audit_record SET actor_name = actor_name",
        "UPDATE audit_record SET seq = 9 WHERE seq = 2",
        "UPDATE audit_record SET organization_id = 'southport-biotech' WHERE seq = 2",
        "DELETE FROM audit_record WHERE seq = 2",
        "DELETE FROM audit_record",
        "INSERT INTO audit_record SELECT * FROM audit_record WHERE seq = 2 "
        "ON CONFLICT (organization_id, seq) DO UPDATE SET actor_name = 'N. N.'",
    ],
    PAYLOAD: [
        """UPDATE audit_payload SET after = '{"volume":9}' WHERE seq = 2""",
        "UPDATE audit_payload SET after_salt = before_salt WHERE seq = 2",
        "UPDATE audit_payload SET after = NULL WHERE seq = 2",
        "UPDATE audit_payload SET after_salt = NULL WHERE seq = 2",
        "UPDATE audit_payload SET after = NULL, after_salt = NULL, before = '0' WHERE seq = 2",
        "UPDATE audit_payload SET before = after, before_salt = after_salt, after = before, after_salt = before_salt",
        "UPDATE audit_payload SET context = after, context_salt = after_salt WHERE seq = 2",  # it was null
        "UPDATE audit_payload SET seq = 9 WHERE seq = 2",
        "UPDATE audit_payload SET organization_id = 'southport-biotech' WHERE seq = 2",
        "DELETE FROM audit_payload WHERE seq = 2",
        "INSERT INTO audit_payload SELECT * FROM audit_payload WHERE seq = 2 "
        "ON CONFLICT (organization_id, seq) DO UPDATE SET after = '9'",
    ],
    LINK: [
        "UPDATE record_link SET entity_id = 'B-8' WHERE seq = 2",
        "UPDATE record_link SET seq = 9",
        "DELETE FROM record_link WHERE seq = 2",
    ],
}  # fmt: skip

SQLITE = {
    RECORD: [
        "INSERT OR REPLACE INTO audit_record SELECT * FROM audit_record WHERE seq = 2",
        "REPLACE INTO audit_record SELECT * FROM audit_record",
        "UPDATE OR REPLACE audit_record SET seq = 1 WHERE seq = 2",
    ],
    PAYLOAD: [
        "INSERT OR REPLACE INTO audit_payload (organization_id, seq) SELECT organization_id, 2 FROM audit_payload",
        "UPDATE OR REPLACE audit_payload SET seq = 1 WHERE seq = 2",
    ],
    LINK: [
        "INSERT OR REPLACE INTO record_link (rowid, organization_id, entity_type, entity_id, seq) "
        "SELECT rowid, organization_id, 'batch', 'B-8', seq FROM record_link",
        "UPDATE OR REPLACE record_link SET rowid = 1 WHERE rowid = 2",
    ],
}  # fmt: skip

POSTGRESQL = ("TRUNCATE {table}", "TRUNCATE {table} CASCADE", "WITH gone AS (DELETE FROM {table} RETURNING *) SELECT 1")
REPLICA = "SET session_replication_role = replica"  # switches ordinary triggers off


@pytest.fixture
def lab(engine: Engine) -> Engine:
    """Three records; the second has a related entity and no context."""
    organizations(engine)
    record(engine, event(1, related=[("batch", "B-1")]), event(2, related=[("batch", "B-2")]), event(3, context={}))
    return engine


def run(engine: Engine, *statements: str) -> None:
    with writing(engine) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def refuse(engine: Engine, *statements: str) -> str:
    """Run them in one transaction, of which one must be refused; the database's own words."""
    with pytest.raises(DBAPIError) as refusal:
        run(engine, *statements)
    return str(refusal.value.orig)


@pytest.mark.parametrize("table", [RECORD, PAYLOAD, LINK])
def test_the_history_cannot_be_changed_replaced_or_deleted(lab: Engine, table: str) -> None:
    before = everything(lab)
    statements = list(CHANGES[table])
    if lab.dialect.name == "sqlite":
        statements += SQLITE[table]
        assert all(REFUSAL in refuse(lab, "PRAGMA recursive_triggers = OFF", statement) for statement in statements)
    else:
        statements += [statement.format(table=table) for statement in POSTGRESQL]
        assert all(REFUSAL in refuse(lab, statement) for statement in statements)
        assert all(REFUSAL in refuse(lab, REPLICA, statement) for statement in statements)
    assert everything(lab) == before


@pytest.mark.parametrize("column", ["seq", "record_id", "prev_hash"])
def test_a_row_in_the_way_is_not_replaced_whatever_it_collides_on(sqlite_engine: Engine, column: str) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, event(1), event(2))
    before = everything(sqlite_engine)
    others = {"seq": "9", "record_id": "'other'", "prev_hash": "x'00ff'"} | {column: column}
    assert refuse(sqlite_engine, second_record(1, verb="INSERT OR REPLACE", **others)) == REFUSAL
    assert everything(sqlite_engine) == before


def test_an_erasure_of_a_section_is_allowed_and_final(lab: Engine) -> None:
    gone = []
    for section in ("before", "after", "context"):
        run(lab, f"UPDATE audit_payload SET {section} = NULL, {section}_salt = NULL WHERE seq = 3")
        gone.append(("payload_missing", section))
        assert [codes(item) for item in stored(lab)] == [[], [], gone]
        salt = "(SELECT before_salt FROM audit_payload WHERE seq = 1)"
        restored = f"UPDATE audit_payload SET {section} = '1', {section}_salt = {salt} WHERE seq = 3"
        assert REFUSAL in refuse(lab, restored)
    assert [codes(item) for item in stored(lab)] == [[], [], gone]


def test_the_writer_is_not_in_the_way_of_the_triggers(lab: Engine) -> None:
    organizations(lab, SOUTHPORT)
    record(lab, event(1, related=[("batch", "B-2"), ("batch", "B-2")]), organization=SOUTHPORT)
    assert record(lab, event(4, related=[("batch", "B-2")]))[0].seq == 4


def test_the_refusal_says_what_the_matter_is(lab: Engine) -> None:
    words = refuse(lab, "DELETE FROM audit_record")
    assert words.splitlines()[0] == "the audit history is append-only"
