"""The header that compiled code writes is the one that `core.header` writes, byte for byte, or none at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasktrack.core.header import ZERO_HASH, record_header
from flasktrack.core.record import Record, Reference
from flasktrack.verify.compiled.cells import ACTOR_ID
from flasktrack.verify.compiled.header import FAILED, longest_header, write_header
from tests.verify.compiled.rows import Row, block_of, row_of

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parents[2] / "vectors" / "records.json").read_bytes())
BINARY_FIELDS = {"before_digest", "after_digest", "context_digest", "prev_hash", "hash"}

_digests = st.binary(min_size=32, max_size=32)
_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
_plain = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\'), max_size=20)
_numbers = st.integers(1, 2**63 - 1)
records = st.builds(
    Record, st.just("lab-1"), _numbers, _texts, _texts, _texts, _texts, _texts, st.none() | _texts, st.none() | _texts,
    _numbers, st.none() | _texts, st.none() | _texts, _texts, _texts, _texts, _texts, st.none() | _texts, _numbers,
    st.lists(st.builds(Reference, _plain, _plain), max_size=3).map(tuple), st.none() | _texts, st.none() | _texts,
    st.none() | _digests, st.none() | _digests, st.none() | _digests, _digests, _digests,
)  # fmt: skip


def written(row: Row, organization_id: str) -> bytes | None:
    block = block_of([row]).rows
    out = np.zeros(int(longest_header(block.cells, 0)), dtype=np.uint8)
    organization = np.frombuffer(organization_id.encode(), dtype=np.uint8)
    end = write_header(block.arena, block.cells, 0, organization, out, 0)
    return None if end == FAILED else out[:end].tobytes()


@given(records)
def test_any_record_has_its_canonical_header(record: Record) -> None:
    assert written(row_of(record, {}), record.organization_id) == record_header(record)


@pytest.mark.parametrize("vector", VECTORS, ids=[f"seq{vector['record']['seq']}" for vector in VECTORS])
def test_the_vectors_headers_are_reproduced(vector: dict[str, Any]) -> None:
    fields: dict[str, Any] = {
        name: bytes.fromhex(value) if name in BINARY_FIELDS and value is not None else value
        for name, value in vector["record"].items()
    }
    fields["related"] = tuple(Reference(item["type"], item["id"]) for item in fields["related"])
    record = Record(**fields)
    found = written(row_of(record, {}), record.organization_id)
    needs_escapes = any('"' in text or "\\" in text for item in record.related for text in item)
    assert found == (None if needs_escapes else vector["header"].encode())


@given(st.binary(max_size=8))
def test_what_is_not_utf_8_gives_no_header(text: bytes) -> None:
    row = _row()
    row[ACTOR_ID] = text.decode("utf-8", "surrogateescape")
    try:
        text.decode()
        readable = True
    except UnicodeDecodeError:
        readable = False
    assert (written(row, "lab-1") is not None) == readable


@pytest.mark.parametrize(
    "text",
    [
        '[{"id":"B-1","type":"batch"}]', '[{"type":"batch","id":"B-1"} ]', '[ {"type":"batch","id":"B-1"}]',
        '[{"type":"batch","id":"B-1"},]', '[{"type":"batch","id":"B-1"}', '[{"type":"batch","id":"B-1"}]]',
        '[{"type":"batch","id":"B-1","x":1}]', '[{"type":"batch","id":1}]', '[{"type":"ba\\u0074ch","id":"B-1"}]',
        '[{"type":"a","id":"b"};{"type":"a","id":"b"}]', "[", "]", "", "[]]", "{}", "null", '[{"type":"a","id":"b"}}',
        '[{"type":"a\x01","id":"b"}]',
    ],
)  # fmt: skip
def test_a_list_that_is_not_written_as_the_recorder_writes_it_gives_no_header(text: str) -> None:
    row = _row()
    row[17] = text
    assert written(row, "lab-1") is None


@pytest.mark.parametrize("value", [1, 2.5, b"x", None])
def test_a_value_of_another_type_gives_no_header(value: Any) -> None:
    for place in (0, 8, 16, 17, 23):
        row = _row()
        if type(row[place]) is type(value) or (place == 23 and value is None):  # which is for others to judge
            continue
        row[place] = value
        assert written(row, "lab-1") is None, place


@pytest.mark.parametrize("value", [0, -1, -(2**63)])
def test_a_position_or_ordinal_below_one_gives_no_header(value: int) -> None:
    for place in (0, 8, 16):
        row = _row()
        row[place] = value
        assert written(row, "lab-1") is None


def _row() -> Row:
    record = Record(
        "lab-1", 7, "r", "o", "t", "user", "anna", None, None, 1, None, None, "view", "success", "sample", "S-1", None,
        1, (Reference("batch", "B-1"),), None, None, None, None, None, ZERO_HASH, ZERO_HASH,
    )  # fmt: skip
    return row_of(record, {})
