"""A page counts what was taken in so far, says so, and says how much of it failed its check."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from flasktrack.insight import following
from flasktrack.insight.copy import Copy
from flasktrack.store.engine import open_engine
from tests.adversary import alter_record, delete_records
from tests.store.samples import event, record
from tests.ui.app import OpenApp


def test_a_page_says_that_it_does_not_count_everything_yet(
    open_app: OpenApp, small_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on, done = threading.Event(), threading.Event()
    take_in = Copy.take_in

    def slowly(copy: Copy, *arguments: Any) -> Any:
        may_go_on.wait(60)
        state = take_in(copy, *arguments)
        done.set()
        return state

    monkeypatch.setattr(Copy, "take_in", slowly)
    monkeypatch.setattr(following, "AT_ONCE", 0)
    app = open_app(small_url, org="small-lab")
    assert "Figures count 0 records so far" in app.text
    assert app.counted > 0  # what the table lists, not what is counted
    assert app.errors == []
    for page in ("attention", "entities"):
        said = open_app(small_url, page, org="small-lab").text
        assert "is empty" not in said, page
        assert "Nothing is counted yet" in said, page
    may_go_on.set()
    assert done.wait(60)
    app.run()
    assert "so far" not in app.text
    assert app.counted > 0


def test_a_page_says_how_many_of_the_counted_records_failed(open_app: OpenApp, small_url: str) -> None:
    engine = open_engine(small_url)
    alter_record(engine, "small-lab", 2, reason="because")
    engine.dispose()
    app = open_app(small_url, org="small-lab")
    assert "1 record of the" in app.text
    assert "failed the check when taken in" in app.text


def test_while_the_copy_is_behind_the_records_page_lists_what_it_has_and_what_is_above(
    open_app: OpenApp, small_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_app(small_url, "records", org="small-lab", action="update")
    before = [int(seq) for seq in app.table("records_")["seq"]]
    engine = open_engine(small_url)
    record(engine, *(event(number, action="update") for number in (21, 22)), organization="small-lab")
    monkeypatch.setattr(Copy, "take_in", lambda copy, organization_id, *_: copy.state(organization_id))
    app.run()
    assert [int(seq) for seq in app.table("records_")["seq"]] == [12, 11, *before]
    exports = open_app(small_url, "exports", org="small-lab", role="qa-lead", action="update")
    assert f"{len(before) + 2} records will be written" in exports.text  # counted where they all are
    exports.test.button_group("export_format").set_value("evidence").run()
    assert f"{len(before) + 2} records lie above any checkpoint" in exports.text
    monkeypatch.undo()
    delete_records(engine, "small-lab", 7)
    engine.dispose()
    later = open_app(small_url, "records", org="small-lab", action="update")
    assert 7 not in [int(seq) for seq in later.table("records_")["seq"]]
    assert "1 record that met the filter when taken in is not in the database any more" in later.text


def test_an_analytics_server_that_is_down_is_told_and_every_page_works(
    open_app: OpenApp, small_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASKTRACK_ANALYTICS_URL", "postgresql://nobody@127.0.0.1:1/none")
    app = open_app(small_url, org="small-lab")
    assert "can't be reached" in app.text
    assert "counted from a private copy" in app.text.replace("\\", "")
    assert app.counted == 10
