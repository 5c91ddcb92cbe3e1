"""Erasing by law: sections of records are removed, and a record says which, why and by whom (spec sections 3 and 6).

A header holds only the digest of a section, so the chain, the checkpoints and every evidence package made before still
verify. What is left tells that something was there, and under which record it was erased; no more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, or_, update

from flasktrack.core.erasure import ACTION, ENTITY_TYPE, erasure_body
from flasktrack.core.record import SECTIONS, Event, Record
from flasktrack.core.times import utc_now
from flasktrack.errors import ErasureRefused
from flasktrack.store.reader import tells_of_erasure
from flasktrack.store.schema import audit_payload, audit_record
from flasktrack.store.scope import machine_scoped
from flasktrack.store.writer import append_erasure

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def erase(
    transaction: Connection | Session,
    organization_id: str,
    first: int,
    last: int,
    sections: Sequence[str],
    *,
    actor: tuple[str, str],
    reason: str,
    clock: Callable[[], datetime] = utc_now,
) -> Record:
    """Remove sections of the records from `first` to `last`, in the caller's transaction, and return the record of it.

    `actor` is a type and an id. Raises ErasureRefused where the range is not of this chain, no such section is stored
    there, or a record of an erasure lies in it (what was erased, and why, stays on record); InvalidRecord for an
    actor or a reason that no record can hold; UnknownOrganization. After any of them the caller must roll back.
    """
    connection = transaction if isinstance(transaction, Connection) else transaction.connection()
    wanted = [section for section in SECTIONS if section in sections]
    if not wanted or len(wanted) != len(set(sections)):
        raise ErasureRefused(
            f"{', '.join(sections) or 'Nothing'} can't be erased.", f"Name one or more of {', '.join(SECTIONS)}."
        )
    if not reason.strip():
        raise ErasureRefused("An erasure needs a reason.", "Say by which law or request.")
    event = Event(
        actor_type=actor[0],
        actor_id=actor[1],
        action=ACTION,
        entity_type=ENTITY_TYPE,
        entity_id=organization_id,
        occurred_at=clock(),
        reason=reason,
        after=erasure_body(first, last, wanted),
    )
    # First the record: it takes the organization's head, so that nothing changes between the check and the erasure.
    record = append_erasure(connection, organization_id, event, clock=clock)
    _check_range(connection, organization_id, first, last, newest=record.seq - 1)
    payload = audit_payload.c
    removed = connection.execute(
        update(audit_payload)
        .where(payload.organization_id == organization_id, payload.seq.between(first, last))
        .where(or_(*(payload[name].is_not(None) for name in wanted)))
        .values({column: None for name in wanted for column in (name, f"{name}_salt")})
    )
    if not removed.rowcount:
        raise ErasureRefused(f"Nothing of {' or '.join(wanted)} is stored from position {first:,} to {last:,}.")
    return record


def _check_range(connection: Connection, organization_id: str, first: int, last: int, newest: int) -> None:
    if not 1 <= first <= last <= newest:
        raise ErasureRefused(
            f"Positions {first:,} to {last:,} are not all in this chain.", f"It has records from 1 to {newest:,}."
        )
    seq = audit_record.c.seq
    erasures = machine_scoped(organization_id, func.min(seq)).where(
        seq.between(first, last), *tells_of_erasure(organization_id)
    )
    other: int | None = connection.execute(erasures).scalar_one()
    if other is not None:
        raise ErasureRefused(
            f"Record {other:,} tells of an erasure itself, and that has to stay on record.",
            "Erase the positions before and after it.",
        )
