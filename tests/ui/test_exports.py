"""Exports: what is announced is what is written, and a file is there for as long as somebody may fetch it."""

from __future__ import annotations

import csv
import errno
import json
import os
import re
import shutil
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from flasktrack.insight.filter import RecordFilter
from flasktrack.store.engine import open_engine
from flasktrack.store.reader import Ledger
from flasktrack.ui.downloads import Downloads, downloads
from tests.store.samples import event, record
from tests.ui.app import App, OpenApp
from tests.ui.fetch import fetch

HERE = "alpenrand-bioanalytik"
SECONDS = 60


def announced(app: App) -> int:
    found = re.search(r"([\d,]+) records? will be written", app.text)
    assert found is not None
    return int(found[1].replace(",", ""))


def export(app: App) -> None:
    """Click the button, and look at the page until it has ended."""
    app.click(next(label for label in app.buttons if label.startswith("Export ")))
    deadline = time.monotonic() + SECONDS
    while "Cancel" in app.buttons:
        assert time.monotonic() < deadline, "it did not end"
        time.sleep(0.1)
        app.run()


def address(app: App) -> str:
    """Where the page says that the file is."""
    (link,) = app.test.get("link_button")
    return str(link.proto.url)


def checksum(app: App) -> str:
    return next(code.value for code in app.test.code if re.fullmatch(r"[0-9a-f]{64}", code.value))


FILTERS: list[dict[str, Any]] = [
    {"action": ["delete"], "outcome": ["success"]},
    {"text": ["cleanup"]},
    {"entity": ["workflow:WF-PK", "protocol:SOP-114"], "with_related": ["1"], "seq": ["1000-"]},
]


@pytest.mark.parametrize("params", FILTERS, ids=["action", "text", "entities and what relates to them"])
def test_the_file_holds_exactly_what_was_announced(params: dict[str, Any], open_app: OpenApp, lab_url: str) -> None:
    chosen = RecordFilter.from_params(params)
    engine = open_engine(lab_url)
    expected = [found.record.seq for found in Ledger(engine, HERE).stream(*chosen.conditions())]
    engine.dispose()
    app = open_app(lab_url, "exports", org=HERE, **params)
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


def test_records_that_come_after_the_count_are_not_written(open_app: OpenApp, small_url: str) -> None:
    app = open_app(small_url, "exports", org="small-lab", entity="sample:S-100")
    assert announced(app) == 10
    engine = open_engine(small_url)
    record(engine, event(11), organization="small-lab")
    engine.dispose()
    export(app)  # the click comes from the page that said 10
    assert "10 records," in app.text
    lines = fetch(address(app)).content.decode("utf-8-sig").splitlines()
    assert len(list(csv.DictReader(lines))) == 10


def test_an_export_stays_until_the_next_one_and_says_what_it_was_made_of(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "exports", org=HERE, seq="100-109")
    app.test.button_group("export_format").set_value("jsonl").run()
    export(app)
    first = address(app)
    lines = fetch(first).content.decode().splitlines()
    assert [json.loads(line)["seq"] for line in lines] == list(range(100, 110))
    assert "Made before" not in app.text
    app.filter("seq").set_value("1-5").run()
    assert announced(app) == 5
    assert re.search("Made before, with another filter: .*100", app.text)
    assert address(app) == first
    app.test.selectbox("switch_org").select("cascade-assays").run()
    assert not app.test.get("link_button")  # it is of another organization
    app.go("exports", org=HERE, seq="1-5")
    export(app)
    assert address(app) != first
    assert "Made before" not in app.text
    gone = fetch(first)
    assert gone.status == 404
    assert "again" in gone.text
    assert fetch(address(app)).status == 200


def test_an_export_can_be_cancelled_and_leaves_nothing(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "exports", org=HERE)
    app.click(next(label for label in app.buttons if label.startswith("Export ")))
    file: Path = app.test.session_state["export"].file
    app.click("Cancel")
    deadline = time.monotonic() + SECONDS
    while "Cancel" in app.buttons:
        assert time.monotonic() < deadline
        time.sleep(0.1)
        app.run()
    assert "Cancelled; nothing was kept" in app.errors[0]
    assert not list(file.parent.iterdir())
    assert not app.test.get("link_button")


def test_what_selects_nothing_cant_be_exported(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "exports", action="levitate")
    assert announced(app) == 0
    assert app.button("Export 0 records").disabled


def test_positions_beyond_the_newest_select_nothing(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "exports", seq="900000-")
    assert announced(app) == 0
    assert app.errors == []


def test_what_is_missing_in_an_altered_history_is_missing_in_the_file(open_app: OpenApp, tampered_url: str) -> None:
    """The count is of what there is; the head, which says more, is not relied on."""
    app = open_app(tampered_url, "exports", org=HERE, seq="15000-")
    said = announced(app)
    export(app)
    rows = list(csv.DictReader(fetch(address(app)).content.decode("utf-8-sig").splitlines()))
    assert len(rows) == said > 0


def test_a_value_that_no_record_can_hold_is_refused_before_anything_is_started(open_app: OpenApp, lab_url: str) -> None:
    for params in ({"action": "x" * 200_000}, {"entity": "sample:" + "x" * 200_000}, {"text": " " * 200_000 + "x"}):
        app = open_app(lab_url, "exports", **params)
        (said,) = app.errors
        assert "characters" in said
        assert not [label for label in app.buttons if label.startswith("Export ")]


def test_only_so_many_exports_are_made_at_once(
    open_app: OpenApp, sample_lab_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flasktrack.ui.make_export.MOST_AT_ONCE", 0)
    app = open_app(sample_lab_url, "exports", org=HERE, seq="1-5")
    app.click("Export 5 records")
    (said,) = (warning.value for warning in app.test.warning)
    assert "Nothing was begun" in said
    assert "export" not in app.test.session_state
    monkeypatch.setattr("flasktrack.ui.make_export.MOST_AT_ONCE", 1)
    export(app)
    assert fetch(address(app)).status == 200


def test_a_file_that_is_no_longer_kept_is_said_to_be_gone(open_app: OpenApp, sample_lab_url: str) -> None:
    app = open_app(sample_lab_url, "exports", org=HERE, seq="1-5")
    export(app)
    shutil.rmtree(downloads()._folder.name)
    app.run()
    assert app.errors == []
    assert "no longer kept" in app.text
    export(app)
    assert fetch(address(app)).status == 200


def test_where_there_is_no_room_nothing_is_begun(
    open_app: OpenApp, sample_lab_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Downloads, name: str) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Downloads, "new_file", full)
    app = open_app(sample_lab_url, "exports", org=HERE, seq="1-5")
    app.click("Export 5 records")
    (said,) = (warning.value for warning in app.test.warning)
    assert "No space left on device" in said


# Files to fetch


@pytest.mark.parametrize("token", ["unknown", "x" * 43, "..%2F..%2Fetc%2Fpasswd", "%00"])
def test_an_unknown_address_is_not_found(token: str) -> None:
    answer = fetch(f"/download/{token}")
    assert answer.status == 404
    assert "Traceback" not in answer.text


def test_a_file_is_there_until_it_is_withdrawn() -> None:
    file = downloads().new_file("lab.csv")
    file.write_text("seq\n1\n", encoding="utf-8")
    place = downloads().offer(file)
    assert fetch(place).text == "seq\n1\n"
    downloads().withdraw(file)
    assert fetch(place).status == 404
    assert not file.parent.exists()


def test_what_is_being_written_can_be_withdrawn() -> None:
    """A process may still write beside it, under another name."""
    file = downloads().new_file("lab.csv")
    file.with_name("lab.csv.part").write_text("seq", encoding="utf-8")
    downloads().withdraw(file)
    assert not file.parent.exists()
    downloads().withdraw(file)  # once more does no harm


def test_a_days_old_file_goes_when_another_is_made() -> None:
    old, kept = downloads().new_file("old.csv"), downloads().new_file("kept.csv")
    for file, age in ((old, 25), (kept, 23)):
        file.write_text("seq\n", encoding="utf-8")
        hours_ago = time.time() - age * 3600
        os.utime(file.parent, (hours_ago, hours_ago))
    place = downloads().offer(old)
    downloads().new_file("new.csv")
    assert fetch(place).status == 404
    assert kept.exists()


def test_a_file_that_somebody_deleted_is_not_found() -> None:
    file = downloads().new_file("lab.csv")
    file.write_text("seq\n", encoding="utf-8")
    place = downloads().offer(file)
    file.unlink()
    assert fetch(place).status == 404


def test_addresses_cant_be_guessed_and_files_have_folders_of_their_own() -> None:
    offered = Downloads()
    files = [offered.new_file("same.csv") for _ in range(3)]
    for file in files:
        file.write_text("x", encoding="utf-8")
    tokens = [offered.offer(file).rpartition("/")[2] for file in files]
    assert len(set(tokens)) == len({file.parent for file in files}) == 3
    assert all(len(token) >= 43 for token in tokens)  # 256 bits in base64
    assert [offered.find(token) for token in tokens] == files
    offered._folder.cleanup()


def test_a_file_can_be_fetched_in_part() -> None:
    """Browsers resume a download that was interrupted."""
    file = downloads().new_file("lab.csv")
    file.write_bytes(bytes(range(100)))
    answer = fetch(downloads().offer(file), range="bytes=10-19")
    assert answer.status == 206
    assert answer.content == bytes(range(10, 20))
