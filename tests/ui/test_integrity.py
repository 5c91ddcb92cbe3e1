"""Integrity: the verdict, every finding with a way to its record, and a verification that somebody starts here."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from flasktrack.store.engine import open_engine, writing
from flasktrack.store.organizations import create_organization
from flasktrack.store.reader import Ledger
from flasktrack.store.verifications import latest_verification, list_verifications
from flasktrack.store.writer import append
from flasktrack.verify.runner import verify_organization
from tests.store.samples import event
from tests.ui.app import App, OpenApp

HERE, THERE = "alpenrand-bioanalytik", "cascade-assays"
SECONDS = 60


@pytest.fixture
def engine(sample_lab_url: str) -> Iterator[Engine]:
    """The test's own sample lab, to write to."""
    engine = open_engine(sample_lab_url)
    yield engine
    engine.dispose()


def run_until(app: App, button: str) -> None:
    """Look at the page, as its progress makes the browser do, until it has the button again."""
    deadline = time.monotonic() + SECONDS
    while button not in app.buttons:
        assert time.monotonic() < deadline, "it did not end"
        time.sleep(0.1)
        app.run()


def test_verify_now_checks_every_record_and_keeps_the_result(
    open_app: OpenApp, sample_lab_url: str, engine: Engine
) -> None:
    (loaded,) = list_verifications(engine, THERE)
    app = open_app(sample_lab_url, "integrity", org=THERE, role="qa-lead")
    app.click("Verify now")
    assert "Cancel" in app.buttons  # beside the app: the page does not wait for it
    run_until(app, "Verify now")
    newest, former = list_verifications(engine, THERE)
    assert former == loaded
    assert newest.started_by == "user:demo-qa-lead"
    assert newest.records == Ledger(engine, THERE).count()
    assert newest.status == "verified"
    assert "Started by user:demo-qa-lead" in app.text
    assert list(app.table("runs_")["by"]) == [newest.started_by, former.started_by]
    assert len(list_verifications(engine, HERE)) == 1  # nobody asked about the other one


def test_a_verification_that_is_cancelled_leaves_nothing(
    open_app: OpenApp, sample_lab_url: str, engine: Engine
) -> None:
    app = open_app(sample_lab_url, "integrity", org=HERE)
    app.click("Verify now")
    app.click("Cancel")
    run_until(app, "Verify now")
    assert "was cancelled" in app.text
    assert len(list_verifications(engine, HERE)) == 1


def test_everybody_sees_the_verification_that_runs(open_app: OpenApp, sample_lab_url: str, engine: Engine) -> None:
    one = open_app(sample_lab_url, "integrity", org=HERE)
    one.click("Verify now")
    other = open_app(sample_lab_url, "integrity", org=HERE)
    assert "Verify now" not in other.buttons
    run_until(other, "Verify now")
    one.run()
    assert "Verify now" in one.buttons
    assert len(list_verifications(engine, HERE)) == 2


def test_records_since_the_last_verification_are_said_to_be_unchecked(
    open_app: OpenApp, sample_lab_url: str, engine: Engine
) -> None:
    with writing(engine) as connection:
        append(connection, HERE, [event(1), event(2), event(3)])
    assert "3 records since then not checked" in open_app(sample_lab_url, "integrity", org=HERE).text


def test_an_organization_that_was_never_verified_proves_nothing(open_app: OpenApp, unfilled_url: str) -> None:
    app = open_app(unfilled_url, "integrity")
    assert "Not checked" in app.text
    assert "Nothing is proved" in app.text
    assert "Verify now" in app.buttons
    assert app.tables() == []


def test_an_empty_verification_is_not_verified(open_app: OpenApp, sample_lab_url: str, engine: Engine) -> None:
    with writing(engine) as connection:
        create_organization(connection, "empty-lab")
    verify_organization(engine, "empty-lab", started_by="user:u-1")
    app = open_app(sample_lab_url, "integrity", org="empty-lab")
    assert "Not checked" in app.text
    assert "Nothing is proved" in app.text
    assert "No findings" not in app.text


# What was found


def test_every_finding_is_listed_in_plain_words(open_app: OpenApp, tampered_url: str) -> None:
    engine = open_engine(tampered_url)
    latest = latest_verification(engine, HERE)
    engine.dispose()
    assert latest is not None
    app = open_app(tampered_url, "integrity", org=HERE)
    details: dict[str, list[str]] = {}
    for finding in latest.findings:
        details.setdefault(finding.code, []).append(finding.detail)
    assert {"record_modified", "record_missing", "record_reordered", "payload_modified", "link_mismatch"} <= set(
        details
    )
    for code, said in details.items():
        assert list(app.table(f"findings_{latest.id}_{code}")["detail"]) == said
    assert "not intact" in app.text
    errors = sum(finding.severity == "error" for finding in latest.findings)
    assert f"{errors} errors" in app.text
    marks = [trace["customdata"] for trace in app.figure("coverage_")["data"] if trace.get("mode") == "markers"]
    assert sorted(mark[0] for kind in marks for mark in kind) == sorted(finding.seq for finding in latest.findings)


def test_a_click_on_a_finding_opens_its_record(open_app: OpenApp, tampered_url: str) -> None:
    app = open_app(tampered_url, "integrity", org=HERE)
    (key,) = (key for key in app.tables() if key.startswith("findings_") and key.endswith("_payload_modified"))
    seq = int(app.table(key)["where"][0].replace(",", ""))
    app.click_cell(key, 0, "detail")
    assert app.params["record"] == [str(seq)]
    assert f"Record {seq:,}" in app.text
    assert any("payload_modified" in error for error in app.errors)
    app.click_point("coverage_", [1234])
    assert "Record 1,234" in app.text


def test_the_other_organization_of_an_altered_database_is_intact(open_app: OpenApp, tampered_url: str) -> None:
    app = open_app(tampered_url, "integrity", org=THERE)
    assert "The history is intact" in app.text


def test_a_sound_history_says_so_and_that_nobody_has_signed_it(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "integrity", org=THERE)
    assert "The history is intact" in app.text
    assert "No findings" in app.text
    assert "None sealed" in app.text


# Older ones


def test_an_older_verification_is_shown_by_its_address(open_app: OpenApp, sample_lab_url: str, engine: Engine) -> None:
    verify_organization(engine, HERE, started_by="user:u-99")
    newest, older = list_verifications(engine, HERE)
    app = open_app(sample_lab_url, "integrity", org=HERE)
    app.click_cell("runs_", 1, "by")
    assert app.params == {"org": [HERE], "run": [older.id]}
    assert "An earlier verification" in app.text
    assert f"Started by {older.started_by}" in app.text
    app.click_cell("runs_", 0, "by")
    assert app.params == {"org": [HERE]}
    assert f"Started by {newest.started_by}" in app.text


def test_a_verification_of_another_organization_is_none(open_app: OpenApp, lab_url: str) -> None:
    engine = open_engine(lab_url)
    (other,) = list_verifications(engine, THERE)
    engine.dispose()
    app = open_app(lab_url, "integrity", org=HERE, run=other.id)
    assert "no verification of this organization" in app.errors[0]


def test_the_page_that_starts_work_cant_be_used_by_a_role_that_may_not(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "integrity", role="compliance-reviewer")
    assert "Verify now" not in app.buttons
