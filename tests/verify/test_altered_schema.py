"""A verdict is of what everybody reads: where somebody altered the tables themselves, it says so, and is not sound."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine

from flasktrack.errors import NotIntact
from flasktrack.seal.sealing import seal
from flasktrack.store.engine import writing
from flasktrack.store.verifications import latest_verification
from flasktrack.trust.keyring import Keyring
from flasktrack.verify import compiled
from flasktrack.verify.runner import Trust, verify_organization
from tests.verify.chains import make_chain, said

LINKS = "CREATE INDEX ix_record_link_entity ON record_link (organization_id, entity_type, entity_id, seq)"


def run(engine: Engine, *statements: str) -> None:
    with writing(engine) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_an_altered_schema_makes_the_verdict_broken_with_the_records_findings_as_always(
    sqlite_engine: Engine, lab: str
) -> None:
    make_chain(sqlite_engine, lab, 12)
    run(
        sqlite_engine,
        "DROP TRIGGER audit_record_no_update",
        "UPDATE audit_record SET reason = 'x' WHERE seq = 5",
        "CREATE TRIGGER quiet BEFORE INSERT ON record_link WHEN NEW.entity_id = 'B-1' BEGIN SELECT RAISE(IGNORE); END",
    )
    for mode in ({}, {"incremental": True}, {"between": (1, 12)}):
        done = verify_organization(sqlite_engine, lab, started_by="test", **mode)
        assert done.status == "broken"
        assert said(done) == [("record_modified", "error", 5, 5, None)]
        assert done.remarks == (
            "The guards of the append-only tables are gone, or not as they were made: audit_record_no_update.",
            "FlaskTrack did not make the trigger quiet of the table record_link.",
        )
        assert latest_verification(sqlite_engine, lab) == done


def test_a_view_with_sound_records_does_not_pass_for_the_table(sqlite_engine: Engine, lab: str) -> None:
    make_chain(sqlite_engine, lab, 5)
    run(
        sqlite_engine,
        "ALTER TABLE audit_payload RENAME TO kept",
        "CREATE VIEW audit_payload AS SELECT * FROM kept",
    )
    done = verify_organization(sqlite_engine, lab, started_by="test")
    assert (done.status, done.findings, done.records) == ("broken", (), 5)
    assert any(remark.startswith("In place of the table audit_payload there is a view") for remark in done.remarks)


def test_a_table_that_was_taken_away_does_not_take_the_verdict_with_it(engine: Engine, lab: str) -> None:
    make_chain(engine, lab, 5)
    run(engine, "ALTER TABLE record_link RENAME TO kept")
    try:
        done = verify_organization(engine, lab, started_by="test")
    finally:
        run(engine, "ALTER TABLE kept RENAME TO record_link")
    assert (done.status, done.records) == ("broken", 0)
    assert "The table record_link is gone." in done.remarks
    assert done.remarks[-1] == "The records could not be read from such tables, so none was checked."
    assert latest_verification(engine, lab) == done


@pytest.mark.parametrize("worth_loading", [0, 25_000])
def test_an_index_that_leaves_rows_out_is_found_by_a_full_verification(
    sqlite_engine: Engine, lab: str, monkeypatch: pytest.MonkeyPatch, worth_loading: int
) -> None:
    """The table of related entities is read by position when it is verified, and by entity on a page."""
    monkeypatch.setattr(compiled, "WORTH_LOADING", worth_loading)
    make_chain(sqlite_engine, lab, 8)
    run(
        sqlite_engine,
        "DROP INDEX ix_record_link_entity",
        f"{LINKS} WHERE entity_id <> 'B-3'",
        "PRAGMA writable_schema = ON",
        f"UPDATE sqlite_master SET sql = '{LINKS}' WHERE name = 'ix_record_link_entity'",
    )
    sqlite_engine.dispose()
    with closing(sqlite3.connect(str(sqlite_engine.url.database))) as page:
        by_entity = f"SELECT count(*) FROM record_link WHERE organization_id = '{lab}' AND entity_type = 'batch'"
        assert page.execute(f"{by_entity} AND entity_id = 'B-3'").fetchone() == (0,), "the page shows no record 3"
    done = verify_organization(sqlite_engine, lab, started_by="test")
    assert (done.status, said(done)) == ("broken", [])
    (remark,) = done.remarks
    assert "ix_record_link_entity" in remark
    run(sqlite_engine, "REINDEX ix_record_link_entity")
    assert verify_organization(sqlite_engine, lab, started_by="test").status == "verified"


def test_nothing_is_sealed_over_altered_tables(sqlite_engine: Engine, lab: str, tmp_path: Path) -> None:
    make_chain(sqlite_engine, lab, 5)
    run(sqlite_engine, "DROP TRIGGER record_link_no_delete")
    trust = Trust(Keyring(tmp_path / "keys", "lab.example.org"))
    trust.keyring.create()
    with pytest.raises(NotIntact, match="append-only tables are gone"):
        seal(sqlite_engine, lab, trust, started_by="test")
