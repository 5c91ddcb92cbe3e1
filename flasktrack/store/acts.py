"""Acts of people in FlaskTrack itself, as records: who looked, exported, verified, or changed a member or setting.

    with writing(engine) as connection:
        append_act(connection, scope, "update", ("member", "user:anna", "Anna Berg"), before=..., after=...)

The scope says who and in which request. No password, token or cookie ever belongs into one of these records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from flasktrack.core.record import Event, Record
from flasktrack.core.times import utc_now
from flasktrack.store.scope import Scope
from flasktrack.store.writer import append


def append_act(
    connection: Connection,
    scope: Scope,
    action: str,
    entity: tuple[str, str, str | None],
    *,
    outcome: str = "success",
    reason: str | None = None,
    related: Iterable[tuple[str, str]] = (),
    before: Any = None,
    after: Any = None,
    context: Mapping[str, Any] | None = None,
    occurred_at: datetime | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> Record:
    """Record an act of the person whose scope it is, in the caller's write transaction. Raises what `append` raises.

    `entity` is type, id and name; `context` stands beside what the scope says of the request.
    """
    event = Event(
        occurred_at=occurred_at or clock(),
        actor_type=scope.actor.type,
        actor_id=scope.actor.id,
        actor_name=scope.actor.name,
        actor_role=scope.actor.role,
        action=action,
        outcome=outcome,
        entity_type=entity[0],
        entity_id=entity[1],
        entity_name=entity[2],
        related=related,
        reason=reason,
        before=before,
        after=after,
        context={**scope.context, **(context or {})} or None,
    )
    (record,) = append(connection, scope.organization_id, [event], clock=clock)
    return record
