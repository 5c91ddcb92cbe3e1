"""Retraced's events, as its API gives them: one after the other, in a list, or as the edges of a GraphQL answer."""

from __future__ import annotations

from typing import Any, Final

from flasktrack.capture.logs.entry import Entry, required, shortened, verb
from flasktrack.core.record import Event

LOG: Final = "retraced"
WRAPPERS: Final = (("data", "search", "edges"), ("events",))


def event_of(value: dict[str, Any]) -> Event:
    """The event of an entry. Raises InvalidRecord, which names the field."""
    node = value.get("node")
    if isinstance(node, dict) and set(value) <= {"node", "cursor"} and "cursor" not in node:
        value = {**value, **node}
        del value["node"]
    entry = Entry(value)
    record_id = entry.record_id(LOG, "id")
    action = verb("action", required("action", entry.text("action")))
    group = entry.text("group", "id")
    actor_type, actor_id = _actor(entry)
    kind, id_, name = _target(entry, group)
    return Event(
        occurred_at=_time(entry),
        actor_type=actor_type,
        actor_id=actor_id,
        actor_name=entry.name("actor", "name"),
        action=action,
        outcome="failure" if entry.look("is_failure") is True else "success",
        entity_type=kind,
        entity_id=id_,
        entity_name=name,
        related=[("group", shortened(group))] if group is not None and kind != "group" else [],
        record_id=record_id,
        context=entry.context(LOG, ip=entry.address("source_ip")),
    )


def _time(entry: Entry) -> Any:
    """When the act was reported to have happened; else when Retraced got to know of it."""
    for key in ("created", "canonical_time", "received"):
        found = entry.time(key)
        if found is not None:
            return found
    return required("created", None)


def _actor(entry: Entry) -> tuple[str, str]:
    """Retraced knows people by ids of the application's own, and those who were not signed in as anonymous."""
    found = entry.id("actor", "id")
    if found is not None:
        return "user", found
    return ("user", "anonymous") if entry.look("is_anonymous") is True else ("system", "retraced")


def _target(entry: Entry, group: str | None) -> tuple[str, str, str | None]:
    """What was acted on: the target, or else the group that the event belongs to."""
    found = entry.id("target", "id")
    if found is not None:
        return entry.id("target", "type") or "target", found, entry.name("target", "name")
    return ("group", shortened(group), None) if group is not None else ("service", "retraced", None)
