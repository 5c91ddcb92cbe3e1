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
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson

from flasktrack.core.record import SECTIONS, Record
from flasktrack.core.times import parse_time
from flasktrack.export.new_file import NewFile
from flasktrack.export.selection import ExportOptions, Selection
from flasktrack.store.reader import CheckedRecord

TIMES: Final = ("occurred_at", "recorded_at")
FINDINGS: Final = "findings"

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # without it Excel takes UTF-8 for the machine's old 8-bit code page
_TRIGGERS = "=+\\-@\uff1d\uff0b\uff0d\uff20"  # the last four: full-width = + - @
_NEW_CELL = ";\t\r\n"  # where a program that takes another separator, or no quotes, begins a cell
# What a program may skip before it looks for a formula: white space, control characters, quotes, invisible characters.
_SKIPPED = _NEW_CELL + "\\s\x00-\x1f\x7f-\x9f\"'\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff"
_HARMFUL_START = re.compile(f"['\t\r\n\x00]|[{_SKIPPED}]*+[{_TRIGGERS}]")
# One match takes the whole run up to where a formula may begin: a text of nothing but line ends stays linear.
_CELLS_INSIDE = re.compile(f"[{_NEW_CELL}][{_SKIPPED}]*+([{_TRIGGERS}]?)")
_BEGIN = re.compile(f"[{_NEW_CELL}]")
_DEFUSED_BEGIN = re.compile(f"([{_NEW_CELL}])'")

# writerow returns what the file's write does: here the row itself. Text is quoted and numbers are not.
_ROWS = csv.writer(SimpleNamespace(write=str), quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")


def write(selection: Selection, options: ExportOptions, file: NewFile) -> None:
    """Write the selection as a table. Raises ExportFailed."""
    file.write(csv_head(options.zone))
    for checked in selection.records():
        file.write(csv_line(checked, options.zone))


def columns(zone: ZoneInfo) -> list[str]:
    """The header row: spec section 1's fields, each time once more in `zone`, and the findings."""
    names: list[str] = []
    for field in Record._fields:
        section = field.removesuffix("_digest")
        names += [section, field] if section in SECTIONS else [field]
        if field in TIMES:
            names.append(f"{field} ({zone})")
    return [*names, FINDINGS]


def csv_head(zone: ZoneInfo) -> bytes:
    """What a file begins with."""
    return _BYTE_ORDER_MARK + _row(columns(zone))


def csv_line(checked: CheckedRecord, zone: ZoneInfo) -> bytes:
    """A record's row."""
    cells: list[Any] = []
    for field, value in checked.record._asdict().items():
        section = field.removesuffix("_digest")
        if section in SECTIONS:
            stored = getattr(checked, section)
            cells.append(None if stored is None else stored.body)
        if field == "related":
            value = orjson.dumps([{"type": type_, "id": id_} for type_, id_ in value], default=str).decode()
        cells.append(value)
        if field in TIMES:
            cells.append(_local(value, zone))
    cells.append(";".join(dict.fromkeys(finding.code for finding in checked.findings)))
    return _row(cells)


def defuse(text: str) -> str:
    """The text, with apostrophes where a spreadsheet could otherwise take it, or a part of it, for a formula."""
    inside = _CELLS_INSIDE.sub(lambda run: _BEGIN.sub(r"\g<0>'", run[0]) if run[1] else run[0], text)
    return f"'{inside}" if _HARMFUL_START.match(text) else inside


def restore_text(cell: str) -> str:
    """What `defuse` was given."""
    cell = cell.removeprefix("'")
    return _CELLS_INSIDE.sub(lambda run: _DEFUSED_BEGIN.sub(r"\1", run[0]) if run[1] else run[0], cell)


def _row(cells: list[Any]) -> bytes:
    row: str = _ROWS.writerow([_cell(value) for value in cells])
    return row.encode()


def _cell(value: Any) -> str | int:
    """A value as it is written. Somebody may have put anything at all into a stored row."""
    if isinstance(value, str):
        return defuse(value)
    if value is None:
        return ""
    if isinstance(value, int):
        return value
    return value.hex() if isinstance(value, bytes) else defuse(str(value))


def _local(stored: Any, zone: ZoneInfo) -> str:
    """A stored time in the zone, with its offset; empty where that can't be told."""
    try:
        moment: datetime = parse_time(stored).astimezone(zone)
    except (ValueError, TypeError, OverflowError):
        return ""
    return moment.isoformat(timespec="microseconds")
