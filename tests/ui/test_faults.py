"""Whatever is wrong with the database or the address: one box, what happened and what to do, and never a traceback."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from flasktrack.insight.questions import Questions
from flasktrack.store import engine as store_engine
from flasktrack.ui.registry import PAGES
from tests.ui.app import App, OpenApp

TRACES = ("Traceback", "Error:", 'File "', "sqlite3.", "sqlalchemy", "psycopg")
RESET = "Reset the address"


def said(app: App) -> str:
    """The one box that the page shows in place of its content."""
    assert not app.test.exception
    assert app.headers == []
    assert app.tables() == []
    (box,) = app.errors
    assert not any(trace in box for trace in TRACES)
    return box


def file_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


# The database


@pytest.mark.parametrize("page", PAGES)
def test_a_database_that_is_not_there(page: str, open_app: OpenApp, tmp_path: Path) -> None:
    file = tmp_path / "absent.db"
    box = said(open_app(f"sqlite:///{file}", page))
    assert f"no database at {file}" in box
    assert "flasktrack init" in box
    assert not file.exists()  # looking at it does not make one


def test_a_file_that_is_no_database(open_app: OpenApp, tmp_path: Path) -> None:
    file = tmp_path / "letter.db"
    file.write_text("Dear inspector, this is a letter. " * 50, encoding="utf-8")
    box = said(open_app(f"sqlite:///{file}"))
    assert "not an SQLite database" in box
    assert "backup" in box


def test_a_damaged_database(open_app: OpenApp, sample_lab_url: str) -> None:
    file = file_of(sample_lab_url)
    content = bytearray(file.read_bytes())
    content[4096 : len(content) // 2] = b"\xff" * (len(content) // 2 - 4096)
    file.write_bytes(content)
    box = said(open_app(sample_lab_url))
    assert "damaged" in box
    assert "backup" in box


def test_a_folder_in_place_of_a_file(open_app: OpenApp, tmp_path: Path) -> None:
    assert "no database at" in said(open_app(f"sqlite:///{tmp_path}"))


def test_somebody_elses_database(open_app: OpenApp, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "music.db")) as foreign:
        foreign.execute("CREATE TABLE album (title TEXT)")
    box = said(open_app(f"sqlite:///{tmp_path / 'music.db'}"))
    assert "no FlaskTrack tables" in box
    assert "Check the address" in box


def test_a_schema_that_is_too_new(open_app: OpenApp, sample_lab_url: str) -> None:
    set_version(sample_lab_url, "9999")
    box = said(open_app(sample_lab_url))
    assert "newer" in box
    assert "Upgrade FlaskTrack" in box


def test_a_schema_that_is_too_old(open_app: OpenApp, sample_lab_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once there are two versions, a database that has the first one."""
    current = store_engine._known_versions()[0]
    monkeypatch.setattr(store_engine, "_known_versions", lambda: ("9999", current))
    box = said(open_app(sample_lab_url))
    assert "older schema" in box
    assert "Back it up" in box
    assert "flasktrack init" in box


def set_version(url: str, version: str) -> None:
    with closing(sqlite3.connect(file_of(url))) as database, database:
        database.execute(f"UPDATE {store_engine.VERSION_TABLE} SET version_num = ?", (version,))


def test_a_server_that_is_not_there(open_app: OpenApp) -> None:
    box = said(open_app("postgresql://inspector:secret@127.0.0.1:9/flasktrack"))
    assert "can't be reached" in box
    assert "secret" not in box


@pytest.mark.parametrize("url", ["oracle://host/name", "no url at all", "sqlite+nothing:///x", "postgresql://h:port/x"])
def test_an_address_of_a_database_that_makes_no_sense(url: str, open_app: OpenApp) -> None:
    box = said(open_app(url))
    assert "not a database URL" in box
    assert "sqlite:///" in box


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Another program that keeps the whole database for itself."""
    with closing(sqlite3.connect(file_of(url), isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def test_a_locked_database(open_app: OpenApp, sample_lab_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_engine, "BUSY_SECONDS", 0.1)
    with locked(sample_lab_url):
        app = open_app(sample_lab_url)
        box = said(app)
        assert "locked by another program" in box
        assert "try again" in box
    app.run()
    assert app.headers == ["Overview"]
    assert app.errors == []


def test_a_fault_of_our_own_goes_to_the_log_in_full_and_to_the_reader_as_a_sentence(
    open_app: OpenApp, sample_lab_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def totals(*_: object) -> None:
        raise RuntimeError("user:u-17 has the key 12345")

    monkeypatch.setattr(Questions, "totals", totals)
    with caplog.at_level(logging.ERROR):
        app = open_app(sample_lab_url)
    assert not app.test.exception
    (box,) = app.errors
    assert "report it" in box
    assert "12345" not in app.text
    assert "user:u-17 has the key 12345" in caplog.text


def test_a_database_that_goes_away_while_a_page_is_open(open_app: OpenApp, sample_lab_url: str) -> None:
    app = open_app(sample_lab_url)
    assert app.errors == []
    file_of(sample_lab_url).unlink()
    app.run()
    assert "no database at" in said(app)


# The address

NONSENSE: list[tuple[str, dict[str, str | list[str]], str]] = [
    ("records", {"org": "nobody"}, "no organization 'nobody'"),
    ("records", {"org": "../../etc"}, "no organization"),
    ("records", {"org": "x\x00y"}, "no organization"),
    ("records", {"org": ["alpenrand-bioanalytik", "cascade-assays"]}, "given 2 times"),
    ("records", {"role": "superuser"}, "role"),
    ("records", {"role": ["qa-lead", "lab-manager"]}, "given 2 times"),
    ("records", {"seq": "abc"}, "seq"),
    ("records", {"seq": "20-10"}, "seq"),
    ("records", {"seq": "0"}, "seq"),
    ("records", {"seq": "9" * 40}, "seq"),
    ("records", {"seq": ["1-5", "7-9"]}, "seq"),
    ("records", {"from_": "yesterday"}, "from"),
    ("records", {"from_": "2026-13-45"}, "from"),
    ("records", {"to": "0000-01-01"}, "to"),
    ("records", {"from_": "2026-11-02", "to": "2026-11-01"}, "from"),
    ("records", {"from_": "9999-12-31T23:59:59-14:00"}, "from"),
    ("records", {"actor": "u-17"}, "actor"),
    ("records", {"actor": "robot:r2"}, "actor"),
    ("records", {"actor": ""}, "actor"),
    ("records", {"actor_type": "robot"}, "actor_type"),
    ("records", {"entity": "S-1"}, "entity"),
    ("records", {"entity": "sample:\x00"}, "entity"),
    ("records", {"entity_type": ""}, "entity_type"),
    ("records", {"outcome": "maybe"}, "outcome"),
    ("records", {"with_related": "perhaps"}, "with_related"),
    ("records", {"text": " ".join(str(word) for word in range(40))}, "text"),
    ("records", {"action": [f"a{number}" for number in range(600)]}, "action"),
    ("records", {"record": "first"}, "record"),
    ("records", {"record": "-1"}, "record"),
    ("records", {"record": "1e3"}, "record"),
    ("records", {"record": "9" * 30}, "record"),
    ("records", {"record": ["1", "2"]}, "record"),
    ("records", {"before": "now"}, "before"),
    ("records", {"before": "0"}, "before"),
    ("overview", {"seq": "abc"}, "seq"),
    ("actors", {"actor": "u-17"}, "actor"),
    ("entities", {"entity": "S-1"}, "entity"),
    ("entities", {"entity": "protocol:SOP-114", "record": "x"}, "record"),
    ("entities", {"find": ["a", "b"]}, "find"),
    ("exports", {"outcome": "maybe"}, "outcome"),
    ("integrity", {"run": "latest"}, "run"),
    ("integrity", {"run": ["a", "b"]}, "run"),
    ("integrity", {"record": "zero"}, "record"),
]


@pytest.mark.parametrize(
    ("page", "params", "names"),
    NONSENSE,
    ids=[f"{number}-{page}-{'-'.join(params)}" for number, (page, params, _) in enumerate(NONSENSE)],
)
def test_an_address_that_makes_no_sense_says_what_and_offers_a_way_out(
    page: str, params: dict[str, str | list[str]], names: str, open_app: OpenApp, lab_url: str
) -> None:
    app = open_app(lab_url, page, **params)
    assert not app.test.exception
    (box,) = app.errors
    assert names in box
    assert not any(trace in box for trace in TRACES)
    assert RESET in app.buttons


@pytest.mark.parametrize(
    ("page", "params"),
    [
        ("records", {"org": "nobody", "action": "delete"}),
        ("overview", {"role": "superuser"}),
        ("actors", {"seq": "abc", "role": "qa-lead"}),
        ("entities", {"entity": "protocol:SOP-114", "record": "x"}),
        ("exports", {"outcome": ["maybe", "success"]}),
        ("integrity", {"run": "latest"}),
    ],
)
def test_the_address_can_be_reset(
    page: str, params: dict[str, str | list[str]], open_app: OpenApp, lab_url: str
) -> None:
    app = open_app(lab_url, page, **params)
    app.click(RESET)
    assert app.params == {}
    assert app.errors == []
    assert app.headers == [PAGES[page].title]


@pytest.mark.parametrize("page", PAGES)
def test_parameters_that_nobody_knows_do_no_harm(page: str, open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, page, utm_source="mail", embed="maybe", constructor="x")
    assert app.headers == [PAGES[page].title]
    assert app.errors == []


@pytest.mark.parametrize("record", ["999999", "9" * 18])
def test_a_position_where_there_is_no_record_is_said_beside_the_others(
    record: str, open_app: OpenApp, lab_url: str
) -> None:
    app = open_app(lab_url, "records", record=record)
    assert app.errors == []
    assert any("no record at this position" in warning.value for warning in app.test.warning)
    assert app.tables()


def test_markup_in_an_address_stays_text(open_app: OpenApp, lab_url: str) -> None:
    nasty = "![x](https://example.org/x.png) <b>b</b> :red[r] $x$"
    (error,) = open_app(lab_url, "records", outcome=nasty).test.error
    for markup in ("![", "<b>", ":red[", "$x$"):
        assert markup not in error.value


def test_the_log_has_no_fault_where_the_address_is_to_blame(
    open_app: OpenApp, lab_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    open_app(lab_url, "records", seq="abc")
    assert "A page failed" not in caplog.text
