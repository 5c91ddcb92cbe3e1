"""A CSV opens in spreadsheets and other tools, runs nothing there, and loses nothing."""

from __future__ import annotations

import csv
import io
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from flasktrack.core.record import Record, Section
from flasktrack.export.columns import chosen_columns
from flasktrack.export.csv_table import csv_head, csv_line, defuse, restore_text
from flasktrack.store.reader import CheckedRecord, Ledger
from flasktrack.store.scope import machine_scope
from tests.export.samples import BERLIN, csv_rows, export, headings
from tests.store.samples import NORTHWIND, event, organizations, record

ALL = chosen_columns(())
FULL_WIDTH = "\uff1d\uff0b\uff0d\uff20"  # = + - @
FORMULA = tuple(f"=+-@{FULL_WIDTH}")
HOSTILE = st.text(st.sampled_from(f"=+-@{FULL_WIDTH};,\t\r\n \"'|a1\x00\xa0\u200b\ufeff"), max_size=30)
TEXT = HOSTILE | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
BLANK = "\"' \t\r\n\v\f\x00\xa0\u2003\u3000\u200b\u200e\u2028\u202e\u2060\ufeff"  # what a program may look past


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+49 30 1234", "'+49 30 1234"),
        ("-20", "'-20"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ('=HYPERLINK("http://x","y")', '\'=HYPERLINK("http://x","y")'),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("\nx", "'\nx"),
        ("\x00x", "'\x00x"),
        ("  =1", "'  =1"),
        ("\u3000=1", "'\u3000=1"),
        ("\xa0@x", "'\xa0@x"),
        ("\u200b-1", "'\u200b-1"),
        ("\ufeff=1", "'\ufeff=1"),
        ('"=1"', '\'"=1"'),
        ("'tis", "''tis"),
        ("'=1", "''=1"),
        *((f"{trigger}1", f"'{trigger}1") for trigger in FULL_WIDTH),
        ('=1+2";=1+2', "'=1+2\";'=1+2"),  # OWASP's own two examples, with the semicolon's cell defused, too
        ("=1+2'\" ;,=1+2", "'=1+2'\" ;,=1+2"),
        ("a;=1", "a;'=1"),
        ("a; \"'=1", "a;' \"'=1"),
        ("a;;\t=1", "a;';'\t'=1"),
        ("wash\r\n- dry\n- weigh", "wash\r'\n'- dry\n'- weigh"),
        ("", ""),
        ("a=b", "a=b"),
        ("2 - 1", "2 - 1"),
        ("a@b.example", "a@b.example"),
        ("a;b\nc", "a;b\nc"),
        ("a, =b", "a, =b"),
        ("  x", "  x"),
        ("it's", "it's"),
        ("Zo\xeb \u2212 5", "Zo\xeb \u2212 5"),
        ('{"a":-1}', '{"a":-1}'),
        ('["=1"]', '["=1"]'),
    ],
)
def test_text_that_could_be_a_formula_is_defused_and_other_text_is_not(text: str, cell: str) -> None:
    assert defuse(text) == cell
    assert restore_text(cell) == text


@given(TEXT)
@example("''=")
@example(";'=")
@example(";'';'=")
def test_defusing_can_be_undone(text: str) -> None:
    assert restore_text(defuse(text)) == text


def harmless(cell: str) -> bool:
    return not cell.lstrip(BLANK).startswith(FORMULA) or cell.startswith("'")


def checked(text: str) -> CheckedRecord:
    """A record with this text wherever text may stand; such a record can only be an intruder's."""
    values: dict[str, Any] = dict.fromkeys(Record._fields, text)
    values |= {
        "seq": -7,
        "actor_seq": 2,
        "entity_seq": 3,
        "related": ((text, text),),
        "hash": b"\x0f",
        "prev_hash": b"",
    }
    section = Section(b"", text)
    return CheckedRecord(Record(**values), section, section, section, ())


@given(TEXT)
def test_no_cell_of_text_begins_like_a_formula(text: str) -> None:
    (row,) = csv.reader(io.StringIO(csv_line(ALL, checked(text), BERLIN).decode(), newline=""), strict=True)
    assert len(row) == len(headings(BERLIN))
    for name, cell in zip(headings(BERLIN), row, strict=True):
        if name not in ("seq", "actor_seq", "entity_seq"):  # numbers stay numbers
            assert harmless(cell), name
            assert not cell.startswith(("\t", "\r", "\n", "\x00")), name


@given(TEXT)
@pytest.mark.parametrize("separator", [";", "\t"])
def test_no_cell_begins_like_a_formula_for_a_program_that_takes_another_separator(separator: str, text: str) -> None:
    line = csv_line(ALL, checked(text), BERLIN).decode()
    for row in line.replace("\r", "\n").split("\n"):
        assert all(harmless(cell.removeprefix('"').replace('""', '"')) for cell in row.split(separator))


@pytest.mark.parametrize("text", ["\n" * 1_000_000, ";\t" * 500_000, "'" * 1_000_000 + "x", "; \n" * 300_000 + "="])
def test_hostile_text_takes_no_longer_than_its_length(text: str) -> None:
    start = time.perf_counter()
    assert restore_text(defuse(text)) == text
    assert time.perf_counter() - start < 10


def test_the_columns_are_the_specs_fields_with_local_times_and_findings() -> None:
    names = headings(BERLIN)
    assert [name for name in names if " (" in name] == ["occurred_at (Europe/Berlin)", "recorded_at (Europe/Berlin)"]
    fields = [name for name in names if " (" not in name]
    assert sorted(fields) == sorted((*Record._fields, "before", "after", "context", "findings"))
    assert fields[:3] == ["organization_id", "seq", "record_id"]
    assert names.index("occurred_at (Europe/Berlin)") == names.index("occurred_at") + 1
    assert "occurred_at (UTC)" in headings(ZoneInfo("UTC"))


@pytest.mark.parametrize(
    ("zone", "utc", "local"),
    [
        ("Europe/Berlin", "2026-10-25T00:30:00.000001Z", "2026-10-25T02:30:00.000001+02:00"),
        ("Europe/Berlin", "2026-10-25T01:30:00.000001Z", "2026-10-25T02:30:00.000001+01:00"),
        ("Asia/Kathmandu", "2026-01-01T00:00:00.000000Z", "2026-01-01T05:45:00.000000+05:45"),
        ("America/New_York", "0001-01-01T00:00:00.000000Z", ""),
        ("Asia/Tokyo", "9999-12-31T23:59:59.999999Z", ""),
        ("UTC", "yesterday", ""),
    ],
)
def test_times_are_as_stored_and_in_the_zone_with_its_offset(zone: str, utc: str, local: str) -> None:
    lines = csv_head(ALL, ZoneInfo(zone)) + csv_line(ALL, checked(utc), ZoneInfo(zone))
    (row,) = csv.DictReader(io.StringIO(lines.decode("utf-8-sig"), newline=""))
    for name in ("occurred_at", "recorded_at"):
        assert (row[name], row[f"{name} ({zone})"]) == (utc, local)


def test_the_bytes_are_rfc_4180_with_a_byte_order_mark() -> None:
    head = csv_head(ALL, BERLIN)
    assert head.startswith(b'\xef\xbb\xbf"organization_id","seq",')
    line = csv_line(ALL, checked('a "quoted",\nZo\xeb'), BERLIN)
    assert line.endswith(b'"\r\n')
    assert b',-7,"a ""quoted"",\nZo\xc3\xab",' in line


@pytest.fixture
def written(engine: Engine, tmp_path: Path) -> Path:
    """A CSV of four records with what is hard on readers."""
    organizations(engine)
    record(
        engine,
        event(1, entity_id="0042", entity_name="NA", reason='=1+1 "x", y\r\n- z;=2', related=[("batch", "=B")]),
        event(2, actor_name=None, before=None, after=-5, context={"a": "\u2028"}, reason="'tis"),
        event(3, reason="", after="x" * 200_000, actor_name="\u65e5\u672c \U0001f9ea"),
        event(4, occurred_at=datetime(1, 1, 1, tzinfo=UTC)),
    )
    path = tmp_path / "all.csv"
    export(engine, path)
    return path


def expected(engine: Engine) -> list[dict[str, str]]:
    """The cells as they were recorded."""
    rows = []
    for item in Ledger(engine, machine_scope(NORTHWIND)).stream():
        row = {
            name: value.hex() if isinstance(value, bytes) else value for name, value in item.record._asdict().items()
        }
        row["related"] = '[{"type":"batch","id":"=B"}]' if item.record.seq == 1 else "[]"
        for name in ("before", "after", "context"):
            section = getattr(item, name)
            row[name] = section and section.body
        row["findings"] = ""
        rows.append({name: "" if value is None else str(value) for name, value in row.items()})
    return rows


def restored(row: dict[str, Any]) -> dict[str, str]:
    return {name: restore_text(str(cell)) for name, cell in row.items() if " (" not in name}


def test_pythons_csv_module_reads_what_was_recorded(engine: Engine, written: Path) -> None:
    rows = csv_rows(written)
    assert [restored(row) for row in rows] == expected(engine)
    assert rows[0]["reason"] == "'=1+1 \"x\", y\r'\n'- z;'=2"
    assert rows[1]["after"] == "'-5"


def test_pandas_reads_what_was_recorded(engine: Engine, written: Path) -> None:
    frame = pd.read_csv(written, dtype={"entity_id": str}, keep_default_na=False)
    assert frame["seq"].dtype == "int64"
    assert [restored({str(k): v for k, v in row.items()}) for row in frame.to_dict("records")] == expected(engine)


@given(rows=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=3))
@settings(max_examples=50)
def test_rows_do_not_run_into_each_other(rows: list[tuple[str, str]]) -> None:
    data = b"".join(csv_line(ALL, checked(text), BERLIN) for pair in rows for text in pair)
    read = list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))
    reasons = [restore_text(row[headings(BERLIN).index("reason")]) for row in read]
    assert reasons == [text for pair in rows for text in pair]
