"""Migrations give the tables of spec section 3, and exactly those that the code believes in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, Text, inspect, text
from sqlalchemy.dialects.postgresql import BYTEA, TIMESTAMP
from sqlalchemy.exc import DBAPIError

from flasktrack.core.record import Record
from flasktrack.errors import SchemaError
from flasktrack.store import engine as engine_module
from flasktrack.store import migrations
from flasktrack.store.engine import VERSION_TABLE, check_schema, initialize, open_engine, writing
from flasktrack.store.inspection import inspect_tables
from flasktrack.store.schema import metadata
from flasktrack.store.scope import machine_scope
from flasktrack.store.verifications import list_verifications
from flasktrack.trust.checkpoints import list_checkpoints
from tests.store.samples import NORTHWIND, event, everything, organizations, record

SECTIONS = ("before", "after", "context")
SPEC = {
    "audit_record": set(Record._fields),
    "audit_payload": {"organization_id", "seq", *SECTIONS, *(f"{section}_salt" for section in SECTIONS)},
    "record_link": {"organization_id", "entity_type", "entity_id", "seq"},
    "chain_head": {"organization_id", "size", "hash"},
    "checkpoint": {"organization_id", "size", "root", "note", "created_at"},
}
RECORD_FIELDS = """
    organization_id seq record_id occurred_at recorded_at actor_type actor_id actor_name actor_role actor_seq
    credential_id on_behalf_of action outcome entity_type entity_id entity_name entity_seq
    related reason correlation_id before_digest after_digest context_digest prev_hash hash
"""
TIMES = [("audit_record", "occurred_at"), ("audit_record", "recorded_at"), ("checkpoint", "created_at")]
BINARY = [
    *(("audit_record", name) for name in ("prev_hash", "hash", "before_digest", "after_digest", "context_digest")),
    *(("audit_payload", f"{section}_salt") for section in SECTIONS),
    ("chain_head", "hash"),
    ("checkpoint", "root"),
    ("tree_node", "hash"),
]
OF_THE_FIRST_VERSION = [
    f"INSERT INTO checkpoint VALUES ('{NORTHWIND}', 7, :root, 'a note', '2026-11-24T05:06:07.123456Z')",
    *(
        "INSERT INTO verification (id, organization_id, started_at, seconds, started_by, first_seq, last_seq, records, "
        f"sealed, status, findings) VALUES ('{id_}', '{NORTHWIND}', '{time}', 0.5, 'user:qa', 1, 7, 7, 0, 'verified', "
        "'[]')"
        for id_, time in (("v-2", "2024-11-25T05:06:07.123456Z"), ("v-1", "2024-11-24T05:06:07.123456Z"))
    ),
]


def test_migrations_give_exactly_what_the_code_believes_in(engine: Engine) -> None:
    options: dict[str, Any] = {"compare_type": True, "compare_server_default": True, "version_table": VERSION_TABLE}
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
        names = inspect(connection).get_table_names()
    assert differences == []
    assert set(names) == {VERSION_TABLE, *metadata.tables}


def test_tables_and_columns_bear_the_specs_names(engine: Engine) -> None:
    assert set(RECORD_FIELDS.split()) == SPEC["audit_record"]
    with engine.connect() as connection:
        look = inspect(connection)
        for table, columns in SPEC.items():
            assert {column["name"] for column in look.get_columns(table)} == columns


def test_keys_keep_positions_ids_and_links_apart(engine: Engine) -> None:
    with engine.connect() as connection:
        look = inspect(connection)
        for table in ("audit_record", "audit_payload"):
            assert look.get_pk_constraint(table)["constrained_columns"] == ["organization_id", "seq"]
        assert look.get_pk_constraint("chain_head")["constrained_columns"] == ["organization_id"]
        assert look.get_pk_constraint("checkpoint")["constrained_columns"] == ["organization_id", "size"]
        assert look.get_pk_constraint("tree_node")["constrained_columns"] == ["organization_id", "level", "position"]
        unique = {tuple(found["column_names"]) for found in look.get_unique_constraints("audit_record")}
    assert unique == {("organization_id", "prev_hash"), ("organization_id", "record_id")}


def test_times_are_the_databases_own_where_it_has_them_and_hashes_are_binary(engine: Engine) -> None:
    postgresql = engine.dialect.name == "postgresql"
    with engine.connect() as connection:
        look = inspect(connection)
        types = {
            (table, found["name"]): found["type"] for table in metadata.tables for found in look.get_columns(table)
        }
    for place in TIMES:
        found = types[place]
        assert isinstance(found, TIMESTAMP) and found.timezone if postgresql else isinstance(found, Text)
    for place in BINARY:
        assert isinstance(types[place], BYTEA) if postgresql else str(types[place]) == "BLOB"


@pytest.mark.parametrize(
    ("table", "order"), [("audit_record", "seq"), ("audit_payload", "seq"), ("tree_node", "level, position")]
)
def test_sqlite_keeps_records_and_nodes_in_order_of_their_position(
    sqlite_engine: Engine, table: str, order: str
) -> None:
    with sqlite_engine.connect() as connection:
        made = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).scalar_one()
        plan = connection.exec_driver_sql(
            f"EXPLAIN QUERY PLAN SELECT * FROM {table} WHERE organization_id = 'x' ORDER BY {order}"
        ).all()
    assert "WITHOUT ROWID" in made
    assert not any("TEMP B-TREE" in row[-1] for row in plan)


def test_a_database_of_the_first_version_is_upgraded_with_all_it_holds(database_url: str) -> None:
    engine = open_engine(database_url)
    upgrade(engine, "0001")
    organizations(engine)
    with writing(engine) as connection:
        for statement in OF_THE_FIRST_VERSION:
            connection.execute(text(statement), {"root": bytes(32)})
    with pytest.raises(SchemaError, match="older schema 0001"):
        check_schema(engine)
    initialize(engine)
    check_schema(engine)
    newest, done = list_verifications(engine, machine_scope(NORTHWIND))
    assert (done.id, done.last_seq, done.mode, done.anchored, done.status) == ("v-1", 7, "full", 0, "verified")
    assert newest.id == "v-2"
    with engine.connect() as connection:
        assert [stored.note for stored in list_checkpoints(connection, machine_scope(NORTHWIND))] == ["a note"]
        assert inspect_tables(connection) == []
    for table in ("checkpoint", "verification"):
        with pytest.raises(DBAPIError, match="append-only"), writing(engine) as connection:
            connection.execute(text(f"DELETE FROM {table}"))
    assert record(engine, event(1))[0].seq == 1
    engine.dispose()


def test_the_versions_that_the_code_knows_are_those_of_the_migrations() -> None:
    scripts = ScriptDirectory.from_config(alembic_config())
    assert list(engine_module._known_versions()) == [script.revision for script in scripts.walk_revisions()]


def alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    return config


def upgrade(engine: Engine, version: str) -> None:
    """As `initialize`, but no further than to a version."""
    config = alembic_config()
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)


def test_init_can_be_repeated_and_changes_nothing(engine: Engine) -> None:
    organizations(engine)
    record(engine, event(1), event(2))
    before = everything(engine)
    initialize(engine)
    initialize(engine)
    assert everything(engine) == before
    assert record(engine, event(3), organization=NORTHWIND)[0].seq == 3
