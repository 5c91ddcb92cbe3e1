"""What is recorded: an `Event` comes in, a `Record` stands in the chain (spec section 1).

An event says who did what, when, to which entity. The writer checks it, gives it a position and ordinals, and
links it to the record before: that is the record. Field names are the spec's everywhere, in tables too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from flasktrack.core.body import check_characters, encode_body
from flasktrack.core.times import format_time
from flasktrack.errors import InvalidOrganization, InvalidRecord

ACTOR_TYPES = ("user", "api_key", "service_account", "automation", "system")
OUTCOMES = ("success", "failure", "denied")
SECTIONS = ("before", "after", "context")

MAX_POSITION = 2**63 - 1
"""The last position there could be: what both databases' integers hold."""
MAX_ID = 255
MAX_NAME = 1024
MAX_REASON = 8192
MAX_RELATED = 100

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ACTION = re.compile(r"[a-z0-9_]+")


class Reference(NamedTuple):
    """Another entity that an act concerns."""

    type: str
    id: str


@dataclass(slots=True, kw_only=True)
class Event:
    """An act as its source reports it, before it is chained. Sections are JSON-able values, or None."""

    occurred_at: datetime
    actor_type: str
    actor_id: str
    action: str
    entity_type: str
    entity_id: str
    actor_name: str | None = None
    actor_role: str | None = None
    entity_name: str | None = None
    outcome: str = "success"
    credential_id: str | None = None
    on_behalf_of: str | None = None
    related: Iterable[tuple[str, str]] = ()
    reason: str | None = None
    correlation_id: str | None = None
    before: Any = None
    after: Any = None
    context: Any = None
    record_id: str | None = None


class Section(NamedTuple):
    """A section as it is stored: `digest = SHA-256(salt || body)`."""

    salt: bytes
    body: str


class Content(NamedTuple):
    """An event that was checked: what two records with the same record_id must agree on."""

    occurred_at: str
    actor_type: str
    actor_id: str
    actor_name: str | None
    actor_role: str | None
    credential_id: str | None
    on_behalf_of: str | None
    action: str
    outcome: str
    entity_type: str
    entity_id: str
    entity_name: str | None
    related: tuple[Reference, ...]
    reason: str | None
    correlation_id: str | None
    before: str | None
    after: str | None
    context: str | None


class Record(NamedTuple):
    """A record as it stands in the chain. Times are the spec's text, so that what was read is what is hashed.

    Digests and hashes are 32 bytes. The sections themselves are kept apart (table audit_payload), since they can
    be withheld or erased while the record stays.
    """

    organization_id: str
    seq: int
    record_id: str
    occurred_at: str
    recorded_at: str
    actor_type: str
    actor_id: str
    actor_name: str | None
    actor_role: str | None
    actor_seq: int
    credential_id: str | None
    on_behalf_of: str | None
    action: str
    outcome: str
    entity_type: str
    entity_id: str
    entity_name: str | None
    entity_seq: int
    related: tuple[Reference, ...]
    reason: str | None
    correlation_id: str | None
    before_digest: bytes | None
    after_digest: bytes | None
    context_digest: bytes | None
    prev_hash: bytes
    hash: bytes


def is_organization_id(value: object) -> bool:
    """Whether it is a slug, as every organization's id is."""
    return isinstance(value, str) and _SLUG.fullmatch(value) is not None


def check_organization_id(organization_id: str) -> str:
    """Return it, or raise InvalidOrganization where it is not a slug."""
    if not is_organization_id(organization_id):
        raise InvalidOrganization(
            f"{str(organization_id)[:80]!r} can't be an organization's id.",
            "Use 1 to 63 of a-z, 0-9 and -, beginning with a letter or digit, such as northwind-labs.",
        )
    return organization_id


def check_record_id(record_id: str) -> str:
    """Return it, or raise InvalidRecord where it is not a lower-case UUID."""
    if not isinstance(record_id, str) or not _UUID.fullmatch(record_id):
        raise InvalidRecord("record_id", f"{str(record_id)[:60]!r} is not a lower-case UUID")
    return record_id


def check_event(event: Event) -> Content:
    """Check every limit of spec section 1. Raises InvalidRecord, which names the field, at the first breach."""
    actor_type = event.actor_type
    if actor_type not in ACTOR_TYPES:
        raise InvalidRecord("actor.type", f"{actor_type!r:.60} is none of {', '.join(ACTOR_TYPES)}")
    if event.outcome not in OUTCOMES:
        raise InvalidRecord("outcome", f"{event.outcome!r:.60} is none of {', '.join(OUTCOMES)}")
    action = _text("action", event.action, MAX_ID)
    if not _ACTION.fullmatch(action):
        raise InvalidRecord("action", f"{action[:60]!r} is not a verb in lower case (a-z, 0-9 and _)")
    # By position, in the order of Content's fields: by name it would take twice as long.
    return Content(
        _time("occurred_at", event.occurred_at),
        actor_type,
        _text("actor.id", event.actor_id, MAX_ID),
        None if event.actor_name is None else _text("actor.name", event.actor_name, MAX_NAME),
        None if event.actor_role is None else _text("actor.role", event.actor_role, MAX_ID),
        None if event.credential_id is None else _text("credential_id", event.credential_id, MAX_ID),
        None if event.on_behalf_of is None else _on_behalf_of(event.on_behalf_of),
        action,
        event.outcome,
        _text("entity.type", event.entity_type, MAX_ID),
        _text("entity.id", event.entity_id, MAX_ID),
        None if event.entity_name is None else _text("entity.name", event.entity_name, MAX_NAME),
        _related(event.related),
        None if event.reason is None else _text("reason", event.reason, MAX_REASON, 0),
        None if event.correlation_id is None else _text("correlation_id", event.correlation_id, MAX_ID),
        None if event.before is None else encode_body("before", event.before),
        None if event.after is None else encode_body("after", event.after),
        None if event.context is None else encode_body("context", event.context),
    )


def _text(field: str, value: Any, longest: int, shortest: int = 1) -> str:
    if not isinstance(value, str):
        raise InvalidRecord(field, f"must be text, not {type(value).__name__}")
    if not shortest <= len(value) <= longest:
        raise InvalidRecord(field, f"has {len(value):,} characters; {shortest} to {longest:,} are allowed")
    if "\x00" in value or not value.isascii():
        check_characters(field, value)
    return value


def _time(field: str, value: Any) -> str:
    if not isinstance(value, datetime):
        raise InvalidRecord(field, f"must be a time with a zone, not {type(value).__name__}")
    try:
        return format_time(value)
    except ValueError as problem:
        raise InvalidRecord(field, str(problem)) from None


def _on_behalf_of(value: Any) -> str:
    kind, colon, actor_id = _text("on_behalf_of", value, MAX_ID + 16).partition(":")
    if not colon or kind not in ACTOR_TYPES or not 1 <= len(actor_id) <= MAX_ID:
        raise InvalidRecord("on_behalf_of", f"{value[:60]!r} is not type:id of an actor, such as user:u-17")
    return str(value)


def _related(value: Any) -> tuple[Reference, ...]:
    if type(value) is tuple and not value:
        return ()
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InvalidRecord("related", f"must be pairs of type and id, not {type(value).__name__}")
    related = []
    for number, item in enumerate(value):
        if number >= MAX_RELATED:
            raise InvalidRecord("related", f"has more than {MAX_RELATED} items")
        if not isinstance(item, (tuple, list)) or len(item) != 2:  # a dict or a text of two would unpack as well
            raise InvalidRecord(f"related[{number}]", "is not a pair of type and id")
        kind, entity_id = item
        related.append(
            Reference(_text(f"related[{number}].type", kind, MAX_ID), _text(f"related[{number}].id", entity_id, MAX_ID))
        )
    return tuple(related)
