"""What one record proves by itself, and with the record before it at hand (spec section 5).

Readers call this for every record that they return. A verification of a whole chain states the same rules over
streams (flasktrack/verify) and adds those that need more than one record.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from operator import itemgetter
from typing import Any

from flasktrack.core.finding import Finding
from flasktrack.core.header import SALT_BYTES, ZERO_HASH, header_bytes, header_hash
from flasktrack.core.record import SECTIONS, Record, Section

_OTHERS = {"seq", "actor_seq", "entity_seq", "related", "before_digest", "after_digest", "context_digest", "prev_hash"}
_texts = itemgetter(*(place for place, name in enumerate(Record._fields[:-1]) if name not in _OTHERS))
_TEXT = frozenset({str, type(None)})


def computed_hash(record: Record) -> bytes | None:
    """The hash that the record's own fields give; None where they can't be a header at all."""
    return fields_hash(record[:-1])


def fields_hash(fields: Sequence[Any]) -> bytes | None:
    """The same of a record's fields without its hash, in the order of `Record`; a stored row may hold anything."""
    try:
        if not _TEXT.issuperset(map(type, _texts(fields))):
            return None
        return header_hash(header_bytes(*fields))
    except (TypeError, ValueError, AttributeError):
        return None


def section_problem(digest: bytes | None, salt: bytes | None, body: str | None) -> str | None:
    """`payload_modified`, `payload_missing`, or None where the section is what its digest says.

    The salt's length is part of the check: otherwise characters could move between salt and body unnoticed.
    """
    if digest is None:
        return None if body is None and salt is None else "payload_modified"
    if body is None and salt is None:
        return "payload_missing"
    try:
        sound = len(salt) == SALT_BYTES and sha256(salt + body.encode()).digest() == digest  # type: ignore[arg-type, operator, union-attr]
    except (TypeError, ValueError, AttributeError):
        sound = False
    return None if sound else "payload_modified"


def check_record(
    record: Record, sections: dict[str, Section | None], previous_hash: bytes | None
) -> tuple[Finding, ...]:
    """Findings on one record: its hash, its sections, and its link where the record before is at hand."""
    found = []
    computed = computed_hash(record)
    if computed is None or computed != record.hash:  # neither may be there: then they are equal, but prove nothing
        found.append(_finding(record, "record_modified", "its content does not give its hash"))
    else:
        expected = ZERO_HASH if record.seq == 1 else previous_hash
        if expected is not None and record.prev_hash != expected:
            found.append(_finding(record, "chain_broken", "its link is not the hash of the record before"))
    for name in SECTIONS:
        section = sections[name]
        salt, body = section if section is not None else (None, None)
        problem = section_problem(getattr(record, f"{name}_digest"), salt, body)
        if problem == "payload_modified":
            found.append(_finding(record, problem, f"its section {name!r} is not what was recorded", name))
        elif problem is not None:
            found.append(_finding(record, problem, f"its section {name!r} was recorded but is gone", name))
    return tuple(found)


def _finding(record: Record, code: str, problem: str, section: str | None = None) -> Finding:
    detail = f"Record {record.seq:,} was altered: {problem}."
    return Finding(code, record.organization_id, record.seq, record.seq, detail, section)
