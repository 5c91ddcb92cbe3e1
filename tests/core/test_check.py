"""What a reader says of a record that was altered, and that it says nothing of one that was not."""

from __future__ import annotations

from typing import Any

import pytest

from flasktrack.core.check import check_record, computed_hash, section_problem
from flasktrack.core.finding import SEVERITY
from flasktrack.core.header import ZERO_HASH, section_digest
from flasktrack.core.record import Record, Section
from tests.core.samples import RECORD

SECTION = Section(bytes(range(16)), '{"volume_ml":250}')
DIGEST = section_digest(SECTION)
ABSENT: dict[str, Section | None] = {"before": None, "after": None, "context": None}
STORED = ABSENT | {"after": SECTION}


def sound_record(seq: int = 1, prev_hash: bytes = ZERO_HASH) -> Record:
    unhashed = RECORD._replace(
        seq=seq, prev_hash=prev_hash, before_digest=None, after_digest=DIGEST, context_digest=None
    )
    made = computed_hash(unhashed)
    assert made is not None
    return unhashed._replace(hash=made)


def codes(record: Record, sections: dict[str, Section | None], previous: bytes | None = None) -> list[str]:
    return [finding.code for finding in check_record(record, sections, previous)]


def test_sound_record_has_no_finding() -> None:
    assert codes(sound_record(), STORED) == []
    assert codes(sound_record(2, DIGEST), STORED, previous=DIGEST) == []


def test_changed_field_is_found() -> None:
    assert codes(sound_record()._replace(actor_id="u-18"), STORED) == ["record_modified"]


def test_row_that_can_be_no_header_is_found_and_not_raised() -> None:
    broken = sound_record()._replace(before_digest="not bytes")  # type: ignore[arg-type]
    assert computed_hash(broken) is None
    assert "record_modified" in codes(broken, STORED)


@pytest.mark.parametrize("stored", [None, b"", bytes(31), "x" * 32, 0])
def test_a_row_without_header_and_hash_is_found(stored: Any) -> None:
    nothing_to_compare = sound_record()._replace(credential_id=b"\x41", hash=stored)  # type: ignore[arg-type]
    assert computed_hash(nothing_to_compare) is None
    assert codes(nothing_to_compare, STORED) == ["record_modified"]
    assert codes(sound_record()._replace(hash=stored), STORED) == ["record_modified"]


def test_wrong_link_is_found() -> None:
    assert codes(sound_record(2, DIGEST), STORED, previous=ZERO_HASH) == ["chain_broken"]


def test_first_record_must_link_to_zero() -> None:
    assert codes(sound_record(1, DIGEST), STORED) == ["chain_broken"]


def test_link_is_not_judged_without_the_neighbour() -> None:
    assert codes(sound_record(2, DIGEST), STORED, previous=None) == []


def test_changed_and_missing_sections_are_named() -> None:
    changed = STORED | {"after": SECTION._replace(body='{"volume_ml":251}')}
    found = check_record(sound_record(), changed, None)
    assert [(finding.code, finding.section, finding.seq, finding.seq_end) for finding in found] == [
        ("payload_modified", "after", 1, 1)
    ]
    found = check_record(sound_record(), ABSENT, None)
    assert [(finding.code, finding.section) for finding in found] == [("payload_missing", "after")]


def test_section_that_no_digest_covers_is_found() -> None:
    assert codes(sound_record(), STORED | {"context": SECTION}) == ["payload_modified"]


@pytest.mark.parametrize(
    ("digest", "salt", "body", "problem"),
    [
        (DIGEST, SECTION.salt, SECTION.body, None),
        (None, None, None, None),
        (DIGEST, None, None, "payload_missing"),
        (DIGEST, None, SECTION.body, "payload_modified"),
        (DIGEST, SECTION.salt, None, "payload_modified"),
        (None, SECTION.salt, None, "payload_modified"),
        (DIGEST, SECTION.salt, SECTION.body + " ", "payload_modified"),
        (DIGEST, bytes(16), SECTION.body, "payload_modified"),
        (DIGEST, SECTION.salt + b"{", SECTION.body[1:], "payload_modified"),
        (DIGEST, "text", SECTION.body, "payload_modified"),
        (DIGEST, SECTION.salt, 5, "payload_modified"),
    ],
)
def test_section_is_what_its_digest_says(digest, salt, body, problem) -> None:
    assert section_problem(digest, salt, body) == problem


def test_findings_carry_their_severity_and_become_json() -> None:
    (finding,) = check_record(sound_record()._replace(reason="altered"), STORED, None)
    assert finding.as_json() == {
        "code": "record_modified",
        "severity": SEVERITY["record_modified"],
        "organization_id": "northwind-labs",
        "seq": 1,
        "seq_end": 1,
        "section": None,
        "detail": finding.detail,
    }
    assert finding.severity == "error"
