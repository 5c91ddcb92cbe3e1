"""Administration: members, keys and settings are changed with a reason, and each change is a record."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from flasktrack.access.members import add_member, list_members
from flasktrack.access.permissions import ROLES
from flasktrack.access.principal import Principal
from flasktrack.access.roles import Role
from flasktrack.store.api_keys import list_api_keys
from flasktrack.store.engine import open_engine
from flasktrack.store.organizations import get_organization
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope
from flasktrack.store.service_accounts import list_service_accounts
from flasktrack.ui import signin
from flasktrack.ui.registry import PAGES
from tests.store.samples import tamper
from tests.ui.app import App, OpenApp

SMALL, OTHER = "small-lab", "other-lab"
OPERATOR = machine_scope(SMALL)


@pytest.fixture
def engine(small_url: str) -> Iterator[Engine]:
    engine = open_engine(small_url)
    yield engine
    engine.dispose()


def administer(open_app: OpenApp, url: str, page: str, **params: str) -> App:
    app = open_app(url, page, org=SMALL, role="administrator", **params)
    assert app.errors == []
    return app


def fill(app: App, **values: str) -> None:
    for end, value in values.items():
        next(field for field in app.test.text_input if str(field.key).endswith(f"_{end}")).set_value(value)


def newest(engine: Engine) -> tuple[str, str, str | None, str | None]:
    last = next(Ledger(engine, OPERATOR).stream(descending=True, limit=1)).record
    return last.action, last.entity_type, last.reason, last.actor_role


def test_members_are_added_changed_and_removed(open_app: OpenApp, small_url: str, engine: Engine) -> None:
    add_member(engine, OPERATOR, "user:boss", "Boss", {Role.ADMINISTRATOR}, reason="founds the lab")
    app = administer(open_app, small_url, "members")
    assert "1 member: 1 Administrator." in app.text
    fill(app, subject="anna", name="Anna Berg")
    app.test.multiselect[0].select(Role.QA_LEAD)
    app.click("Add the member")
    (refused,) = app.test.warning
    assert "A change of a member needs a reason" in refused.value
    fill(app, reason="SOP-3")
    app.click("Add the member")
    assert "user:anna is a member: record 12 says so." in app.test.success[0].value.replace("\\", "")
    assert newest(engine) == ("create", "member", "SOP-3", "administrator")
    app = administer(open_app, small_url, "members", member="user:anna")
    assert app.table("members_")["roles"].tolist() == ["QA lead", "Administrator"]
    app.test.multiselect[0].select(Role.LAB_MANAGER)
    fill(app, reason="SOP-4")
    app.click("Change")
    fill(app, reason="left")
    app.click("Remove the member")
    assert newest(engine) == ("delete", "member", "left", "administrator")
    assert [one.subject for one in list_members(engine, OPERATOR)] == ["user:boss"]


def test_a_membership_that_was_altered_is_shown_as_such(open_app: OpenApp, small_url: str, engine: Engine) -> None:
    add_member(engine, OPERATOR, "user:eve", None, {Role.LAB_MANAGER}, reason="SOP-3")
    tamper(engine, "UPDATE member SET roles = '[\"qa-lead\"]'")
    app = open_app(small_url, "members", org=SMALL, role="administrator", member="user:eve")
    assert "1 membership can't be relied on" in app.text
    assert any("changed past FlaskTrack" in said for said in app.errors)


def test_a_key_is_issued_shown_once_and_revoked(open_app: OpenApp, small_url: str, engine: Engine) -> None:
    app = administer(open_app, small_url, "keys")
    assert "0 API keys in force" in app.text
    form = f"issue_key_{SMALL}"
    app.test.text_input(f"{form}_name").set_value("LIMS")
    app.test.text_input(f"{form}_reason").set_value("SOP-5")
    app.test.checkbox(f"{form}_read").check()
    app.click("Issue the key")
    assert [one.value for one in app.test.warning] == []
    (key,) = list_api_keys(engine, OPERATOR)
    assert any(code.value.startswith(f"{key.id}_") for code in app.test.code)
    app.click("It is noted")
    assert not app.test.code
    app = administer(open_app, small_url, "keys", key=key.id)
    app.test.text_input(f"key_{key.id}_{key.seq}_reason").set_value("replaced")
    app.click("Revoke")
    assert list_api_keys(engine, OPERATOR)[0].status() == "revoked"
    assert newest(engine)[1:3] == ("api_key", "replaced")


def test_a_service_account_is_added(open_app: OpenApp, small_url: str, engine: Engine) -> None:
    app = administer(open_app, small_url, "keys")
    form = f"add_account_{SMALL}"
    for part, value in (("id", "lims"), ("name", "LIMS"), ("reason", "SOP-5")):
        app.test.text_input(f"{form}_{part}").set_value(value)
    app.click("Add the account")
    assert [one.id for one in list_service_accounts(engine, OPERATOR)] == ["lims"]


def test_settings_are_changed_and_count_at_once(open_app: OpenApp, small_url: str, engine: Engine) -> None:
    app = administer(open_app, small_url, "settings")
    assert "nobody has changed them" in app.text
    fill(app, name="Small and fine", reason="We are called so")
    app.click("Change settings")
    assert newest(engine)[1:3] == ("organization_setting", "We are called so")
    assert get_organization(engine, SMALL).name == "Small and fine"
    assert "Small and fine" in administer(open_app, small_url, "settings").text
    thresholds = administer(open_app, small_url, "settings", view="thresholds")
    assert "Work begins" in [field.label for field in thresholds.test.text_input]
    (facts,) = administer(open_app, small_url, "settings", view="sign_in").plain_tables()
    assert "Demo: nobody signs in" in facts.to_string()


def test_the_address_without_a_page_leads_an_administrator_to_their_first_page(
    open_app: OpenApp, small_url: str
) -> None:
    app = open_app(small_url, "overview", role="administrator")
    assert app.headers == ["Members"]


# A member of one organization


@pytest.mark.parametrize("role", Role)
def test_a_member_opens_their_pages_in_their_organization_alone(
    open_app: OpenApp, small_url: str, monkeypatch: pytest.MonkeyPatch, role: Role
) -> None:
    """Each page in the organization that they belong to, and in the one that they don't, by the same session."""
    member = Principal("user:anna", "Anna Berg", {OTHER: frozenset({role})}, "a test")
    monkeypatch.setenv("FLASKTRACK_SIGN_IN", "local")
    monkeypatch.setattr(signin, "current_principal", lambda *_: member)
    monkeypatch.setattr(signin, "draw_account", lambda *_: None)
    app = open_app(small_url, "records", org=OTHER)
    for page, entry in PAGES.items():
        if not entry.url_path:
            continue  # it leads on
        app.go(page, org=OTHER)
        assert (app.headers == [entry.title]) == (role in ROLES[entry.permission])
        for foreign in (SMALL, "no-such-lab"):
            app.go(page, org=foreign)
            assert app.headers == []
            assert app.tables() == []
            assert app.errors == [f"**There is no organization '{foreign}' here.** Known ones: {OTHER}."]
