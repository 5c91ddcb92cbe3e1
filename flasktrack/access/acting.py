"""For whom a command acts: a person, whose roles are looked at, or whoever has the command line.

The shell is no boundary: who has it has the database's address. But what is done in a person's name is done within
that person's roles, and is on record as theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine

from flasktrack.access.demo import demo_principal, demo_role
from flasktrack.access.members import has_members, principal_for
from flasktrack.access.permissions import require
from flasktrack.errors import NotPermitted
from flasktrack.store.scope import Actor, Permission, Scope, machine_scope

OPERATOR = Actor("system", "command-line")
"""Whoever has the command line, and names nobody."""

_HOW = "command line"


def operator_scope(organization_id: str, subject: str = OPERATOR.subject) -> Scope:
    """The scope of whoever has the command line, under the name that they give (type:id)."""
    type_, _, id_ = subject.partition(":")
    return machine_scope(organization_id, Actor(type_, id_))


def acting(
    engine: Engine,
    organization_id: str,
    by: str | None,
    permission: Permission,
    context: Mapping[str, Any] | None = None,
) -> Scope:
    """The scope in which a command acts for `by` (type:id; None for whoever runs it).

    Raises NotPermitted for a person whose roles don't permit it. Where an organization has no members yet, nobody's
    roles are known, and whoever runs the command answers for whom they name.
    """
    if by is None:
        return operator_scope(organization_id)
    role = demo_role(by)
    if role is not None:
        return require(demo_principal(role, [organization_id], context), organization_id, permission)
    if not by.startswith("user:") or not has_members(engine, organization_id):
        return operator_scope(organization_id, by)
    principal = principal_for(engine, by, _HOW, context)
    if principal is None:
        raise NotPermitted(
            f"{by} does not belong to {organization_id}.", "Leave out --by, or see: python -m flasktrack members list"
        )
    return require(principal, organization_id, permission)


def renewed(engine: Engine, scope: Scope, permission: Permission) -> Scope:
    """The scope of the same person with the roles that they have by now. Raises NotPermitted."""
    organization_id, subject = scope.organization_id, scope.actor.subject
    role = demo_role(subject)
    if role is not None:
        return require(demo_principal(role, [organization_id], scope.context), organization_id, permission)
    principal = principal_for(engine, subject, _HOW, scope.context)
    if principal is None:
        raise NotPermitted(f"{subject} does not belong to {organization_id} any more.")
    return require(principal, organization_id, permission)
