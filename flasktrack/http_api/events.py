"""Events from a request's body, attributed to the key that it came with.

    {"records": [{"action": "update", "entity": {"type": "sample", "id": "S-104"},
                  "occurred_at": "2026-11-24T05:06:07+01:00", "record_id": "0190c0de-...", "after": {...}}]}

A record is as a line of `import` (spec section 6), but that `actor` may be left out: it is the key's, and the body
can't say otherwise. A key that may name users can state a `user` of its application as the actor, or as whom the
machine acts for (`on_behalf_of`). The key's id is the record's `credential_id` in every case.
"""

from __future__ import annotations

import json
import re
from typing import Any

from flasktrack.capture.jsonl import Digits, event_from_object, may_hold_a_number, parse_json
from flasktrack.core.record import Event
from flasktrack.errors import InvalidRecord
from flasktrack.http_api.problems import Problem
from flasktrack.store.api_keys import ApiKey
from flasktrack.store.own_acts import check_not_own_act

MAX_RECORDS = 1000
"""In one request."""

_STEP = re.compile(r"[^.\[\]]+")


def read_events(key: ApiKey, body: bytes) -> list[Event]:
    """The events that a body states, as the key may record them.

    Raises Problem: `malformed` for what is no list of records, `invalid-record` for a record that is none,
    `not-allowed` for one that the key may not make. Limits on lengths and characters are the writer's to check.
    """
    text = _text(body)
    records = _records(text)
    events = [_event(key, place, record) for place, record in enumerate(records)]
    if any(map(may_hold_a_number, events)):  # a number with too many digits for a double came as text
        for place, record in enumerate(json.loads(text, parse_int=Digits, parse_float=Digits)["records"]):
            _event(key, place, record)
    for place, event in enumerate(events):
        _attribute(key, place, event)
    return events


def invalid_record(place: int, problem: InvalidRecord) -> Problem:
    """What an event is refused with that spec section 1 does not allow."""
    detail = f"Record {place + 1} of this request: {problem.field}: {problem.problem}. Nothing was written."
    return Problem("invalid-record", detail, errors=[(_pointer(place, problem.field), problem.problem)])


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Problem("malformed", "The body is no text in UTF-8.") from None


def _records(text: str) -> list[Any]:
    try:
        value = parse_json(text)
    except InvalidRecord as problem:
        raise Problem("malformed", f"{problem.field}: {problem.problem}.") from None
    except ValueError as problem:
        raise Problem("malformed", f"The body {problem}.") from None
    if not isinstance(value, dict) or set(value) != {"records"} or not isinstance(value["records"], list):
        raise Problem("malformed", 'The body is an object with nothing but a list: {"records": [...]}.')
    records: list[Any] = value["records"]
    if not 1 <= len(records) <= MAX_RECORDS:
        raise Problem("malformed", f"A request has 1 to {MAX_RECORDS:,} records, and this one {len(records):,}.")
    return records


def _event(key: ApiKey, place: int, record: Any) -> Event:
    try:
        if not isinstance(record, dict):
            raise InvalidRecord("", "must be an object")
        if record.get("actor") is None:
            type_, id_, _ = key.actor
            record = {**record, "actor": {"type": type_, "id": id_}}
        return event_from_object(record)
    except InvalidRecord as problem:
        raise invalid_record(place, problem) from None


def _attribute(key: ApiKey, place: int, event: Event) -> None:
    """Complete an event by the key, and refuse what the key does not allow."""

    def refuse(field: str, detail: str) -> Problem:
        said = f"Record {place + 1} of this request: {detail} Nothing was written."
        return Problem("not-allowed", said, errors=[(_pointer(place, field), detail)])

    if not key.may_record(event.action):
        raise refuse("action", f"This key may not record {event.action[:60]!r}.")
    try:
        check_not_own_act(key.organization_id, event.action, event.entity_type, event.entity_id)
    except InvalidRecord as problem:
        raise refuse(problem.field, f"{problem.problem[:1].upper()}{problem.problem[1:]}.") from None
    if event.credential_id not in (None, key.id):
        raise refuse("credential_id", "The credential is this key; leave it out.")
    event.credential_id = key.id
    type_, id_, name = key.actor
    if (event.actor_type, event.actor_id) == (type_, id_):
        if event.actor_name not in (None, name) or event.actor_role is not None:
            raise refuse("actor", "The name of this key's actor is the one that it was given, and it has no role.")
        event.actor_name = name
    elif not key.may_name_users or event.actor_type != "user":
        raise refuse("actor", f"This key acts as {type_}:{id_} alone." if not key.may_name_users else
                     f"This key acts as {type_}:{id_}, or names a user.")  # fmt: skip
    if event.on_behalf_of is not None and not (key.may_name_users and event.on_behalf_of.startswith("user:")):
        raise refuse("on_behalf_of", "This key may not say for whom it acts, or it is no user.")


def _pointer(place: int, field: str) -> str:
    """A field as a JSON pointer (RFC 6901) into the body: `related[2].id` of the first is /records/0/related/2/id."""
    steps = [step.replace("~", "~0").replace("/", "~1") for step in _STEP.findall(field)]
    return "/".join(["/records", str(place), *steps])
