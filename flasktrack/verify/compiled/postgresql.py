"""Rows from PostgreSQL, by cursors of the verification's own transaction, in the server's binary format."""

from __future__ import annotations

from typing import Any

import numpy as np
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, TransactionStatus

from flasktrack.verify.compiled.cells import (
    BINARY,
    NULL,
    NUMBER,
    OTHER,
    SEQ,
    TEXT,
    TIME_BYTES,
    TIME_FORM,
    Bytes,
    Cells,
    Numbers,
    Unreadable,
)
from flasktrack.verify.compiled.machine import compiled
from flasktrack.verify.compiled.symbols import (
    memcpy,
    postgresql_library,
    pq_getisnull,
    pq_getlength,
    pq_getvalue,
)

_ROWS = 256
"""What the driver holds at a time: a row may carry 3 MiB of sections."""

FORM_TEXT, FORM_BINARY, FORM_NUMBER, FORM_TIME = range(4)
"""How a column's values come: as text, as bytes, as an int8, or as microseconds since 2000."""
_LINK_FORMS: Numbers = np.array([FORM_NUMBER, FORM_TEXT, FORM_TEXT], dtype=np.int64)

_DAY = 86_400_000_000
_DAYS_TO_2000 = 730_425  # from 0000-03-01, where a year's days are counted from, with the leap day last
_FIRST, _LAST = -63_082_281_600_000_000, 252_455_615_999_999_999
"""The years 1 to 9999, which are those that the text of a time can have."""


class PostgresqlRows:
    """The rows of `rows.Streams` in blocks, and the links that belong to them."""

    def __init__(self, driver: Any, records: str, links: str, forms: list[int]) -> None:
        """Begin to read what two SELECT statements give, each in order of seq; `forms` are those of the records'
        columns. Raises Unreadable."""
        if postgresql_library() is None:
            raise Unreadable
        self._forms: Numbers = np.array(forms, dtype=np.int64)
        self._records = _Cursor(driver, records)
        self._links = _Cursor(driver, links)
        self._number: Bytes = np.zeros(8, dtype=np.uint8)

    def read(self, block: Cells, links: Cells | None) -> tuple[int, int]:
        """See `blocks.Source`."""
        cursor = self._records
        if not cursor.any_left():
            return 0, 0
        end = min(cursor.count, cursor.taken + len(block.cells))
        count = int(_fill(cursor.address, cursor.taken, end, self._forms, block.cells, block.arena, block.address, 0))
        if not count:
            raise Unreadable
        cursor.taken += count
        return count, 0 if links is None else self._read_links(links, int(block.cells[count - 1, SEQ, 1]))

    def _read_links(self, block: Cells, last: int) -> int:
        """The links of positions up to `last`."""
        cursor = self._links
        count = used = 0
        while cursor.any_left():
            end = int(_links_up_to(cursor.address, cursor.taken, cursor.count, last, self._number))
            wanted = end - cursor.taken
            if count + wanted > len(block.cells):
                raise Unreadable
            filled = _fill(
                cursor.address, cursor.taken, end, _LINK_FORMS, block.cells[count:], block.arena, block.address, used
            )
            if filled < wanted:
                raise Unreadable
            count += wanted
            if wanted:
                used = int(block.cells[count - 1, 2, 1] + block.cells[count - 1, 2, 2])
            cursor.taken = end
            if end < cursor.count:
                break
        return count

    def close(self) -> None:
        """Let go of the cursors."""
        self._records.close()
        self._links.close()


class _Cursor:
    """A cursor on the server, and the rows that came from it last."""

    _number = 0

    def __init__(self, driver: Any, sql: str) -> None:
        _Cursor._number += 1
        self._name = f"flasktrack_compiled_{_Cursor._number}"
        self._driver = driver
        self._result: Any = None
        self.address = self.count = self.taken = 0
        driver.execute(f"DECLARE {self._name} NO SCROLL CURSOR FOR {sql}")

    def any_left(self) -> bool:
        """Whether there is a row that was not taken; fetches more where there was none at hand."""
        if self.taken < self.count:
            return True
        fetch = f"FETCH FORWARD {_ROWS} FROM {self._name}".encode()
        self._result = self._driver.pgconn.exec_params(fetch, None, result_format=1)
        if self._result.status != ExecStatus.TUPLES_OK:
            raise error_from_result(self._result, encoding="utf-8")
        self.address, self.count, self.taken = self._result.pgresult_ptr, self._result.ntuples, 0
        return bool(self.count)

    def close(self) -> None:
        self._result = None
        if self._driver.info.transaction_status == TransactionStatus.INTRANS:  # otherwise it is gone
            self._driver.execute(f"CLOSE {self._name}")


@compiled
def _fill(
    result: int, first: int, end: int, forms: Numbers, cells: Numbers, arena: Bytes, address: int, used: int
) -> int:
    """Put the rows from `first` to before `end` into the cells; how many the arena, used up to `used`, had room for."""
    for row in range(first, end):
        for column in range(len(forms)):
            target = cells[row - first, column]
            if pq_getisnull(result, row, column):
                target[0] = NULL
                continue
            start, length = pq_getvalue(result, row, column), pq_getlength(result, row, column)
            room = max(length, TIME_BYTES)
            if length < 0 or used + room > len(arena):
                return row - first
            memcpy(address + used, start, length)
            form = forms[column]
            target[1], target[2] = used, length
            if form in (FORM_TEXT, FORM_BINARY):
                target[0] = TEXT if form == FORM_TEXT else BINARY
                used += length
            elif length != 8:
                target[0] = OTHER
            else:
                value = _integer(arena, used)
                if form == FORM_NUMBER:
                    target[0], target[1] = NUMBER, value
                elif _FIRST <= value <= _LAST:
                    _write_time(value, arena, used)
                    target[0], target[2] = TEXT, TIME_BYTES
                    used += TIME_BYTES
                else:
                    target[0] = OTHER
    return end - first


@compiled
def _links_up_to(result: int, first: int, end: int, last: int, number: Bytes) -> int:
    """The first row from `first` on with a position above `last`; `number` has room for one."""
    for row in range(first, end):
        if pq_getlength(result, row, 0) != len(number):
            return row
        memcpy(number.ctypes.data, pq_getvalue(result, row, 0), len(number))
        if _integer(number, 0) > last:
            return row
    return end


@compiled
def _integer(arena: Bytes, at: int) -> int:
    """An int8, in network order."""
    value = 0
    for place in range(at, at + 8):
        value = value << 8 | arena[place]
    return value


@compiled
def _write_time(microseconds: int, out: Bytes, at: int) -> None:
    """Write a time, given in microseconds since 2000, as spec section 1 has it."""
    days = microseconds // _DAY
    rest = microseconds - days * _DAY
    # The days of a Gregorian calendar whose years begin in March, in cycles of 400 years.
    days += _DAYS_TO_2000
    cycle = days // 146_097
    day = days - cycle * 146_097
    year = (day - day // 1_460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5 - 1
    year += 400 * cycle
    month += 3
    if month > 12:
        month -= 12
        year += 1
    for place in range(TIME_BYTES):
        out[at + place] = TIME_FORM[place]
    _digits(year, 4, out, at)
    _digits(month, 2, out, at + 5)
    _digits(day, 2, out, at + 8)
    _digits(rest // 3_600_000_000, 2, out, at + 11)
    _digits(rest // 60_000_000 % 60, 2, out, at + 14)
    _digits(rest // 1_000_000 % 60, 2, out, at + 17)
    _digits(rest % 1_000_000, 6, out, at + 20)


@compiled
def _digits(value: int, count: int, out: Bytes, at: int) -> None:
    for place in range(at + count - 1, at - 1, -1):
        out[place] = 48 + value % 10
        value //= 10
