"""Inclusion proofs for many records of one tree, computed together (spec section 4).

    proofs = InclusionProofs(connection, "northwind-labs", size=1_000_000)
    proofs.of(3), proofs.of(900), proofs.of(901)

What a proof reads are blocks of 256 siblings (see `flasktrack.trust.tree`), and neighbouring records share them. So
positions are asked for in order, and at each stored level the block at hand is kept with every node inside it: a block
is read and folded once, however many of its records are asked for.
"""

from __future__ import annotations

from hashlib import sha256

from sqlalchemy import Connection

from flasktrack.core import merkle
from flasktrack.trust.tree import BLOCK, STEP, StoredTree

_Rows = list[list[bytes]]
"""A block and what it folds to: 256 nodes, 128, 64 and so on, to one."""


class InclusionProofs:
    """Proofs of records in the tree over the first `size`, read through a connection; fast where positions ascend."""

    def __init__(self, connection: Connection, organization_id: str, size: int) -> None:
        self.size = size
        self._tree = StoredTree(connection, organization_id)
        self._kept: dict[int, tuple[int, _Rows]] = {}
        self._at_end: dict[tuple[int, int], bytes] = {}

    def of(self, seq: int) -> list[bytes]:
        """The proof that record `seq` is among them.

        Raises ValueError unless 1 <= seq <= size, TreeIncomplete where a record is absent or holds no hash.
        """
        if not 1 <= seq <= self.size:
            raise ValueError(f"a tree of {self.size} leaves has no leaf {seq - 1}")
        proof, level, index = [], 0, seq - 1
        while 1 << level < self.size:
            if (index ^ 1) << level < self.size:  # else there is nothing beside it, and it is its own parent
                proof.append(self._node(level, index ^ 1))
            level, index = level + 1, index >> 1
        return proof

    def _node(self, level: int, index: int) -> bytes:
        """What stands at `level` above the leaves index * 2^level ..., as many as there are."""
        if (index + 1) << level <= self.size:
            return self._subtree(level, index)
        key = level, index
        if key not in self._at_end:
            left, right = 2 * index, 2 * index + 1
            node = self._node(level - 1, left)
            if right << level - 1 < self.size:
                node = merkle.node_hash(node, self._node(level - 1, right))
            self._at_end[key] = node
        return self._at_end[key]

    def _subtree(self, level: int, index: int) -> bytes:
        """As `merkle.Subtree`."""
        between = level % STEP
        stored = level - between
        number = (index << between) // BLOCK
        if (number + 1) * BLOCK << stored > self.size:  # a block that is not full: it lies at the tree's end
            key = level, index
            if key not in self._at_end:
                self._at_end[key] = self._tree.subtree(level, index)
            return self._at_end[key]
        kept = self._kept.get(stored)
        if kept is None or kept[0] != number:
            kept = self._kept[stored] = number, _rows(self._tree.nodes(stored, number))
        row = kept[1][between]
        return row[index - number * len(row)]


def _rows(nodes: list[bytes]) -> _Rows:
    rows = [nodes]
    while len(rows[-1]) > 1:
        row = rows[-1]
        pairs = zip(row[::2], row[1::2], strict=True)
        rows.append([sha256(b"\x01" + left + right).digest() for left, right in pairs])  # as merkle.node_hash
    return rows
