"""What an insider can put into tables whose keys and constraints were taken away: each of it is reported."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from flasktrack.store.engine import initialize, open_engine, writing
from flasktrack.store.reader import Ledger
from flasktrack.store.schema import audit_payload, audit_record, record_link
from flasktrack.store.scope import machine_scope
from flasktrack.verify.runner import verify_organization
from tests.store.samples import NORTHWIND, event, organizations, record, take_guards_away


@pytest.fixture
def bare(tmp_path) -> Engine:
    """Six records in SQLite tables without a key, a constraint or a trigger."""
    engine = open_engine(f"sqlite:///{tmp_path / 'bare.db'}")
    initialize(engine)
    organizations(engine)
    record(engine, *(event(number, related=[("batch", "B-1")]) for number in range(1, 7)))
    with writing(engine) as connection:
        take_guards_away(connection)
        for table in (audit_record, audit_payload, record_link):
            connection.exec_driver_sql(f"ALTER TABLE {table.name} RENAME TO kept")
            connection.exec_driver_sql(f"CREATE TABLE {table.name} AS SELECT * FROM kept")
            connection.exec_driver_sql("DROP TABLE kept")
    return engine


def found(engine: Engine, *statements: str) -> list[tuple[str, int]]:
    with writing(engine) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    done = verify_organization(engine, NORTHWIND, started_by="command line")
    return [(finding.code, finding.seq) for finding in done.findings if finding.severity == "error"]


def copied(seq: str, **values: str) -> str:
    columns = [column.name for column in audit_record.columns]
    shown = ", ".join({"seq": seq, **values}.get(name, name) for name in columns)
    return f"INSERT INTO audit_record SELECT {shown} FROM audit_record WHERE seq = 3"


def test_tables_without_guards_alone_accuse_nobody(bare: Engine) -> None:
    assert found(bare) == []


def test_a_record_without_hash_and_header_is_not_trusted(bare: Engine) -> None:
    errors = found(bare, "UPDATE audit_record SET hash = NULL, credential_id = x'41', reason = 'forged' WHERE seq = 3")
    assert ("record_modified", 3) in errors
    third = Ledger(bare, machine_scope(NORTHWIND)).get(3)
    assert third is not None
    assert "record_modified" in {finding.code for finding in third.findings}


def test_a_second_record_at_a_position_that_is_taken(bare: Engine) -> None:
    assert ("chain_broken", 3) in found(bare, copied("3", reason="'forged'"))


@pytest.mark.parametrize("seq", ["2.5", "'x'", "x'00'"])
def test_a_row_whose_position_is_no_whole_number(bare: Engine, seq: str) -> None:
    assert "chain_broken" in {code for code, _ in found(bare, copied(seq))}


@pytest.mark.parametrize("seq", ["0", "-1", "2.5"])
def test_a_link_moved_to_where_no_record_stands(bare: Engine, seq: str) -> None:
    errors = found(bare, f"UPDATE record_link SET seq = {seq} WHERE seq = 3")
    assert {code for code, _ in errors} == {"link_mismatch"}


def test_a_forged_link_behind_a_broken_one(bare: Engine) -> None:
    errors = found(
        bare,
        f"INSERT INTO record_link VALUES ('{NORTHWIND}', 'x', CAST(x'ff' AS TEXT), 3)",
        f"INSERT INTO record_link VALUES ('{NORTHWIND}', 'sample', 'S-forged', 3)",
    )
    assert errors == [("link_mismatch", 3)]


def test_a_body_that_is_stored_as_no_text(bare: Engine) -> None:
    assert found(bare, "UPDATE audit_payload SET after = CAST(after AS BLOB) WHERE seq = 3") == [
        ("payload_modified", 3)
    ]


def test_contents_of_no_record(bare: Engine) -> None:
    statement = f"INSERT INTO audit_payload (organization_id, seq, after) VALUES ('{NORTHWIND}', 7, '{{}}')"
    assert found(bare, statement) == [("payload_modified", 6)]
