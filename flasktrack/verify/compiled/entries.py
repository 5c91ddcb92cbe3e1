"""A table or an index from end to end: do its rows ascend, and which rows are they?

Which they are is told by how many there are, and by the sums of their hashes, keyed so that nobody can foresee them
(see siphash.py). As the rows ascend strictly, each is there once; two sets of rows that differ give the same sums once
in 2^128 times, whatever somebody made of them who did not know the key.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flasktrack.verify.compiled.cells import BINARY, NULL, NUMBER, TEXT, Numbers, Unreadable
from flasktrack.verify.compiled.machine import compiled
from flasktrack.verify.compiled.siphash import Word, Words, absorb, begin, finish
from flasktrack.verify.compiled.snapshot import DONE, ROW, TYPE_BLOB, TYPE_INTEGER, TYPE_NULL, TYPE_TEXT, Snapshot
from flasktrack.verify.compiled.symbols import (
    memcpy,
    sqlite3_column_value,
    sqlite3_step,
    sqlite3_value_blob,
    sqlite3_value_bytes,
    sqlite3_value_int64,
    sqlite3_value_type,
)

Told = tuple[int, int, int]
"""Which rows a table or an index has: how many, and the sums of both halves of their hashes."""

_LONGEST = 2**14 - 1
"""Bytes that a value may have."""
_ROOM = 16_384
"""Words that the values of a row may take together."""


def tell_rows(
    snapshot: Snapshot, key: Words, sql: str, columns: int, ordered: int, projections: Sequence[Sequence[int]]
) -> list[Told]:
    """Which rows a SELECT statement gives, for each projection on some of its `columns`.

    Raises Unreadable where they do not ascend strictly by the first `ordered` of them, and where a value is too long,
    or neither null, a whole number, text nor bytes.
    """
    chosen: Numbers = np.full((len(projections), columns), -1, dtype=np.int64)
    for place, projection in enumerate(projections):
        chosen[place, : len(projection)] = projection
    sums: Words = np.zeros((len(projections), 2), dtype=np.uint64)
    words: Words = np.zeros(2 * _ROOM, dtype=np.uint64)
    row, before = np.zeros((2, columns, 4), dtype=np.int64)
    statement = snapshot.prepare(sql)
    count = _scan(statement, columns, ordered, chosen, key, words, words.ctypes.data, row, before, sums)
    if count < 0:
        raise Unreadable
    return [(count, int(first), int(second)) for first, second in sums]


@compiled
def _scan(
    statement: int, columns: int, ordered: int, chosen: Numbers, key: Words, words: Words, address: int,
    row: Numbers, before: Numbers, sums: Words,
) -> int:  # fmt: skip
    """Read a statement to its end, and return how many rows it gave; -1 where it fails or they do not ascend.

    `row` and `before` are where the columns of a row and of the one before it stand: see `_take`.
    """
    count, room = 0, len(words) // 2
    used = 0  # the row that is read now has one half of the words, the one before it the other
    while True:
        status = sqlite3_step(statement)
        if status == DONE:
            return count
        if status != ROW or not _take(statement, columns, words, address, used, used + room, row):
            return -1
        if count > 0 and not _ascends(words, before, row, ordered):
            return -1
        for projection in range(len(chosen)):
            first, second = _hash(key, words, row, chosen[projection])
            sums[projection, 0] += first
            sums[projection, 1] += second
        count += 1
        used = room - used
        row, before = before, row


@compiled
def _take(statement: int, columns: int, words: Words, address: int, used: int, end: int, row: Numbers) -> bool:
    """Put a row's columns into the words from `used` on; whether there is room for them, and they are none but numbers,
    text and bytes.

    row[column] = (kind, length in bytes, first word, the word behind the last one); zeros fill up the last one
    """
    for column in range(columns):
        value = sqlite3_column_value(statement, column)
        type_ = sqlite3_value_type(value)
        row[column, 0], row[column, 1], row[column, 2] = NULL, 0, used
        if type_ == TYPE_INTEGER:
            if used == end:
                return False
            row[column, 0] = NUMBER
            words[used] = Word(sqlite3_value_int64(value))
            used += 1
        elif type_ in (TYPE_TEXT, TYPE_BLOB):
            start = sqlite3_value_blob(value)
            length = sqlite3_value_bytes(value)
            size = (length + 7) // 8
            if not 0 <= length <= _LONGEST or used + size > end or (length > 0 and start == 0):
                return False
            row[column, 0], row[column, 1] = TEXT if type_ == TYPE_TEXT else BINARY, length
            if length > 0:
                words[used + size - 1] = Word(0)
                memcpy(address + 8 * used, start, length)
            used += size
        elif type_ != TYPE_NULL:
            return False
        row[column, 3] = used
    return True


@compiled
def _hash(key: Words, words: Words, row: Numbers, columns: Numbers) -> tuple[Word, Word]:
    """The hash of columns of a row, up to one below zero: for each four a word with their kinds and lengths, and their
    own words."""
    state, count = begin(key), 0
    for place in range(len(columns)):
        if columns[place] < 0:
            break
        if place % 4 == 0:
            form = 0
            for of in range(place, min(place + 4, len(columns))):
                if columns[of] >= 0:
                    form |= (row[columns[of], 0] << 14 | row[columns[of], 1]) << 16 * (of - place)
            state = absorb(state, Word(form))
            count += 1
        for at in range(row[columns[place], 2], row[columns[place], 3]):
            state = absorb(state, words[at])
        count += row[columns[place], 3] - row[columns[place], 2]
    return finish(state, count)


@compiled
def _ascends(words: Words, one: Numbers, other: Numbers, columns: int) -> bool:
    """Whether one row comes before another by its first columns, in SQLite's order."""
    for column in range(columns):
        if one[column, 0] != other[column, 0]:
            return bool(one[column, 0] < other[column, 0])  # null, number, text, bytes
        at, beside = one[column, 2], other[column, 2]
        for place in range(min(one[column, 3] - at, other[column, 3] - beside)):
            if words[at + place] != words[beside + place]:
                return _is_less(words[at + place], words[beside + place], one[column, 0] == NUMBER)
        if one[column, 1] != other[column, 1]:  # the shorter one is the other's beginning
            return bool(one[column, 1] < other[column, 1])
    return False


@compiled
def _is_less(one: Word, other: Word, number: bool) -> bool:
    if number:
        return bool(np.int64(one) < np.int64(other))
    for place in range(8):  # the first byte in memory counts most
        mask = Word(255 << 8 * place)
        if one & mask != other & mask:
            return bool(one & mask < other & mask)
    return False
