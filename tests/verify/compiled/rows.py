"""Rows that compiled code reads as if a database had given them."""

from __future__ import annotations

from typing import Any

import numpy as np

from flasktrack.core.header import ZERO_HASH, header_hash, record_header
from flasktrack.core.record import Record
from flasktrack.core.related import related_text
from flasktrack.verify.compiled.blocks import Block, Judge
from flasktrack.verify.compiled.cells import BINARY, COLUMNS, LINK_COLUMNS, NULL, NUMBER, OTHER, TEXT, Cells

Row = list[Any]
"""As `Streams.records` gives it."""


def block_of(rows: list[Row], links: list[Row] | None = None) -> Block:
    """A block of rows, and the links beside them."""
    block = Block(with_links=True)
    block.rows, block.links = _cells(rows, COLUMNS), _cells(links or [], LINK_COLUMNS)
    block.count, block.link_count = len(rows), len(links or [])
    return block


def judged(rows: list[Row], organization_id: str, first: int = 1, previous: bytes = ZERO_HASH) -> bool:
    """What compiled code says of rows."""
    return Judge(organization_id).agrees(block_of(rows), first, previous)


def row_of(record: Record, sections: dict[str, tuple[bytes, bytes]]) -> Row:
    """A record's row; `sections` are body and salt of those that it has."""
    row: Row = [*record[1:]]
    row[17] = related_text(record.related)
    for name in ("before", "after", "context"):
        row += sections.get(name, (None, None))
    # A body is text, and a salt bytes: told apart by their place.
    return [value.decode() if isinstance(value, bytes) and place in (25, 27, 29) else value
            for place, value in enumerate(row)]  # fmt: skip


def hashed(record: Record) -> Record:
    """The record with the hash that its header gives."""
    return record._replace(hash=header_hash(record_header(record)))


def _cells(rows: list[Row], columns: int) -> Cells:
    block = Cells(max(1, len(rows)), columns, 1 << 21)
    used = 0
    for number, row in enumerate(rows):
        for column, value in enumerate(row):
            kind = {type(None): NULL, int: NUMBER, str: TEXT, bytes: BINARY}.get(type(value), OTHER)
            block.cells[number, column, 0] = kind
            if kind == NUMBER:
                block.cells[number, column, 1] = value
            elif kind in (TEXT, BINARY):
                data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
                block.arena[used : used + len(data)] = np.frombuffer(data, dtype=np.uint8)
                block.cells[number, column, 1:] = used, len(data)
                used += len(data)
    return block
