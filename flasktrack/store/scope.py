"""The one place where a SELECT on records gets its organization.

Nothing else in the package builds a SELECT on `audit_record`, so no query can cross organizations by omission.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ScalarSelect, Select, select

from flasktrack.core.record import check_organization_id
from flasktrack.store.schema import audit_record


def scoped(organization_id: str, *columns: Any) -> Select[Any]:
    """SELECT `columns` (by default all of audit_record) of one organization's records."""
    statement = select(*columns) if columns else select(audit_record)
    return statement.select_from(audit_record).where(
        audit_record.c.organization_id == check_organization_id(organization_id)
    )


def previous_hash() -> ScalarSelect[bytes]:
    """A column beside audit_record's: the hash of the record before, of the same organization; null where absent."""
    before = audit_record.alias("before_it")
    return (
        select(before.c.hash)
        .where(before.c.organization_id == audit_record.c.organization_id, before.c.seq == audit_record.c.seq - 1)
        .scalar_subquery()
    )
