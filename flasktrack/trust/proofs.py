"""Inclusion proofs for many records of one tree, computed together (spec section 4).

    proofs = InclusionProofs(connection, "northwind-labs", size=1_000_000)
    proofs.of(3), proofs.of(900), proofs.of(901)

What a proof reads are blocks of 256 siblings (see `flasktrack.trust.tree`), and neighbouring records share them. So
positions are asked for in order, and at each stored level the block at hand is kept with every node inside it: a block
is read and folded once, however many of its records are asked for.
"""

from __future__ import annotations

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
        return merkle.inclusion_proof(seq - 1, self.size, self._subtree)

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
        rows.append([merkle.node_hash(left, right) for left, right in zip(row[::2], row[1::2], strict=True)])
    return rows
