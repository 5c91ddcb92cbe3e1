"""Roots of the Merkle tree at given sizes, while leaf hashes stream by (RFC 6962 section 2.1, spec section 4).

Leaves are gathered in chunks of 256, whose hashes are the tree's nodes at level 8. A range of positions that begins
at a chunk's first leaf gives its nodes by itself, so ranges that several workers read are put together afterwards.

    leaves   1 ... 256   257 ... 512   513 ... 700
    nodes    n0          n1                              the root at 700: n0, n1 and the last 188 leaves
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from flasktrack.core.merkle import EMPTY_ROOT, HASH_BYTES, node_hash
from flasktrack.verify.compiled import fold

CHUNK = 256
"""Leaves of a node at level 8."""
_NOTHING = bytes(HASH_BYTES)


def as_leaf(value: Any) -> bytes:
    """A stored hash as a leaf: an intruder may have put anything in its place, and what is no hash gives no root that
    somebody signed."""
    return value if type(value) is bytes and len(value) == HASH_BYTES else _NOTHING


class LeafRange:
    """The nodes of a range of leaves that begins at `first` (a seq; first - 1 is a multiple of CHUNK).

    `wanted` are the sizes at which roots are asked for; the leaves beside them that fill no chunk are kept.
    """

    def __init__(self, first: int, wanted: Iterable[int]) -> None:
        if (first - 1) % CHUNK:
            raise ValueError(f"leaf {first} does not begin a chunk")
        self.first = first
        self.nodes: list[bytes] = []
        self.partial: dict[int, list[bytes]] = {}
        """Size -> the full subtrees over its leaves after the chunks before, the largest first."""
        self._wanted = sorted({size for size in wanted if size >= first})
        self._pending = bytearray()
        self._tail = b""
        """The leaves of the last chunk that is whole; once finished, of the last chunk."""
        self._next = 0

    def add(self, leaves: bytes | bytearray) -> None:
        """The next leaves, in order, one behind the other."""
        pending, size = self._pending, CHUNK * HASH_BYTES
        pending += leaves
        whole = len(pending) - len(pending) % size
        for start in range(0, whole, size):
            self._tail = bytes(pending[start : start + size])
            self._keep(self._tail)
            self.nodes.append(fold(self._tail))
        del pending[:whole]

    def finish(self) -> None:
        """No leaf follows."""
        rest = bytes(self._pending)
        self._keep(rest)
        self._tail = rest or self._tail
        self._pending.clear()

    def mend_last(self, leaf: bytes) -> None:
        """Put another leaf in the place of the last one, after `finish`."""
        if not self._tail:
            return
        tail = self._tail = self._tail[:-HASH_BYTES] + as_leaf(leaf)
        size = self.first - 1 + CHUNK * len(self.nodes)
        if len(tail) == CHUNK * HASH_BYTES:
            self.nodes[-1] = fold(tail)
        else:
            size += len(tail) // HASH_BYTES
        if size in self.partial:
            self.partial[size] = list(_full_subtrees(tail))

    def _keep(self, leaves: bytes) -> None:
        """Keep the leaves of sizes that end among these, which follow the chunks before."""
        before = self.first - 1 + CHUNK * len(self.nodes)
        while self._next < len(self._wanted) and self._wanted[self._next] <= before + len(leaves) // HASH_BYTES:
            size = self._wanted[self._next]
            self.partial[size] = list(_full_subtrees(leaves[: (size - before) * HASH_BYTES]))
            self._next += 1


class LeafTrail:
    """The leaf hashes of a range, in order, as its rows give them and, where those can't be relied on, the links.

    `prev_hash` of a sound record is what the record before it hashed to when it was recorded. A leaf that neither
    its own row nor the next one vouches for is doubtful, and so is every root from there on. A witness that the next
    record does not link to is none: it may have been forged itself.
    """

    def __init__(self, leaf_range: LeafRange) -> None:
        self.range = leaf_range
        self.doubtful_from: int | None = None
        self.unsettled: int | None = None
        """The newest position, where no link has told its leaf yet."""
        self.first_unconfirmed = False
        """The first record is not confirmed by the next, so it can't tell the leaf before the range."""
        self.last_unconfirmed = False
        """The last record told the leaf before it, and nothing in the range confirms it."""
        self._leaves = bytearray()
        """Leaves that were not handed on yet; the last one may still be mended."""
        self._witness = 0
        self._lost = False

    def add(self, leaves: bytes) -> None:
        """The next leaves, in order, one behind the other."""
        self._leaves += leaves

    def doubt(self, seq: int) -> None:
        """The row at `seq`, whose leaf was just added, can't be relied on; the next link may settle it."""
        self._give_up(seq)
        self.unsettled = seq

    def absent(self, first: int, last: int) -> None:
        """No rows stand at these positions; one alone may still be settled by the next link."""
        self._give_up(first)
        if first == last:
            self.add(_NOTHING)
            self.unsettled = first
        else:
            self._doubtful(first)
            if not self._lost:
                self.range.add(self._leaves)
            self._leaves.clear()
            self._lost = True  # how many leaves to put there can't be trusted either

    def settle(self, seq: int, prev_hash: bytes) -> None:
        """The sound record at `seq`, whose leaf was just added, links to this, and not to the leaf before it."""
        if len(self._leaves) > HASH_BYTES:
            self._leaves[-2 * HASH_BYTES : -HASH_BYTES] = as_leaf(prev_hash)
        if self.unsettled is None:
            self._give_up(seq)
        self.unsettled = None
        self._witness = seq

    def hand_on(self, *, all_: bool = False) -> None:
        """Give the range what will not change any more."""
        settled = len(self._leaves) if all_ else max(0, len(self._leaves) - HASH_BYTES)
        if not self._lost:
            self.range.add(self._leaves[:settled])
        del self._leaves[:settled]
        if all_:
            self.range.finish()

    def end(self, last: int) -> None:
        """The range ends with the position `last`."""
        self.hand_on(all_=True)
        if self._witness == last:
            self.last_unconfirmed = True
            self.first_unconfirmed |= last == self.range.first

    def _give_up(self, seq: int) -> None:
        """What stands at `seq` tells nothing good of the position before."""
        if self.unsettled is not None:
            self._doubtful(self.unsettled)
            self.unsettled = None
        if self._witness and self._witness == seq - 1:
            if seq - 1 == self.range.first:
                self.first_unconfirmed = True
            else:
                self._doubtful(seq - 2)

    def _doubtful(self, seq: int) -> None:
        if self.doubtful_from is None or seq < self.doubtful_from:
            self.doubtful_from = seq


def roots(ranges: Sequence[LeafRange], before: Sequence[bytes] = ()) -> Iterator[tuple[int, bytes]]:
    """(size, root) of every size that the ranges kept, in order; the ranges follow each other without a gap.

    `before` are the full subtrees over what lies before them, the largest first.
    """
    tree = _Tree((ranges[0].first - 1) // CHUNK if ranges else 0, before)
    for leaf_range in ranges:
        done = 0
        for size, subtrees in sorted(leaf_range.partial.items()):
            chunks = (size - leaf_range.first) // CHUNK
            for node in leaf_range.nodes[done:chunks]:
                tree.push(node)
            done = max(done, chunks)
            yield size, tree.root(subtrees)
        for node in leaf_range.nodes[done:]:
            tree.push(node)


class _Tree:
    """The full subtrees of a growing tree, the largest first: one for each bit of the number of chunks."""

    def __init__(self, chunks: int, subtrees: Sequence[bytes]) -> None:
        self._chunks = chunks
        self._subtrees = list(subtrees)

    def push(self, node: bytes) -> None:
        self._chunks += 1
        size = self._chunks
        while size % 2 == 0:
            node = node_hash(self._subtrees.pop(), node)
            size //= 2
        self._subtrees.append(node)

    def root(self, last: Sequence[bytes]) -> bytes:
        """The root with these subtrees after the last chunk."""
        parts = [*self._subtrees, *last]
        if not parts:
            return EMPTY_ROOT
        found = parts.pop()
        while parts:
            found = node_hash(parts.pop(), found)
        return found


def _full_subtrees(leaves: bytes) -> Iterator[bytes]:
    """The hashes of the full subtrees that the leaves fall into, the largest first."""
    count, start = len(leaves) // HASH_BYTES, 0
    for bit in reversed(range(count.bit_length())):
        if count & 1 << bit:
            end = start + (HASH_BYTES << bit)
            yield fold(leaves[start:end])
            start = end
