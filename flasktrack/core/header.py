"""Header, salt, digest and hash (spec section 2).

    digest = SHA-256(salt || body)          of a section
    hash   = SHA-256(0x00 || header)        of a record: the next record's link, and its RFC 6962 leaf hash
    header = RFC 8785 canonical JSON of the record, its sections' digests, and `prev`

The header holds strings, integers and nulls only, and its keys are always the same, so it is put together with the keys
in order. orjson then writes it as RFC 8785 does: compact, UTF-8, with the same escapes.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

import orjson

from flasktrack.core.record import Record, Section

ZERO_HASH = bytes(32)
SALT_BYTES = 16
_LEAF_PREFIX = b"\x00"  # RFC 6962 section 2.1


def header_bytes(
    organization_id: str,
    seq: int,
    record_id: str,
    occurred_at: str,
    recorded_at: str,
    actor_type: str,
    actor_id: str,
    actor_name: str | None,
    actor_role: str | None,
    actor_seq: int,
    credential_id: str | None,
    on_behalf_of: str | None,
    action: str,
    outcome: str,
    entity_type: str,
    entity_id: str,
    entity_name: str | None,
    entity_seq: int,
    related: Iterable[tuple[str, str]],
    reason: str | None,
    correlation_id: str | None,
    before_digest: bytes | None,
    after_digest: bytes | None,
    context_digest: bytes | None,
    prev_hash: bytes,
) -> bytes:
    """The canonical header. Arguments are a `Record`'s fields in their order, without its hash.

    Raises TypeError or AttributeError for most values that no header can hold (a stored row may hold anything); that
    text is text, and not a number, is the caller's to see to.
    """
    if not type(actor_seq) is type(entity_seq) is type(seq) is int:
        raise TypeError("a position or ordinal is not an integer")
    return orjson.dumps(
        {
            "action": action,
            "actor": {"id": actor_id, "name": actor_name, "role": actor_role, "type": actor_type},
            "actor_seq": actor_seq,
            "after": None if after_digest is None else after_digest.hex(),
            "before": None if before_digest is None else before_digest.hex(),
            "context": None if context_digest is None else context_digest.hex(),
            "correlation_id": correlation_id,
            "credential_id": credential_id,
            "entity": {"id": entity_id, "name": entity_name, "type": entity_type},
            "entity_seq": entity_seq,
            "occurred_at": occurred_at,
            "on_behalf_of": on_behalf_of,
            "organization_id": organization_id,
            "outcome": outcome,
            "prev": prev_hash.hex(),
            "reason": reason,
            "record_id": record_id,
            "recorded_at": recorded_at,
            "related": [{"id": id_, "type": type_} for type_, id_ in related] if related else [],
            "seq": seq,
            "v": 1,
        }
    )


def record_header(record: Record) -> bytes:
    """The canonical header of a record."""
    return header_bytes(*record[:-1])


def header_hash(header: bytes) -> bytes:
    """SHA-256(0x00 || header)."""
    return sha256(_LEAF_PREFIX + header).digest()


def section_digest(section: Section) -> bytes:
    """SHA-256(salt || body)."""
    return sha256(section.salt + section.body.encode()).digest()
