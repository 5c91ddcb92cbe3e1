"""What verification and pages read must be the same: whatever makes the tables other than the schema says is named."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from sqlalchemy import Engine, text

from flasktrack.store.engine import writing
from flasktrack.store.inspection import IndexCheck, inspect_tables
from tests.store.samples import NORTHWIND, event, organizations, record

ON_BOTH = {
    "a view in a table's place": (
        ["ALTER TABLE record_link RENAME TO kept", "CREATE VIEW record_link AS SELECT * FROM kept WHERE seq <> 2"],
        "In place of the table record_link there is a view",
    ),
    "a table is gone": (["DROP TABLE chain_head"], "The table chain_head is gone."),
    "a column is added": (["ALTER TABLE checkpoint ADD COLUMN extra TEXT"], "FlaskTrack"),
    "a partial index in place of a whole one": (
        [
            "DROP INDEX ix_audit_record_entity",
            "CREATE INDEX ix_audit_record_entity ON audit_record (organization_id, entity_type, entity_id, entity_seq) "
            "WHERE seq <> 2",
        ],
        "The index ix_audit_record_entity",
    ),
    "an index is gone": (["DROP INDEX ix_record_link_seq"], "The index ix_record_link_seq"),
    "an index on other columns": (
        [
            "DROP INDEX ix_record_link_seq",
            "CREATE INDEX ix_record_link_seq ON record_link (organization_id)",
        ],
        "The index ix_record_link_seq",
    ),
    "an index of their own": (["CREATE INDEX theirs ON audit_record (action) WHERE seq <> 2"], "index theirs"),
    "an expression in an index": (["CREATE INDEX theirs ON audit_record (lower(action))"], "index theirs"),
}
SQLITE = {
    "a guard is gone": (["DROP TRIGGER audit_record_no_delete"], "append-only tables are gone"),
    "a guard that guards nothing": (
        [
            "DROP TRIGGER audit_record_no_delete",
            "CREATE TRIGGER audit_record_no_delete BEFORE DELETE ON audit_record WHEN OLD.seq < 0 "
            "BEGIN SELECT RAISE(ABORT, 'the audit history is append-only'); END",
        ],
        "not as they were made: audit_record_no_delete",
    ),
    "a trigger that swallows what is appended": (
        [
            "CREATE TRIGGER swallow BEFORE INSERT ON record_link WHEN NEW.entity_id = 'B-1' "
            "BEGIN SELECT RAISE(IGNORE); END"
        ],
        "FlaskTrack did not make the trigger swallow of the table record_link.",
    ),
    "a column that is computed": (
        [
            "DROP TABLE chain_head",
            "CREATE TABLE chain_head (organization_id TEXT NOT NULL, size INTEGER NOT NULL, hash BLOB NOT NULL "
            "GENERATED ALWAYS AS (zeroblob(32)) VIRTUAL, PRIMARY KEY (organization_id))",
        ],
        "The table chain_head is not what FlaskTrack made: CREATE TABLE chain_head",
    ),
    "a second definition in the catalog": (
        [
            "PRAGMA writable_schema = ON",
            "INSERT INTO sqlite_master VALUES ('table', 'chain_head', 'chain_head', 0, "
            "'CREATE VIRTUAL TABLE chain_head USING theirs')",
        ],
        "The table chain_head is not what FlaskTrack made: CREATE VIRTUAL TABLE",
    ),
    "a guard under the same name, of a table of their own": (
        [
            "DROP TRIGGER record_link_no_delete",
            "CREATE TABLE theirs (x)",
            "CREATE TRIGGER record_link_no_delete BEFORE DELETE ON theirs BEGIN SELECT 1; END",
        ],
        "gone, or not as they were made: record_link_no_delete",
    ),
}
POSTGRESQL = {
    "a rule that hides what is deleted": (
        ["CREATE RULE quiet AS ON INSERT TO record_link WHERE NEW.entity_id = 'B-1' DO INSTEAD NOTHING"],
        "The table record_link has rules, which change what is written or read: quiet.",
    ),
    "a second policy": (
        ["CREATE POLICY all_but_two ON audit_record AS RESTRICTIVE USING (seq <> 2)"],
        "The table audit_record has row security of another kind: some users don't see all rows. all_but_two",
    ),
    "another condition under the policy's name": (
        ["ALTER POLICY flasktrack_organization ON audit_record USING (seq <> 2)"],
        "The row security of the table audit_record is gone",
    ),
    "a policy for one user alone": (
        ["ALTER POLICY flasktrack_organization ON audit_record TO CURRENT_USER"],
        "The row security of the table audit_record is gone",
    ),
    "row security that is switched off": (
        ["ALTER TABLE audit_record DISABLE ROW LEVEL SECURITY"],
        "The row security of the table audit_record is gone",
    ),
    "row security that hides rows from the owner, too": (
        ["ALTER TABLE audit_record FORCE ROW LEVEL SECURITY"],
        "The table audit_record has row security that FlaskTrack did not switch on",
    ),
    "row security where there is none": (
        ["ALTER TABLE organization ENABLE ROW LEVEL SECURITY"],
        "The table organization has row security that FlaskTrack did not switch on",
    ),
    "rows of another table": (
        ["CREATE TABLE more () INHERITS (record_link)"],
        "The table record_link inherits from another one, or another one from it",
    ),
    "a partitioned table": (
        [
            "DROP TABLE tree_node",
            "CREATE TABLE tree_node (organization_id text, level int, position bigint, hash bytea) "
            "PARTITION BY LIST (organization_id)",
        ],
        "In place of the table tree_node there is a partitioned table.",
    ),
    "an unlogged table": (["ALTER TABLE audit_payload SET UNLOGGED"], "audit_payload is not kept like others"),
    "another type": (
        ["ALTER TABLE chain_head ALTER COLUMN size TYPE integer"],
        "The column size of the table chain_head is not what FlaskTrack made: integer NOT NULL.",
    ),
    "a default": (["ALTER TABLE audit_record ALTER COLUMN reason SET DEFAULT 'x'"], "The column reason of the table"),
    "a column that is computed": (
        [
            "ALTER TABLE record_link DROP COLUMN entity_id",
            "ALTER TABLE record_link ADD COLUMN entity_id text NOT NULL GENERATED ALWAYS AS ('B-1') STORED",
            "CREATE INDEX ix_record_link_entity ON record_link (organization_id, entity_type, entity_id, seq)",
        ],
        "The column entity_id of the table record_link is not what FlaskTrack made: text NOT NULL GENERATED",
    ),
    "another order of text": (
        ['ALTER TABLE record_link ALTER COLUMN entity_id TYPE text COLLATE "C"'],
        "The column entity_id of the table record_link is not what FlaskTrack made: text NOT NULL COLLATE C.",
    ),
    "a key is gone": (
        ["ALTER TABLE audit_record DROP CONSTRAINT uq_audit_record_prev_hash"],
        "The constraint uq_audit_record_prev_hash of the table audit_record is gone.",
    ),
    "a key that is checked too late": (
        [
            "ALTER TABLE audit_record DROP CONSTRAINT uq_audit_record_prev_hash",
            "ALTER TABLE audit_record ADD CONSTRAINT uq_audit_record_prev_hash UNIQUE (organization_id, prev_hash) "
            "DEFERRABLE INITIALLY DEFERRED",
        ],
        "The constraint uq_audit_record_prev_hash of the table audit_record is not what FlaskTrack made: UNIQUE",
    ),
    "a constraint of their own": (
        ["ALTER TABLE record_link ADD CONSTRAINT theirs CHECK (seq < 1000)"],
        "FlaskTrack did not make the constraint theirs of the table record_link.",
    ),
    "an index that is not valid": (
        ["UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_record_link_seq'::regclass"],
        "The index ix_record_link_seq of the table record_link is not what FlaskTrack made",
    ),
    "a guard is gone": (
        ["DROP TRIGGER audit_record_append_only ON audit_record"],
        "The trigger audit_record_append_only of the table audit_record is gone.",
    ),
    "a guard is switched off": (
        ["ALTER TABLE audit_record DISABLE TRIGGER audit_record_append_only"],
        "The trigger audit_record_append_only of the table audit_record is not what FlaskTrack made",
    ),
    "a guard that a setting switches off": (
        ["ALTER TABLE verification ENABLE TRIGGER verification_append_only"],
        "The trigger verification_append_only of the table verification is not what FlaskTrack made",
    ),
    "a guard that lets erasures write": (
        [
            "DROP TRIGGER audit_payload_only_erase ON audit_payload",
            "CREATE TRIGGER audit_payload_only_erase BEFORE UPDATE ON audit_payload FOR EACH ROW "
            "WHEN (NEW.seq IS DISTINCT FROM OLD.seq) EXECUTE FUNCTION flasktrack_refuse()",
            "ALTER TABLE audit_payload ENABLE ALWAYS TRIGGER audit_payload_only_erase",
        ],
        "The trigger audit_payload_only_erase of the table audit_payload is not what FlaskTrack made",
    ),
    "guards that refuse nothing": (
        [
            "CREATE OR REPLACE FUNCTION flasktrack_refuse() RETURNS trigger LANGUAGE plpgsql "
            "AS $$ BEGIN RETURN OLD; END $$"
        ],
        "The function flasktrack_refuse",
    ),
    "a guard that calls a namesake": (
        [
            "CREATE SCHEMA theirs",
            "CREATE FUNCTION theirs.flasktrack_refuse() RETURNS trigger LANGUAGE plpgsql "
            "AS $$ BEGIN RETURN OLD; END $$",
            "SET LOCAL search_path = public, theirs",
            "DROP TRIGGER record_link_append_only ON record_link",
            "CREATE TRIGGER record_link_append_only BEFORE UPDATE OR DELETE ON record_link FOR EACH ROW "
            "EXECUTE FUNCTION theirs.flasktrack_refuse()",
            "ALTER TABLE record_link ENABLE ALWAYS TRIGGER record_link_append_only",
        ],
        "The trigger record_link_append_only of the table record_link is not what FlaskTrack made",
    ),
    "a table that one user sees first": (
        [
            "CREATE SCHEMA AUTHORIZATION CURRENT_USER",
            "CREATE TABLE {user}.chain_head AS SELECT * FROM public.chain_head",
        ],
        "tables of the same names that some users read in place of these",
    ),
    "functions that come before PostgreSQL's own": (
        ["CREATE SCHEMA theirs", "SET LOCAL search_path = public, pg_catalog"],
        "The search path puts other schemas before PostgreSQL's own",
    ),
}


def inspected(engine: Engine, statements: Sequence[str] = ()) -> list[str]:
    """What is said after these statements, which are taken back."""
    with engine.connect() as connection:
        user = connection.engine.url.username
        for statement in statements:
            connection.exec_driver_sql(statement.replace("{user}", f'"{user}"'))
        said = inspect_tables(connection)
        connection.rollback()
    return said


@pytest.fixture
def lab(engine: Engine) -> Engine:
    """Three records, each with a related entity."""
    organizations(engine)
    record(engine, *(event(number, related=[("batch", f"B-{number}")]) for number in (1, 2, 3)))
    return engine


def test_a_database_as_it_was_made_gives_no_remark(lab: Engine) -> None:
    assert inspected(lab) == []
    with IndexCheck(lab) as indexes:
        assert indexes.sentences() == []


@pytest.mark.parametrize("attack", ON_BOTH)
def test_tables_and_indexes_that_are_not_as_they_were_made_are_named(lab: Engine, attack: str) -> None:
    statements, sentence = ON_BOTH[attack]
    said = inspected(lab, statements)
    assert any(sentence in one for one in said), said
    assert inspected(lab) == [], "the next test starts with a sound database"


@pytest.mark.parametrize("attack", SQLITE)
def test_sqlites_catalog_is_held_against_what_the_migrations_make(sqlite_engine: Engine, attack: str) -> None:
    statements, sentence = SQLITE[attack]
    said = inspected(sqlite_engine, statements)
    assert any(sentence in one for one in said), said


def test_postgresqls_catalog_is_held_against_what_the_migrations_make(postgresql_engine: Engine) -> None:
    organizations(postgresql_engine)
    for attack, (statements, sentence) in POSTGRESQL.items():
        said = inspected(postgresql_engine, statements)
        assert any(sentence in one for one in said), (attack, said)
        assert inspected(postgresql_engine) == []


def test_what_others_keep_in_the_same_database_is_their_business(lab: Engine) -> None:
    theirs = [
        "CREATE TABLE freezer (id INTEGER PRIMARY KEY, record_id TEXT)",
        "CREATE INDEX ix_freezer ON freezer (record_id) WHERE id > 5",
        "CREATE VIEW history AS SELECT * FROM audit_record",
    ]
    if lab.dialect.name == "postgresql":
        theirs += ["CREATE SCHEMA backup", "CREATE TABLE backup.audit_record AS SELECT * FROM audit_record"]
    assert inspected(lab, theirs) == []


ENTITY_INDEX = (
    "CREATE INDEX ix_audit_record_entity ON audit_record (organization_id, entity_type, entity_id, entity_seq)"
)


def leave_out_the_third(sqlite_engine: Engine) -> None:
    """Make the index of entities one without the third record, behind the definition of a whole one."""
    with writing(sqlite_engine) as connection:
        connection.exec_driver_sql("DROP INDEX ix_audit_record_entity")
        connection.exec_driver_sql(f"{ENTITY_INDEX} WHERE seq <> 3")
        connection.exec_driver_sql("PRAGMA writable_schema = ON")
        connection.exec_driver_sql(
            f"UPDATE sqlite_master SET sql = '{ENTITY_INDEX}' WHERE name = 'ix_audit_record_entity'"
        )
        connection.exec_driver_sql("PRAGMA writable_schema = RESET")
    sqlite_engine.dispose()


def test_a_partial_index_behind_the_definition_of_a_whole_one_is_found_in_sqlite(sqlite_engine: Engine) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, *(event(number) for number in range(1, 6)))
    leave_out_the_third(sqlite_engine)
    hidden = text(
        "SELECT seq FROM audit_record WHERE organization_id = :id AND entity_type = 'sample' AND entity_id = 'S-100'"
    )
    with sqlite_engine.connect() as connection:
        assert sorted(connection.scalars(hidden, {"id": NORTHWIND})) == [1, 2, 4, 5], "a page would not show record 3"
    assert inspected(sqlite_engine) == [], "nothing can be seen in the catalog"
    with IndexCheck(sqlite_engine) as indexes:
        (said,) = indexes.sentences()
    assert "ix_audit_record_entity" in said


def test_a_partial_index_behind_the_definition_of_a_whole_one_is_found_by_amcheck(postgresql_engine: Engine) -> None:
    organizations(postgresql_engine)
    record(postgresql_engine, *(event(number) for number in range(1, 6)))
    with writing(postgresql_engine) as connection:
        connection.exec_driver_sql("DROP INDEX ix_audit_record_entity")
        connection.exec_driver_sql(f"{ENTITY_INDEX} WHERE seq <> 3")
        connection.exec_driver_sql(
            "UPDATE pg_index SET indpred = NULL WHERE indexrelid = 'ix_audit_record_entity'::regclass"
        )
    postgresql_engine.dispose()
    assert inspected(postgresql_engine) == []
    with IndexCheck(postgresql_engine) as indexes:
        assert indexes.sentences() == [], "without the extension it can't be known"
    with writing(postgresql_engine) as connection:
        connection.exec_driver_sql("CREATE EXTENSION amcheck")
    with IndexCheck(postgresql_engine) as indexes:
        (said,) = indexes.sentences()
    assert said.startswith("The index ix_audit_record_entity does not hold what its table holds: ")


def test_an_index_check_that_nobody_waits_for_is_given_up(lab: Engine) -> None:
    with IndexCheck(lab):
        pass
    with IndexCheck(lab) as indexes:
        assert indexes.sentences() == []


class Quick:
    """A quick check that gives this answer; none for one that gives it when it is interrupted."""

    def __init__(self, answer: bool | None) -> None:
        self.answer = answer
        self.interrupted = threading.Event()
        self.closed = False

    def are_sound(self) -> bool:
        return self.interrupted.wait() if self.answer is None else self.answer

    def interrupt(self) -> None:
        self.interrupted.set()

    def close(self) -> None:
        self.closed = True


def said_by_sqlite(engine: Engine, quick: Quick | None) -> list[str]:
    with IndexCheck(engine, lambda _: quick) as indexes:
        return indexes.sentences()


def test_sqlites_own_check_is_asked_where_a_quick_one_is_not_content(sqlite_engine: Engine) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, *(event(number) for number in range(1, 6)))
    for quick in (Quick(True), Quick(False), None):
        assert said_by_sqlite(sqlite_engine, quick) == []
        assert quick is None or quick.closed
    leave_out_the_third(sqlite_engine)
    assert said_by_sqlite(sqlite_engine, Quick(True)) == []
    for quick in (Quick(False), None):
        assert len(said_by_sqlite(sqlite_engine, quick)) == 1


def test_a_quick_check_that_nobody_waits_for_is_given_up(sqlite_engine: Engine) -> None:
    quick = Quick(None)
    with IndexCheck(sqlite_engine, lambda _: quick):
        pass
    assert quick.closed


@pytest.mark.parametrize(("values", "remarks"), [(99, 0), (100, 1)])
def test_values_of_other_types_do_not_hide_a_damaged_index(sqlite_engine: Engine, values: int, remarks: int) -> None:
    """A value of another type is the hashes' matter; but a hundred of them, and SQLite says nothing more."""
    with writing(sqlite_engine) as connection:
        connection.exec_driver_sql("CREATE TABLE theirs (n)")
        connection.exec_driver_sql("INSERT INTO theirs VALUES ('5')" + ", ('5')" * (values - 1))
        connection.exec_driver_sql("PRAGMA writable_schema = ON")
        connection.exec_driver_sql(
            "UPDATE sqlite_master SET sql = 'CREATE TABLE theirs (n INTEGER)' WHERE name = 'theirs'"
        )
        connection.exec_driver_sql("PRAGMA writable_schema = RESET")
    sqlite_engine.dispose()
    assert len(said_by_sqlite(sqlite_engine, None)) == remarks


def test_a_postgresql_user_who_may_only_read_can_look(postgresql_engine: Engine) -> None:
    auditor = ["CREATE ROLE auditor", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO auditor", "SET ROLE auditor"]
    assert inspected(postgresql_engine, auditor) == []
    hidden = ["ALTER TABLE audit_record DISABLE ROW LEVEL SECURITY", *auditor]
    assert len(inspected(postgresql_engine, hidden)) == 1
