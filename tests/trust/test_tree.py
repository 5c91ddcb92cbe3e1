"""Roots and proofs from stored nodes are those over all leaves, whatever is stored, and read little."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, delete, event, insert, update

from flasktrack.core import merkle
from flasktrack.errors import TreeIncomplete
from flasktrack.store.engine import initialize, open_engine, writing
from flasktrack.store.schema import tree_node
from flasktrack.trust.tree import BLOCK, StoredTree, extend_tree
from tests.store.samples import NORTHWIND, SOUTHPORT
from tests.trust.leaves import leaf, nodes, plant, tamper_with

LARGEST = 65_537
LEAVES = [leaf(seq) for seq in range(1, LARGEST + 1)]


def full_subtrees() -> merkle.Subtree:
    """Of LEAVES, each computed once."""
    levels = [LEAVES]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([merkle.node_hash(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)])
    return lambda level, index: levels[level][index]


SUBTREE = full_subtrees()


def extend(engine: Engine, *sizes: int, organization: str = NORTHWIND) -> None:
    for size in sizes:
        with writing(engine) as connection:
            extend_tree(connection, organization, size)


def check(tree: StoredTree, size: int, interesting: Iterable[int]) -> None:
    """The root, and the proofs of and from these sizes."""
    assert tree.root(size) == merkle.root(size, SUBTREE)
    for number in interesting:
        assert tree.inclusion_proof(number, size) == merkle.inclusion_proof(number - 1, size, SUBTREE)
        assert tree.consistency_proof(number, size) == merkle.consistency_proof(number, size, SUBTREE)


def test_at_every_size_up_to_130(engine: Engine) -> None:
    plant(engine, range(1, 131))
    with engine.connect() as connection:
        assert StoredTree(connection, NORTHWIND).root(0) == merkle.EMPTY_ROOT
        for size in range(1, 131):
            check(StoredTree(connection, NORTHWIND), size, range(1, size + 1))


@pytest.mark.parametrize("stored", [0, 255, 256, 513, 770])
def test_around_the_first_nodes_however_much_is_stored(engine: Engine, stored: int) -> None:
    plant(engine, range(1, 771))
    extend(engine, stored)
    with engine.connect() as connection:
        for size in (255, 256, 257, 511, 512, 513, 767, 768, 770):
            numbers = {1, 2, 128, 255, 256, 257, 511, 512, 513, 767, size - 1, size}
            check(StoredTree(connection, NORTHWIND), size, (number for number in numbers if number <= size))


def test_around_the_first_node_of_the_second_stored_level(sqlite_engine: Engine) -> None:
    """On SQLite alone: 65,537 records take their time, and the same statements run on PostgreSQL in smaller trees."""
    engine = sqlite_engine
    plant(engine, range(1, LARGEST + 1))
    extend(engine, 300, 65_535, 65_536, LARGEST)
    with engine.connect() as connection:
        stored = nodes(connection)
        assert stored == {(8, i): SUBTREE(8, i) for i in range(256)} | {(16, 0): SUBTREE(16, 0)}
        for size in (65_535, 65_536, LARGEST):
            check(StoredTree(connection, NORTHWIND), size, (1, 255, 256, 257, 32_767, 32_769, 65_280, 65_281, 65_535))
            check(StoredTree(connection, NORTHWIND), size, (size - 1, size))


@pytest.mark.parametrize(("size", "count"), [(0, 0), (255, 0), (256, 1), (257, 1), (511, 1), (512, 2), (600, 2)])
def test_nodes_are_stored_for_full_subtrees_only(sqlite_engine: Engine, size: int, count: int) -> None:
    plant(sqlite_engine, range(1, 601))
    extend(sqlite_engine, size)
    with sqlite_engine.connect() as connection:
        assert nodes(connection) == {(8, i): SUBTREE(8, i) for i in range(count)}


def test_extending_does_not_read_what_was_extended_before(engine: Engine) -> None:
    plant(engine, range(1, 1025))
    extend(engine, 512)
    tamper_with(engine, "DELETE FROM audit_record WHERE seq <= 512")
    extend(engine, 1024)
    with engine.connect() as connection:
        assert nodes(connection) == {(8, i): SUBTREE(8, i) for i in range(4)}


def test_extending_again_to_less_or_at_once_changes_nothing(database_url: str, engine: Engine) -> None:
    plant(engine, range(1, 1301))
    engines = [open_engine(database_url) for _ in range(4)]
    with ThreadPoolExecutor(len(engines)) as threads:
        list(threads.map(extend, engines, (1300, 700, 1300, 1024)))
    extend(engine, 1300, 300, 1300)
    with engine.connect() as connection:
        assert nodes(connection) == {(8, i): SUBTREE(8, i) for i in range(5)}
    for other in engines:
        other.dispose()


def test_who_extends_while_another_does_waits_and_finds_its_nodes(postgresql_url: str) -> None:
    engine = open_engine(postgresql_url)
    initialize(engine)
    plant(engine, range(1, 601))
    with engine.connect() as first, ThreadPoolExecutor(1) as thread:
        extend_tree(first, NORTHWIND, 600)
        second = thread.submit(extend, engine, 600)
        with pytest.raises(TimeoutError):
            second.result(0.3)
        first.commit()
        second.result(20)
        assert nodes(first) == {(8, i): SUBTREE(8, i) for i in range(2)}
    engine.dispose()


def test_an_organizations_tree_is_its_own(engine: Engine) -> None:
    plant(engine, range(1, 301))
    plant(engine, range(1, 257), organization=SOUTHPORT)
    extend(engine, 300)
    with engine.connect() as connection:
        assert nodes(connection, SOUTHPORT) == {}
        assert StoredTree(connection, SOUTHPORT).root(256) == merkle.root(256, SUBTREE)
        with pytest.raises(TreeIncomplete, match=f"Record 257 of {SOUTHPORT} is absent"):
            StoredTree(connection, SOUTHPORT).root(300)


# What an insider, or an accident, leaves behind


@pytest.mark.parametrize("node", [0, 1, 2, 3])
def test_a_stored_node_that_was_altered_lets_no_proof_reach_the_signed_root(engine: Engine, node: int) -> None:
    plant(engine, range(1, 1101))
    extend(engine, 1100)
    signed = merkle.root(1030, SUBTREE)
    with writing(engine) as connection:
        before = StoredTree(connection, NORTHWIND)
        assert merkle.verify_consistency(1030, 1100, before.consistency_proof(1030, 1100), signed, before.root(1100))
        here = tree_node.c.level == 8, tree_node.c.position == node
        connection.execute(update(tree_node).where(*here).values(hash=leaf(0)))
    with engine.connect() as connection:
        altered = StoredTree(connection, NORTHWIND)
        proof = altered.consistency_proof(1030, 1100)
        assert altered.root(1030) != signed
        assert not merkle.verify_consistency(1030, 1100, proof, signed, altered.root(1100))


def test_nodes_that_are_gone_or_no_hashes_are_folded_from_the_records(engine: Engine) -> None:
    plant(engine, range(1, 1101))
    extend(engine, 1100)
    with writing(engine) as connection:
        connection.execute(delete(tree_node).where(tree_node.c.position == 1))
        connection.execute(update(tree_node).where(tree_node.c.position == 2).values(hash=b"short"))
    with engine.connect() as connection:
        check(StoredTree(connection, NORTHWIND), 1100, (1, 300, 600, 1024, 1099))


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM audit_record WHERE seq = 300",
        "UPDATE audit_record SET hash = prev_hash WHERE seq = 300",
        "UPDATE audit_record SET seq = 999 WHERE seq = 300",
    ],
)
def test_a_record_without_a_hash_is_named(engine: Engine, sql: str) -> None:
    plant(engine, range(1, 601))
    tamper_with(engine, sql)
    with engine.connect() as connection:
        tree = StoredTree(connection, NORTHWIND)
        for ask in (lambda: tree.root(600), lambda: tree.inclusion_proof(290, 600)):
            with pytest.raises(TreeIncomplete, match=r"Record 300 .* Run a full verification"):
                ask()
    with pytest.raises(TreeIncomplete, match="Record 300 "):
        extend(engine, 600)
    with engine.connect() as connection:
        assert nodes(connection) == {}


@pytest.mark.parametrize("junk", ["'text of no meaning'", "7", "x'00'", "3.5"])
def test_whatever_sqlite_was_made_to_keep_for_a_hash_is_none(sqlite_engine: Engine, junk: str) -> None:
    plant(sqlite_engine, range(1, 301))
    extend(sqlite_engine, 300)
    tamper_with(sqlite_engine, f"UPDATE tree_node SET hash = {junk}")
    tamper_with(
        sqlite_engine, f"INSERT INTO tree_node VALUES ('{NORTHWIND}', 8, -5, x'00'), ('{NORTHWIND}', 8, 'x', 1)"
    )
    extend(sqlite_engine, 300)
    with sqlite_engine.connect() as connection:
        assert StoredTree(connection, NORTHWIND).root(300) == merkle.root(300, SUBTREE)
    tamper_with(sqlite_engine, f"UPDATE audit_record SET hash = {junk} WHERE seq = 9")
    with sqlite_engine.connect() as connection, pytest.raises(TreeIncomplete, match="Record 9 "):
        StoredTree(connection, NORTHWIND).root(300)


def test_a_record_that_is_appended_later_is_found(engine: Engine) -> None:
    plant(engine, range(1, 11))
    with engine.connect() as connection:
        tree = StoredTree(connection, NORTHWIND)
        with pytest.raises(TreeIncomplete):
            tree.root(11)
        connection.rollback()
        plant(engine, [11])
        assert tree.root(11) == merkle.root(11, SUBTREE)


def test_what_no_tree_has_is_refused(sqlite_engine: Engine) -> None:
    plant(sqlite_engine, range(1, 11))
    with sqlite_engine.connect() as connection:
        tree = StoredTree(connection, NORTHWIND)
        for seq in (0, 11, -1):
            with pytest.raises(ValueError, match="has no leaf"):
                tree.inclusion_proof(seq, 10)
        for first in (0, 11):
            with pytest.raises(ValueError, match="can't be shown"):
                tree.consistency_proof(first, 10)


# What it costs


@contextmanager
def counted(connection: Connection) -> Iterator[list[int]]:
    """The number of rows that each statement of the block gave."""
    rows: list[int] = []

    def count(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if statement.startswith("SELECT"):
            cursor = connection.connection.cursor()
            cursor.execute(f"SELECT count(*) FROM ({statement}) AS answer", parameters)
            rows.extend(cursor.fetchone() or ())

    event.listen(connection, "after_cursor_execute", count)
    yield rows
    event.remove(connection, "after_cursor_execute", count)


def test_a_proof_in_ten_million_records_reads_few_rows(sqlite_engine: Engine) -> None:
    size, middle = 10_000_123, 6_543_210
    blocks = {(number - 1) // BLOCK for number in (middle, size)}
    plant(sqlite_engine, [seq for block in blocks for seq in range(block * BLOCK + 1, (block + 1) * BLOCK + 1)])
    with writing(sqlite_engine) as connection:
        rows = [
            {"organization_id": NORTHWIND, "level": level, "position": position, "hash": leaf(position)}
            for level in (8, 16)
            for position in range(size >> level)
        ]
        connection.execute(insert(tree_node), rows)
    with sqlite_engine.connect() as connection:
        for ask in (
            lambda tree: tree.root(size),
            lambda tree: tree.inclusion_proof(middle, size),
            lambda tree: tree.consistency_proof(middle, size),
        ):
            with counted(connection) as given:
                ask(StoredTree(connection, NORTHWIND))
            assert len(given) <= 5
            assert 0 < sum(given) <= 4 * BLOCK + (size >> 16)
