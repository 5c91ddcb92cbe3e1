"""Rows from SQLite, by the library that Python's sqlite3 uses, over a connection of its own that only reads.

The records and their sections are read by two statements side by side, both in order of seq: looking each section up
takes longer.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flasktrack.verify.compiled.cells import (
    BINARY,
    BODIES,
    COLUMNS,
    LINK_COLUMNS,
    NULL,
    NUMBER,
    OTHER,
    SEQ,
    TEXT,
    Bytes,
    Cells,
    Numbers,
    Unreadable,
)
from flasktrack.verify.compiled.machine import compiled
from flasktrack.verify.compiled.snapshot import DONE, ROW, TYPE_BLOB, TYPE_INTEGER, TYPE_NULL, TYPE_TEXT, Snapshot
from flasktrack.verify.compiled.symbols import (
    memcpy,
    sqlite3_column_int64,
    sqlite3_column_type,
    sqlite3_column_value,
    sqlite3_step,
    sqlite3_value_blob,
    sqlite3_value_bytes,
    sqlite3_value_int64,
    sqlite3_value_type,
)

# Where a statement stands: before a row that is to be read, at one that was not taken yet, or behind the last one.
_BEFORE_ROW, _AT_ROW, _ENDED, _FAILED = range(4)


class SqliteRows:
    """The rows of `rows.Streams` in blocks, and the links that belong to them."""

    def __init__(self, file: Path, records: str, sections: str, links: str) -> None:
        """Begin to read what three SELECT statements give, each in order of seq. Raises Unreadable."""
        self._snapshot = Snapshot(file)
        try:
            self._records, self._sections, self._links = map(self._snapshot.prepare, (records, sections, links))
        except Unreadable:
            self.close()
            raise
        self._states: Numbers = np.full(3, _BEFORE_ROW, dtype=np.int64)

    def read(self, block: Cells, links: Cells | None) -> tuple[int, int]:
        """See `blocks.Source`."""
        count = _fill(self._records, self._sections, self._states, block.cells, block.arena, block.address)
        linked = 0
        if count > 0 and links is not None:
            last = block.cells[count - 1, SEQ, 1]
            linked = _fill_links(self._links, self._states, last, links.cells, links.arena, links.address)
        if count < 0 or linked < 0:
            raise Unreadable
        return count, linked

    def close(self) -> None:
        """End the transaction, and let go of the file."""
        self._snapshot.close()


@compiled
def _fill(records: int, sections: int, states: Numbers, cells: Numbers, arena: Bytes, address: int) -> int:
    """Fill a block from the records, each beside its sections; -1 where that can't be done."""
    count = used = 0
    while count < len(cells):
        state = _advance(records, states, 0)
        if state == _ENDED:
            break
        if state == _FAILED:
            return -1
        used = _take(records, 0, cells, count, 0, BODIES, arena, address, used)
        if used >= 0:
            used = _take_sections(records, sections, states, cells, count, arena, address, used)
        if used == -2:
            return -1
        if used == -1:  # there is no room left: it comes with the next block
            if count == 0:
                return -1
            break
        states[0] = _BEFORE_ROW
        count += 1
    return count


@compiled
def _take_sections(
    records: int, sections: int, states: Numbers, cells: Numbers, row: int, arena: Bytes, address: int, used: int
) -> int:
    """Put the sections of a record beside it, which are null where there is no row for them.

    As `_take`; -2 where they can't be read.
    """
    seq = cells[row, SEQ, 1]
    while cells[row, SEQ, 0] == NUMBER:
        state = _advance(sections, states, 1)
        if state == _FAILED:
            return -2
        if state == _ENDED:
            break
        if sqlite3_column_type(sections, 0) != TYPE_INTEGER:  # a fraction such as 5.0 is equal to 5
            return -2
        at = sqlite3_column_int64(sections, 0)
        if at == seq:
            # The row is gone over once the next record has a higher position.
            return _take(sections, 1, cells, row, BODIES, COLUMNS - BODIES, arena, address, used)
        if at > seq:
            break
        states[1] = _BEFORE_ROW  # sections of no record
    for column in range(BODIES, COLUMNS):
        cells[row, column, 0] = NULL
    return used


@compiled
def _fill_links(statement: int, states: Numbers, last: int, cells: Numbers, arena: Bytes, address: int) -> int:
    count = used = 0
    while True:
        state = _advance(statement, states, 2)
        if state == _FAILED:
            return -1
        if state == _ENDED or sqlite3_column_int64(statement, 0) > last:
            return count
        if count == len(cells):
            return -1
        used = _take(statement, 0, cells, count, 0, LINK_COLUMNS, arena, address, used)
        if used < 0:
            return -1
        states[2] = _BEFORE_ROW
        count += 1


@compiled
def _advance(statement: int, states: Numbers, which: int) -> int:
    """Go on to a row that was not taken yet."""
    if states[which] == _BEFORE_ROW:
        status = sqlite3_step(statement)
        states[which] = _AT_ROW if status == ROW else _ENDED if status == DONE else _FAILED
    return int(states[which])


@compiled
def _take(
    statement: int, first: int, cells: Numbers, row: int, to: int, columns: int, arena: Bytes, address: int, used: int
) -> int:
    """Put a row's columns from `first` on into the cells from `to` on; how much of the arena is used then, -1 where it
    does not suffice."""
    for column in range(columns):
        value = sqlite3_column_value(statement, first + column)
        type_ = sqlite3_value_type(value)
        if type_ == TYPE_INTEGER:
            cells[row, to + column, 0] = NUMBER
            cells[row, to + column, 1] = sqlite3_value_int64(value)
        elif type_ in (TYPE_TEXT, TYPE_BLOB):
            start = sqlite3_value_blob(value)
            length = sqlite3_value_bytes(value)
            if length < 0 or used + length > len(arena) or (length > 0 and start == 0):
                return -1
            if length > 0:
                memcpy(address + used, start, length)
            cells[row, to + column, 0] = TEXT if type_ == TYPE_TEXT else BINARY
            cells[row, to + column, 1] = used
            cells[row, to + column, 2] = length
            used += length
        else:
            cells[row, to + column, 0] = NULL if type_ == TYPE_NULL else OTHER
    return used
