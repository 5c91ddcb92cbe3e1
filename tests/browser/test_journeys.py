"""What people come to FlaskTrack for, done in a real browser from the first page to the answer."""

from __future__ import annotations

import csv
import re
from hashlib import sha256
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.app import (
    MILLISECONDS,
    click_bar,
    click_row,
    counted,
    figure,
    open_page,
    params,
    settle,
    wait_for_parameter,
)

HERE = "alpenrand-bioanalytik"


def test_a_lab_manager_narrows_the_overview_by_a_click_on_a_bar(app_server: str, page: Page) -> None:
    open_page(page, f"{app_server}/?role=lab-manager")
    everything = counted(page)
    click_bar(page, "action", 1)
    wait_for_parameter(page, "action")
    narrowed = counted(page)
    assert 0 < narrowed < everything
    assert params(page)["role"] == ["lab-manager"]
    (action,) = params(page)["action"]
    expect(page.get_by_role("button", name=f"Action: {action}")).to_be_visible()
    expect(figure(page, "action").get_by_text(f"{narrowed:,}", exact=True)).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    settle(page)
    assert counted(page) == everything
    assert "action" not in params(page)


def test_the_sidebar_keeps_the_filter_and_back_comes_back(app_server: str, page: Page) -> None:
    open_page(page, f"{app_server}/?action=delete")
    shown = counted(page)
    page.get_by_test_id("stSidebar").get_by_role("link", name="Actors").click()
    expect(page.get_by_role("heading", name="Actors", exact=True)).to_be_visible(timeout=MILLISECONDS)
    settle(page)
    assert params(page) == {"action": ["delete"]}
    assert counted(page) == shown
    page.go_back()
    expect(page.get_by_role("heading", name="Overview", exact=True)).to_be_visible(timeout=MILLISECONDS)
    settle(page)
    assert params(page) == {"action": ["delete"]}
    assert counted(page) == shown


def test_somebody_finds_an_entity_and_reads_its_history(app_server: str, page: Page) -> None:
    open_page(page, f"{app_server}/entities?org={HERE}")
    field = page.get_by_placeholder(re.compile("Find by type"))
    field.fill("protocol SOP-114")
    field.press("Enter")
    wait_for_parameter(page, "find")
    click_row(page, "entities_")
    wait_for_parameter(page, "entity")
    assert params(page)["entity"] == ["protocol:SOP-114"]
    expect(page.get_by_role("heading", name="(protocol:SOP-114)")).to_be_visible()
    expect(page.get_by_text(re.compile(r"\d+ revisions by"))).to_be_visible()
    click_row(page, "revisions_")
    wait_for_parameter(page, "record")
    record = int(params(page)["record"][0])
    expect(page.get_by_role("heading", name=f"Record {record:,}")).to_be_visible()
    expect(page.get_by_text("Occurred", exact=True).last).to_be_visible()  # the first is the table's header


def test_a_reviewer_filters_reads_a_record_and_takes_the_records_away(
    app_server: str, page: Page, tmp_path: Path
) -> None:
    open_page(page, f"{app_server}/records?role=compliance-reviewer&org={HERE}")
    words = page.get_by_placeholder("Search words")
    words.fill("cleanup")
    words.press("Enter")
    wait_for_parameter(page, "text")
    shown = counted(page)
    assert shown > 0
    click_row(page, "records_")
    wait_for_parameter(page, "record")
    expect(page.get_by_text("cleanup", exact=True).first).to_be_visible()
    page.get_by_test_id("stSidebar").get_by_role("link", name="Exports").click()
    expect(page.get_by_role("heading", name="Exports", exact=True)).to_be_visible(timeout=MILLISECONDS)
    settle(page)
    assert params(page)["text"] == ["cleanup"]
    page.get_by_role("button", name=f"Export {shown} records").click()
    link = page.get_by_role("link", name="Download")
    link.wait_for(timeout=MILLISECONDS)
    with page.expect_download(timeout=MILLISECONDS) as download:
        link.click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert file.suffix == ".csv"
    with file.open(encoding="utf-8-sig", newline="") as text:
        assert len(list(csv.DictReader(text))) == shown
    expect(page.get_by_text(sha256(file.read_bytes()).hexdigest())).to_be_visible()


def test_a_qa_lead_verifies_now_and_sees_the_result(app_server: str, page: Page) -> None:
    open_page(page, f"{app_server}/integrity?role=qa-lead&org=cascade-assays")
    before = page.get_by_text(re.compile(r"Verifications\s*\(\d+\)")).inner_text()
    page.get_by_role("button", name="Verify now").click()
    expect(page.get_by_text("Started by user:demo-qa-lead")).to_be_visible(timeout=2 * MILLISECONDS)
    settle(page)
    expect(page.get_by_text("The recorded history is intact")).to_be_visible()
    expect(page.get_by_role("button", name="Verify now")).to_be_visible()
    assert page.get_by_text(re.compile(r"Verifications\s*\(\d+\)")).inner_text() != before
