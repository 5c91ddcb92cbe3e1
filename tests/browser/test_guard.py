"""Every page works under its content security policy, and asks this server alone; the fixture `page` watches both."""

from __future__ import annotations

from contextlib import closing

from playwright.sync_api import Page, expect

from flasktrack.ui.registry import PAGES
from tests.browser.app import MILLISECONDS, figure, open_page

DETAILS = {
    "entities": "?entity=protocol:SOP-114&record=1",
    "records": "?record=5000",
    "attention": "?days=90",
    **dict.fromkeys(("members", "keys", "settings"), "?role=administrator"),
}


def test_every_page_works_under_its_content_security_policy(app_server: str, page: Page) -> None:
    for entry in PAGES.values():
        open_page(page, f"{app_server}/{entry.url_path}{DETAILS.get(entry.key, '')}")
        expect(page.get_by_role("heading", name=entry.title, exact=True)).to_be_visible(timeout=MILLISECONDS)
    open_page(page, app_server)
    figure(page, "over_time").locator(".barlayer .point").first.wait_for(timeout=MILLISECONDS)


def test_the_policy_is_in_force(app_server: str, page: Page) -> None:
    """Otherwise nothing could break it. On a page of its own, since the fixture `page` would fail."""
    with closing(page.context.new_page()) as other:
        open_page(other, app_server)
        ran = other.evaluate(
            "() => { const script = document.createElement('script'); script.textContent = 'window.ran = true';"
            "document.body.append(script); return window.ran === true }"
        )
        assert not ran
