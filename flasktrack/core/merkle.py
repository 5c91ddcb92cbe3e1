"""Merkle trees, inclusion and consistency proofs (RFC 6962 section 2.1, spec section 4).

A leaf hash is a record's hash; an interior node is SHA-256(0x01 || left || right). Positions are leaf indexes, which
begin at 0 (a record's seq - 1).

    size 7:            root
                     /      \\
                  0..3      4..6          the left part is the largest power of two below the size
                 /    \\    /    \\
                0..1 2..3 4..5   6

Every left part is *full*: it has 2^level leaves and never changes as the tree grows. So whatever is asked of a tree
comes from full subtrees, which the caller hands over through `Subtree` and may have stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256

HASH_BYTES = 32
MAX_PROOF = 64
"""No tree has more than 2^63 leaves, so no proof more hashes than this."""

Subtree = Callable[[int, int], bytes]
"""(level, index) -> the hash of the full subtree over the leaves index * 2^level ... (index + 1) * 2^level - 1."""

EMPTY_ROOT = sha256(b"").digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


def subtrees_of(leaves: Sequence[bytes]) -> Subtree:
    """Full subtrees computed from leaf hashes that are all at hand."""

    def subtree(level: int, index: int) -> bytes:
        if level == 0:
            return leaves[index]
        return node_hash(subtree(level - 1, 2 * index), subtree(level - 1, 2 * index + 1))

    return subtree


def root(size: int, subtree: Subtree) -> bytes:
    """The root of the tree over the first `size` leaves."""
    return _range_hash(0, size, subtree) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """The audit path of a leaf, from its sibling up (RFC 6962 section 2.1.1). Raises ValueError unless index < size."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    return [_range_hash(start, end, subtree) for start, end in _path(index, 0, size)]


def consistency_proof(first: int, second: int, subtree: Subtree) -> list[bytes]:
    """The proof that the tree of `second` leaves extends that of `first` (RFC 6962 section 2.1.2).

    Raises ValueError unless 0 < first <= second.
    """
    if not 0 < first <= second:
        raise ValueError(f"a tree of {second} leaves can't be shown to extend one of {first}")
    return [_range_hash(start, end, subtree) for start, end in _consistency(first, 0, second, whole=True)]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root_hash: bytes) -> bool:
    """Whether `proof` shows that `leaf` stands at `index` in the tree of `size` leaves with that root.

    A proof is rejected unless its length is the one that index and size imply, and each hash has 32 bytes.
    """
    if not 0 <= index < size or not _well_formed(proof, leaf, root_hash):
        return False
    path = list(_path(index, 0, size))
    if len(path) != len(proof):
        return False
    computed = leaf
    for (start, _), sibling in zip(path, proof, strict=True):
        computed = node_hash(sibling, computed) if start < index else node_hash(computed, sibling)
    return computed == root_hash


def verify_consistency(first: int, second: int, proof: Sequence[bytes], first_root: bytes, second_root: bytes) -> bool:
    """Whether `proof` shows that the tree of `second` leaves begins with the tree of `first` leaves.

    Every tree extends itself, with an empty proof. Nothing is proved about a tree without leaves.
    """
    if first == second:
        return first > 0 and not proof and first_root == second_root
    if not 0 < first < second or not _well_formed(proof, first_root, second_root):
        return False
    ranges = list(_consistency(first, 0, second, whole=True))
    hashes = list(proof)
    if first & (first - 1) == 0:  # the first tree is one full subtree, which a proof leaves out
        ranges.insert(0, (0, first))
        hashes.insert(0, first_root)
    if len(ranges) != len(hashes):
        return False
    known = dict(zip(ranges, hashes, strict=True))
    return _fold(0, first, known) == first_root and _fold(0, second, known) == second_root


def _well_formed(proof: Sequence[bytes], *hashes: bytes) -> bool:
    return len(proof) <= MAX_PROOF and all(len(item) == HASH_BYTES for item in (*proof, *hashes))


def _split(start: int, end: int) -> int:
    """Where the right part of a tree begins: after the largest power of two below its size."""
    return start + (1 << ((end - start - 1).bit_length() - 1))


def _range_hash(start: int, end: int, subtree: Subtree) -> bytes:
    size = end - start
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return subtree(level, start >> level)
    middle = _split(start, end)
    return node_hash(_range_hash(start, middle, subtree), _range_hash(middle, end, subtree))


def _path(index: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The ranges of leaves beside the path from a leaf to the root, the lowest first."""
    if end - start == 1:
        return
    middle = _split(start, end)
    if index < middle:
        yield from _path(index, start, middle)
        yield middle, end
    else:
        yield from _path(index, middle, end)
        yield start, middle


def _consistency(first: int, start: int, end: int, whole: bool) -> Iterator[tuple[int, int]]:
    """SUBPROOF of RFC 6962 section 2.1.2: `whole` while the subtree still is the whole first tree."""
    if first == end:
        if not whole:
            yield start, end
        return
    middle = _split(start, end)
    if first <= middle:
        yield from _consistency(first, start, middle, whole)
        yield middle, end
    else:
        yield from _consistency(first, middle, end, whole=False)
        yield start, middle


def _fold(start: int, end: int, known: dict[tuple[int, int], bytes]) -> bytes:
    """The hash of a range, from ranges that are known; the proof's ranges cover both trees exactly."""
    if (start, end) in known:
        return known[start, end]
    middle = _split(start, end)
    return node_hash(_fold(start, middle, known), _fold(middle, end, known))
