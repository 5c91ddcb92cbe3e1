"""A workbook holds typed cells, runs nothing, loses nothing, and says plainly what it can't hold."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import openpyxl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from xlsxwriter import Workbook

from flasktrack.errors import ExportFailed
from flasktrack.export import xlsx_table
from flasktrack.export.xlsx_table import MAX_CELL
from flasktrack.insight.filter import RecordFilter
from tests import adversary
from tests.export.samples import BERLIN, export, headings
from tests.store.samples import NORTHWIND, event, organizations, record

TEXT = st.text(st.sampled_from("=+-@<>&/rts\"'_x0041 \t\r\n\x01\x1f\ufffe\U0001f9ea"), min_size=1, max_size=40)
INJECTED = "<r><t>x</t></r></is></c><c r='A9'><f>1+1</f></c><c r='B9' t='inlineStr'><is><r><t>y</t></r>"


def sheet(path: Path, name: str = "Records") -> list[tuple[Any, ...]]:
    book = openpyxl.load_workbook(path, read_only=True)
    try:
        return list(book[name].values)
    finally:
        book.close()


def cells(path: Path, name: str) -> list[Any]:
    head, *rows = sheet(path)
    return [row[head.index(name)] for row in rows]


def test_cells_have_types_and_the_zone_is_stated(engine: Engine, tmp_path: Path) -> None:
    organizations(engine)
    record(engine, *(event(number, after={"n": number}) for number in range(1, 4)))
    export(engine, tmp_path / "all.xlsx")
    head, first, *_ = sheet(tmp_path / "all.xlsx")
    assert list(head) == headings(BERLIN)
    row = dict(zip(head, first, strict=True))
    assert (row["seq"], row["after"], row["reason"], row["findings"]) == (1, '{"n":1}', None, None)
    utc = datetime.fromisoformat(row["occurred_at"])
    local = row["occurred_at (Europe/Berlin)"]
    assert isinstance(local, datetime)
    assert abs((local - utc.astimezone(BERLIN).replace(tzinfo=None)).total_seconds()) < 0.001


def test_the_second_sheet_states_what_the_first_one_is(engine: Engine, tmp_path: Path) -> None:
    organizations(engine)
    record(engine, *(event(number) for number in range(1, 4)))
    export(engine, tmp_path / "all.xlsx", RecordFilter(seq_first=2), columns=("seq", "action"))
    about = dict(sheet(tmp_path / "all.xlsx", "About"))
    assert about["Records"] == "2"
    assert about["Columns"] == "seq, action"
    assert about["Filter"] == "Records from position 2."
    assert about["Time zone"] == "Europe/Berlin"
    assert about["Verified"] == "never"
    assert about["Sealed"] == "nothing; 3 records not yet sealed"
    assert NORTHWIND in about["Organization"]
    assert [row[0] for row in sheet(tmp_path / "all.xlsx")] == ["seq", 2, 3]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=30))
@example(["=1+1", '=HYPERLINK("http://x")', "@SUM(A1)", "-20 °C", "{=1}", "http://x", "mailto:x@y", "0042", "1e5"])
@example([INJECTED, "<r></r>", "<r>", "_x0041_", "a\r\nb", " leading", "trailing ", "\x00"[:0] + "\x0b"])
def test_any_text_is_text_and_comes_back_as_it_was(tmp_path_factory: Any, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("x") / "book.xlsx"
    with Workbook(str(path), {"constant_memory": True}) as book:
        quoted = book.add_format({"quote_prefix": True})
        page = book.add_worksheet("Records")
        for row, text in enumerate(texts):
            assert xlsx_table._write_text(page, row, 0, text, quoted)
    with ZipFile(path) as parts:
        xml = parts.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in xml
    assert "hyperlink" not in xml
    read = openpyxl.load_workbook(path)["Records"]
    found = [read.cell(row + 1, 1) for row in range(len(texts))]
    assert {cell.data_type for cell in found} <= {"s"}
    assert [openpyxl.utils.escape.unescape(cell.value) for cell in found] == texts
    assert read.max_row == len(texts)
    assert read.max_column == 1
    for cell, text in zip(found, texts, strict=True):
        assert cell.quotePrefix or text.lstrip("\"' \t\r\n\x01\x1f")[:1] not in ("=", "+", "-", "@")


@pytest.mark.parametrize("long", ["x" * (MAX_CELL - 1), "\U0001f9ea" * (MAX_CELL // 2)])
def test_what_no_cell_can_hold_is_named_and_nothing_is_left(engine: Engine, tmp_path: Path, long: str) -> None:
    organizations(engine)
    record(engine, event(1, after=long[:-2]), event(2, after=long))
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(ExportFailed, match=r"Record 2 has [\d,]+ characters in after, .* 32,767.* Leave that column"):
        export(engine, folder / "all.xlsx")
    assert not list(folder.iterdir())
    assert export(engine, folder / "all.xlsx", columns=("seq", "before")).records == 2
    assert len(cells(folder / "all.xlsx", "seq")) == 2
    assert export(engine, folder / "one.xlsx", RecordFilter(seq_last=1)).records == 1
    assert cells(folder / "one.xlsx", "after") == [f'"{long[:-2]}"']


def test_more_records_than_a_sheet_has_rows_are_refused_at_once(
    sqlite_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, *(event(number) for number in range(1, 4)))
    monkeypatch.setattr(xlsx_table, "MAX_RECORDS", 2)
    reports: list[int] = []
    with pytest.raises(ExportFailed, match="A sheet of Excel holds 2 records, and 3 are selected"):
        export(sqlite_engine, tmp_path / "all.xlsx", progress=lambda done, _: reports.append(done))
    assert not reports
    assert not list(tmp_path.glob("*.xlsx"))


def test_whatever_somebody_put_into_the_columns_is_in_the_sheet(sqlite_engine: Engine, tmp_path: Path) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, *(event(number) for number in range(1, 8)))
    for seq, (name, value) in enumerate(
        {"occurred_at": "'=1+1'", "actor_name": "x'ff41'", "actor_seq": "1e999", "entity_seq": "-17",
         "recorded_at": "'1899-12-31T00:00:00Z'", "reason": "'<r><f>1</f></r>'"}.items(), 2,
    ):  # fmt: skip
        adversary.run_sql(sqlite_engine, f"UPDATE audit_record SET {name} = {value} WHERE seq = {seq}")
    path = tmp_path / "all.xlsx"
    export(sqlite_engine, path)
    assert cells(path, "seq") == list(range(1, 8))
    assert (cells(path, "occurred_at")[1], cells(path, "occurred_at (Europe/Berlin)")[1]) == ("=1+1", None)
    assert (cells(path, "actor_name")[2], cells(path, "actor_seq")[3]) == ("ff41", "inf")
    assert cells(path, "entity_seq")[4] == -17
    assert cells(path, "recorded_at (Europe/Berlin)")[5] == "1899-12-31T01:00:00.000000+01:00"
    assert cells(path, "reason")[6] == "<r><f>1</f></r>"
    assert all(cells(path, "findings")[1:])
