"""Header, salt, digest and hash (spec section 2).

    digest = SHA-256(salt || body)          of a section
    hash   = SHA-256(0x00 || header)        of a record: the next record's link, and its RFC 6962 leaf hash
    header = RFC 8785 canonical JSON of the record, its sections' digests, and `prev`

The header holds strings, integers and nulls only, and its keys are always the same, so it is written by hand, the keys
in order: a JSON library would take three times as long, and this is what appends and verifications do most.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from json.encoder import encode_basestring as _text  # a JSON text in quotes, escaped as RFC 8785 section 3.2.2.2 says

from flasktrack.core.record import Record, Section

ZERO_HASH = bytes(32)
SALT_BYTES = 16
_REMEMBERED = 4096  # actors and entities whose JSON is kept: neighbouring records often share them
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

    Raises TypeError, ValueError or AttributeError for values that no header can hold (a stored row may hold anything).
    """
    actor = _actor(actor_type, actor_id, actor_name, actor_role)
    entity = _entity(entity_type, entity_id, entity_name)
    before = "null" if before_digest is None else f'"{before_digest.hex()}"'
    after = "null" if after_digest is None else f'"{after_digest.hex()}"'
    context = "null" if context_digest is None else f'"{context_digest.hex()}"'
    correlation = "null" if correlation_id is None else _text(correlation_id)
    credential = "null" if credential_id is None else _text(credential_id)
    principal = "null" if on_behalf_of is None else _text(on_behalf_of)
    why = "null" if reason is None else _text(reason)
    if not type(actor_seq) is type(entity_seq) is type(seq) is int:  # the rest is quoted, so no value can pose as a key
        raise TypeError("a position or ordinal is not an integer")
    return (
        f'{{"action":{_text(action)},"actor":{actor},"actor_seq":{actor_seq},"after":{after},"before":{before},'
        f'"context":{context},"correlation_id":{correlation},"credential_id":{credential},"entity":{entity},'
        f'"entity_seq":{entity_seq},"occurred_at":{_text(occurred_at)},"on_behalf_of":{principal},'
        f'"organization_id":{_text(organization_id)},"outcome":{_text(outcome)},"prev":"{prev_hash.hex()}",'
        f'"reason":{why},"record_id":{_text(record_id)},"recorded_at":{_text(recorded_at)},'
        f'"related":{_related(related) if related else "[]"},"seq":{seq},"v":1}}'
    ).encode()


@lru_cache(_REMEMBERED)
def _actor(type_: str, id_: str, name: str | None, role: str | None) -> str:
    name = "null" if name is None else _text(name)
    role = "null" if role is None else _text(role)
    return f'{{"id":{_text(id_)},"name":{name},"role":{role},"type":{_text(type_)}}}'


@lru_cache(_REMEMBERED)
def _entity(type_: str, id_: str, name: str | None) -> str:
    name = "null" if name is None else _text(name)
    return f'{{"id":{_text(id_)},"name":{name},"type":{_text(type_)}}}'


def _related(related: Iterable[tuple[str, str]]) -> str:
    items = [f'{{"id":{_text(id_)},"type":{_text(type_)}}}' for type_, id_ in related]
    return f"[{','.join(items)}]"


def record_header(record: Record) -> bytes:
    """The canonical header of a record."""
    return header_bytes(*record[:-1])


def header_hash(header: bytes) -> bytes:
    """SHA-256(0x00 || header)."""
    return sha256(_LEAF_PREFIX + header).digest()


def section_digest(section: Section) -> bytes:
    """SHA-256(salt || body)."""
    return sha256(section.salt + section.body.encode()).digest()
