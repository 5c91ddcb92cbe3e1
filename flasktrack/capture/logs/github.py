"""The audit log of a GitHub organization or enterprise, as exported to JSON, by the REST API, or streamed.

GitHub's documentation, "audit log events for your organization", lists the fields. A token with which somebody acted is
named by its hash, and by the kind of access.
"""

from __future__ import annotations

from typing import Any, Final

from flasktrack.capture.logs.entry import Entry, few, required, shortened, verb
from flasktrack.core.record import Event

LOG: Final = "github"

_APP: Final = "GitHub App server-to-server token"
_KEY: Final = "deploy_key"
_ENTITIES: Final = (
    ("repo", "repository"), ("team", "team"), ("user", "user"), ("org", "organization"), ("business", "enterprise"),
)  # fmt: skip
"""Fields that name what was acted on, the narrowest first, and the types of entities that they name."""


def event_of(value: dict[str, Any]) -> Event:
    """The event of an entry. Raises InvalidRecord, which names the field."""
    entry = Entry(value)
    record_id = entry.record_id(LOG, "_document_id")
    action = verb("action", required("action", entry.text("action")))
    occurred_at = entry.time("@timestamp") or required("created_at", entry.time("created_at"))
    (kind, id_), *others = _entities(entry)
    actor_type, actor_id = _actor(entry)
    credential = entry.id("hashed_token") or (entry.id("token_id") if entry.look("token_id") else None)
    return Event(
        occurred_at=occurred_at,
        actor_type=actor_type,
        actor_id=actor_id,
        credential_id=credential,
        action=action,
        outcome=_outcome(entry),
        entity_type=kind,
        entity_id=id_,
        related=few(others),
        record_id=record_id,
        context=entry.context(
            LOG,
            ip=entry.address("actor_ip"),
            user_agent=entry.plain("user_agent"),
            request_id=entry.plain("request_id"),
            method=entry.plain("request_method"),
            path=entry.plain("url_path"),
        ),
    )


def _actor(entry: Entry) -> tuple[str, str]:
    actor = entry.id("actor")
    if actor is None:
        return "system", "github"
    if actor == _KEY:
        return "api_key", actor
    access = entry.look("programmatic_access_type")
    machine = entry.look("actor_is_bot") is True or actor.endswith("[bot]") or access == _APP
    return ("automation" if machine else "user"), actor


def _entities(entry: Entry) -> list[tuple[str, str]]:
    """What the entry names, the narrowest first: that is the entity, and the others are related to it."""
    found = [(kind, shortened(name)) for key, kind in _ENTITIES if (name := entry.text(key)) is not None]
    return found or [("service", "github")]


def _outcome(entry: Entry) -> str:
    """Only requests to the API have one: the others are on record because they happened."""
    status = entry.look("status_code")
    if not isinstance(status, int) or status < 400:
        return "success"
    return "denied" if status in (401, 403) else "failure"
