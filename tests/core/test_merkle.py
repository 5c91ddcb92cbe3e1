"""Proofs: the published vectors, every size up to 130 beside pymerkle, and proofs that must be rejected."""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree
from pymerkle import verify_consistency as peer_verify_consistency

from flasktrack.core.merkle import (
    EMPTY_ROOT,
    consistency_proof,
    inclusion_proof,
    root,
    subtrees_of,
    verify_consistency,
    verify_inclusion,
)

VECTORS = Path(__file__).parent.parent / "vectors"
TREE = json.loads((VECTORS / "tree.json").read_text(encoding="utf-8"))
INCLUSION = json.loads((VECTORS / "rfc6962-inclusion.json").read_text(encoding="utf-8"))
CONSISTENCY = json.loads((VECTORS / "rfc6962-consistency.json").read_text(encoding="utf-8"))
LEAVES = [sha256(b"\x00leaf " + str(i).encode()).digest() for i in range(600)]
SUBTREE = subtrees_of(LEAVES)
EXHAUSTIVE = 130


def _hashes(proof: list[str] | None) -> list[bytes]:
    return [base64.b64decode(item) for item in proof or []]


@pytest.mark.parametrize("size", TREE["roots"])
def test_roots_are_those_of_the_vectors(size: str) -> None:
    assert root(int(size), SUBTREE).hex() == TREE["roots"][size]


@pytest.mark.parametrize("vector", TREE["inclusion"], ids=lambda v: f"{v['index']} in {v['size']}")
def test_inclusion_proofs_are_those_of_the_vectors(vector: dict[str, Any]) -> None:
    proof = inclusion_proof(vector["index"], vector["size"], SUBTREE)
    assert [item.hex() for item in proof] == vector["proof"]


@pytest.mark.parametrize("vector", TREE["consistency"], ids=lambda v: f"{v['first']} to {v['second']}")
def test_consistency_proofs_are_those_of_the_vectors(vector: dict[str, Any]) -> None:
    proof = consistency_proof(vector["first"], vector["second"], SUBTREE)
    assert [item.hex() for item in proof] == vector["proof"]


@pytest.mark.parametrize("vector", INCLUSION, ids=lambda v: v["name"])
def test_published_inclusion_proofs_are_decided_rightly(vector: dict[str, Any]) -> None:
    accepted = verify_inclusion(
        base64.b64decode(vector["leafHash"] or ""),
        vector["leafIdx"],
        vector["treeSize"],
        _hashes(vector["proof"]),
        base64.b64decode(vector["root"] or ""),
    )
    assert accepted is not vector["wantErr"]


@pytest.mark.parametrize("vector", CONSISTENCY, ids=lambda v: v["name"])
def test_published_consistency_proofs_are_decided_rightly(vector: dict[str, Any]) -> None:
    accepted = verify_consistency(
        vector["size1"],
        vector["size2"],
        _hashes(vector["proof"]),
        base64.b64decode(vector["root1"] or ""),
        base64.b64decode(vector["root2"] or ""),
    )
    assert accepted is not vector["wantErr"]


def test_a_tree_without_leaves_has_the_hash_of_nothing() -> None:
    assert root(0, SUBTREE) == EMPTY_ROOT == sha256(b"").digest()


def test_every_inclusion_proof_up_to_130_leaves_verifies_at_its_place_only() -> None:
    for size in range(1, EXHAUSTIVE + 1):
        top = root(size, SUBTREE)
        for index in range(size):
            proof = inclusion_proof(index, size, SUBTREE)
            assert verify_inclusion(LEAVES[index], index, size, proof, top)
            assert not verify_inclusion(LEAVES[index], index ^ 1, size, proof, top)
            assert not verify_inclusion(LEAVES[index + 1], index, size, proof, top)


def test_every_consistency_proof_up_to_130_leaves_verifies_for_its_sizes_only() -> None:
    roots = [root(size, SUBTREE) for size in range(EXHAUSTIVE + 2)]
    for second in range(1, EXHAUSTIVE + 1):
        for first in range(1, second + 1):
            proof = consistency_proof(first, second, SUBTREE)
            assert verify_consistency(first, second, proof, roots[first], roots[second])
            assert not verify_consistency(first, second, proof, roots[first - 1], roots[second])
            assert not verify_consistency(first, second, proof, roots[first], roots[second + 1])


def test_roots_and_proofs_agree_with_pymerkle_at_every_size() -> None:
    tree = InmemoryTree(algorithm="sha256")
    entries = [f"entry {i}".encode() for i in range(EXHAUSTIVE)]
    leaves = [sha256(b"\x00" + entry).digest() for entry in entries]
    ours = subtrees_of(leaves)
    for size, entry in enumerate(entries, 1):
        tree.append_entry(entry)
        assert tree.get_root(size) == root(size, ours)
    for first in range(1, EXHAUSTIVE + 1, 7):
        peer_verify_consistency(tree.get_root(first), tree.get_root(), tree.prove_consistency(first, EXHAUSTIVE))
        proof = consistency_proof(first, EXHAUSTIVE, ours)
        assert verify_consistency(first, EXHAUSTIVE, proof, tree.get_root(first), tree.get_root())


@given(st.integers(1, 600), st.data())
def test_a_proof_with_anything_altered_is_rejected(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, SUBTREE)
    top = root(size, SUBTREE)
    assert not verify_inclusion(LEAVES[index], index, size, [*proof, LEAVES[0]], top)
    if not proof:
        return
    place = data.draw(st.integers(0, len(proof) - 1))
    flipped = bytes([proof[place][0] ^ 1]) + proof[place][1:]
    assert not verify_inclusion(LEAVES[index], index, size, [*proof[:place], flipped, *proof[place + 1 :]], top)
    assert not verify_inclusion(LEAVES[index], index, size, proof[:-1], top)
    assert not verify_inclusion(LEAVES[index], index, size, [*proof[:-1], proof[-1][:31]], top)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (5, 5), (-1, 5), (2**64, 2**63)])
def test_positions_outside_the_tree_prove_nothing(index: int, size: int) -> None:
    assert not verify_inclusion(LEAVES[0], index, size, [], LEAVES[0])
    with pytest.raises(ValueError, match="no leaf"):
        inclusion_proof(index, size, SUBTREE)
