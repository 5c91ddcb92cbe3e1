"""A block passes only where every rule for its records is satisfied: whatever is altered in it is noticed."""

from __future__ import annotations

from hashlib import sha256
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasktrack.core.header import ZERO_HASH
from flasktrack.core.record import Record, Reference
from flasktrack.trust import tree
from flasktrack.verify import continuity
from flasktrack.verify.compiled import hashing
from flasktrack.verify.compiled.sound import are_linked, go_on_in_time, take_down
from tests.verify.compiled.rows import Row, block_of, hashed, judged, row_of

LAB = "lab-1"
SALT = bytes(range(16))


def chain(count: int = 3, related: tuple[Reference, ...] = (Reference("batch", "B-1"),)) -> list[Row]:
    """Rows of records that follow each other."""
    rows, previous = [], ZERO_HASH
    for seq in range(1, count + 1):
        sections = {name: (f'{{"{name}":{seq}}}'.encode(), SALT) for name in ("before", "after", "context")}
        digests = [sha256(salt + body).digest() for body, salt in sections.values()]
        fields = [
            LAB, seq, f"r-{seq}", "2026-11-24T05:06:07.000000Z", f"2026-11-24T05:06:0{seq}.000000Z", "user", "anna",
            "Anna", "analyst", seq, "key-1", "user:ben", "update", "success", "sample", "S-1", "Serum", seq,
            related, "why", "c-1", *digests, previous, b"",
        ]  # fmt: skip
        record = hashed(Record._make(fields))
        previous = record.hash
        rows.append(row_of(record, sections))
    return rows


def test_a_chain_that_is_in_order_passes() -> None:
    assert judged(chain(), LAB)
    rows = chain()
    assert judged(rows[1:], LAB, 2, rows[0][24])


@pytest.mark.parametrize("value", [None, 5, 2.5, "x", "", b"x", b"", bytes(32), bytes(16)], ids=repr)
def test_no_value_of_any_column_can_be_put_in_the_place_of_another(value: Any) -> None:
    for at in range(3):
        for column in range(31):
            rows = chain()
            if rows[at][column] == value and type(rows[at][column]) is type(value):
                continue
            rows[at][column] = value
            assert not judged(rows, LAB), (at, column)


@given(st.integers(0, 2), st.integers(0, 30), st.integers(0, 2**16), st.integers(1, 255))
def test_no_byte_can_be_changed(at: int, column: int, place: int, change: int) -> None:
    rows = chain()
    value = rows[at][column]
    if isinstance(value, int):
        rows[at][column] = value ^ change
    else:
        data = bytearray(value.encode() if isinstance(value, str) else value)
        data[place % len(data)] ^= change
        rows[at][column] = bytes(data) if isinstance(value, bytes) else data.decode("utf-8", "surrogateescape")
    assert not judged(rows, LAB)


@pytest.mark.parametrize(
    "rows",
    [chain()[1:], chain()[:1] + chain()[2:], [chain()[0], chain()[2], chain()[1]], [chain()[0], *chain()[:2]]],
    ids=["first one gone", "gap", "swapped", "twice"],
)
def test_rows_of_other_positions_do_not_pass(rows: list[Row]) -> None:
    assert not judged(rows, LAB)


def test_records_of_another_organization_or_behind_another_hash_do_not_pass() -> None:
    assert not judged(chain(), "lab-2")
    assert not judged(chain(), LAB, previous=bytes(31) + b"\1")


def test_bytes_can_not_move_between_salt_and_body() -> None:
    rows = chain()
    body, salt = rows[0][25], rows[0][26]
    rows[0][25], rows[0][26] = body[1:], salt + body[:1].encode()
    assert not judged(rows, LAB)
    rows[0][25], rows[0][26] = salt[-1:].decode() + body, salt[:-1]
    assert not judged(rows, LAB)


def test_a_section_that_is_absent_needs_no_digest_and_no_salt() -> None:
    rows = chain()
    for column in (25, 26):
        changed = [*rows[0]]
        changed[column] = None
        assert not judged([changed, *rows[1:]], LAB)
    erased = [*rows[0]]
    erased[25] = erased[26] = None  # the digest stays: an erasure has to explain it, which is for other rules
    assert not judged([erased, *rows[1:]], LAB)


@given(st.lists(st.text("0123T:-Zé", max_size=4), min_size=1, max_size=4), st.text("0123T:-Zé", max_size=4))
def test_time_goes_on_where_no_text_is_less_than_the_one_before(times: list[str], earlier: str) -> None:
    rows = [[None] * 31 for _ in times]
    for row, time in zip(rows, times, strict=True):
        row[3] = time  # type: ignore[call-overload]
    block = block_of(rows).rows
    before = np.frombuffer(earlier.encode(), dtype=np.uint8)
    assert go_on_in_time(block.arena, block.cells, len(rows), before) == (
        sorted([earlier, *times]) == [earlier, *times]
    )


PAIRS = [("batch", "B-1"), ("batch", "B-2"), ("workflow", "W-1"), ("batch", "B-1")]


def linked(rows: list[Row], links: list[Row]) -> bool:
    block = block_of(rows, links)
    assert block.links is not None
    matched = np.zeros(max(1, len(links)), dtype=np.uint8)
    of_links = block.links
    return are_linked(
        block.rows.arena, block.rows.cells, len(rows), of_links.arena, of_links.cells, len(links), matched
    )


def test_links_are_those_of_the_records_in_whatever_order_at_a_position() -> None:
    rows = chain(2, tuple(Reference(*pair) for pair in PAIRS))
    for order in permutations(PAIRS):
        assert linked(rows, [[1, *pair] for pair in order] + [[2, *pair] for pair in PAIRS])


@pytest.mark.parametrize(
    "links",
    [
        [[1, *pair] for pair in PAIRS],
        [[1, *pair] for pair in PAIRS] + [[2, *pair] for pair in PAIRS[:3]],
        [[1, *pair] for pair in PAIRS] + [[2, *pair] for pair in [*PAIRS, PAIRS[0]]],
        [[1, *pair] for pair in PAIRS] + [[2, *pair] for pair in [*PAIRS[:3], PAIRS[1]]],
        [[1, *pair] for pair in PAIRS] + [[2, *pair] for pair in PAIRS] + [[3, "batch", "B-1"]],
        [[0, "batch", "B-1"]] + [[1, *pair] for pair in PAIRS] + [[2, *pair] for pair in PAIRS],
        [[1, *pair] for pair in PAIRS] + [[1.5, "batch", "B-1"]] + [[2, *pair] for pair in PAIRS],
        [[1, *pair] for pair in PAIRS] + [[2, *pair] for pair in PAIRS[:3]] + [[2, "batch", b"B-1"]],
        [],
    ],
    ids=["none of one", "one too few", "one twice", "another one", "after", "before", "between", "bytes", "none"],
)
def test_links_of_nothing_and_links_that_are_absent_are_noticed(links: list[Row]) -> None:
    assert not linked(chain(2, tuple(Reference(*pair) for pair in PAIRS)), links)


def test_what_is_taken_down_is_what_the_rules_for_single_rows_take_down() -> None:
    rows = chain()
    rows[1][25] = None
    block, hasher = block_of(rows).rows, hashing.Hasher()
    tape = np.zeros((3, 7), dtype=np.int64)
    seed = bytes(range(32))
    room = np.zeros(4096, dtype=np.uint8)
    assert take_down(
        block.arena, block.cells, 3, np.frombuffer(seed, dtype=np.uint8), room, hasher.state, hasher.digest, tape
    )
    for row, taken in zip(rows, tape.tolist(), strict=True):
        assert taken == [
            continuity.name_key(seed, "user", "anna"), continuity.name_key(seed, "sample", "S-1"),
            row[0], row[8], row[16],
            continuity.ABSENT if row[25] is None else continuity.fingerprint(seed, row[25].encode()),
            continuity.fingerprint(seed, row[27].encode()),
        ]  # fmt: skip


@given(st.integers(0, 8), st.data())
def test_hashes_are_folded_as_the_stored_tree_folds_them(level: int, data: st.DataObject) -> None:
    hashes = [bytes([data.draw(st.integers(0, 255))]) * 32 for _ in range(2**level)]
    assert hashing.fold(b"".join(hashes)) == tree.fold(hashes)
