"""Every page opens for every role that may open it, on every kind of database; to others it says that it doesn't."""

from __future__ import annotations

from itertools import combinations, product

import pytest

from flasktrack.access.demo import demo_principal
from flasktrack.access.permissions import ROLES, permissions_of
from flasktrack.access.roles import Role
from flasktrack.store.scope import Permission
from flasktrack.ui.registry import PAGES, ROLES_WITH_PAGES, pages_for
from tests.ui.app import OpenApp

HERE, THERE = "alpenrand-bioanalytik", "cascade-assays"
EVERY_PAGE_AND_ROLE = [pytest.param(page, role, id=f"{page}-{role}") for page, role in product(PAGES, ROLES_WITH_PAGES)]


def permissions(role: Role) -> frozenset[Permission]:
    return permissions_of(demo_principal(role, [HERE]), HERE)


READ = [page for page, entry in PAGES.items() if Role.QA_LEAD in ROLES[entry.permission]]
"""The pages that show what is recorded, all of which a QA lead may open."""
DATABASES = ("lab_url", "tampered_url", "unfilled_url")


@pytest.mark.parametrize("database", DATABASES)
@pytest.mark.parametrize(("page", "role"), EVERY_PAGE_AND_ROLE)
def test_a_page_opens_for_its_roles_and_for_no_other(
    page: str, role: Role, database: str, open_app: OpenApp, request: pytest.FixtureRequest
) -> None:
    app = open_app(request.getfixturevalue(database), page, role=role)
    assert not app.test.exception
    if not PAGES[page].url_path and role is Role.ADMINISTRATOR:  # the address without a page leads on
        assert app.page == "members"
        return
    assert app.page == page
    if role in ROLES[PAGES[page].permission]:
        assert app.headers == [PAGES[page].title]
        assert app.errors == []
    else:
        assert app.headers == []
        (said,) = app.errors
        assert role.title in said
        assert PAGES[page].title in said
        assert all(open_page.title in said for open_page in pages_for(permissions(role)))
        assert app.tables() == []
        assert app.text == said


@pytest.mark.parametrize("role", ROLES_WITH_PAGES)
def test_the_sidebar_offers_the_pages_of_the_role_alone(role: Role, open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, role=role)
    here, *others = [page.title for page in pages_for(permissions(role))]
    assert [link.proto.label for link in app.test.sidebar.get("page_link")] == others
    assert [button.label for button in app.test.sidebar.button] == [f"**{here}**"]


@pytest.mark.parametrize("page", ["overview", "entities", "integrity"])
def test_the_sidebars_current_page_leads_back_to_its_beginning(page: str, open_app: OpenApp, lab_url: str) -> None:
    """A link to the page that one is on would leave the address as it is."""
    app = open_app(lab_url, page, org=THERE, action="delete", record="7", before="900", find="S-26")
    app.click_link(PAGES[page].title)
    assert app.page == page
    assert app.params == {"org": [THERE], "action": ["delete"]}
    assert "Record 7" not in app.text


@pytest.mark.parametrize("page", PAGES)
def test_without_an_organization_a_page_says_how_to_get_one(page: str, open_app: OpenApp, deserted_url: str) -> None:
    app = open_app(deserted_url, page)
    assert not app.test.exception
    assert (app.errors, app.headers) == ([], ["FlaskTrack"])  # it is no error
    assert "no organization" in app.text
    commands = [code.value for code in app.test.code]
    assert commands == ["python -m flasktrack import FILE --organization ID", "python -m flasktrack demo"]


@pytest.mark.parametrize("page", [page for page in READ if page != "integrity"])
def test_an_organization_without_records_is_said_to_have_none(page: str, open_app: OpenApp, unfilled_url: str) -> None:
    app = open_app(unfilled_url, page)
    assert any(word in app.text for word in ("No record yet", "No entity"))
    assert "0 records, never verified" in app.text


@pytest.mark.parametrize("page", READ)
def test_every_page_says_what_its_numbers_rest_on(page: str, open_app: OpenApp, lab_url: str) -> None:
    said = open_app(lab_url, page, org=THERE).text
    assert "Verified" in said
    assert "records checked" in said
    assert "sealed" in said
    assert "America/Los_Angeles" in said


@pytest.mark.parametrize("page", READ)
def test_on_an_altered_history_every_page_says_broken(page: str, open_app: OpenApp, tampered_url: str) -> None:
    app = open_app(tampered_url, page)
    assert "Broken" in app.text
    assert "errors" in app.text


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_drawn_in_the_dark_too(page: str, open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, page, "dark")
    assert app.headers == [PAGES[page].title]
    assert app.errors == []


def test_the_session_goes_from_each_page_to_each_other_and_keeps_its_filter(open_app: OpenApp, lab_url: str) -> None:
    """By the sidebar's links, as people do; a page must not be what the one before left behind."""
    given = {"org": [THERE], "role": ["qa-lead"], "action": ["sign_in"], "outcome": ["denied"]}
    app = open_app(lab_url, **given)
    walk = [page for pair in combinations(READ, 2) for page in pair[::-1]]  # there and back, for each two pages
    for page in walk:
        app.click_link(PAGES[page].title)
        assert app.page == page
        assert app.headers == [PAGES[page].title]
        assert app.errors == []
        assert app.params == given


def test_the_switcher_changes_role_and_organization_in_the_address(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "records", action="delete", record="5")
    app.test.selectbox("switch_role").select("compliance-reviewer").run()
    assert app.params == {"role": ["compliance-reviewer"], "action": ["delete"], "record": ["5"]}
    app.test.selectbox("switch_org").select(THERE).run()
    assert app.params == {"role": ["compliance-reviewer"], "org": [THERE]}  # the filter was about the other one
    assert "Cascade" in app.text


def test_the_switcher_leads_off_a_page_that_the_new_role_may_not_open(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "integrity")
    app.test.selectbox("switch_role").select("lab-manager").run()
    assert app.headers == []
    assert "not open to you. The role Lab manager may not" in app.errors[0]
    app.click_link("Overview")
    assert app.headers == ["Overview"]
    assert app.params["role"] == ["lab-manager"]


def test_two_organizations_show_their_own_people_alone(open_app: OpenApp, lab_url: str) -> None:
    people = {}
    for organization in (HERE, THERE):
        shown = open_app(lab_url, "actors", org=organization).table("actors_table")
        people[organization] = set(shown["id"][shown["type"] == "Person"])
        assert people[organization]
    assert not people[HERE] & people[THERE]
