"""A page's own address, opened first of all: this file comes first, so the server has had no session before."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.app import MILLISECONDS, open_page, params


@pytest.mark.parametrize(
    ("path", "title"),
    [("records?action=delete&record=5000", "Records"), ("integrity", "Integrity"), ("?action=delete", "Overview")],
)
def test_a_deep_link_shows_its_page(path: str, title: str, app_server: str, page: Page) -> None:
    open_page(page, f"{app_server}/{path}")
    expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible(timeout=MILLISECONDS)
    expect(page.get_by_text("Page not found")).to_have_count(0)
    if "action" in path:
        assert params(page)["action"] == ["delete"]
    if "record=" in path:
        expect(page.get_by_role("heading", name="Record 5,000")).to_be_visible()


def test_nonsense_in_an_address_is_explained_and_can_be_reset(app_server: str, page: Page) -> None:
    open_page(page, f"{app_server}/records?seq=twenty")
    box = page.get_by_test_id("stAlert")
    expect(box).to_contain_text("seq")
    expect(box).not_to_contain_text("Traceback")
    page.get_by_role("button", name="Reset the address").click()
    expect(page.get_by_role("heading", name="Records", exact=True)).to_be_visible(timeout=MILLISECONDS)
    page.wait_for_url(f"{app_server}/records", timeout=MILLISECONDS)


def test_a_role_that_may_not_open_a_page_is_told_so(app_server: str, page: Page) -> None:
    open_page(page, f"{app_server}/integrity?role=lab-manager")
    expect(page.get_by_test_id("stAlert")).to_contain_text("Integrity is not open to you. The role Lab manager")
    expect(page.get_by_role("button", name="Verify now")).to_have_count(0)
