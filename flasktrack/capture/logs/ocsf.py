"""OCSF events, of any class and product: the inverse of `flasktrack.export.ocsf`, and as much of others' as is common.

What FlaskTrack exported becomes the record that it was, in all that stands in an event; what an event says besides
(numbers of the schema, the position in the chain that it came from) is kept in the context.
"""

from __future__ import annotations

from typing import Any, Final

from flasktrack.capture.logs.entry import Entry, few, required, shortened, verb
from flasktrack.core.record import ACTOR_TYPES, MAX_RELATED, OUTCOMES, Event

LOG: Final = "ocsf"

_FAILURE: Final = 2  # status_id
_DENIED: Final = 2  # action_id
_USER_TYPES: Final = {3: "system", 4: "service_account"}  # type_id; 1 is a user, 2 an administrator


def event_of(value: dict[str, Any]) -> Event:
    """The event of an OCSF event. Raises InvalidRecord, which names the field."""
    entry = Entry(value)
    record_id = entry.record_id(LOG, "metadata", "uid")
    ours = entry.look("metadata", "product", "name") == "FlaskTrack"
    action = _action(entry, ours)
    outcome = _outcome(entry, ours)
    actor_type, actor_id, actor_name = _actor(entry, ours)
    kind, id_, name, related = _entity(entry, ours)
    context = _context(entry) if ours else None
    known: dict[str, Any] = (
        {}
        if ours
        else {
            "ip": entry.address("src_endpoint", "ip"),
            "user_agent": entry.plain("http_request", "user_agent"),
            "method": entry.plain("http_request", "http_method"),
            "path": entry.plain("http_request", "url", "path"),
            "request_id": entry.plain("api", "request", "uid"),
        }
    )
    return Event(
        occurred_at=_time(entry),
        actor_type=actor_type,
        actor_id=actor_id,
        actor_name=actor_name,
        actor_role=entry.id("unmapped", "actor_role") if ours else None,
        credential_id=entry.id("actor", "user", "credential_uid"),
        on_behalf_of=_on_behalf_of(entry) if ours else None,
        action=action,
        outcome=outcome,
        entity_type=kind,
        entity_id=id_,
        entity_name=name,
        related=related,
        reason=_reason(entry),
        correlation_id=entry.id("metadata", "correlation_uid"),
        before=_state(entry, "entity"),
        after=_state(entry, "entity_result"),
        record_id=record_id,
        context={**context, LOG: entry.rest} if context is not None else entry.context(LOG, **known),
    )


def _time(entry: Entry) -> Any:
    """`time_dt` has microseconds; `time`, which every event has, milliseconds."""
    precise = entry.time("time_dt") if entry.text("time_dt") else None
    return precise or required("time", entry.time("time"))


def _action(entry: Entry, ours: bool) -> str:
    code = entry.text("metadata", "event_code")
    if ours and code is not None:
        return code
    named = [("api", "operation"), ("activity_name",), ("metadata", "event_code"), ("type_name",)]
    for path in named:
        found = entry.text(*path)
        if found is not None:
            return verb(".".join(path), found)
    return str(required("activity_name", None))


def _outcome(entry: Entry, ours: bool) -> str:
    detail = entry.look("status_detail")
    if ours and detail in OUTCOMES:
        return str(detail)
    if entry.look("action_id") == _DENIED:
        return "denied"
    return "failure" if entry.look("status_id") == _FAILURE else "success"


def _actor(entry: Entry, ours: bool) -> tuple[str, str, str | None]:
    stated = entry.look("unmapped", "actor_type") if ours else None
    number = entry.look("actor", "user", "type_id")
    kind = str(stated) if stated in ACTOR_TYPES else _USER_TYPES.get(number if isinstance(number, int) else 0, "user")
    user = ("actor", "user")
    id_ = next((found for key in ("uid", "uid_alt") if (found := entry.id(*user, key))), None)
    if id_ is not None:
        return kind, id_, entry.name(*user, "name")
    for key in ("name", "email_addr"):
        found = entry.id(*user, key)
        if found is not None:
            return kind, found, None
    program = entry.id("actor", "app_uid") or entry.id("actor", "app_name") or entry.id("actor", "invoked_by")
    if program is not None:
        return "automation", program, None
    product = entry.text("metadata", "product", "name") or entry.text("metadata", "product", "vendor_name")
    return "system", shortened(required("actor", product)), None


def _entity(entry: Entry, ours: bool) -> tuple[str, str, str | None, list[tuple[str, str]]]:
    """What was acted on: the class's `entity`, its first resource, its user, or the API's service or product."""
    related = _related(entry) if ours else []
    for key, fallback in (("entity", "entity"), ("user", "user")):
        id_ = entry.id(key, "uid") or entry.id(key, "name")
        if id_ is not None:
            return entry.id(key, "type") or fallback, id_, entry.name(key, "name"), related
    listed = entry.look("resources")
    found = []
    for resource in listed if isinstance(listed, list) else ():
        if isinstance(resource, dict):
            id_, kind = resource.get("uid") or resource.get("name"), resource.get("type")
            if isinstance(id_, str) and id_:
                found.append((shortened(kind) if isinstance(kind, str) and kind else "resource", shortened(id_)))
    if found:
        return *found[0], None, few([*related, *found[1:]])
    service = entry.text("api", "service", "uid") or entry.text("api", "service", "name")
    product = entry.text("metadata", "product", "name") or entry.text("metadata", "product", "vendor_name")
    return "service", shortened(required("entity", service or product)), None, related


def _related(entry: Entry) -> list[tuple[str, str]]:
    listed = entry.look("unmapped", "related")
    pairs = [
        (item["type"], item["id"])
        for item in (listed if isinstance(listed, list) else ())
        if isinstance(item, dict) and set(item) == {"type", "id"} and all(_is_id(part) for part in item.values())
    ]
    if isinstance(listed, list) and len(pairs) == len(listed) <= MAX_RELATED:
        entry.take("unmapped", "related")
        return pairs
    return few(pairs)


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and value == shortened(value) != ""


def _on_behalf_of(entry: Entry) -> str | None:
    found = entry.text("unmapped", "on_behalf_of")
    kind, _, id_ = (found or "").partition(":")
    return str(entry.take("unmapped", "on_behalf_of")) if kind in ACTOR_TYPES and _is_id(id_) else None


def _reason(entry: Entry) -> str | None:
    """A comment; FlaskTrack's may be empty."""
    return str(entry.take("comment")) if entry.look("comment") == "" else entry.reason("comment")


def _state(entry: Entry, key: str) -> Any:
    return entry.take(key, "data") if entry.look(key, "data") is not None else None


def _context(entry: Entry) -> dict[str, Any] | None:
    """A record's own context, where what is left of the event can stand beside it."""
    own = entry.look("unmapped", "context")
    if not isinstance(own, dict) or LOG in own:
        return None
    found: dict[str, Any] = entry.take("unmapped", "context")
    return found
