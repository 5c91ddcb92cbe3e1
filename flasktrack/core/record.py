"""What is recorded: an `Event` comes in, a `Record` stands in the chain (spec section 1).

An event says who did what, when, to which entity. The writer checks it, gives it a position and ordinals, and
links it to the record before: that is the record. Field names are the spec's everywhere, in tables too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from operator import attrgetter
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


def check_event(event: Event) -> Content:
    """Check every limit of spec section 1. Raises InvalidRecord, which names the field, at the first breach."""
    (content,), _ = check_events([event])
    return content


def check_events(events: Sequence[Event]) -> tuple[list[Content], tuple[str | None, ...]]:
    """Check many at once; their contents and record_ids. The first breach's `index` is its event's place.

    Column by column, since what repeats, as most texts do, needs to be looked at only once.
    """
    given = zip(*map(_values, events), strict=True)
    checked: list[Sequence[Any]] = []
    problems = []
    for field, values in zip(_FIELDS, given, strict=False):  # without events there are no columns
        try:
            checked.append(field.check_column(values))
        except InvalidRecord as problem:
            problems.append(problem)
    if problems:
        raise min(problems, key=lambda problem: problem.index)
    *columns, record_ids = checked or [()]
    return list(map(Content._make, zip(*columns, strict=True))), tuple(record_ids)


@dataclass(frozen=True)
class _Field:
    """A field of an event, and what it is checked by: a function that returns what is recorded, or raises."""

    attribute: str
    check: Callable[[Any], Any]
    optional: bool = False
    text: bool = True

    def check_column(self, values: Sequence[Any]) -> Sequence[Any]:
        """The values as they are recorded. Raises InvalidRecord, with its `index`, at the first breach."""
        if self.text and set(map(type, values)) <= _TEXT_TYPES:  # another type's value could equal any text
            try:
                self._check_each(set(values))
                return values
            except InvalidRecord:  # which may not be the first
                pass
        return self._check_each(values)

    def _check_each(self, values: Iterable[Any]) -> list[Any]:
        check, optional = self.check, self.optional
        checked: list[Any] = []
        try:
            for value in values:
                checked.append(None if value is None and optional else check(value))
        except InvalidRecord as problem:
            problem.index = len(checked)
            raise
        return checked


def check_record_id(record_id: str) -> str:
    """Return it, or raise InvalidRecord where it is not a lower-case UUID."""
    if not isinstance(record_id, str) or not _UUID.fullmatch(record_id):
        raise InvalidRecord("record_id", f"{str(record_id)[:60]!r} is not a lower-case UUID")
    return record_id


def _text(field: str, longest: int, value: Any, shortest: int = 1) -> str:
    if not isinstance(value, str):
        raise InvalidRecord(field, f"must be text, not {type(value).__name__}")
    if not shortest <= len(value) <= longest:
        raise InvalidRecord(field, f"has {len(value):,} characters; {shortest} to {longest:,} are allowed")
    if "\x00" in value or not value.isascii():
        check_characters(field, value)
    return value


def _time(value: Any) -> str:
    if not isinstance(value, datetime):
        raise InvalidRecord("occurred_at", f"must be a time with a zone, not {type(value).__name__}")
    try:
        return format_time(value)
    except ValueError as problem:
        raise InvalidRecord("occurred_at", str(problem)) from None


def _one_of(field: str, values: tuple[str, ...], value: str) -> str:
    if value not in values:
        raise InvalidRecord(field, f"{value!r:.60} is none of {', '.join(values)}")
    return value


def _action(value: Any) -> str:
    action = _text("action", MAX_ID, value)
    if not _ACTION.fullmatch(action):
        raise InvalidRecord("action", f"{action[:60]!r} is not a verb in lower case (a-z, 0-9 and _)")
    return action


def _on_behalf_of(value: Any) -> str:
    kind, colon, actor_id = _text("on_behalf_of", MAX_ID + 16, value).partition(":")
    if not colon or kind not in ACTOR_TYPES or not 1 <= len(actor_id) <= MAX_ID:
        raise InvalidRecord("on_behalf_of", f"{value[:60]!r} is not type:id of an actor, such as user:u-17")
    return str(value)


def _related(value: Any) -> tuple[Reference, ...]:
    if type(value) is tuple and not value:
        return ()
    if type(value) is not list and (isinstance(value, str) or not isinstance(value, Iterable)):
        raise InvalidRecord("related", f"must be pairs of type and id, not {type(value).__name__}")
    related = []
    for number, item in enumerate(value):
        if number >= MAX_RELATED:
            raise InvalidRecord("related", f"has more than {MAX_RELATED} items")
        if not isinstance(item, (tuple, list)) or len(item) != 2:  # a dict or a text of two would unpack as well
            raise InvalidRecord(f"related[{number}]", "is not a pair of type and id")
        kind, entity_id = item
        try:
            related.append(Reference(_text("type", MAX_ID, kind), _text("id", MAX_ID, entity_id)))
        except InvalidRecord as problem:
            raise InvalidRecord(f"related[{number}].{problem.field}", problem.problem) from None
    return tuple(related)


_TEXT_TYPES = {str, type(None)}
_FIELDS = (  # in the order of Content's, and the record_id
    _Field("occurred_at", _time, text=False),
    _Field("actor_type", partial(_one_of, "actor.type", ACTOR_TYPES)),
    _Field("actor_id", partial(_text, "actor.id", MAX_ID)),
    _Field("actor_name", partial(_text, "actor.name", MAX_NAME), optional=True),
    _Field("actor_role", partial(_text, "actor.role", MAX_ID), optional=True),
    _Field("credential_id", partial(_text, "credential_id", MAX_ID), optional=True),
    _Field("on_behalf_of", _on_behalf_of, optional=True),
    _Field("action", _action),
    _Field("outcome", partial(_one_of, "outcome", OUTCOMES)),
    _Field("entity_type", partial(_text, "entity.type", MAX_ID)),
    _Field("entity_id", partial(_text, "entity.id", MAX_ID)),
    _Field("entity_name", partial(_text, "entity.name", MAX_NAME), optional=True),
    _Field("related", _related, text=False),
    _Field("reason", partial(_text, "reason", MAX_REASON, shortest=0), optional=True),
    _Field("correlation_id", partial(_text, "correlation_id", MAX_ID), optional=True),
    _Field("before", partial(encode_body, "before"), optional=True, text=False),
    _Field("after", partial(encode_body, "after"), optional=True, text=False),
    _Field("context", partial(encode_body, "context"), optional=True, text=False),
    _Field("record_id", check_record_id, optional=True),
)
_values = attrgetter(*(field.attribute for field in _FIELDS))
