"""Who is a member is on record; a row that no record speaks for gives nobody a role; who is removed is out at once."""

from __future__ import annotations

import orjson
import pytest
from sqlalchemy import Engine

from flasktrack.access.acting import acting
from flasktrack.access.members import (
    add_member,
    change_roles,
    has_members,
    list_members,
    principal_for,
    remove_member,
)
from flasktrack.access.permissions import require
from flasktrack.access.roles import Role
from flasktrack.errors import FlaskTrackError, InvalidRecord, MemberRefused, NotPermitted, UnknownOrganization
from flasktrack.store.scope import Permission, Scope, machine_scope
from flasktrack.verify.runner import verify_organization
from tests.store.samples import NORTHWIND, SOUTHPORT, everything, organizations, stored, tamper

ANNA, BEN = "user:anna", "user:ben@example.org"
OPERATOR = machine_scope(NORTHWIND)


def add(lab: Engine, subject: str, *roles: Role, organization: str = NORTHWIND, name: str | None = None) -> None:
    add_member(lab, machine_scope(organization), subject, name, roles, reason="SOP-3")


def roles_of(lab: Engine, subject: str) -> dict[str, frozenset[Role]]:
    found = principal_for(lab, subject, "a test")
    return {} if found is None else dict(found.memberships)


def as_anna(lab: Engine) -> Scope:
    anna = principal_for(lab, ANNA, "a test", {"ip": "192.0.2.7", "user_agent": "a browser"})
    assert anna is not None
    return require(anna, NORTHWIND, Permission.MANAGE_MEMBERS)


def test_a_person_has_the_roles_of_each_organization_that_they_belong_to(lab: Engine) -> None:
    organizations(lab, SOUTHPORT)
    assert not has_members(lab)
    assert principal_for(lab, ANNA, "a test") is None
    add(lab, ANNA, Role.QA_LEAD, Role.ADMINISTRATOR, name="Anna Berg")
    add(lab, ANNA, Role.LAB_MANAGER, organization=SOUTHPORT)
    found = principal_for(lab, ANNA, "a test", {"ip": "192.0.2.7"})
    assert found is not None
    assert (found.subject, found.name, found.how, found.context) == (ANNA, "Anna Berg", "a test", {"ip": "192.0.2.7"})
    assert found.memberships == {
        NORTHWIND: frozenset({Role.QA_LEAD, Role.ADMINISTRATOR}),
        SOUTHPORT: frozenset({Role.LAB_MANAGER}),
    }
    assert has_members(lab, SOUTHPORT)
    assert principal_for(lab, "user:ANNA", "a test") is None


def test_each_change_is_a_record_with_before_after_reason_actor_and_request(lab: Engine) -> None:
    add(lab, ANNA, Role.ADMINISTRATOR, name="Anna Berg")
    add_member(lab, as_anna(lab), BEN, "Ben", {Role.LAB_MANAGER}, reason=" joined ")
    change_roles(lab, as_anna(lab), BEN, {Role.QA_LEAD, Role.COMPLIANCE_REVIEWER}, reason="promoted")
    remove_member(lab, as_anna(lab), BEN, reason="left")
    told = stored(lab)
    assert [(one.record.action, one.record.entity_type, one.record.entity_id) for one in told[1:]] == [
        (action, "member", BEN) for action in ("create", "update", "delete")
    ]
    assert [one.record.reason for one in told] == ["SOP-3", "joined", "promoted", "left"]
    assert {(one.record.actor_id, one.record.actor_name, one.record.actor_role) for one in told[1:]} == {
        ("anna", "Anna Berg", "administrator")
    }
    assert [
        tuple(None if part is None else orjson.loads(part.body) for part in (one.before, one.after)) for one in told[1:]
    ] == [
        (None, {"name": "Ben", "roles": ["lab-manager"]}),
        ({"name": "Ben", "roles": ["lab-manager"]}, {"name": "Ben", "roles": ["compliance-reviewer", "qa-lead"]}),
        ({"name": "Ben", "roles": ["compliance-reviewer", "qa-lead"]}, None),
    ]
    assert told[1].context is not None
    assert orjson.loads(told[1].context.body) == {"ip": "192.0.2.7", "user_agent": "a browser"}
    assert verify_organization(lab, NORTHWIND, started_by="system:test").findings == ()


def test_who_is_removed_or_changed_is_out_at_the_next_question(lab: Engine) -> None:
    add(lab, ANNA, Role.ADMINISTRATOR)
    add(lab, BEN, Role.QA_LEAD)
    change_roles(lab, OPERATOR, BEN, {Role.LAB_MANAGER}, reason="other work", name="Ben")
    assert roles_of(lab, BEN) == {NORTHWIND: frozenset({Role.LAB_MANAGER})}
    assert [one.name for one in list_members(lab, OPERATOR)] == ["anna", "Ben"]
    remove_member(lab, OPERATOR, BEN, reason="left")
    assert roles_of(lab, BEN) == {}
    add(lab, BEN, Role.LAB_MANAGER)
    assert roles_of(lab, BEN) == {NORTHWIND: frozenset({Role.LAB_MANAGER})}


@pytest.mark.parametrize(
    "statement",
    [
        f"INSERT INTO member VALUES ('{NORTHWIND}', 'user:eve', 'Eve', '[\"qa-lead\"]', 1)",
        "UPDATE member SET roles = '[\"administrator\",\"qa-lead\"]' WHERE subject = 'user:ben@example.org'",
        "UPDATE member SET roles = 'no list' WHERE subject = 'user:ben@example.org'",
        "UPDATE member SET name = 'Benjamin' WHERE subject = 'user:ben@example.org'",
        "UPDATE member SET seq = 1 WHERE subject = 'user:ben@example.org'",
        "UPDATE member SET subject = 'user:eve' WHERE subject = 'user:ben@example.org'",
        'UPDATE audit_payload SET after = \'{"name":"Ben","roles":["qa-lead"]}\' WHERE seq = 2',
        "DELETE FROM audit_record WHERE seq = 2",
    ],
)
def test_a_membership_that_no_record_speaks_for_permits_nothing(lab: Engine, statement: str) -> None:
    add(lab, ANNA, Role.ADMINISTRATOR)
    add(lab, BEN, Role.LAB_MANAGER)
    tamper(lab, statement)
    assert roles_of(lab, "user:eve") == {}
    bens = roles_of(lab, BEN)
    problems = [one.subject for one in list_members(lab, OPERATOR) if one.problem and not one.roles]
    if "INSERT" in statement:
        assert (bens, problems) == ({NORTHWIND: frozenset({Role.LAB_MANAGER})}, ["user:eve"])
    else:
        assert (bens, len(problems)) == ({}, 1)
    assert roles_of(lab, ANNA)


def test_a_removed_members_old_row_gives_nothing_back(lab: Engine) -> None:
    add(lab, ANNA, Role.ADMINISTRATOR)
    add(lab, BEN, Role.QA_LEAD)
    remove_member(lab, OPERATOR, BEN, reason="left")
    tamper(lab, f"INSERT INTO member VALUES ('{NORTHWIND}', '{BEN}', 'ben@example.org', '[\"qa-lead\"]', 2)")
    assert roles_of(lab, BEN) == {}


@pytest.mark.parametrize(
    ("subject", "name", "roles", "reason"),
    [
        ("anna", None, {Role.QA_LEAD}, "why"),
        ("user:", None, {Role.QA_LEAD}, "why"),
        ("user: anna", None, {Role.QA_LEAD}, "why"),
        ("user:\x00", None, {Role.QA_LEAD}, "why"),
        ("user:" + "a" * 256, None, {Role.QA_LEAD}, "why"),
        ("system:flasktrack", None, {Role.QA_LEAD}, "why"),
        ("user:demo-qa-lead", None, {Role.QA_LEAD}, "why"),
        ("user:new", "\ud800", {Role.QA_LEAD}, "why"),
        ("user:new", " ", {Role.QA_LEAD}, "why"),
        ("user:new", None, (), "why"),
        ("user:new", None, {Role.QA_LEAD}, " "),
        (ANNA, None, {Role.QA_LEAD}, "there already"),
    ],
)
def test_what_is_refused_leaves_nothing(
    lab: Engine, subject: str, name: str | None, roles: set[Role], reason: str
) -> None:
    add(lab, ANNA, Role.ADMINISTRATOR)
    before = everything(lab)
    with pytest.raises(MemberRefused):
        add_member(lab, OPERATOR, subject, name, roles, reason=reason)
    assert everything(lab) == before


def test_changes_of_nobody_of_nothing_and_of_the_last_administrator_are_refused(lab: Engine) -> None:
    add(lab, ANNA, Role.ADMINISTRATOR)
    before = everything(lab)
    for change in (
        lambda: change_roles(lab, OPERATOR, BEN, {Role.QA_LEAD}, reason="why"),
        lambda: remove_member(lab, OPERATOR, "user:\ud800", reason="why"),
        lambda: change_roles(lab, OPERATOR, ANNA, {Role.ADMINISTRATOR}, reason="nothing"),
        lambda: change_roles(lab, OPERATOR, ANNA, {Role.QA_LEAD}, reason="nobody is left"),
        lambda: remove_member(lab, OPERATOR, ANNA, reason="nobody is left"),
    ):
        with pytest.raises(MemberRefused):
            change()
    assert everything(lab) == before
    with pytest.raises(InvalidRecord):
        change_roles(lab, OPERATOR, ANNA, set(Role), reason="x" * 9000)
    with pytest.raises(UnknownOrganization):
        add_member(lab, machine_scope("no-such-lab"), BEN, None, {Role.QA_LEAD}, reason="why")
    assert everything(lab) == before


def test_only_an_administrator_changes_or_lists_members(lab: Engine) -> None:
    add(lab, ANNA, *(role for role in Role if role is not Role.ADMINISTRATOR))
    anna = principal_for(lab, ANNA, "a test")
    assert anna is not None
    scope = require(anna, NORTHWIND, Permission.SEAL)
    before = everything(lab)
    for attempt in (
        lambda: add_member(lab, scope, BEN, None, {Role.QA_LEAD}, reason="why"),
        lambda: change_roles(lab, scope, ANNA, set(Role), reason="why"),
        lambda: remove_member(lab, scope, ANNA, reason="why"),
        lambda: list_members(lab, scope),
    ):
        with pytest.raises(NotPermitted):
            attempt()
    assert everything(lab) == before


def test_a_command_acts_for_a_person_within_their_roles(lab: Engine) -> None:
    organizations(lab, SOUTHPORT)
    assert acting(lab, NORTHWIND, ANNA, Permission.SEAL).actor.subject == ANNA  # nobody's roles are known yet
    add(lab, ANNA, Role.QA_LEAD, name="Anna Berg")
    assert acting(lab, NORTHWIND, ANNA, Permission.SEAL).actor.name == "Anna Berg"
    for subject, organization, permission in (
        (ANNA, NORTHWIND, Permission.MANAGE_MEMBERS),
        (BEN, NORTHWIND, Permission.SEE_ACTIVITY),
        ("user:demo-lab-manager", NORTHWIND, Permission.SEAL),
    ):
        with pytest.raises(FlaskTrackError) as refused:
            acting(lab, organization, subject, permission)
        assert isinstance(refused.value, NotPermitted)
    add(lab, BEN, Role.QA_LEAD, organization=SOUTHPORT)
    with pytest.raises(NotPermitted):
        acting(lab, SOUTHPORT, ANNA, Permission.SEAL)
    assert acting(lab, NORTHWIND, None, Permission.SEAL).actor.subject == "system:command-line"
    assert acting(lab, NORTHWIND, "automation:nightly", Permission.EXPORT).actor.subject == "automation:nightly"
    assert acting(lab, NORTHWIND, "user:demo-qa-lead", Permission.SEAL).actor.role == "qa-lead"
