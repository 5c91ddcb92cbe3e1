"""The header is RFC 8785's canonical JSON, and every field of a record is in it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasktrack.core.header import header_hash, record_header, section_digest
from flasktrack.core.record import Record, Reference, Section
from tests.core.samples import RECORD

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))


def rfc8785(value: object) -> bytes:
    """RFC 8785 for objects with ASCII keys, strings and integers: the standard library agrees with it there."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


@given(texts, texts, texts | st.none())
def test_header_is_canonical_json(reason: str, entity_id: str, entity_name: str | None) -> None:
    header = record_header(RECORD._replace(reason=reason, entity_id=entity_id, entity_name=entity_name))
    assert header == rfc8785(json.loads(header))
    assert json.loads(header)["reason"] == reason


@pytest.mark.parametrize("field", [field for field in Record._fields if field != "hash"])
def test_every_field_is_hashed(field: str) -> None:
    value = getattr(RECORD, field)
    other: Any = {int: 2, str: f"{value}x", bytes: bytes([9]) * 32, tuple: (Reference("batch", "B-8"),)}[type(value)]
    hashes = {header_hash(record_header(record)) for record in (RECORD, RECORD._replace(**{field: other}))}
    assert len(hashes) == 2


def test_order_of_related_entities_is_hashed() -> None:
    first, second = Reference("batch", "B-9"), Reference("workflow", "W-2")
    assert record_header(RECORD._replace(related=(first, second))) != record_header(
        RECORD._replace(related=(second, first))
    )


def test_salt_keeps_equal_bodies_from_having_equal_digests() -> None:
    assert section_digest(Section(b"a" * 16, "{}")) != section_digest(Section(b"b" * 16, "{}"))


@pytest.mark.parametrize("field", ["before_digest", "prev_hash", "reason", "related"])
def test_values_that_no_header_can_hold_are_refused(field: str) -> None:
    nonsense: Any = object()
    with pytest.raises((TypeError, ValueError, AttributeError)):
        record_header(RECORD._replace(**{field: nonsense}))
