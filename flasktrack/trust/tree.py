"""The stored part of an organization's Merkle tree, and proofs that read little of it (spec section 4).

Nodes of full subtrees are stored at every eighth level: one at level 8 for 256 records, one at level 16 for 256 of
those, and so on. They never change as the tree grows.

    level 16   0 . . . . . . . . . . . 1 .          one for 65,536 records
    level 8    0 1 2 3 . . . 255 256 . . .          one for 256 records
    level 0    the records' own hashes

What lies between is folded from a block of up to 256 siblings. A proof reads at each of these levels the block beside
its leaf and the one at the tree's end: about 1,200 rows of 10 million. Sealing adds the nodes of new records alone.

Nothing here is trusted: nodes are as easily altered as records. Whoever gets a proof checks it against signed roots,
and a verification computes roots from the records.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any

from sqlalchemy import BigInteger, Connection, LargeBinary, Select, bindparam, cast, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from flasktrack.core import merkle
from flasktrack.errors import TreeIncomplete
from flasktrack.store.schema import audit_record, tree_node
from flasktrack.store.scope import machine_scoped

STEP = 8
"""Levels from one stored level to the next."""
BLOCK = 1 << STEP
"""Siblings that are read at once, and that fold to a node of the next stored level."""

_LEVELS = 64  # no chain has more than 2^63 records
_BLOCKS_KEPT = 64  # of 256 hashes each: about 1.5 MB
_NODES_AT_ONCE = 100  # in one INSERT

Block = dict[int, bytes]


def extend_tree(connection: Connection, organization_id: str, size: int) -> None:
    """Store the nodes of full subtrees over the first `size` records that are not stored yet, in the caller's
    write transaction.

    Reads records after the last stored node only. Running it twice, or twice at once, does no harm: a node that is
    there is left as it is. Raises TreeIncomplete where a record is absent or holds no hash.
    """
    tree = StoredTree(connection, organization_id)
    level = STEP
    while full := size >> level:
        first = _first_unstored(connection, organization_id, level, full)
        for start in range(first, full, _NODES_AT_ONCE):
            nodes = tree.folded(level, start, min(start + _NODES_AT_ONCE, full))
            _insert(connection, organization_id, level, start, nodes)
        level += STEP


def forget_nodes(connection: Connection, organization_id: str, size: int) -> None:
    """Delete the stored nodes that reach beyond the first `size` records, in the caller's write transaction.

    Nobody has checked those against a signed root, so they may be anybody's; `extend_tree` makes them anew.
    """
    node = tree_node.c
    for level in range(STEP, _LEVELS, STEP):
        mine = node.organization_id == organization_id, node.level == level
        connection.execute(delete(tree_node).where(*mine, node.position >= size >> level))


class StoredTree:
    """Roots and proofs of an organization's tree, read through a connection.

    Nodes that are not stored are folded from the records below them, which is slow where there are many.
    Every method raises TreeIncomplete where a record is absent or holds no hash.
    """

    def __init__(self, connection: Connection, organization_id: str) -> None:
        self.connection = connection
        self.organization_id = organization_id
        self._blocks: dict[tuple[int, int], Block] = {}

    def root(self, size: int) -> bytes:
        """The root over the first `size` records."""
        return merkle.root(size, self.subtree)

    def inclusion_proof(self, seq: int, size: int) -> list[bytes]:
        """The proof that record `seq` is among the first `size`. Raises ValueError unless 1 <= seq <= size."""
        return merkle.inclusion_proof(seq - 1, size, self.subtree)

    def consistency_proof(self, first: int, second: int) -> list[bytes]:
        """The proof that `second` records begin with the `first` ones. Raises ValueError unless 0 < first <= second."""
        return merkle.consistency_proof(first, second, self.subtree)

    def folded(self, level: int, start: int, end: int) -> list[bytes]:
        """Nodes start ... end - 1 of a stored level, from the level below, of which what they need is read at once."""
        below = self._read(level - STEP, start * BLOCK, end * BLOCK)
        return [
            fold([below.get(child) or self._node(level - STEP, child) for child in range(first, first + BLOCK)])
            for first in range(start * BLOCK, end * BLOCK, BLOCK)
        ]

    def subtree(self, level: int, index: int) -> bytes:
        """As `merkle.Subtree`: folded from the nodes below it at a stored level, which are all of one block."""
        between = level % STEP
        start = index << between
        return fold([self._node(level - between, position) for position in range(start, start + (1 << between))])

    def nodes(self, level: int, block: int) -> list[bytes]:
        """All nodes of a full block at a stored level, which are not kept."""
        positions = range(block * BLOCK, (block + 1) * BLOCK)
        found = self._read(level, positions.start, positions.stop)
        return [found.get(position) or self._node(level, position) for position in positions]

    def _node(self, level: int, position: int) -> bytes:
        """A node of a stored level, or a record's hash."""
        number = position // BLOCK
        block = self._blocks.get((level, number))
        if block is None:
            if len(self._blocks) >= _BLOCKS_KEPT:
                self._blocks.clear()
            block = self._blocks[level, number] = self._read(level, number * BLOCK, (number + 1) * BLOCK)
        if position not in block:
            if level == 0:
                del self._blocks[level, number]  # it may be appended later
                raise TreeIncomplete(
                    f"Record {position + 1:,} of {self.organization_id} is absent or holds no hash.",
                    "Run a full verification: it says what happened to the records.",
                )
            [block[position]] = self.folded(level, position, position + 1)
        return block[position]

    def _read(self, level: int, start: int, end: int) -> Block:
        """What is there of nodes start ... end - 1 of a stored level; a hash that isn't one is not there."""
        rows = self.connection.execute(_siblings(self.organization_id, level), {"start": start, "end": end}).all()
        return {position: hash_ for position, hash_ in rows if hash_ is not None and len(hash_) == merkle.HASH_BYTES}


@lru_cache  # building it takes longer than a database takes to answer it
def _siblings(organization_id: str, level: int) -> Select[Any]:
    """(position, hash) from `start` to before `end`; the cast is for SQLite, which keeps any value in any column."""
    start, end = bindparam("start", type_=BigInteger), bindparam("end", type_=BigInteger)
    if level == 0:
        seq = audit_record.c.seq
        return machine_scoped(organization_id, seq - 1, cast(audit_record.c.hash, LargeBinary)).where(
            seq > start, seq <= end
        )
    node = tree_node.c
    return select(node.position, cast(node.hash, LargeBinary)).where(
        node.organization_id == organization_id, node.level == level, node.position >= start, node.position < end
    )


def fold(hashes: Sequence[bytes]) -> bytes:
    """The node over 2^n siblings: SHA-256(0x01 || left || right), level by level."""
    row = hashes
    while len(row) > 1:
        row = [sha256(b"\x01" + left + right).digest() for left, right in zip(row[::2], row[1::2], strict=True)]
    return row[0]


def _first_unstored(connection: Connection, organization_id: str, level: int, full: int) -> int:
    node = tree_node.c
    stored = select(func.max(node.position)).where(
        node.organization_id == organization_id, node.level == level, node.position.between(0, full - 1)
    )
    last = connection.scalar(stored)
    return 0 if last is None else int(last) + 1


def _insert(connection: Connection, organization_id: str, level: int, start: int, nodes: list[bytes]) -> None:
    """Insert nodes from a position on; those that another process has stored meanwhile stay."""
    new = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(tree_node)
    rows = [
        {"organization_id": organization_id, "level": level, "position": position, "hash": node}
        for position, node in enumerate(nodes, start)
    ]
    connection.execute(new.on_conflict_do_nothing(), rows)
