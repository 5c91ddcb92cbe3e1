"""How it looks: dark where the reader's system is dark, the answer without scrolling, and text that stays text."""

from __future__ import annotations

import base64

import pytest
from playwright.sync_api import Page, expect

from flasktrack.store.engine import open_engine, writing
from flasktrack.store.organizations import create_organization
from flasktrack.store.writer import append
from tests.browser.app import MILLISECONDS, figure, open_page
from tests.ui.nasty import NASTY, nasty_events

PAGES = ("actors", "entities?entity=protocol:SOP-114&record=1", "records?record=5000", "integrity", "attention?days=90")
COUNT_BRIGHT = """
    async (screenshot) => {
        const image = new Image();
        image.src = `data:image/png;base64,${screenshot}`;
        await image.decode();
        const canvas = new OffscreenCanvas(image.width, image.height);
        const drawing = canvas.getContext("2d");
        drawing.drawImage(image, 0, 0);
        const pixels = drawing.getImageData(0, 0, image.width, image.height).data;
        let bright = 0;
        for (let i = 0; i < pixels.length; i += 4)
            if (pixels[i] > 200 && pixels[i + 1] > 200 && pixels[i + 2] > 200) bright += 1;
        return bright / (pixels.length / 4);
    }
"""


def bright_share(page: Page) -> float:
    """How much of the screen is nearly white, from 0 to 1."""
    share: float = page.evaluate(COUNT_BRIGHT, base64.b64encode(page.screenshot()).decode())
    return share


def test_in_the_dark_nothing_has_a_white_ground(app_server: str, page: Page) -> None:
    """Text is bright and thin; a figure, table or box with a ground of its own would be far more."""
    page.emulate_media(color_scheme="dark")
    for path in PAGES:
        open_page(page, f"{app_server}/{path}")
        page.wait_for_timeout(300)  # tables are drawn on a canvas, a moment later
        assert bright_share(page) < 0.05, path


def test_by_day_the_ground_is_white(app_server: str, page: Page) -> None:
    open_page(page, app_server)
    assert bright_share(page) > 0.6


def test_a_laptop_shows_the_answer_and_the_main_chart_without_scrolling(app_server: str, page: Page) -> None:
    open_page(page, app_server)
    assert page.viewport_size is not None
    for shown in (
        page.get_by_role("heading", name="Overview", exact=True),
        page.get_by_text("people and 7 machines acted"),
        figure(page, "over_time"),
    ):
        box = shown.bounding_box()
        assert box is not None
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= page.viewport_size["height"]
    bars = figure(page, "over_time").locator(".barlayer .point")
    bars.first.wait_for(timeout=MILLISECONDS)
    assert bars.count() > 50
    wide = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0  # nothing to scroll to the side


@pytest.fixture
def nasty_lab(app_server: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An organization whose records hold what would be markup, appended while the app runs."""
    engine = open_engine(f"sqlite:///{tmp_path_factory.getbasetemp() / 'app0' / 'flasktrack.db'}")
    with writing(engine) as connection:
        create_organization(connection, "nasty-lab")
        append(connection, "nasty-lab", nasty_events())
    engine.dispose()
    return f"{app_server}/records?org=nasty-lab&record=2&text=bold"


def test_text_from_records_shows_as_it_is_and_fetches_nothing(nasty_lab: str, page: Page) -> None:
    """The fixture `page` fails the test where an image in the text was asked for."""
    open_page(page, nasty_lab)
    expect(page.get_by_role("heading", name="Record 2")).to_be_visible()
    expect(page.get_by_test_id("stTable").last).to_contain_text("Hash of the record before")
    shown = page.get_by_test_id("stMain").inner_text().replace("\u2060", "")
    assert shown.count(NASTY) >= 10
    assert "ad[U+202E]nim[U+200B]" in shown
    assert not set("\u202e\u200b") & set(shown)
    outside = ('a[href*="//example.org"]', 'a[href*="//www."]', 'a[href^="mailto"]')
    del_ = ":not(.stMarkdownColoredBackground) > del"  # those of a difference are the page's own
    for markup in ("script", "b", del_, "img", ".katex", *outside):
        assert page.locator(f'[data-testid="stMain"] {markup}').count() == 0, markup
