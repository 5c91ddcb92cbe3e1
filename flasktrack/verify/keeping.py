"""A verification is kept as a row and, where a person started it, as a record of the chain itself.

    user u-17   verify   organization northwind-labs
    after       {"findings": {"error": 0, "info": 1, "warning": 0}, "first_seq": 1, "last_seq": 25412,
                 "mode": "full", "records": 25412, "sealed": 25300, "status": "verified"}

The record has the row's id as its record_id. It is appended after what it tells of, so the next seal covers it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from flasktrack.core.erasure import ACTION as ERASE
from flasktrack.core.erasure import ENTITY_TYPE
from flasktrack.core.finding import ERROR, INFO, WARNING
from flasktrack.core.record import Event
from flasktrack.core.times import parse_time
from flasktrack.errors import FlaskTrackError
from flasktrack.store.engine import writing
from flasktrack.store.row_security import of_organization
from flasktrack.store.verifications import Verification, store_verification
from flasktrack.store.writer import append

ACTION = "verify"
ACTS_ON_HISTORY = (ERASE, ACTION)
"""Actions whose `after` says what was done with the history, and not what state the organization is in."""

REQUEST = "FLASKTRACK_REQUEST"
"""The environment variable in which a page hands its request, as JSON, to the command that it starts."""

_PERSON = "user"


def keep_verification(engine: Engine, done: Verification, context: Mapping[str, Any] | None = None) -> None:
    """Store a verification, and the record of it, in one transaction; `context` is the request that asked for it.

    Where no record can be appended (the chain is broken, the organization is gone), the row alone is stored: what was
    found must not be lost for that.
    """
    with writing(of_organization(engine, done.organization_id)) as connection:
        store_verification(connection, done)
        event = _event(done, context)
        if event is not None:
            _try_to_append(connection, done.organization_id, event)


def _try_to_append(connection: Connection, organization_id: str, event: Event) -> None:
    # TypeError, ValueError: a tampered database may give the writer anything for an ordinal or a hash.
    with suppress(FlaskTrackError, SQLAlchemyError, TypeError, ValueError), connection.begin_nested():
        append(connection, organization_id, [event])


def _event(done: Verification, context: Mapping[str, Any] | None) -> Event | None:
    """The act, where a person did it."""
    kind, _, id_ = done.started_by.partition(":")
    if kind != _PERSON or not id_:
        return None
    counts = Counter(finding.severity for finding in done.findings)
    return Event(
        record_id=done.id,
        actor_type=_PERSON,
        actor_id=id_,
        action=ACTION,
        entity_type=ENTITY_TYPE,
        entity_id=done.organization_id,
        occurred_at=parse_time(done.started_at),
        after={
            "status": done.status,
            "mode": done.mode,
            "first_seq": done.first_seq,
            "last_seq": done.last_seq,
            "records": done.records,
            "sealed": done.sealed,
            "findings": {severity: counts[severity] for severity in (ERROR, WARNING, INFO)},
        },
        context=context or None,
    )
