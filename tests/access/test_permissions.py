"""The permission table, and decisions that say why: what a role may do, it may do in its own organization alone."""

from __future__ import annotations

import pytest

from flasktrack.access.demo import demo_principal, demo_role
from flasktrack.access.permissions import ROLES, decide, permissions_of, require
from flasktrack.access.principal import Principal
from flasktrack.access.roles import Role
from flasktrack.errors import InvalidOrganization, NotPermitted
from flasktrack.store.scope import Actor, Permission, Scope, machine_scope, scoped

HERE, THERE = "northwind-labs", "southport-biotech"
READS = {Permission.SEE_ACTIVITY}
REVIEWS = READS | {Permission.SEARCH_RECORDS, Permission.EXPORT}
MANAGES = {Permission.MANAGE_MEMBERS, Permission.MANAGE_KEYS, Permission.MANAGE_SETTINGS}
EXPECTED = {
    Role.LAB_MANAGER: READS,
    Role.COMPLIANCE_REVIEWER: REVIEWS,
    Role.QA_LEAD: REVIEWS
    | {Permission.SEE_INTEGRITY, Permission.VERIFY, Permission.SEAL, Permission.ERASE, Permission.SET_THRESHOLDS}
    | {Permission.MANAGE_FILTERS},
    Role.ADMINISTRATOR: MANAGES | {Permission.SET_THRESHOLDS},
}


def someone(*roles: Role, organization: str = HERE) -> Principal:
    return Principal("user:anna", "Anna Berg", {organization: frozenset(roles)}, "a test", {"ip": "192.0.2.7"})


@pytest.mark.parametrize("role", Role)
def test_each_role_may_do_what_the_table_says_and_nothing_else(role: Role) -> None:
    assert permissions_of(someone(role), HERE) == EXPECTED[role]
    for permission in Permission:
        decision = decide(someone(role), HERE, permission)
        assert decision.allowed == (permission in EXPECTED[role])
        assert permission.words in decision.reason
        assert role.title in decision.reason


def test_every_permission_has_a_role_and_words() -> None:
    assert set(ROLES) == set(Permission)
    assert all(ROLES[permission] and permission.words for permission in Permission)


def test_several_roles_add_up_and_none_permits_nothing() -> None:
    both = permissions_of(someone(Role.LAB_MANAGER, Role.ADMINISTRATOR), HERE)
    assert both == EXPECTED[Role.LAB_MANAGER] | EXPECTED[Role.ADMINISTRATOR]
    assert permissions_of(someone(), HERE) == frozenset()
    assert not decide(someone(), HERE, Permission.SEE_ACTIVITY).allowed


def test_another_organization_is_as_one_that_is_not_there() -> None:
    anna = someone(*Role)
    for organization in (THERE, "no-such-lab", "northwind-labs ", "NORTHWIND-LABS", ""):
        decision = decide(anna, organization, Permission.SEE_ACTIVITY)
        assert not decision.allowed
        assert decision.reason == f"Anna Berg does not belong to an organization {organization!r}."
        assert permissions_of(anna, organization) == frozenset()
        with pytest.raises(NotPermitted):
            require(anna, organization, Permission.SEE_ACTIVITY)


def test_a_scope_names_the_person_their_roles_and_the_request() -> None:
    scope = require(someone(Role.QA_LEAD, Role.LAB_MANAGER), HERE, Permission.SEAL)
    assert scope.organization_id == HERE
    assert scope.actor == Actor("user", "anna", "Anna Berg", "lab-manager, qa-lead")
    assert scope.context == {"ip": "192.0.2.7"}
    scope.check(Permission.VERIFY)
    with pytest.raises(NotPermitted, match="Anna Berg may not manage members"):
        scope.check(Permission.MANAGE_MEMBERS)


def test_what_is_refused_says_who_may_and_what_to_do() -> None:
    with pytest.raises(NotPermitted) as refused:
        require(someone(Role.LAB_MANAGER), HERE, Permission.EXPORT)
    assert str(refused.value) == (
        "The role Lab manager may not export records and download exports, only Compliance reviewer or QA lead may. "
        "Ask an administrator of the organization to change your roles."
    )


def test_a_scope_is_of_an_organization_and_a_machines_permits_its_work() -> None:
    assert machine_scope(HERE).permissions == frozenset(Permission)
    with pytest.raises(InvalidOrganization):
        scoped(Scope("' OR 1=1", Actor("user", "anna"), frozenset(Permission)))


@pytest.mark.parametrize("role", Role)
def test_the_demos_people_have_one_role_in_every_organization(role: Role) -> None:
    person = demo_principal(role, [HERE, THERE])
    assert demo_role(person.subject) is role
    assert permissions_of(person, HERE) == permissions_of(person, THERE) == EXPECTED[role]
    assert demo_role("user:anna") is None
