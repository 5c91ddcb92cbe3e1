"""Roots at any sizes are RFC 6962's, however the leaves arrive and wherever the ranges are cut."""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasktrack.core import merkle
from flasktrack.verify.roots import CHUNK, LeafRange, roots

LEAVES = [sha256(number.to_bytes(4)).digest() for number in range(3 * CHUNK + 50)]


def expected(size: int) -> bytes:
    return merkle.root(size, merkle.subtrees_of(LEAVES))


@pytest.mark.parametrize("size", [1, 2, 3, 255, 256, 257, 511, 512, 513, 700, 768, 818])
def test_a_root_at_any_size(size: int) -> None:
    whole = LeafRange(1, [size])
    whole.add(b"".join(LEAVES))
    whole.finish()
    assert dict(roots([whole])) == {size: expected(size)}


@given(
    sizes=st.sets(st.integers(1, len(LEAVES)), max_size=8),
    cuts=st.sets(st.integers(1, 3), max_size=3),
    steps=st.lists(st.integers(1, 400), min_size=1, max_size=5),
)
def test_ranges_give_the_same_roots_as_the_whole(sizes: set[int], cuts: set[int], steps: list[int]) -> None:
    borders = [0, *sorted(CHUNK * cut for cut in cuts), len(LEAVES)]
    ranges = []
    for start, end in pairwise(borders):
        part = LeafRange(start + 1, {size for size in sizes if start < size <= end})
        place, turn = start, 0
        while place < end:
            step = min(steps[turn % len(steps)], end - place)
            part.add(b"".join(LEAVES[place : place + step]))
            place, turn = place + step, turn + 1
        part.finish()
        ranges.append(part)
    assert dict(roots(ranges)) == {size: expected(size) for size in sizes}


def test_a_range_begins_with_a_chunk() -> None:
    with pytest.raises(ValueError, match="does not begin a chunk"):
        LeafRange(2, [])
