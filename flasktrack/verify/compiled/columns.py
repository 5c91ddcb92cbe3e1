"""Columns of sound blocks, as Arrow has them: for a copy of the records that is asked by column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from flasktrack.core.merkle import HASH_BYTES
from flasktrack.verify.compiled.blocks import Ahead, Block, Judge, open_source
from flasktrack.verify.compiled.cells import (
    CONTEXT,
    LINKS,
    NULL,
    PREV_HASH,
    RELATED,
    SEQ,
    TEXT,
    TIME_BYTES,
    TIME_FORM,
    Bytes,
    Numbers,
    Unreadable,
)
from flasktrack.verify.compiled.hashing import Hasher, digest_of_two
from flasktrack.verify.compiled.header import next_related
from flasktrack.verify.compiled.machine import compiled
from flasktrack.verify.compiled.symbols import memcpy
from flasktrack.verify.rows import Streams

_QUOTE, _BACKSLASH, _COLON, _COMMA, _BLANK, _I, _P, _ZERO = map(ord, '"\\:, ip0')
_OPENING, _CLOSING = (ord("{"), ord("[")), (ord("}"), ord("]"))
_DAY = 86_400_000_000
_DAYS_TO_1970 = 719_468  # from 0000-03-01, where a year's days are counted from, with the leap day last


class Columns:
    """Columns of the block that was read last. They are copies: the next block does not touch them."""

    def __init__(self, block: Block) -> None:
        self.count = block.count
        self._arena, self._cells = block.rows.arena, block.rows.cells

    def texts(self, *columns: int) -> list[pa.Array]:
        """Columns of text (see `cells`)."""
        return self._texts(self._cells[: self.count], columns)

    def numbers(self, column: int) -> pa.Array:
        """A column of numbers that is never null."""
        return pa.array(self._cells[: self.count, column, 1].copy())

    def times(self, column: int) -> pa.Array | None:
        """A column of times (UTC, without their zone); None where one is not written as spec section 1 has it."""
        microseconds: Numbers = np.empty(self.count, dtype=np.int64)
        if not _microseconds(self._arena, self._cells, self.count, column, microseconds):
            return None
        return pa.array(microseconds.view("datetime64[us]"))

    def addresses(self) -> pa.Array | None:
        """`ip` of each context, null where it has none; None where one takes a parser of JSON to read."""
        found: Numbers = np.zeros((self.count, 3), dtype=np.int64)
        if not _addresses(self._arena, self._cells, self.count, found):
            return None
        (addresses,) = self._texts(found[:, np.newaxis], [0])
        return addresses

    def fingerprints(self, column: int) -> pa.Array:
        """For each body of `column` the first eight bytes of its SHA-256, as a number; 1 for 0, null for none."""
        prints: Numbers = np.zeros(self.count, dtype=np.int64)
        hasher = Hasher()
        _fingerprints(self._arena, self._cells, self.count, column, hasher.state, hasher.digest, prints)
        return pa.array(prints, mask=self._cells[: self.count, column, 0] == NULL)

    def bodies(self, column: int) -> Iterator[bytes | None]:
        """The bodies of a section (see `cells`)."""
        for kind, offset, length in self._cells[: self.count, column].tolist():
            yield self._arena[offset : offset + length].tobytes() if kind == TEXT else None

    def related(self) -> tuple[pa.Array, pa.Array, pa.Array] | None:
        """What the rows relate to: position, type and id of each item; None where it is more than can be recorded."""
        seqs: Numbers = np.empty(LINKS, dtype=np.int64)
        items: Numbers = np.empty((LINKS, 2, 3), dtype=np.int64)
        count = _related(self._arena, self._cells, self.count, seqs, items)
        if count < 0:
            return None
        types, ids = self._texts(items[:count], [0, 1])
        return pa.array(seqs[:count].copy()), types, ids

    def _texts(self, cells: Numbers, columns: Sequence[int]) -> list[pa.Array]:
        rows, chosen = len(cells), np.array(columns, dtype=np.int64)
        ends = np.zeros((len(columns), rows + 1), dtype=np.int32)
        valid: Bytes = np.zeros((len(columns), (rows + 7) // 8), dtype=np.uint8)
        starts: Numbers = np.zeros(len(columns) + 1, dtype=np.int64)
        _measure(cells, chosen, ends, valid, starts)
        data: Bytes = np.empty(starts[-1], dtype=np.uint8)
        if not _gather(self._arena, self._arena.ctypes.data, cells, chosen, ends, starts, data, data.ctypes.data):
            raise Unreadable
        return [
            pa.StringArray.from_buffers(
                rows, *map(pa.py_buffer, (ends[at], data[starts[at] : starts[at + 1]], valid[at]))
            )
            for at in range(len(columns))
        ]


class SoundColumns(NamedTuple):
    """A block in which every record gives its hash."""

    columns: Columns
    last_hash: bytes
    before_last: bytes
    """The hash of the record before the last one."""


class ColumnBlocks:
    """The blocks of one pass over `streams`, in columns."""

    def __init__(self, streams: Streams) -> None:
        """Raises Unreadable."""
        self._ahead = Ahead(open_source(streams), with_links=False)
        self._judge = Judge(streams.organization_id)

    def next_sound(self, first: int, previous: bytes) -> SoundColumns | None:
        """The next block, if its rows are those from `first` on, each gives its hash and its sections' digests, and
        links to the one before, the first to `previous`; None where they don't, and at the end. Raises Unreadable."""
        judge, block = self._judge, self._ahead.next()
        if not block.count or not judge.agrees(block, first, previous):
            return None
        end = HASH_BYTES * block.count
        before = int(block.rows.cells[block.count - 1, PREV_HASH, 1])
        return SoundColumns(
            Columns(block),
            judge.hashes[end - HASH_BYTES : end].tobytes(),
            block.rows.arena[before : before + HASH_BYTES].tobytes(),
        )

    def close(self) -> None:
        """Let go of what was opened."""
        self._ahead.close()


@compiled
def _measure(cells: Numbers, columns: Numbers, ends: Any, valid: Bytes, starts: Numbers) -> None:
    """Where each text of the columns ends, counted from its column's start; which are there; and where the columns
    start, one behind the other."""
    for at in range(len(columns)):
        used = 0
        for row in range(len(cells)):
            if cells[row, columns[at], 0] == TEXT:
                used += cells[row, columns[at], 2]
                valid[at, row >> 3] |= 1 << (row & 7)
            ends[at, row + 1] = used
        starts[at + 1] = starts[at] + used


@compiled
def _gather(
    arena: Bytes, address: int, cells: Numbers, columns: Numbers, ends: Any, starts: Numbers, data: Bytes, to: int
) -> bool:
    """Copy the texts of the columns; false where one of them would lie outside of what there is."""
    for at in range(len(columns)):
        for row in range(len(cells)):
            start, place = cells[row, columns[at], 1], starts[at] + ends[at, row]
            size = ends[at, row + 1] - ends[at, row]
            if size > 0:
                if start < 0 or start + size > len(arena) or place + size > len(data):
                    return False
                memcpy(to + place, address + start, size)
    return True


@compiled
def _related(arena: Bytes, cells: Numbers, count: int, seqs: Numbers, items: Numbers) -> int:
    """Where type and id of each item stand; how many there are, -1 where there is no room for all."""
    found = 0
    for row in range(count):
        at, end = cells[row, RELATED, 1], cells[row, RELATED, 1] + cells[row, RELATED, 2]
        while at < end - 2:  # an item begins after the list's bracket, or a comma
            type_at, type_end, id_at, id_end = next_related(arena, at + 1, end)
            if found == len(seqs):
                return -1
            seqs[found] = cells[row, SEQ, 1]
            items[found, 0, 0] = items[found, 1, 0] = TEXT
            items[found, 0, 1], items[found, 0, 2] = type_at, type_end - type_at
            items[found, 1, 1], items[found, 1, 2] = id_at, id_end - id_at
            found += 1
            at = id_end + 2
    return found


@compiled
def _fingerprints(
    arena: Bytes, cells: Numbers, count: int, column: int, state: Bytes, digest: Bytes, prints: Numbers
) -> None:
    for row in range(count):
        if cells[row, column, 0] == TEXT:
            digest_of_two(state, digest, arena.ctypes.data + cells[row, column, 1], cells[row, column, 2], 0, 0)
            value = 0
            for place in range(8):
                value = value << 8 | int(digest[place])
            prints[row] = value if value != 0 else 1


@compiled
def _microseconds(arena: Bytes, cells: Numbers, count: int, column: int, out: Numbers) -> bool:
    """Times since 1970 of texts such as 2026-11-24T05:06:07.123456Z."""
    for row in range(count):
        if cells[row, column, 0] != TEXT or cells[row, column, 2] != TIME_BYTES:
            return False
        at = cells[row, column, 1]
        for place in range(TIME_BYTES):
            if TIME_FORM[place] != _ZERO and arena[at + place] != TIME_FORM[place]:
                return False
        year, month, day = _digits(arena, at, 4), _digits(arena, at + 5, 2), _digits(arena, at + 8, 2)
        hour, minute, second = _digits(arena, at + 11, 2), _digits(arena, at + 14, 2), _digits(arena, at + 17, 2)
        fraction = _digits(arena, at + 20, 6)
        if fraction < 0 or year < 1 or not 1 <= month <= 12 or not 1 <= day <= _month_days(year, month):
            return False
        if not 0 <= hour <= 23 or not 0 <= minute <= 59 or not 0 <= second <= 59:
            return False
        if month <= 2:
            year, month = year - 1, month + 12
        days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 1
        seconds = 3600 * hour + 60 * minute + second
        out[row] = (days - _DAYS_TO_1970) * _DAY + 1_000_000 * seconds + fraction
    return True


@compiled
def _month_days(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


@compiled
def _digits(arena: Bytes, at: int, count: int) -> int:
    """The number that so many digits make; -1 where something else stands among them."""
    value = 0
    for place in range(at, at + count):
        digit = int(arena[place]) - _ZERO
        if not 0 <= digit <= 9:
            return -1
        value = 10 * value + digit
    return value


@compiled
def _addresses(arena: Bytes, cells: Numbers, count: int, found: Numbers) -> bool:
    """Where the `ip` of each context stands; false where one of them can't be told by this."""
    for row in range(count):
        if cells[row, CONTEXT, 0] != TEXT:
            continue
        at = cells[row, CONTEXT, 1]
        if not _address(arena, at, at + cells[row, CONTEXT, 2], found[row]):
            return False
    return True


@compiled
def _address(arena: Bytes, at: int, end: int, found: Numbers) -> bool:
    """The last member `ip` of a JSON object, if its value is text, into `found` (see `cells`).

    A body is compact, with its keys sorted, as far as it was written by the recorder. False where an escape, a blank or
    what is not ASCII would have to be understood.
    """
    depth = 0
    opened = -1  # where the string began that is being read; -1 outside of one
    key = False  # the last string at the object's own level was the key "ip"
    for place in range(at, end):
        byte = arena[place]
        if opened >= 0:
            if byte == _BACKSLASH or byte >= 0x80:
                return False
            if byte == _QUOTE:
                if key and depth == 1:
                    found[0], found[1], found[2] = TEXT, opened, place - opened
                is_key = depth == 1 and place + 1 < end and arena[place + 1] == _COLON
                key = is_key and place - opened == 2 and arena[opened] == _I and arena[opened + 1] == _P
                if key:  # a later one counts, whatever its value is
                    found[0] = NULL
                opened = -1
        elif byte == _QUOTE:
            opened = place + 1
        elif byte in _OPENING:
            depth += 1
            key = False
        elif byte in _CLOSING:
            depth -= 1
        elif byte == _COMMA:
            key = False
        elif byte <= _BLANK:
            return False
    return True
