"""People, their sign-in and their keys, as the app's own PostgreSQL role looks after them: in several organizations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from flasktrack.access.accounts import add_account, disable
from flasktrack.access.members import add_member, change_roles, list_members, principal_for, remove_member
from flasktrack.access.passwords import hash_password
from flasktrack.access.roles import Role
from flasktrack.access.sessions import find_session, hash_token
from flasktrack.access.sign_in import Answer, Visit, change_password, note_failure, sign_in, sign_out
from flasktrack.settings import Settings
from flasktrack.store.api_key_use import append_through, authenticate, record_refused_use
from flasktrack.store.api_keys import issue_api_key, list_api_keys, revoke_api_key
from flasktrack.store.engine import initialize, open_database, open_engine, writing
from flasktrack.store.roles import APP
from flasktrack.store.scope import machine_scope
from flasktrack.store.service_accounts import add_service_account, list_service_accounts, retire_service_account
from flasktrack.verify.runner import verify_organization
from tests.store.samples import NORTHWIND, SOUTHPORT, event, organizations

SETTINGS = Settings(sign_in="local", url="https://audit.example.org")
PASSWORD, NEW = "a few words will do", "quite another lot of words"
WHY = "a test"

pytestmark = pytest.mark.usefixtures("cheap_passwords")


@pytest.fixture
def app(postgresql_url: str, url_of_role: Callable[[str], str]) -> Iterator[Engine]:
    owner = open_engine(postgresql_url)
    initialize(owner, with_roles=True)
    organizations(owner, NORTHWIND, SOUTHPORT)
    owner.dispose()
    engine = open_database(url_of_role(APP))
    yield engine
    engine.dispose()


def test_people_are_managed_and_sign_in(app: Engine) -> None:
    north, south = machine_scope(NORTHWIND), machine_scope(SOUTHPORT)
    with writing(app) as connection:
        add_account(connection, "anna", "Anna Berg", hash_password(PASSWORD))
    for scope in (north, south):
        add_member(app, scope, "user:anna", "Anna Berg", {Role.QA_LEAD, Role.ADMINISTRATOR}, reason=WHY)
        add_member(app, scope, "user:ben", "Ben Ode", {Role.ADMINISTRATOR}, reason=WHY)
    principal = principal_for(app, "user:anna", "local")
    assert principal is not None
    assert set(principal.memberships) == {NORTHWIND, SOUTHPORT}
    change_roles(app, south, "user:anna", {Role.LAB_MANAGER}, reason=WHY)
    remove_member(app, north, "user:ben", reason=WHY)
    assert [member.problem for member in list_members(app, north)] == [None]

    visit = Visit("203.0.113.7", None, {"ip": "203.0.113.7"})
    note_failure(app, visit, sign_in(app, SETTINGS, visit, "anna", "wrong"))
    assert sign_in(app, SETTINGS, visit, "nobody", "wrong").answer is Answer.WRONG
    attempt = sign_in(app, SETTINGS, visit, "anna", PASSWORD)
    assert attempt.answer is Answer.SIGNED_IN
    later = replace(visit, now=visit.now + timedelta(minutes=1))
    token = change_password(app, SETTINGS, later, "anna", PASSWORD, NEW).token
    session = find_session(app, hash_token(token or ""), "local", idle=SETTINGS.session_idle, now=later.now)
    assert session is not None
    sign_out(app, session, {})
    with writing(app) as connection:
        disable(connection, "anna")
    for organization in (NORTHWIND, SOUTHPORT):
        assert verify_organization(app, organization, started_by="command line").status == "verified"


def test_keys_are_issued_used_and_revoked(app: Engine) -> None:
    scope = machine_scope(SOUTHPORT)
    with writing(app) as connection:
        add_service_account(connection, scope, "lims", name="LIMS", reason=WHY)
        issued = issue_api_key(
            connection, scope, name="LIMS", service_account_id="lims", actions=["update"], may_read=True,
            may_name_users=True, reason=WHY,
        )  # fmt: skip
    key = authenticate(app, issued.token)
    assert key.organization_id == SOUTHPORT
    with writing(app) as connection:
        (made,) = append_through(connection, key, [event(1)])
    assert made.organization_id == SOUTHPORT
    with writing(app) as connection:
        revoke_api_key(connection, scope, key.id, reason=WHY)
        retire_service_account(connection, scope, "lims", reason=WHY)
    assert not any(one.altered for one in list_api_keys(app, scope))
    assert len(list_service_accounts(app, scope)) == 1
    (revoked,) = list_api_keys(app, scope)
    assert record_refused_use(app, revoked, {}).outcome == "denied"
