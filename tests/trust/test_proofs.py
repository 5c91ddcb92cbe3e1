"""Proofs that are computed together are those that are computed one by one, and read each block once."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, event

from flasktrack.core import merkle
from flasktrack.errors import TreeIncomplete
from flasktrack.store.engine import writing
from flasktrack.trust.proofs import InclusionProofs
from flasktrack.trust.tree import extend_tree
from tests.store.samples import NORTHWIND
from tests.trust.leaves import leaf, plant, tamper_with

LEAVES = [leaf(seq) for seq in range(1, 1_101)]


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 700, 1024, 1100])
def test_every_proof_of_trees_around_the_sizes_of_blocks(sqlite_engine: Engine, size: int) -> None:
    plant(sqlite_engine, range(1, size + 1))
    with writing(sqlite_engine) as connection:
        extend_tree(connection, NORTHWIND, size)
    subtree = merkle.subtrees_of(LEAVES)
    root = merkle.root(size, subtree)
    with sqlite_engine.connect() as connection:
        proofs = InclusionProofs(connection, NORTHWIND, size)
        for seq in range(1, size + 1, 1 if size < 300 else 7):
            assert merkle.verify_inclusion(leaf(seq), seq - 1, size, proofs.of(seq), root)
        for outside in (0, size + 1):
            with pytest.raises(ValueError, match="has no leaf"):
                proofs.of(outside)


def test_a_block_is_read_once_for_all_of_its_records(engine: Engine) -> None:
    plant(engine, range(1, 1_101))
    with writing(engine) as connection:
        extend_tree(connection, NORTHWIND, 1_100)
    statements: list[str] = []
    with engine.connect() as connection:
        event.listen(connection, "before_cursor_execute", lambda *given: statements.append(given[2]))
        proofs = InclusionProofs(connection, NORTHWIND, 1_100)
        for seq in range(1, 513):
            proofs.of(seq)
    # Two blocks of records, and at the tree's end one of records and one of nodes.
    assert len([sql for sql in statements if sql.startswith("SELECT")]) == 4


def test_an_absent_record_is_told(sqlite_engine: Engine) -> None:
    plant(sqlite_engine, range(1, 301))
    tamper_with(sqlite_engine, "DELETE FROM audit_record WHERE seq = 7")
    with sqlite_engine.connect() as connection, pytest.raises(TreeIncomplete, match="Record 7 of northwind-labs"):
        InclusionProofs(connection, NORTHWIND, 300).of(9)
