"""The record vectors, computed by an independent implementation, are reproduced byte for byte (spec sections 1, 2)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flasktrack.core.body import encode_body, parse_exact
from flasktrack.core.header import ZERO_HASH, header_hash, record_header, section_digest
from flasktrack.core.record import SECTIONS, Record, Reference, Section

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parent.parent / "vectors" / "records.json").read_bytes())
HEX_FIELDS = {"before_digest", "after_digest", "context_digest", "prev_hash", "hash"}


def record_of(vector: dict[str, Any]) -> Record:
    fields: dict[str, Any] = {
        name: bytes.fromhex(value) if name in HEX_FIELDS and value is not None else value
        for name, value in vector["record"].items()
    }
    fields["related"] = tuple(Reference(item["type"], item["id"]) for item in fields["related"])
    return Record(**fields)


def sections_of(vector: dict[str, Any]) -> dict[str, Section]:
    return {
        name: Section(bytes.fromhex(section["salt"]), section["body"])
        for name, section in vector["sections"].items()
        if section is not None
    }


each_vector = pytest.mark.parametrize("vector", VECTORS, ids=[f"seq{v['record']['seq']}" for v in VECTORS])


@each_vector
def test_header_is_reproduced_byte_for_byte(vector: dict[str, Any]) -> None:
    assert record_header(record_of(vector)) == vector["header"].encode()


@each_vector
def test_hash_is_that_of_the_header(vector: dict[str, Any]) -> None:
    record = record_of(vector)
    assert header_hash(record_header(record)) == record.hash


@each_vector
def test_digests_are_those_of_salt_and_body(vector: dict[str, Any]) -> None:
    record, sections = record_of(vector), sections_of(vector)
    for name in SECTIONS:
        digest = section_digest(sections[name]) if name in sections else None
        assert getattr(record, f"{name}_digest") == digest


@each_vector
def test_bodies_are_what_encode_body_writes(vector: dict[str, Any]) -> None:
    for name, section in sections_of(vector).items():
        assert encode_body(name, parse_exact(section.body)) == section.body


def test_records_are_linked_from_the_first() -> None:
    records = [record_of(vector) for vector in VECTORS]
    assert len(records) > 1
    assert [record.prev_hash for record in records] == [ZERO_HASH, *(record.hash for record in records[:-1])]
