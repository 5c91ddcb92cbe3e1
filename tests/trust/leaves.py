"""Records of which only the hash matters, inserted without a chain: what the tree reads."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from sqlalchemy import Connection, Engine, insert, select

from flasktrack.store.engine import writing
from flasktrack.store.schema import audit_record, tree_node
from tests.adversary import run_sql
from tests.store.samples import NORTHWIND

TIME = "2026-11-24T05:06:07.123456Z"


def leaf(number: int) -> bytes:
    """The hash of record `number` (its seq)."""
    return sha256(number.to_bytes(8)).digest()


def plant(engine: Engine, positions: Iterable[int], organization: str = NORTHWIND) -> None:
    """Insert records at these positions."""
    same = {
        "organization_id": organization, "occurred_at": TIME, "recorded_at": TIME, "actor_type": "user",
        "actor_id": "u-1", "action": "update", "outcome": "success", "entity_type": "sample", "entity_id": "S-1",
        "related": "[]",
    }  # fmt: skip
    rows = [
        same | {
            "seq": seq, "record_id": str(seq), "actor_seq": seq, "entity_seq": seq,
            "prev_hash": seq.to_bytes(8), "hash": leaf(seq),
        }
        for seq in positions
    ]  # fmt: skip
    with writing(engine) as connection:
        connection.execute(insert(audit_record), rows)


def nodes(connection: Connection, organization: str = NORTHWIND) -> dict[tuple[int, int], bytes]:
    """(level, position) -> hash of what is stored."""
    found = connection.execute(select(tree_node).where(tree_node.c.organization_id == organization))
    return {(row.level, row.position): row.hash for row in found}


def tamper_with(engine: Engine, sql: str, **values: object) -> None:
    """SQL of somebody who owns the database."""
    run_sql(engine, sql, **values)
