"""Chains to verify, and what a verification says of them, in a form that a test can state in full."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine

from flasktrack.core.record import Event, Record
from flasktrack.store.engine import writing
from flasktrack.store.organizations import create_organization
from flasktrack.store.verifications import Verification
from flasktrack.store.writer import append
from flasktrack.verify.runner import verify_organization

START = datetime(2026, 11, 24, 5, 6, 7, 123456, tzinfo=UTC)
ACTORS, SAMPLES = 3, 4

Said = tuple[str, str, int, int, str | None]
"""A finding: code, severity, seq, seq_end, section."""


def event(number: int, **changes: Any) -> Event:
    """The n-th act (from 1) of a chain in which every column of a record and every section is used.

    Three actors take turns on four samples; each act's `before` is the sample's last `after`.
    """
    values: dict[str, Any] = {
        "occurred_at": START + timedelta(minutes=number),
        "actor_type": "user",
        "actor_id": f"u-{number % ACTORS}",
        "actor_name": "Zoë Ångström",
        "actor_role": "analyst",
        "credential_id": "key-7",
        "on_behalf_of": "user:u-9",
        "action": "update",
        "entity_type": "sample",
        "entity_id": f"S-{number % SAMPLES}",
        "entity_name": "Serum",
        "related": [("batch", f"B-{number}"), ("workflow", "W-1")],
        "reason": "as planned",
        "correlation_id": f"c-{number}",
        "before": {"volume": number - SAMPLES} if number > SAMPLES else None,
        "after": {"volume": number},
        "context": {"request": number},
    }
    return Event(**values | changes)


def new_organization(engine: Engine, organization_id: str) -> str:
    with writing(engine) as connection:
        create_organization(connection, organization_id)
    return organization_id


def grow(engine: Engine, organization_id: str, *events: Event) -> list[Record]:
    """Append events, recorded a second apart."""
    times = iter(START + timedelta(days=1, seconds=second) for second in range(len(events)))
    with writing(engine) as connection:
        return append(connection, organization_id, events, clock=lambda: next(times))


def make_chain(engine: Engine, organization_id: str, size: int, **changes: Any) -> list[Record]:
    """An organization with records 1 to `size`."""
    new_organization(engine, organization_id)
    return grow(engine, organization_id, *(event(number, **changes) for number in range(1, size + 1)))


def verify(engine: Engine, organization_id: str) -> Verification:
    return verify_organization(engine, organization_id, started_by="user:u-1", keep=False)


def said(verification: Verification) -> list[Said]:
    """The findings in their order, without their sentences."""
    return [(f.code, f.severity, f.seq, f.seq_end, f.section) for f in verification.findings]


def findings(engine: Engine, organization_id: str) -> list[Said]:
    return said(verify(engine, organization_id))


def error(code: str, seq: int, seq_end: int | None = None, section: str | None = None) -> Said:
    return (code, "error", seq, seq if seq_end is None else seq_end, section)


def warning(code: str, seq: int, seq_end: int | None = None) -> Said:
    return (code, "warning", seq, seq if seq_end is None else seq_end, None)
