"""Events from the rows of a CSV (RFC 4180, with a header), as a mapping file says.

A cell is text, and an empty one is no value: CSV can't tell the empty text from nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final
from uuid import UUID

from flasktrack.capture.csv_mapping import CsvMapping, Template, sources
from flasktrack.capture.csv_sources import Source
from flasktrack.capture.files import NOTHING_IMPORTED
from flasktrack.capture.jsonl import event_from_object
from flasktrack.capture.lines import MAX_LINE_BYTES, bad_line
from flasktrack.core.record import SECTIONS, Event
from flasktrack.core.times import format_time
from flasktrack.errors import ImportFailed, InvalidRecord

MAX_ROW_CHARACTERS: Final = MAX_LINE_BYTES
"""What a line may have, too. It stops a row that goes on over lines, as with a quote that is never closed."""
MAX_CELLS: Final = 16_384
"""In a row; a spreadsheet has no more columns either."""

Row = Sequence[str]


def read_rows(lines: Iterable[tuple[int, str]], mapping: CsvMapping) -> Iterator[tuple[int, Event]]:
    """The events of a CSV's numbered lines, each with the number of the line where its row begins.

    Raises ImportFailed, with line and field, for a row that gives no event, a row that has not as many cells as the
    header, and a column of the mapping that the header lacks. Lengths and characters are the writer's to check.
    """
    rows = _numbered(lines, mapping.delimiter)
    line, header = next(rows, (1, []))
    if not header:
        raise ImportFailed("The file is empty: it has not even a row of column names.", NOTHING_IMPORTED, line=1)
    events = _Events(mapping, line, header)
    for line, row in rows:
        if len(row) != len(header):
            raise bad_line(line, None, f"has {len(row):,} cells, but the header has {len(header):,}")
        yield line, events.event(line, row)


def _numbered(lines: Iterable[tuple[int, str]], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Rows with the number of their first line; blank lines are skipped."""
    csv.field_size_limit(MAX_ROW_CHARACTERS)  # the module's own, of 128 KiB, is less than a section may have
    taken = _Taken(lines)
    reader = csv.reader(taken, delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        taken.begin_row(line)
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as problem:
            detail = "a carriage return outside quotes" if "new-line" in str(problem) else str(problem)
            raise bad_line(line, None, f"begins a row that is not CSV ({detail})") from None
        if len(row) > MAX_CELLS:
            raise bad_line(line, None, f"has {len(row):,} cells; {MAX_CELLS:,} are allowed")
        if row:
            yield line, row


class _Taken:
    """The texts of lines, counted: no row may take too many of them before it ends."""

    def __init__(self, lines: Iterable[tuple[int, str]]) -> None:
        self.lines = iter(lines)
        self.row = 1
        self.characters = 0

    def begin_row(self, line: int) -> None:
        self.row, self.characters = line, 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        text = next(self.lines)[1]
        self.characters += len(text)
        if self.characters > MAX_ROW_CHARACTERS:
            problem = f"begins a row of more than {MAX_ROW_CHARACTERS:,} characters, as where a quote is never closed"
            raise bad_line(self.row, None, problem)
        return text


class _Events:
    """Applies a mapping to rows under one header."""

    def __init__(self, mapping: CsvMapping, line: int, header: Row) -> None:
        self.mapping = mapping
        self.position = {column: place for place, column in enumerate(header)}
        self.columns: dict[str, list[str]] = {}  # by field, for messages
        self.seen: dict[bytes, int] = {}  # by record_id: its line, or how often it came; about 150 bytes a row
        self.from_columns = {
            key for key, template in mapping.fields.items() if any(source.column for source in sources(template))
        }
        for column, field in mapping.columns():
            if column not in self.position:
                names = ", ".join(header)
                raise bad_line(line, field, f"the mapping names the column {column!r}, but there are: {names[:2000]}")
            if header.count(column) > 1:
                raise bad_line(line, field, f"there are {header.count(column)} columns {column!r}, so which is meant?")
            self.columns.setdefault(field, []).append(column)

    def event(self, line: int, row: Row) -> Event:
        try:
            fields: dict[str, Any] = {
                key: self._section(key, template, row) if key in SECTIONS else self._build(template, row)
                for key, template in self.mapping.fields.items()
            }
            fields["occurred_at"] = self._occurred_at(row)
            fields["related"] = self._related(row)
            fields["record_id"] = self._record_id(line, row)
            return event_from_object(fields)
        except InvalidRecord as problem:
            raise bad_line(line, problem.field, problem.problem, self.columns.get(problem.field, ())) from None

    def _build(self, template: Template, row: Row) -> Any:
        if isinstance(template, Source):
            return self._value(template, row)
        return {key: self._build(part, row) for key, part in template.items()}

    def _value(self, source: Source, row: Row) -> Any:
        if source.column is None:
            return source.constant
        try:
            return source.value(row[self.position[source.column]])
        except InvalidRecord as problem:  # names a place inside a cell of JSON
            raise InvalidRecord(f"{source.field}.{problem.field}", problem.problem) from None
        except ValueError as problem:
            raise InvalidRecord(source.field, str(problem)) from None

    def _section(self, key: str, template: Template, row: Row) -> Any:
        """A section; none at all where it takes its values from columns and every cell is empty."""
        value = self._build(template, row)
        return None if key in self.from_columns and _is_blank(template, value) else value

    def _occurred_at(self, row: Row) -> str:
        source = self.mapping.occurred_at
        cell = row[self.position[source.column]]
        if not cell:
            raise InvalidRecord("occurred_at", "is missing")
        try:
            return format_time(source.moment(cell))
        except ValueError as problem:
            raise InvalidRecord("occurred_at", str(problem)) from None

    def _related(self, row: Row) -> list[dict[str, Any]]:
        """The related entities; one whose id is empty in this row is left out."""
        items = ({key: self._value(part, row) for key, part in item.items()} for item in self.mapping.related)
        return [item for item in items if item["id"] is not None]

    def _record_id(self, line: int, row: Row) -> Any:
        source = self.mapping.record_id
        if isinstance(source, Source):
            record_id = self._value(source, row)
            if record_id is None:  # a JSONL line may do without; a row that did would be imported again and again
                raise InvalidRecord("record_id", "is missing")
            return record_id
        cells = [row[self.position[column]] for column in source.columns]
        if not any(cells):
            raise InvalidRecord("record_id", "has nothing to be made of: the cells are empty")
        record_id = source.derive(cells)
        if source.repeats == "same":
            return record_id
        key = UUID(record_id).bytes
        if source.repeats == "number":
            self.seen[key] = self.seen.get(key, 0) + 1
            return source.derive(cells, self.seen[key])
        first = self.seen.setdefault(key, line)
        if first != line:
            raise InvalidRecord(
                "record_id",
                f"would be the same as in line {first}; let the mapping name more columns, or say what such a row is "
                "(record_id.repeats)",
            )
        return record_id


def _is_blank(template: Template, value: Any) -> bool:
    if isinstance(template, Source):
        return template.column is None or value is None
    return all(_is_blank(part, value[key]) for key, part in template.items())
