"""Exports: what is announced is what is written, whoever looks sees it, and each export and download is on record."""

from __future__ import annotations

import csv
import errno
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, update
from streamlit.web.server.starlette.starlette_server_config import XSRF_COOKIE_NAME

from flasktrack.access.demo import demo_principal
from flasktrack.access.members import add_member, change_roles, principal_for, remove_member
from flasktrack.access.permissions import scope_for
from flasktrack.access.roles import Role
from flasktrack.core.times import utc_now
from flasktrack.export.running import ask_for_export, run_export
from flasktrack.export.selection import ExportOptions
from flasktrack.insight.filter import RecordFilter
from flasktrack.settings import Settings
from flasktrack.store.engine import open_engine, writing
from flasktrack.store.exports import Export, list_exports
from flasktrack.store.reader import CheckedRecord, Ledger
from flasktrack.store.schema import export as export_table
from flasktrack.store.scope import Scope, machine_scope
from flasktrack.trust.keyring import Keyring
from flasktrack.ui import downloads
from flasktrack.ui.door import SESSION_HEADER
from flasktrack.verify.runner import Trust
from tests import adversary
from tests.store.samples import event, record
from tests.ui.app import App, OpenApp
from tests.ui.fetch import fetch

HERE = "alpenrand-bioanalytik"
SMALL = "small-lab"
SECONDS = 60


@pytest.fixture
def engine(small_url: str) -> Iterator[Engine]:
    engine = open_engine(small_url)
    yield engine
    engine.dispose()


def announced(app: App) -> int:
    found = re.search(r"([\d,]+) records? will be written", app.text)
    assert found is not None
    return int(found[1].replace(",", ""))


def begin(app: App) -> None:
    app.click(next(label for label in app.buttons if label.startswith("Export ")))


def wait(app: App) -> None:
    """Look at the page until nothing is being written any more."""
    deadline = time.monotonic() + SECONDS
    while "Cancel" in app.buttons:
        assert time.monotonic() < deadline, "it did not end"
        time.sleep(0.1)
        app.run()


def export(app: App) -> None:
    begin(app)
    wait(app)


def address(app: App) -> str:
    """Where the page says that the file is."""
    (link,) = app.test.get("link_button")
    return str(link.proto.url)


def checksum(app: App) -> str:
    return next(code.value for code in app.test.code if re.fullmatch(r"[0-9a-f]{64}", code.value))


def told(engine: Engine, organization: str = SMALL) -> list[CheckedRecord]:
    """The records of exports and downloads."""
    found = Ledger(engine, machine_scope(organization)).stream(*RecordFilter(entity_types=("export",)).conditions())
    return list(found)


def test_the_file_holds_exactly_what_was_announced(open_app: OpenApp, sample_lab_url: str) -> None:
    params = {"entity": ["workflow:WF-PK", "protocol:SOP-114"], "with_related": ["1"], "seq": ["1000-"]}
    engine = open_engine(sample_lab_url)
    chosen = RecordFilter.from_params(params)
    expected = [found.record.seq for found in Ledger(engine, machine_scope(HERE)).stream(*chosen.conditions())]
    app = open_app(sample_lab_url, "exports", org=HERE, **params)
    assert announced(app) == len(expected) > 0
    export(app)
    assert app.errors == []
    assert f"{len(expected):,} records" in app.text
    answer = fetch(address(app))
    assert answer.status == 200
    assert sha256(answer.content).hexdigest() == checksum(app)
    rows = list(csv.DictReader(answer.content.decode("utf-8-sig").splitlines()))
    assert [int(row["seq"]) for row in rows] == expected
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["cache-control"] == "no-store"
    assert re.search(rf"{HERE}-[\d-]+\.csv", answer.headers["content-disposition"])
    engine.dispose()


def test_what_is_not_sealed_is_told_before_a_package_is_begun_and_can_be_sealed_or_left_out(
    open_app: OpenApp, small_url: str
) -> None:
    app = open_app(small_url, "exports", org=SMALL, role="qa-lead")
    app.test.button_group("export_format").set_value("evidence").run()
    assert "10 records lie above any checkpoint: nothing proves them yet." in app.text
    app.click("Seal now")
    app.wait_for("Seal now")
    assert "above the last checkpoint, which covers positions 1 to 10" in app.text  # who sealed it is on record
    app.click_link("Only what is sealed")
    assert app.params["seq"] == ["-10"]
    assert "nothing proves" not in app.text
    reviewer = open_app(small_url, "exports", org=SMALL, role="compliance-reviewer")
    reviewer.test.button_group("export_format").set_value("evidence").run()
    assert "Seal now" not in reviewer.buttons


def test_each_export_and_each_download_is_a_record(open_app: OpenApp, small_url: str, engine: Engine) -> None:
    app = open_app(small_url, "exports", org=SMALL, role="compliance-reviewer", seq="1-4")
    export(app)
    answer = fetch(address(app))
    made, taken = told(engine)
    for found, action in ((made, "export"), (taken, "download")):
        assert not found.findings
        assert (found.record.actor_type, found.record.actor_id) == ("user", "demo-compliance-reviewer")
        assert (found.record.action, found.record.entity_type) == (action, "export")
        assert found.after is not None
        after = json.loads(found.after.body)
        assert after["filter"] == {"seq": ["1-4"]}
        assert (after["records"], after["format"]) == (4, "csv")
        assert after["sha256"] == sha256(answer.content).hexdigest() == checksum(app)
    assert made.record.entity_id == taken.record.entity_id
    assert fetch(address(app), range="bytes=10-19").status == 206  # a browser that goes on where it was interrupted
    assert len(told(engine)) == 2
    fetch(address(app))
    assert len(told(engine)) == 3


def test_records_that_come_after_the_count_are_not_written(open_app: OpenApp, small_url: str, engine: Engine) -> None:
    app = open_app(small_url, "exports", org=SMALL, entity="sample:S-100")
    assert announced(app) == 10
    record(engine, event(11), organization=SMALL)
    export(app)  # the click comes from the page that said 10
    assert "10 records," in app.text
    lines = fetch(address(app)).content.decode("utf-8-sig").splitlines()
    assert len(list(csv.DictReader(lines))) == 10


def test_records_that_are_gone_since_they_were_counted_keep_nobody_from_the_others(
    open_app: OpenApp, small_url: str, engine: Engine
) -> None:
    app = open_app(small_url, "exports", org=SMALL, entity="sample:S-100")
    adversary.delete_records(engine, SMALL, 7)
    app.run()
    assert announced(app) == 10  # when they were taken in
    export(app)
    assert "9 records," in app.text  # which the database has


def test_another_session_sees_an_export_that_goes_on_and_can_take_it(
    open_app: OpenApp, small_url: str, engine: Engine
) -> None:
    app = open_app(small_url, "exports", org=SMALL, seq="2-5")
    begin(app)
    other = open_app(small_url, "exports", org=SMALL, role="compliance-reviewer")
    wait(other)
    (made,) = list_exports(engine, machine_scope(SMALL))
    assert (made.status, made.requested_by) == ("done", "user:demo-qa-lead")
    other.run()
    shown = other.table("exports_")
    assert list(shown["records"]) == [4]
    assert list(shown["filter"]) == ["Records from position 2 up to position 5."]
    assert list(shown["who"]) == ["user:demo-qa-lead"]
    other.click_cell("exports_", 0, "filter")
    assert fetch(address(other)).status == 200
    assert told(engine)[-1].record.actor_id == "demo-compliance-reviewer"
    other.click_link("Open its filter")
    assert other.params["seq"] == ["2-5"]
    assert announced(other) == 4
    elsewhere = open_app(small_url, "exports", org="other-lab", export=made.id)
    assert not elsewhere.test.get("link_button")
    assert elsewhere.tables() == [name for name in elsewhere.tables() if not name.startswith("exports_")]


def test_options_are_kept_and_stated(open_app: OpenApp, small_url: str, engine: Engine) -> None:
    app = open_app(small_url, "exports", org=SMALL)
    app.test.multiselect("export_columns").set_value(["seq", "occurred_at_local"]).run()
    app.test.selectbox(f"export_zone_{SMALL}").set_value("UTC").run()
    export(app)
    assert fetch(address(app)).text.splitlines()[0].endswith('"seq","occurred_at (UTC)"')
    assert "Columns: seq, occurred_at_local; zone UTC" in app.text
    body = told(engine)[0].after
    assert body is not None
    assert json.loads(body.body)["columns"] == ["seq", "occurred_at_local"]


def test_an_export_can_be_cancelled_and_leaves_nothing(
    open_app: OpenApp, small_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flasktrack.ui.make_export.run_beside", lambda *_: None)  # so that it is under way for sure
    app = open_app(small_url, "exports", org=SMALL)
    begin(app)
    app.click("Cancel")
    (asked,) = list_exports(engine, machine_scope(SMALL))
    assert asked.status == "cancelling"
    assert app.button("Cancel").disabled
    assert told(engine) == []


def test_an_export_that_failed_says_why(open_app: OpenApp, small_url: str, engine: Engine) -> None:
    record(engine, event(11, after="x" * 40_000), organization=SMALL)
    app = open_app(small_url, "exports", org=SMALL)
    app.test.button_group("export_format").set_value("xlsx").run()
    export(app)
    (said,) = app.errors
    assert "Record 11 has 40,002 characters in after" in said
    assert not app.test.get("link_button")
    (asked,) = list_exports(engine, machine_scope(SMALL))
    assert not Path(asked.file).parent.exists()
    assert told(engine) == []


def test_a_process_that_died_is_said_to_have(open_app: OpenApp, small_url: str, engine: Engine) -> None:
    app = open_app(small_url, "exports", org=SMALL)
    export(app)
    with writing(engine) as connection:
        connection.execute(update(export_table).values(status="running", updated_at="2026-01-01T00:00:00.000000Z"))
    app.run()
    assert "Cancel" not in app.buttons
    assert any("ended without a word" in error for error in app.errors)


def test_what_selects_nothing_cant_be_exported(open_app: OpenApp, lab_url: str) -> None:
    for params in ({"action": "levitate"}, {"seq": "900000-"}):
        app = open_app(lab_url, "exports", **params)
        assert announced(app) == 0
        assert app.errors == []
        assert app.button("Export 0 records").disabled


def test_an_altered_chain_can_be_taken_away_and_that_it_is_not_on_record_is_said(
    open_app: OpenApp, small_url: str, engine: Engine
) -> None:
    """What is missing is missing in the file; nothing can be appended to such a chain."""
    adversary.delete_records(engine, SMALL, 10)
    app = open_app(small_url, "exports", org=SMALL)
    assert announced(app) == 9
    export(app)
    assert len(list(csv.DictReader(fetch(address(app)).content.decode("utf-8-sig").splitlines()))) == 9
    assert any("not on record in the chain" in warning.value for warning in app.test.warning)
    assert told(engine) == []


def test_a_value_that_no_record_can_hold_is_refused_before_anything_is_started(open_app: OpenApp, lab_url: str) -> None:
    for params in ({"action": "x" * 200_000}, {"entity": "sample:" + "x" * 200_000}, {"text": " " * 200_000 + "x"}):
        app = open_app(lab_url, "exports", **params)
        (said,) = app.errors
        assert "characters" in said
        assert not [label for label in app.buttons if label.startswith("Export ")]


def test_only_so_many_exports_are_made_at_once(
    open_app: OpenApp, small_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flasktrack.store.exports.MOST_AT_ONCE", 0)
    app = open_app(small_url, "exports", org=SMALL, seq="1-5")
    app.click("Export 5 records")
    (said,) = (warning.value for warning in app.test.warning)
    assert "Nothing was begun" in said
    assert list_exports(engine, machine_scope(SMALL)) == []


def test_where_there_is_no_room_nothing_is_begun(
    open_app: OpenApp, small_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    app = open_app(small_url, "exports", org=SMALL, seq="1-5")
    monkeypatch.setattr(Path, "mkdir", full)
    app.click("Export 5 records")
    (said,) = (warning.value for warning in app.test.warning)
    assert "No space left on device" in said


def test_a_file_that_is_no_longer_kept_is_said_to_be_gone(open_app: OpenApp, small_url: str, engine: Engine) -> None:
    app = open_app(small_url, "exports", org=SMALL, seq="1-5")
    export(app)
    place = address(app)
    (made,) = list_exports(engine, machine_scope(SMALL))
    shutil.rmtree(Path(made.file).parent)
    app.run()
    assert app.errors == []
    assert not app.test.get("link_button")
    assert list(app.table("exports_")["state"]) == ["no longer kept"]
    assert fetch(place).status == 404
    assert len(told(engine)) == 1


def test_files_go_when_their_time_is_over(
    open_app: OpenApp, small_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_app(small_url, "exports", org=SMALL, seq="1-5")
    export(app)
    place = address(app)
    (made,) = list_exports(engine, machine_scope(SMALL))
    with writing(engine) as connection:
        connection.execute(update(export_table).values(expires_at="2026-01-01T00:00:00.000000Z"))
    assert fetch(place).status == 404
    old = time.time() - Settings().export_kept.total_seconds() - 60
    os.utime(Path(made.file).parent, (old, old))
    export(app)  # another one makes room
    assert not Path(made.file).exists()


# Addresses


def of(role: Role, organization: str = SMALL) -> Scope:
    return scope_for(demo_principal(role, [organization]), organization)


def granted(engine: Engine, **changes: Any) -> str:
    values: dict[str, Any] = {
        "engine": engine, "scope": of(Role.QA_LEAD), "what": "none", "browser": None,
        "until": utc_now() + downloads.GOOD_FOR,
    }  # fmt: skip
    return downloads.downloads().grant(downloads.Grant(**(values | changes)))


@pytest.fixture
def made(engine: Engine) -> Export:
    """An export of five records, made in this process: the page's own begins another one."""
    settings, scope = Settings.from_environment(), of(Role.QA_LEAD)
    chosen = RecordFilter.from_params({"seq": ["1-5"]})
    asked = ask_for_export(engine, scope, chosen, 5, "csv", ExportOptions(ZoneInfo("Europe/Berlin")), settings)
    run_export(engine, SMALL, asked.id, settings, Trust(Keyring.from_settings(settings)))
    (found,) = list_exports(engine, machine_scope(SMALL))
    return found


@pytest.mark.parametrize("token", ["unknown", "x" * 43, "..%2F..%2Fetc%2Fpasswd", "%00"])
def test_an_unknown_address_is_not_found(token: str) -> None:
    answer = fetch(f"/download/{token}")
    assert answer.status == 404
    assert "Traceback" not in answer.text


def test_an_address_is_good_for_its_time_its_organization_and_its_browser(engine: Engine, made: Export) -> None:
    secret, other = "2|" + "ab" * 4, "2|" + "cd" * 4
    cookies = [f"{word}|{'00' * 16}|1700000000" for word in (secret, other)]
    browser = downloads.browser_of({XSRF_COOKIE_NAME: cookies[0]})
    assert browser is not None
    good = granted(engine, what=made.id)
    bound = granted(engine, what=made.id, browser=browser)
    assert fetch(good).status == 200
    assert fetch(bound, cookie=f"{XSRF_COOKIE_NAME}={cookies[0]}").status == 200
    assert fetch(bound, cookie=f"{XSRF_COOKIE_NAME}={cookies[1]}").status == 404
    assert fetch(bound).status == 404
    annas = granted(engine, what=made.id, browser="ab" * 32)
    assert downloads.reader_of({SESSION_HEADER: "ab" * 32}, {XSRF_COOKIE_NAME: cookies[0]}) == "ab" * 32
    assert fetch(annas, cookie=f"{XSRF_COOKIE_NAME}={cookies[0]}").status == 404  # her session ended, or is another's
    assert fetch(granted(engine, what=made.id, until=utc_now())).status == 404
    assert fetch(granted(engine, what=made.id, scope=of(Role.QA_LEAD, "other-lab"))).status == 404
    assert len(told(engine)) == 3  # the export, and the two that were given out


@pytest.mark.parametrize("role", Role)
def test_an_address_gives_to_those_alone_who_may_export(engine: Engine, made: Export, role: Role) -> None:
    may = role in (Role.COMPLIANCE_REVIEWER, Role.QA_LEAD)
    for what in (made.id, downloads.Proof(1, "a proof")):
        assert fetch(granted(engine, what=what, scope=of(role))).status == (200 if may else 403)
    assert len(told(engine)) == 1 + may


def test_whoever_may_export_no_more_gets_nothing_by_an_address_from_before(engine: Engine, made: Export) -> None:
    operator = machine_scope(SMALL)
    add_member(engine, operator, "user:anna", "Anna", {Role.QA_LEAD}, reason="SOP-3")
    anna = principal_for(engine, "user:anna", "a test")
    assert anna is not None
    place = granted(engine, what=made.id, scope=scope_for(anna, SMALL))
    assert fetch(place).status == 200
    change_roles(engine, operator, "user:anna", {Role.LAB_MANAGER}, reason="other work")
    assert fetch(place).status == 403
    remove_member(engine, operator, "user:anna", reason="left")
    answer = fetch(place)
    assert (answer.status, answer.text) == (403, "user:anna does not belong to small-lab any more.")


def test_addresses_cant_be_guessed(engine: Engine) -> None:
    tokens = {granted(engine).rpartition("/")[2] for _ in range(3)}
    assert len(tokens) == 3
    assert all(len(token) >= 43 for token in tokens)  # 256 bits in base64


def test_a_download_that_begins_in_the_middle_is_on_record_too(engine: Engine, made: Export) -> None:
    place = granted(engine, what=made.id)
    answer = fetch(place, range="bytes=1-9")
    assert (answer.status, len(answer.content)) == (206, 9)
    assert [found.record.action for found in told(engine)] == ["export", "download"]
    for number, whole in enumerate(("bytes=-999999", "bytes=00-"), start=3):
        fetch(place, range=whole)
        assert len(told(engine)) == number, "all of it once more is a download once more"


def test_an_address_gives_out_no_other_file_whatever_the_row_says(engine: Engine, made: Export, tmp_path: Path) -> None:
    secret = tmp_path / "signing-key.pem"
    secret.write_text("secret")
    with writing(engine) as connection:
        connection.execute(update(export_table).values(file=str(secret)))
    assert fetch(granted(engine, what=made.id)).status == 404


# Saved filters


def test_a_filter_is_saved_by_name_opened_again_and_forgotten(
    open_app: OpenApp, small_url: str, engine: Engine
) -> None:
    app = open_app(small_url, "exports", org=SMALL, seq="2-4")
    app.test.text_input("saved_filter_name").set_value("Few of them")
    app.test.checkbox("saved_filter_shared").check().run()
    app.click("Save")
    assert app.errors == []
    other = open_app(small_url, "exports", org=SMALL, role="compliance-reviewer")
    assert announced(other) == 11  # with the record of the sharing
    other.click("Few of them")
    assert announced(other) == 3
    assert other.params["seq"] == ["2-4"]
    assert [button.key for button in other.test.button if "_drop_" in str(button.key)] == []  # it is another's
    app.test.button("saved_filter_drop__Few of them").click().run()
    assert "Few of them" not in app.buttons
    acts = Ledger(engine, machine_scope(SMALL)).stream(*RecordFilter(entity_types=("saved_filter",)).conditions())
    assert [found.record.action for found in acts] == ["create", "delete"]
    assert "Few of them" not in open_app(small_url, "exports", org="other-lab").buttons


def test_ones_own_filter_is_nobody_elses_and_one_without_a_name_is_refused(open_app: OpenApp, small_url: str) -> None:
    app = open_app(small_url, "exports", org=SMALL)
    app.click("Save")
    assert "A name has 1 to 80 characters" in app.text
    app.test.text_input("saved_filter_name").set_value("Mine").run()
    app.click("Save")
    assert "Mine" in app.buttons
    assert "Mine" not in open_app(small_url, "exports", org=SMALL, role="compliance-reviewer").buttons
