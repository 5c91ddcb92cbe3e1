"""The one place where a SELECT on records gets its organization, and with it the person for whom it is asked.

    scope = access.require(principal, "northwind-labs", Permission.SEE_ACTIVITY)
    scoped(scope, func.count())

Nothing else in the package builds a SELECT on `audit_record`, so no query can cross organizations by omission. A scope
is issued for a person by `flasktrack.access` alone, which looks at their roles; FlaskTrack's own work (verifying,
sealing, filling the columnar copy, whoever has the command line) has one of `machine_scope`. A test sees to it that
nothing that answers people can name either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, ScalarSelect, Select, func, select

from flasktrack.core.record import check_organization_id
from flasktrack.errors import NotPermitted
from flasktrack.store.schema import audit_record


class Permission(StrEnum):
    """What can be permitted in one organization; which roles have it is said in `access.permissions`."""

    SEE_ACTIVITY = "see_activity"
    SEARCH_RECORDS = "search_records"
    EXPORT = "export"
    MANAGE_FILTERS = "manage_filters"
    SEE_INTEGRITY = "see_integrity"
    VERIFY = "verify"
    SEAL = "seal"
    ERASE = "erase"
    SET_THRESHOLDS = "set_thresholds"
    MANAGE_MEMBERS = "manage_members"
    MANAGE_KEYS = "manage_keys"
    MANAGE_SETTINGS = "manage_settings"

    @property
    def words(self) -> str:
        """As it follows "may"."""
        return _WORDS[self]


_WORDS = {
    Permission.SEE_ACTIVITY: "see activity, actors, entities and their records",
    Permission.SEARCH_RECORDS: "search the records",
    Permission.EXPORT: "export records and download exports",
    Permission.MANAGE_FILTERS: "replace and delete the saved filters that others share",
    Permission.SEE_INTEGRITY: "see verifications, findings and checkpoints",
    Permission.VERIFY: "verify",
    Permission.SEAL: "seal",
    Permission.ERASE: "erase sections of records",
    Permission.SET_THRESHOLDS: "set thresholds and working hours",
    Permission.MANAGE_MEMBERS: "manage members and their roles",
    Permission.MANAGE_KEYS: "manage API keys and service accounts",
    Permission.MANAGE_SETTINGS: "change the organization's settings",
}


class Actor(NamedTuple):
    """Who acts, as a record names them."""

    type: str
    id: str
    name: str | None = None
    role: str | None = None

    @property
    def subject(self) -> str:
        """`type:id`."""
        return f"{self.type}:{self.id}"


FLASKTRACK = Actor("system", "flasktrack")
"""Who does FlaskTrack's own work."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Leave to ask about one organization: for whom, what they may do there, and in which request.

    `context` is what a record of their act says of the request.
    """

    organization_id: str
    actor: Actor
    permissions: frozenset[Permission]
    context: Mapping[str, Any] = field(default_factory=dict)

    def check(self, permission: Permission) -> None:
        """Raise NotPermitted unless it is permitted."""
        if permission not in self.permissions:
            raise NotPermitted(
                f"{self.actor.name or self.actor.subject} may not {permission.words} in {self.organization_id}.",
                "Ask an administrator of the organization for a role that may.",
            )


def machine_scope(organization_id: str, actor: Actor = FLASKTRACK) -> Scope:
    """The scope of FlaskTrack's own work, and of whoever has the command line; never of what answers a person."""
    return Scope(organization_id, actor, frozenset(Permission))


def scoped(scope: Scope, *columns: Any) -> Select[Any]:
    """SELECT `columns` (by default all of audit_record) of the records of the scope's organization."""
    statement = select(*columns) if columns else select(audit_record)
    return statement.select_from(audit_record).where(
        audit_record.c.organization_id == check_organization_id(scope.organization_id)
    )


def machine_scoped(organization_id: str, *columns: Any) -> Select[Any]:
    """As `scoped`, for FlaskTrack's own work."""
    return scoped(machine_scope(organization_id), *columns)


@cache  # building it takes longer than a database takes to answer it
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


@cache
def records_here() -> ScalarSelect[int]:
    """A column beside audit_record's: how many records stand at its position; 1 unless the primary key was dropped."""
    here = audit_record.alias("here")
    return (
        select(func.count())
        .where(here.c.organization_id == audit_record.c.organization_id, here.c.seq == audit_record.c.seq)
        .scalar_subquery()
    )
