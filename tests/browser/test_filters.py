"""The filter in a real browser, which draws nothing of a closed popover and keeps what its widgets held before.

AppTest draws everything always, and so can't show that a filter comes back.
"""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from tests.browser.app import (
    MILLISECONDS,
    choose,
    click_row,
    counted,
    figure,
    open_page,
    params,
    settle,
    wait_for_parameter,
)

LAST_7_DAYS, LAST_MONTH = "Last 7 days", "Last month"
HERE = "alpenrand-bioanalytik"


def popover(page: Page) -> Locator:
    return page.get_by_test_id("stPopoverBody")


def open_filters(page: Page) -> None:
    page.get_by_test_id("stPopover").get_by_role("button").first.click()
    expect(popover(page).get_by_text("Entity type", exact=True)).to_be_visible(timeout=MILLISECONDS)
    settle(page)  # what is chosen while the popover is still being drawn is lost


def close_filters(page: Page) -> None:
    page.keyboard.press("Escape")
    expect(popover(page)).to_have_count(0, timeout=MILLISECONDS)
    settle(page)


def choose_period(page: Page, period: str, *, until: Callable[[dict[str, list[str]]], bool]) -> None:
    former = page.url
    choose(page, "filter_period", period)
    page.wait_for_url(lambda url: url != former, timeout=MILLISECONDS)
    settle(page)
    assert until(params(page)), page.url


def test_a_filter_that_was_cleared_does_not_come_back_from_the_closed_popover(app_server: str, page: Page) -> None:
    open_page(page, f"{app_server}/records?org={HERE}")
    everything = counted(page)
    open_filters(page)
    choose(page, "filter_actions", "delete")
    wait_for_parameter(page, "action")
    assert params(page)["action"] == ["delete"]
    close_filters(page)
    assert 0 < counted(page) < everything
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(page.get_by_role("button", name="Clear", exact=True)).to_have_count(0, timeout=MILLISECONDS)
    settle(page)
    assert params(page) == {"org": [HERE]}
    choose_period(page, LAST_7_DAYS, until=lambda given: set(given) == {"org", "from"})
    expect(page.get_by_role("button", name="Action: delete")).to_have_count(0)


def test_a_period_after_another_one_is_the_new_one_whole(app_server: str, page: Page) -> None:
    open_page(page, f"{app_server}/records?org={HERE}")
    open_filters(page)
    close_filters(page)
    choose_period(page, LAST_7_DAYS, until=lambda given: set(given) == {"org", "from"})
    choose_period(page, LAST_MONTH, until=lambda given: set(given) == {"org", "from", "to"})
    expect(figure(page, "filter_period").get_by_role("combobox")).to_have_value(LAST_MONTH)


def test_a_chip_that_was_dropped_does_not_come_back_with_the_next_change(app_server: str, page: Page) -> None:
    open_page(page, f"{app_server}/records?org={HERE}&action=delete&actor=user:u-14")
    open_filters(page)
    close_filters(page)
    page.get_by_role("button", name="Action: delete").click()
    expect(page.get_by_role("button", name="Action: delete")).to_have_count(0, timeout=MILLISECONDS)
    settle(page)
    assert params(page) == {"org": [HERE], "actor": ["user:u-14"]}
    choose_period(page, LAST_MONTH, until=lambda given: set(given) == {"org", "actor", "from", "to"})
    open_filters(page)
    expect(popover(page).get_by_text("delete", exact=True)).to_have_count(0)


def test_a_link_from_one_history_to_another_takes_the_address_along(app_server: str, page: Page) -> None:
    """Address and page agree after a link within a page, after going back, and when the address is opened anew."""
    open_page(page, f"{app_server}/entities?org={HERE}&entity=protocol:SOP-114&view=relations")
    page.get_by_text("The same as a table").click()
    click_row(page, "neighbours")
    page.wait_for_url(lambda url: "SOP-114" not in url, timeout=MILLISECONDS)
    settle(page)
    (entity,) = params(page)["entity"]
    heading = page.get_by_role("heading", name=f"({entity})")
    expect(heading).to_be_visible(timeout=MILLISECONDS)
    page.reload()
    expect(heading).to_be_visible(timeout=MILLISECONDS)
    settle(page)
    assert params(page) == {"org": [HERE], "entity": [entity], "view": ["relations"]}
    page.get_by_test_id("stSidebar").get_by_role("button", name="Entities").click()
    settle(page)  # for a moment, the heading of before stands beside it
    expect(heading).to_be_visible()  # the filter is kept, and with it the entity
