"""django-auditlog's table, as `manage.py dumpdata auditlog.logentry --natural-foreign` writes it, or its rows in JSON.

    {"model": "auditlog.logentry", "pk": 7, "fields": {"content_type": ["lab", "sample"], "object_pk": "104", …}}
    {"id": 7, "content_type": ["lab", "sample"], "object_pk": "104", …}

An entry holds what changed, as text, and not the states around the change: `before` and `after` are whole states, so
the changes go to the context. The state after is there where the model is registered with `serialize_data=True`.
"""

from __future__ import annotations

from typing import Any, Final

from flasktrack.capture.logs.entry import Entry, derived_id, required, shortened
from flasktrack.core.record import Event
from flasktrack.errors import InvalidRecord

LOG: Final = "django_auditlog"
MODEL: Final = "auditlog.logentry"

_ACTIONS: Final = ("create", "update", "delete", "access")


def event_of(value: dict[str, Any]) -> Event:
    """The event of an entry. Raises InvalidRecord, which names the field."""
    dumped = isinstance(value.get("fields"), dict)
    if dumped and value.get("model") != MODEL:
        raise InvalidRecord("model", f"{str(value.get('model'))[:60]!r} is not {MODEL}; dump that alone")
    entry = Entry(value)
    at = ("fields",) if dumped else ()
    # An entry's number is unique in its database alone.
    number = entry.look("pk" if dumped else "id")
    record_id = derived_id(LOG, required("pk" if dumped else "id", number), entry.look(*at, "timestamp"))
    action = _action(entry, *at)
    actor_type, actor_id, actor_name = _actor(entry, *at)
    kind = _kind(entry, *at)
    return Event(
        occurred_at=required("timestamp", entry.time(*at, "timestamp")),
        actor_type=actor_type,
        actor_id=actor_id,
        actor_name=actor_name,
        action=action,
        entity_type=kind,
        entity_id=required("object_pk", entry.id(*at, "object_pk")),
        entity_name=entry.name(*at, "object_repr"),
        correlation_id=entry.id(*at, "cid"),
        after=_state(entry, *at),
        record_id=record_id,
        context=entry.context(LOG, ip=entry.address(*at, "remote_addr")),
    )


def _action(entry: Entry, *at: str) -> str:
    number = entry.look(*at, "action")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < len(_ACTIONS):
        raise InvalidRecord("action", f"{number!r:.60} is none of 0 to {len(_ACTIONS) - 1}")
    return _ACTIONS[number]


def _actor(entry: Entry, *at: str) -> tuple[str, str, str | None]:
    """A user by natural key (the user name) or number; what nobody is known to have done, the application did."""
    name = entry.name(*at, "actor_email")
    actor = entry.look(*at, "actor")
    if isinstance(actor, list) and len(actor) == 1 and isinstance(actor[0], str) and actor[0]:
        return "user", shortened(actor[0]), name
    found = entry.id(*at, "actor") or entry.id(*at, "actor_id")
    if found is None and name is not None:
        return "user", shortened(name), name
    return ("system", "django", None) if found is None else ("user", found, name)


def _kind(entry: Entry, *at: str) -> str:
    content_type = entry.look(*at, "content_type")
    if (
        isinstance(content_type, list)
        and len(content_type) == 2
        and all(isinstance(part, str) for part in content_type)
    ):
        return shortened(".".join(content_type))
    raise InvalidRecord(
        "content_type", 'is not a pair such as ["lab", "sample"]; dump the entries with --natural-foreign'
    )


def _state(entry: Entry, *at: str) -> Any:
    fields = entry.look(*at, "serialized_data", "fields")
    return entry.take(*at, "serialized_data", "fields") if isinstance(fields, dict) and fields else None
