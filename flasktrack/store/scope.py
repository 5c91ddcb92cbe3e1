"""The one place where a SELECT on records gets its organization.

Nothing else in the package builds a SELECT on `audit_record`, so no query can cross organizations by omission.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, Select, func, select

from flasktrack.core.record import check_organization_id
from flasktrack.store.schema import audit_record


def scoped(organization_id: str, *columns: Any) -> Select[Any]:
    """SELECT `columns` (by default all of audit_record) of one organization's records."""
    statement = select(*columns) if columns else select(audit_record)
    return statement.select_from(audit_record).where(
        audit_record.c.organization_id == check_organization_id(organization_id)
    )


def previous_hash() -> ColumnElement[bytes]:
    """A column beside audit_record's: the hash of the record before, of the same organization; null where absent.

    Where somebody who dropped the primary key put a second record there, it is the hash of the one that is linked to.
    """
    before = audit_record.alias("before_it")
    hash_ = (
        select(before.c.hash)
        .where(before.c.organization_id == audit_record.c.organization_id, before.c.seq == audit_record.c.seq - 1)
        .limit(1)
    )
    linked = hash_.where(before.c.hash == audit_record.c.prev_hash)
    return func.coalesce(linked.scalar_subquery(), hash_.scalar_subquery())


def records_here() -> ScalarSelect[int]:
    """A column beside audit_record's: how many records stand at its position; 1 unless the primary key was dropped."""
    here = audit_record.alias("here")
    return (
        select(func.count())
        .where(here.c.organization_id == audit_record.c.organization_id, here.c.seq == audit_record.c.seq)
        .scalar_subquery()
    )
