"""Events from JSON Lines: one object a line, as spec section 6 has it.

    {"actor": {"type": "user", "id": "u-17", "name": "Ana Ruiz", "role": "analyst"}, "action": "update",
     "entity": {"type": "sample", "id": "S-104"}, "occurred_at": "2026-11-24T05:06:07+01:00",
     "before": {"volume": "0.1000"}, "after": {"volume": "0.0800"}}                      (on one line)

Strict: a key that is not the spec's is refused, since a misspelt `outcome` would otherwise be a silent success. An
optional key may be null or absent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from flasktrack.capture.lines import bad_line
from flasktrack.core.body import parse_exact
from flasktrack.core.record import Event, Reference
from flasktrack.core.times import parse_time
from flasktrack.errors import InvalidRecord

EVENT_KEYS: Final = (
    "actor",
    "action",
    "entity",
    "occurred_at",
    "record_id",
    "outcome",
    "credential_id",
    "on_behalf_of",
    "related",
    "reason",
    "correlation_id",
    "before",
    "after",
    "context",
)
ACTOR_KEYS: Final = ("type", "id", "name", "role")
ENTITY_KEYS: Final = ("type", "id", "name")
RELATED_KEYS: Final = ("type", "id")


_LONG_NUMBER = re.compile(r"-?(?:[0-9]{17,}|[0-9]+(?:\.[0-9]+)?[eE][+-]?[0-9]+|[0-9]+\.[0-9]+)")
"""What `parse_exact` gives as text, if it was a number, looks like this; and so may a text."""


class Digits(str):
    """A number that no double holds, as its digits: a section keeps it, and a field that is a text refuses it."""

    __slots__ = ()


def read_events(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, Event]]:
    """The events of numbered lines, each with its line's number; blank lines are skipped.

    Raises ImportFailed, with line and field, for a line that holds no event. Limits on lengths and characters are
    the writer's to check (`check_event`).
    """
    for number, text in lines:
        if not text.strip():
            continue
        try:
            event = event_from_json(text)
        except InvalidRecord as problem:
            raise bad_line(number, problem.field, problem.problem) from None
        except ValueError as problem:
            raise bad_line(number, None, str(problem)) from None
        yield number, event


def event_from_json(text: str) -> Event:
    """The event that a line states.

    Raises InvalidRecord, which names the field, for an object that is not an event, and ValueError where no field is
    to blame.
    """
    value = parse_json(text)
    if not isinstance(value, dict):
        raise ValueError(f"must be a JSON object, not {_kind(value)}")
    event = event_from_object(value)
    if may_hold_a_number(event):
        event_from_object(json.loads(text, parse_int=Digits, parse_float=Digits))  # refuses it where it was a number
    return event


def may_hold_a_number(event: Event) -> bool:
    """Whether what stands where only a text may could be a number that `parse_exact` gave as text."""
    return any(_LONG_NUMBER.fullmatch(found) for found in _texts(event))


def parse_json(text: str) -> Any:
    """As `parse_exact`, but says what is wrong in a reader's words, and where: InvalidRecord names the place.

    A text that is nothing but a number which no double holds gives Digits.
    """
    try:
        value = parse_exact(text)
        return Digits(value) if isinstance(value, str) and not text.lstrip().startswith('"') else value
    except json.JSONDecodeError as problem:
        raise ValueError(f"is not JSON ({problem.msg}, at character {problem.pos + 1})") from None
    except ValueError as problem:
        place, detail = _place_of_refused(text), str(problem)[:200]
        raise (InvalidRecord(place, detail) if place else ValueError(detail)) from None


def event_from_object(value: Mapping[str, Any]) -> Event:
    """The event that a parsed line states. Raises InvalidRecord, which names the field."""
    _only("", value, EVENT_KEYS)
    actor = _object("actor", value.get("actor"), ACTOR_KEYS)
    entity = _object("entity", value.get("entity"), ENTITY_KEYS)
    return Event(
        occurred_at=_time("occurred_at", _required("occurred_at", value.get("occurred_at"))),
        actor_type=_required("actor.type", actor.get("type")),
        actor_id=_required("actor.id", actor.get("id")),
        actor_name=_optional("actor.name", actor.get("name")),
        actor_role=_optional("actor.role", actor.get("role")),
        action=_required("action", value.get("action")),
        outcome=_text("outcome", "success" if value.get("outcome") is None else value["outcome"]),
        entity_type=_required("entity.type", entity.get("type")),
        entity_id=_required("entity.id", entity.get("id")),
        entity_name=_optional("entity.name", entity.get("name")),
        credential_id=_optional("credential_id", value.get("credential_id")),
        on_behalf_of=_optional("on_behalf_of", value.get("on_behalf_of")),
        related=_related(value.get("related")),
        reason=_optional("reason", value.get("reason")),
        correlation_id=_optional("correlation_id", value.get("correlation_id")),
        before=value.get("before"),
        after=value.get("after"),
        context=value.get("context"),
        record_id=_optional("record_id", value.get("record_id")),
    )


def _time(field: str, text: str) -> datetime:
    try:
        return parse_time(text)
    except ValueError as problem:
        raise InvalidRecord(field, str(problem)) from None


def _related(value: Any) -> list[Reference]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidRecord("related", f"must be a list of objects with type and id, not {_kind(value)}")
    related = []
    for number, item in enumerate(value):
        field = f"related[{number}]"
        reference = _object(field, item, RELATED_KEYS)
        related.append(
            Reference(_required(f"{field}.type", reference.get("type")), _required(f"{field}.id", reference.get("id")))
        )
    return related


def _object(field: str, value: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    if value is None:
        raise InvalidRecord(field, f"is missing; it is an object with {', '.join(keys)}")
    if not isinstance(value, dict):
        raise InvalidRecord(field, f"must be an object with {', '.join(keys)}, not {_kind(value)}")
    _only(f"{field}.", value, keys)
    return value


def _only(prefix: str, value: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    for key in value:
        if key not in keys:
            raise InvalidRecord(prefix + _shown(key), f"is not a field; the fields are {', '.join(keys)}")


def _required(field: str, value: Any) -> str:
    if value is None:
        raise InvalidRecord(field, "is missing")
    return _text(field, value)


def _optional(field: str, value: Any) -> str | None:
    return None if value is None else _text(field, value)


def _text(field: str, value: Any) -> str:
    if not isinstance(value, str) or isinstance(value, Digits):
        raise InvalidRecord(field, f"must be text, not {_kind(value)}")
    return value


def _kind(value: Any) -> str:
    """What JSON calls it."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and not isinstance(value, Digits):
        return "text"
    return "null" if value is None else "a number"


def _texts(event: Event) -> Iterator[str]:
    """What stands in an event where only a text may."""
    for found in (
        event.actor_type, event.actor_id, event.actor_name, event.actor_role, event.action, event.outcome,
        event.entity_type, event.entity_id, event.entity_name, event.credential_id, event.on_behalf_of,
        event.reason, event.correlation_id, event.record_id,
    ):  # fmt: skip
        if found is not None:
            yield found
    for reference in event.related:
        yield from reference


def _shown(key: str) -> str:
    """A key from outside as one plain word of a message."""
    return key[:60] if key.isprintable() and key.strip() else ascii(key[:60])


def _place_of_refused(text: str) -> str | None:
    """Where in JSON that `parse_exact` refused the NaN, infinity or doubled key is: `after.volume`; None at the top."""
    refused = object()

    def unique(pairs: list[tuple[str, Any]]) -> Any:
        found = dict(pairs)
        return found if len(found) == len(pairs) else refused

    def find(value: Any) -> str | None:
        if value is refused:
            return ""
        steps = (
            ((f".{_shown(key)}", item) for key, item in value.items())
            if isinstance(value, dict)
            else ((f"[{place}]", item) for place, item in enumerate(value))
            if isinstance(value, list)
            else ()
        )
        return next((step + rest for step, item in steps if (rest := find(item)) is not None), None)

    try:
        value = json.loads(text, parse_int=str, parse_constant=lambda _: refused, object_pairs_hook=unique)
        return (find(value) or "").removeprefix(".") or None
    except RecursionError:
        return None
