"""Who may do what: one table, and decisions that say why.

    decide(principal, "northwind-labs", Permission.SEAL)    # Decision(allowed=False, reason="The role Lab manager ...")
    require(principal, "northwind-labs", Permission.SEAL)   # a Scope, or NotPermitted

An administrator manages people, keys and settings, and sees no record by that role alone: who hands out roles need
not read what they are for. Somebody who does both holds two roles.
"""

from __future__ import annotations

from typing import NamedTuple

from flasktrack.access.principal import Principal
from flasktrack.access.roles import Role, role_titles
from flasktrack.errors import NotPermitted
from flasktrack.store.scope import Permission, Scope

_EVERY_READER = frozenset({Role.LAB_MANAGER, Role.COMPLIANCE_REVIEWER, Role.QA_LEAD})
_REVIEWERS = frozenset({Role.COMPLIANCE_REVIEWER, Role.QA_LEAD})
_QUALITY = frozenset({Role.QA_LEAD})
_ADMINISTRATION = frozenset({Role.ADMINISTRATOR})

ROLES: dict[Permission, frozenset[Role]] = {
    Permission.SEE_ACTIVITY: _EVERY_READER,
    Permission.SEARCH_RECORDS: _REVIEWERS,
    Permission.EXPORT: _REVIEWERS,
    Permission.MANAGE_FILTERS: _QUALITY,
    Permission.SEE_INTEGRITY: _QUALITY,
    Permission.VERIFY: _QUALITY,
    Permission.SEAL: _QUALITY,
    Permission.ERASE: _QUALITY,
    Permission.SET_THRESHOLDS: _QUALITY | _ADMINISTRATION,
    Permission.MANAGE_MEMBERS: _ADMINISTRATION,
    Permission.MANAGE_KEYS: _ADMINISTRATION,
    Permission.MANAGE_SETTINGS: _ADMINISTRATION,
}
"""The permission table: each permission, and the roles that have it."""


class Decision(NamedTuple):
    """Whether something is permitted, and the sentence that says why or why not."""

    allowed: bool
    reason: str


def permissions_of(principal: Principal, organization_id: str) -> frozenset[Permission]:
    """Everything that a person may do in an organization; nothing where they don't belong to it."""
    roles = principal.memberships.get(organization_id, frozenset())
    return frozenset(permission for permission, allowed in ROLES.items() if roles & allowed)


def decide(principal: Principal, organization_id: str, permission: Permission) -> Decision:
    """Whether a person may do something in an organization.

    The answer is the same for an organization that isn't theirs and for one that isn't there.
    """
    roles = principal.memberships.get(organization_id)
    if not roles:
        return Decision(False, _is_no_member(principal, organization_id))
    having = roles & ROLES[permission]
    if having:
        return Decision(True, f"The role {role_titles(having, 'or')} may {permission.words}.")
    allowed = role_titles(ROLES[permission], "or")
    return Decision(False, f"The role {role_titles(roles)} may not {permission.words}, only {allowed} may.")


def scope_for(principal: Principal, organization_id: str) -> Scope:
    """The scope in which the person may ask and act in the organization, with all that they may do there.

    Raises NotPermitted where they don't belong to it.
    """
    if not principal.memberships.get(organization_id):
        raise NotPermitted(_is_no_member(principal, organization_id), "Ask an administrator of it to add you.")
    permissions = permissions_of(principal, organization_id)
    return Scope(organization_id, principal.actor(organization_id), permissions, dict(principal.context))


def require(principal: Principal, organization_id: str, permission: Permission) -> Scope:
    """The person's scope, once it is known that this is permitted in it. Raises NotPermitted, which says what to do."""
    decision = decide(principal, organization_id, permission)
    if not decision.allowed:
        raise NotPermitted(decision.reason, "Ask an administrator of the organization to change your roles.")
    return scope_for(principal, organization_id)


def _is_no_member(principal: Principal, organization_id: str) -> str:
    return f"{principal.shown} does not belong to an organization {organization_id[:80]!r}."
