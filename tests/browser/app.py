"""Waiting for the app in a real browser, and pointing at what it draws."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Locator, Page, expect

IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"]'
MILLISECONDS = 30_000
COUNT = re.compile(r"([\d,]+) records?, by position, newest first")
ROW = 31  # the height of a table's row, and of its header, in pixels


def open_page(page: Page, address: str) -> None:
    """Go to an address and wait until the page is drawn."""
    page.goto(address)
    page.wait_for_selector('[data-testid="stSidebarContent"]', timeout=MILLISECONDS)
    settle(page)


def settle(page: Page) -> None:
    """Wait until nothing runs any more: also not what a click has begun just now."""
    page.wait_for_timeout(150)
    page.wait_for_selector(IDLE, timeout=MILLISECONDS)
    expect(page.locator('[data-stale="true"]')).to_have_count(0, timeout=MILLISECONDS)


def params(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def wait_for_parameter(page: Page, name: str) -> None:
    page.wait_for_url(lambda url: name in parse_qs(urlsplit(url).query), timeout=MILLISECONDS)
    settle(page)


def figure(page: Page, key: str) -> Locator:
    """The figure whose key begins so (Streamlit makes a class of it)."""
    return page.locator(f'[class*="st-key-{key}"]').first


def choose(page: Page, key: str, option: str) -> None:
    """Choose an option of the choice whose key begins so."""
    figure(page, key).get_by_role("combobox").click()
    page.get_by_role("option", name=option, exact=True).click()


def counted(page: Page) -> int:
    """The number of records that the table's line says."""
    line = page.get_by_text(COUNT)
    found = COUNT.search(line.inner_text(timeout=MILLISECONDS))
    assert found is not None
    return int(found[1].replace(",", ""))


def click_bar(page: Page, key: str, number: int = 0) -> None:
    """Click in the middle of a bar of a figure."""
    bar = figure(page, key).locator(".barlayer .point path").nth(number)
    bar.wait_for(timeout=MILLISECONDS)
    bar.scroll_into_view_if_needed()
    box = bar.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def click_row(page: Page, key: str, row: int = 0, across: float = 0.3) -> None:
    """Click a row of a table, which is drawn on a canvas: by its place; `across` is from 0 (left) to 1."""
    canvas = figure(page, key).locator("canvas").first
    canvas.wait_for(timeout=MILLISECONDS)
    canvas.scroll_into_view_if_needed()
    page.wait_for_timeout(200)  # the grid measures itself after it was drawn
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * across, box["y"] + ROW * (row + 1) + ROW / 2)
