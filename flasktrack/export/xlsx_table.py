"""XLSX: a sheet of records with typed cells, and a sheet that states what they are (docs/exporting.md).

Text is always a cell of text, which no spreadsheet runs; one that would be a formula if somebody typed it has the mark
that Excel itself sets where one types an apostrophe first (quotePrefix), so that it stays text when it is edited.
Rows go to a file on disk as they come (XlsxWriter's constant_memory), beside the one that is made.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from xlsxwriter import Workbook
from xlsxwriter.exceptions import XlsxWriterException
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from flasktrack.core.body import MAX_EXACT_INTEGER
from flasktrack.errors import ExportFailed
from flasktrack.export.columns import Column, Kind, chosen_columns, local_time, related_json
from flasktrack.export.csv_table import HARMFUL_START
from flasktrack.export.new_file import NewFile
from flasktrack.export.selection import ExportOptions, Selection
from flasktrack.export.statement import statement

MAX_RECORDS: Final = 1_048_575
"""Rows of a sheet, less the one of headings."""
MAX_CELL: Final = 32_767
"""Characters that a cell holds, those beyond U+FFFF counted twice."""

_FIRST_YEAR = 1901  # Excel's days begin in 1900, a year that it takes for a leap year
_WIDTHS = {Kind.NUMBER: 9, Kind.LOCAL: 23, Kind.TIME: 27, Kind.HASH: 14}


def write(selection: Selection, options: ExportOptions, file: NewFile) -> None:
    """Write the selection as a workbook. Raises ExportFailed where a sheet or a cell can't hold it."""
    columns = chosen_columns(options.columns)
    if selection.total > MAX_RECORDS:
        raise ExportFailed(
            f"A sheet of Excel holds {MAX_RECORDS:,} records, and {selection.total:,} are selected.",
            "Narrow the filter, or use csv, jsonl or parquet.",
        )
    try:
        with TemporaryDirectory(prefix=".flasktrack-", suffix=".unfinished", dir=file.folder) as folder:
            _write(selection, options, columns, file, Path(folder))
    except (OSError, XlsxWriterException) as problem:  # of the files beside: a full disk
        raise ExportFailed(
            f"The workbook can't be written ({getattr(problem, 'strerror', None) or problem}).",
            "Nothing was left behind: free some space, or choose another place.",
        ) from None


def _write(selection: Selection, options: ExportOptions, columns: list[Column], file: NewFile, folder: Path) -> None:
    workbook = Workbook(file, {"constant_memory": True, "tmpdir": str(folder)})
    try:
        workbook.use_zip64()  # where the sheet has more than 4 GiB
        records, about = workbook.add_worksheet("Records"), workbook.add_worksheet("About")
        _write_records(records, selection, columns, options.zone, _Formats(workbook))
        _write_about(about, statement(selection, options), _Formats(workbook))
        workbook.close()
    finally:
        for sheet in workbook.worksheets():  # after an error they are open still
            with suppress(OSError):
                sheet.row_data_fh.close()


class _Formats:
    """How cells look; `quoted` is what keeps a text from becoming a formula when it is edited."""

    def __init__(self, workbook: Workbook) -> None:
        self.head = workbook.add_format({"bold": True})
        self.number = workbook.add_format({"num_format": "#,##0"})
        self.time = workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"})
        self.quoted = workbook.add_format({"quote_prefix": True})


def _write_records(
    sheet: Worksheet, selection: Selection, columns: list[Column], zone: ZoneInfo, formats: _Formats
) -> None:
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, selection.total, len(columns) - 1)
    cells = [_cell(column, zone) for column in columns]
    for place, column in enumerate(columns):
        sheet.set_column(place, place, _WIDTHS.get(column.kind, 18))
        sheet.write_string(0, place, column.heading(zone), formats.head)
    for row, checked in enumerate(selection.records(), start=1):
        for place, (column, cell) in enumerate(zip(columns, cells, strict=True)):
            value = cell(column.get(checked))
            if value is None:
                continue
            if isinstance(value, str):
                if not _write_text(sheet, row, place, value, formats.quoted):
                    raise _too_large(checked.record.seq, column.name, len(value))
            elif isinstance(value, datetime):
                sheet.write_datetime(row, place, value, formats.time)
            else:
                sheet.write_number(row, place, value, formats.number)


def _write_about(sheet: Worksheet, stated: dict[str, str], formats: _Formats) -> None:
    sheet.set_column(0, 0, 28)
    sheet.set_column(1, 1, 110)
    for row, (name, value) in enumerate(stated.items()):
        sheet.write_string(row, 0, name, formats.head)
        if not _write_text(sheet, row, 1, value, formats.quoted):  # a filter of many values
            _write_text(sheet, row, 1, f"{value[: MAX_CELL // 2]} … (cut here)", formats.quoted)


def _write_text(sheet: Worksheet, row: int, place: int, text: str, quoted: Format) -> bool:
    """Write text as text; False where no cell can hold it."""
    harmful = HARMFUL_START.match(text) is not None
    if text.startswith("<r>") and text.endswith("</r>"):
        # XlsxWriter takes this for marked-up text of its own, and would write whatever is in it into the sheet's XML.
        text = f'<r><t xml:space="preserve">{escape(text)}</t></r>'
    return int(sheet.write_string(row, place, text, quoted if harmful else None)) == 0


def _cell(column: Column, zone: ZoneInfo) -> Callable[[Any], str | int | datetime | None]:
    """How a column's values become cells; somebody may have put anything at all into a stored row."""
    if column.kind is Kind.LOCAL:
        return lambda value: _local(value, zone)
    if column.kind is Kind.RELATED:
        return related_json
    if column.kind is Kind.CODES:
        return lambda value: ";".join(value) or None
    return _plain


def _plain(value: Any) -> str | int | None:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, int) and abs(value) <= MAX_EXACT_INTEGER:
        return value
    return None if value is None or value == "" else str(value)


def _local(value: Any, zone: ZoneInfo) -> datetime | str | None:
    """A time as Excel keeps one, without a zone; as text where Excel has no such date."""
    moment = local_time(value, zone)
    if moment is None:
        return None
    return moment.replace(tzinfo=None) if moment.year >= _FIRST_YEAR else moment.isoformat(timespec="microseconds")


def _too_large(seq: int, column: str, size: int) -> ExportFailed:
    return ExportFailed(
        f"Record {seq:,} has {size:,} characters in {column}, and a cell of Excel holds {MAX_CELL:,}.",
        "Leave that column out, or use csv, jsonl or parquet. Nothing was left behind.",
    )
