"""CSV for people and their spreadsheets: one row a record, RFC 4180, UTF-8 with a byte order mark (docs/exporting.md).

Text that a spreadsheet could run as a formula is defused, as OWASP's "CSV Injection" advises, in a way that
`restore_text` undoes exactly:

    =1+1              ->  '=1+1               begins like a formula (after spaces and quotes, too)
    'tis              ->  ''tis               so that a first apostrophe is always one that was put there
    pH 7;=1+1         ->  pH 7;'=1+1          where semicolons separate cells, as in much of Europe, a cell begins here
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

from flasktrack.export.columns import Column, Kind, chosen_columns, local_time, related_json
from flasktrack.export.new_file import NewFile
from flasktrack.export.selection import ExportOptions, Selection
from flasktrack.store.reader import CheckedRecord

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # without it Excel takes UTF-8 for the machine's old 8-bit code page
_TRIGGERS = "=+\\-@\uff1d\uff0b\uff0d\uff20"  # the last four: full-width = + - @
_NEW_CELL = ";\t\r\n"  # where a program that takes another separator, or no quotes, begins a cell
# What a program may skip before it looks for a formula: white space, control characters, quotes, invisible characters.
_SKIPPED = _NEW_CELL + "\\s\x00-\x1f\x7f-\x9f\"'\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff"
HARMFUL_START = re.compile(f"['\t\r\n\x00]|[{_SKIPPED}]*+[{_TRIGGERS}]")
# One match takes the whole run up to where a formula may begin: a text of nothing but line ends stays linear.
_CELLS_INSIDE = re.compile(f"[{_NEW_CELL}][{_SKIPPED}]*+([{_TRIGGERS}]?)")
_BEGIN = re.compile(f"[{_NEW_CELL}]")
_DEFUSED_BEGIN = re.compile(f"([{_NEW_CELL}])'")

# writerow returns what the file's write does: here the row itself. Text is quoted and numbers are not.
_ROWS = csv.writer(SimpleNamespace(write=str), quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")


def write(selection: Selection, options: ExportOptions, file: NewFile) -> None:
    """Write the selection as a table. Raises ExportFailed."""
    columns = chosen_columns(options.columns)
    file.write(csv_head(columns, options.zone))
    for checked in selection.records():
        file.write(csv_line(columns, checked, options.zone))


def csv_head(columns: Sequence[Column], zone: ZoneInfo) -> bytes:
    """What a file begins with."""
    return _BYTE_ORDER_MARK + _row([column.heading(zone) for column in columns])


def csv_line(columns: Sequence[Column], checked: CheckedRecord, zone: ZoneInfo) -> bytes:
    """A record's row."""
    return _row([_cell(column.kind, column.get(checked), zone) for column in columns])


def defuse(text: str) -> str:
    """The text, with apostrophes where a spreadsheet could otherwise take it, or a part of it, for a formula."""
    inside = _CELLS_INSIDE.sub(lambda run: _BEGIN.sub(r"\g<0>'", run[0]) if run[1] else run[0], text)
    return f"'{inside}" if HARMFUL_START.match(text) else inside


def restore_text(cell: str) -> str:
    """What `defuse` was given."""
    cell = cell.removeprefix("'")
    return _CELLS_INSIDE.sub(lambda run: _DEFUSED_BEGIN.sub(r"\1", run[0]) if run[1] else run[0], cell)


def _row(cells: list[str | int]) -> bytes:
    row: str = _ROWS.writerow(cells)
    return row.encode()


def _cell(kind: Kind, value: Any, zone: ZoneInfo) -> str | int:
    """A value as it is written. Somebody may have put anything at all into a stored row."""
    if kind is Kind.LOCAL:
        moment = local_time(value, zone)
        return "" if moment is None else moment.isoformat(timespec="microseconds")
    if kind is Kind.RELATED:
        value = related_json(value)
    elif kind is Kind.CODES:
        value = ";".join(value)
    if isinstance(value, str):
        return defuse(value)
    if value is None:
        return ""
    if isinstance(value, int):
        return value
    return value.hex() if isinstance(value, bytes) else defuse(str(value))
