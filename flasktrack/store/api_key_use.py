"""Whom an API key lets in, and the record of one that was shown after its time.

    key = authenticate(engine, token)       # InvalidApiKey: nobody's; otherwise whose it is, and in what state
    with writing(engine) as connection:
        records = append_through(connection, key, events)

What is recorded through a key is recorded before the record of its revocation, or not at all: both take the
organization's head, and `append_through` looks at the key again once it has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine

from flasktrack.core.record import Event, Record
from flasktrack.core.times import utc_now
from flasktrack.errors import ApiKeyNotInForce, InvalidApiKey
from flasktrack.store.api_keys import (
    ACTIVE,
    ALTERED,
    ENTITY_TYPE,
    REVOKED,
    ApiKey,
    checked_key,
    find_api_key,
    find_by_token,
)
from flasktrack.store.engine import writing
from flasktrack.store.scope import Actor, Permission, Scope
from flasktrack.store.writer import append

REFUSED_ACTION = "authenticate"
READING = frozenset({Permission.SEE_ACTIVITY, Permission.SEARCH_RECORDS, Permission.SEE_INTEGRITY})
"""What a key may that may read."""


def authenticate(engine: Engine, token: str) -> ApiKey:
    """The key that a token is of, held against its record: look at its `status` before anything is done with it.

    Raises InvalidApiKey for any other text.
    """
    with engine.connect() as connection:
        key = find_by_token(connection, token)
        if key is None:
            raise InvalidApiKey("This is no API key of this database.", "Ask whoever runs FlaskTrack for one.")
        return checked_key(connection, key)


def scope_of(key: ApiKey) -> Scope:
    """The scope in which an active key may ask."""
    return Scope(key.organization_id, Actor(*key.actor), READING if key.may_read else frozenset())


def append_through(
    connection: Connection, key: ApiKey, events: Iterable[Event], *, clock: Callable[[], datetime] = utc_now
) -> list[Record]:
    """As `append`, in the key's organization, while it is in force.

    Raises ApiKeyNotInForce where it no longer is: then, too, nothing was written, and what else the caller's
    transaction did stays.
    """
    with connection.begin_nested():
        records = append(connection, key.organization_id, events, clock=clock)
        now = find_api_key(connection, key.organization_id, key.id)
        if now != key or key.status(clock()) != ACTIVE:
            raise ApiKeyNotInForce("The key is no longer in force.", "Nothing was written; use another key.")
    return records


def record_refused_use(
    engine: Engine,
    key: ApiKey,
    context: Mapping[str, Any],
    *,
    unrecorded: int = 0,
    clock: Callable[[], datetime] = utc_now,
) -> Record:
    """Record that somebody showed a key that is not in force; `unrecorded` says how often before, without a record."""
    now = clock()
    status = key.status(now)
    why = {
        REVOKED: f"The key was revoked at {key.revoked_at}.",
        ALTERED: "The key's row is not what its record says.",
    }.get(status, f"The key expired at {key.expires_at}.")
    type_, id_, name = key.actor
    event = Event(
        occurred_at=now,
        actor_type=type_,
        actor_id=id_,
        actor_name=name,
        credential_id=key.id,
        action=REFUSED_ACTION,
        outcome="denied",
        entity_type=ENTITY_TYPE,
        entity_id=key.id,
        entity_name=key.name,
        reason=why,
        context={**context, **({"unrecorded": unrecorded} if unrecorded else {})},
    )
    with writing(engine) as connection:
        (record,) = append(connection, key.organization_id, [event])
    return record
