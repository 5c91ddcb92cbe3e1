"""Integrity: the verdict, every finding with a way to its record, and a verification that somebody starts here."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from flasktrack.store.engine import open_engine, writing
from flasktrack.store.organizations import create_organization
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope
from flasktrack.store.verifications import latest_verification, list_verifications, store_verification
from flasktrack.store.writer import append
from flasktrack.ui.finding_words import FINDING_WORDS
from flasktrack.ui.text import count
from flasktrack.ui.verify_now import _running
from flasktrack.verify.runner import verify_organization
from tests.adversary import run_sql
from tests.store.samples import event
from tests.ui.app import OpenApp

HERE, THERE, SMALL = "alpenrand-bioanalytik", "cascade-assays", "small-lab"


@pytest.fixture
def engine(sample_lab_url: str) -> Iterator[Engine]:
    """The test's own sample lab, to write to."""
    engine = open_engine(sample_lab_url)
    yield engine
    engine.dispose()


def test_verify_now_checks_every_record_and_keeps_the_result(open_app: OpenApp, small_url: str) -> None:
    engine = open_engine(small_url)
    former = verify_organization(engine, SMALL, started_by="command line")
    app = open_app(small_url, "integrity", org=SMALL, role="qa-lead")
    app.click("Verify now")
    assert "Cancel" in app.buttons  # beside the app: the page does not wait for it
    app.wait_for("Verify now")
    newest, kept = list_verifications(engine, machine_scope(SMALL))
    assert kept == former
    assert (newest.started_by, newest.status, newest.mode) == ("user:demo-qa-lead", "verified", "full")
    assert newest.records == 10
    act = Ledger(engine, machine_scope(SMALL)).get(11)  # who verified when is part of the history
    assert act is not None
    assert (act.record.record_id, act.record.action, act.record.actor_id) == (newest.id, "verify", "demo-qa-lead")
    assert "Started by user:demo-qa-lead" in app.text
    assert list(app.table("runs_")["by"]) == [newest.started_by, former.started_by]
    assert list_verifications(engine, machine_scope("other-lab")) == []  # nobody asked about that one
    engine.dispose()


def test_everybody_sees_the_verification_that_runs_and_may_cancel_it(
    open_app: OpenApp, sample_lab_url: str, engine: Engine
) -> None:
    one = open_app(sample_lab_url, "integrity", org=HERE)
    one.click("Verify now")
    (process,) = (started.job._process for (url, _), started in _running()._jobs.items() if url == sample_lab_url)
    assert process is not None
    process.send_signal(signal.SIGSTOP)  # so that it is under way still, however long the page takes
    other = open_app(sample_lab_url, "integrity", org=HERE)
    assert "Verify now" not in other.buttons
    other.click("Cancel")
    process.send_signal(signal.SIGCONT)
    other.wait_for("Verify now")
    one.run()
    assert "was cancelled" in one.text
    assert {"Verify now", "Verify what is new", "Seal now"} <= set(one.buttons)
    assert len(list_verifications(engine, machine_scope(HERE))) == 1  # nothing of it was kept


def test_a_job_that_fails_says_why(open_app: OpenApp, small_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASKTRACK_KEY_DIR", "/nowhere/keys")
    app = open_app(small_url, "integrity", org=SMALL)
    app.click("Seal now")
    app.wait_for("Seal now")
    (said,) = app.errors
    assert "could not be done" in said
    assert "/nowhere/keys" in said


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
        assert f"{FINDING_WORDS[code].title.lower()}] ({count(len(said), 'finding')})" in app.text
        assert FINDING_WORDS[code].advice in app.text
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


def test_what_only_a_verification_knows_of_a_record_is_said_beside_it(open_app: OpenApp, tampered_url: str) -> None:
    """To a reader of one record, a link that is broken or a record that was moved looks otherwise."""
    engine = open_engine(tampered_url)
    latest = latest_verification(engine, HERE)
    engine.dispose()
    assert latest is not None
    found = {finding.code: finding for finding in latest.findings}
    for code in ("chain_broken", "record_reordered", "record_missing"):
        app = open_app(tampered_url, "integrity", org=HERE, record=str(found[code].seq))
        boxes = [box for box in app.errors if box.endswith(f"`{code}`")]
        assert boxes == [f"**Error:** {found[code].detail} `{code}`"], code
        assert not any("record_modified" in box for box in app.errors), code


def test_the_other_organization_of_an_altered_database_is_intact(open_app: OpenApp, tampered_url: str) -> None:
    app = open_app(tampered_url, "integrity", org=THERE)
    assert "The recorded history is intact" in app.text


def test_a_sound_history_says_so_and_that_nobody_has_signed_it(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "integrity", org=THERE)
    assert "The recorded history is intact" in app.text
    assert "No findings" in app.text
    assert "None sealed" in app.text


def test_what_was_done_to_the_tables_is_part_of_the_answer(open_app: OpenApp, small_url: str) -> None:
    engine = open_engine(small_url)
    done = verify_organization(engine, SMALL, started_by="command line")
    with writing(engine) as connection:
        store_verification(connection, replace(done, id="later", remarks=("The guard **x** is gone.",)))
    engine.dispose()
    app = open_app(small_url, "integrity", org=SMALL)
    assert "The recorded history is not intact" in app.text
    assert app.errors == ["The guard **x** is gone."]
    assert "No findings" not in app.text


def test_a_verification_that_cant_be_read_is_said_to_prove_nothing(open_app: OpenApp, small_url: str) -> None:
    engine = open_engine(small_url)
    verify_organization(engine, SMALL, started_by="command line")
    run_sql(engine, "UPDATE verification SET findings = 'x'")
    engine.dispose()
    app = open_app(small_url, "integrity", org=SMALL)
    assert "Nothing is proved yet" in app.text
    assert "can't be read" in app.errors[0]
    assert "The last full verification was never." in app.test.warning[0].value


# Older ones


def test_an_older_verification_is_shown_by_its_address(open_app: OpenApp, sample_lab_url: str, engine: Engine) -> None:
    verify_organization(engine, HERE, started_by="user:u-99")
    newest, older = list_verifications(engine, machine_scope(HERE))
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
    (other,) = list_verifications(engine, machine_scope(THERE))
    engine.dispose()
    app = open_app(lab_url, "integrity", org=HERE, run=other.id)
    assert "no verification of this organization" in app.errors[0]


def test_the_page_that_starts_work_cant_be_used_by_a_role_that_may_not(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "integrity", role="compliance-reviewer")
    assert "Verify now" not in app.buttons
