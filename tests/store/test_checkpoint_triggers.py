"""The database refuses to change a checkpoint, but for lines that its note gains."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from flasktrack.store.engine import writing
from flasktrack.store.triggers import REFUSAL
from tests.store.samples import NORTHWIND, everything

CHANGES = [
    "DELETE FROM checkpoint WHERE size = 2",
    "DELETE FROM checkpoint",
    "UPDATE checkpoint SET size = 3 WHERE size = 2",
    "UPDATE checkpoint SET organization_id = 'southport-biotech' WHERE size = 2",
    "UPDATE checkpoint SET root = (SELECT root FROM checkpoint WHERE size = 1) WHERE size = 2",
    "UPDATE checkpoint SET created_at = '2030-01-01T00:00:00.000000Z'",
    "UPDATE checkpoint SET note = ''",
    "UPDATE checkpoint SET note = 'note'",
    "UPDATE checkpoint SET note = 'another ' || note",
    "UPDATE checkpoint SET note = note || 'more', size = size + 5",
    "UPDATE checkpoint SET note = 'Note 2 and more' WHERE size = 2",
    "INSERT INTO checkpoint SELECT * FROM checkpoint WHERE size = 2 "
    "ON CONFLICT (organization_id, size) DO UPDATE SET note = 'other'",
]
SQLITE = [
    "INSERT OR REPLACE INTO checkpoint SELECT * FROM checkpoint WHERE size = 2",
    "INSERT OR REPLACE INTO checkpoint (rowid, organization_id, size, root, note, created_at) "
    "SELECT rowid, 'southport-biotech', size, root, note, created_at FROM checkpoint",
    "UPDATE OR REPLACE checkpoint SET size = 1 WHERE size = 2",
    "UPDATE OR REPLACE checkpoint SET rowid = 1 WHERE rowid = 2",
]
POSTGRESQL = ["TRUNCATE checkpoint", "WITH gone AS (DELETE FROM checkpoint RETURNING *) SELECT 1"]


@pytest.fixture
def sealed(engine: Engine) -> Engine:
    """Two checkpoints."""
    for size in (1, 2):
        root = f"x'{size:064x}'" if engine.dialect.name == "sqlite" else f"'\\x{size:064x}'"
        values = f"'{NORTHWIND}', {size}, {root}, 'note {size}', '2026-11-24T05:06:07.123456Z'"
        run(engine, f"INSERT INTO checkpoint (organization_id, size, root, note, created_at) VALUES ({values})")
    return engine


def run(engine: Engine, *statements: str) -> None:
    with writing(engine) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_a_checkpoint_cannot_be_changed_replaced_or_deleted(sealed: Engine) -> None:
    before = everything(sealed)
    sqlite = sealed.dialect.name == "sqlite"
    for statement in CHANGES + (SQLITE if sqlite else POSTGRESQL):
        for setting in (
            ("PRAGMA recursive_triggers = OFF",) if sqlite else ("SET session_replication_role = replica", "")
        ):
            with pytest.raises(DBAPIError, match=REFUSAL):
                run(sealed, *filter(None, [setting]), statement)
    assert everything(sealed) == before


def test_a_note_may_gain_lines(sealed: Engine) -> None:
    run(
        sealed,
        "UPDATE checkpoint SET note = note || ' and a cosignature' WHERE size = 2",
        "UPDATE checkpoint SET size = size",
    )
    notes = [row[3] for row in everything(sealed)["checkpoint"]]
    assert notes == ["note 1", "note 2 and a cosignature"]
