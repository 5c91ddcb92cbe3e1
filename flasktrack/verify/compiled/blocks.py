"""The next block of an organization's rows, read and judged by compiled code."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from sqlalchemy import ColumnElement, LargeBinary, and_, select

from flasktrack.core.merkle import HASH_BYTES
from flasktrack.store.engine import sqlite_file
from flasktrack.store.schema import Time, audit_payload, audit_record
from flasktrack.store.scope import machine_scoped
from flasktrack.verify.compiled import postgresql
from flasktrack.verify.compiled.cells import LINKS, RECORDED_AT, ROWS, Bytes, Cells, Numbers, Unreadable
from flasktrack.verify.compiled.hashing import Hasher
from flasktrack.verify.compiled.postgresql import PostgresqlRows
from flasktrack.verify.compiled.sound import are_linked, give_hashes, go_on_in_time, take_down
from flasktrack.verify.compiled.sqlite import SqliteRows
from flasktrack.verify.compiled.symbols import hashing
from flasktrack.verify.rows import Streams

_HEADER_ROOM = 4 << 20
_TAPE_COLUMNS = 7


class Source(Protocol):
    """Where rows come from, in blocks."""

    block: Cells
    link_block: Cells

    def read(self) -> int:
        """Put the next rows into `block`; how many, 0 at the end. Raises Unreadable."""
        ...

    def read_links(self, last: int) -> int:
        """Put the next links of positions up to `last` into `link_block`; how many. Raises Unreadable."""
        ...

    def close(self) -> None:
        """Let go of what was opened."""
        ...


class Sound(NamedTuple):
    """What a block in which every record is in order leaves for what comes after it."""

    hashes: list[bytes]
    continuity: bytes
    """What `Tape` takes down of it."""
    last_time: str


def open_source(streams: Streams) -> Source:
    """Begin to read the rows of `streams`. Raises Unreadable where compiled code can't."""
    if not hashing():
        raise Unreadable
    connection = streams.connection
    if connection.dialect.name == "sqlite":
        file = sqlite_file(connection.engine)
        if file is None or not file.is_file():
            raise Unreadable
        return SqliteRows(file, *_sqlite_statements(streams))
    if not connection.in_transaction():
        connection.begin()
    columns = [*tuple(audit_record.columns)[1:], *tuple(audit_payload.columns)[2:]]
    same = and_(
        audit_payload.c.organization_id == audit_record.c.organization_id, audit_payload.c.seq == audit_record.c.seq
    )
    seq = audit_record.c.seq
    records = machine_scoped(streams.organization_id, *columns).outerjoin_from(audit_record, audit_payload, same)
    return PostgresqlRows(
        connection.connection.dbapi_connection,
        streams.sql(records.where(*streams.span(seq)).order_by(seq)),
        streams.sql(streams.link_statement()),
        [_form(column) for column in columns],
    )


def _sqlite_statements(streams: Streams) -> tuple[str, str, str]:
    seq, payload = audit_record.c.seq, audit_payload.c
    records = machine_scoped(streams.organization_id, *tuple(audit_record.columns)[1:])
    sections = select(*tuple(audit_payload.columns)[1:]).where(payload.organization_id == streams.organization_id)
    return (
        streams.sql(records.where(*streams.span(seq)).order_by(seq)),
        streams.sql(sections.where(*streams.span(payload.seq)).order_by(payload.seq)),
        streams.sql(streams.link_statement()),
    )


def _form(column: ColumnElement[Any]) -> int:
    if isinstance(column.type, LargeBinary):
        return postgresql.FORM_BINARY
    if isinstance(column.type, Time):
        return postgresql.FORM_TIME
    return postgresql.FORM_NUMBER if column.type.python_type is int else postgresql.FORM_TEXT


class Judge:
    """Holds the blocks of a source against their hashes, links and digests."""

    def __init__(self, source: Source, organization_id: str) -> None:
        self.source = source
        self.count = 0
        """How many rows the block that was read last has."""
        self.hashes: Bytes = np.zeros(ROWS * HASH_BYTES, dtype=np.uint8)
        self.room: Bytes = np.zeros(_HEADER_ROOM, dtype=np.uint8)
        self.hasher = Hasher()
        self._organization: Bytes = np.frombuffer(organization_id.encode(), dtype=np.uint8)

    def read(self, first: int, previous: bytes) -> bool:
        """Read the next block; whether its rows are those from `first` on, each gives its hash and its sections'
        digests, and links to the one before, the first to `previous`. Raises Unreadable."""
        self.count = self.source.read()
        block, hasher = self.source.block, self.hasher
        link: Bytes = np.frombuffer(previous, dtype=np.uint8)
        return len(link) == HASH_BYTES and give_hashes(
            block.arena, block.cells, self.count, self._organization, first, link,
            self.room, hasher.state, hasher.digest, self.hashes,
        )  # fmt: skip


class Blocks:
    """The blocks of one pass over `streams`, as a verification judges them."""

    def __init__(self, streams: Streams, seed: bytes) -> None:
        """`seed`: that of the tape, see `continuity`. Raises Unreadable."""
        self._judge = Judge(open_source(streams), streams.organization_id)
        self._seed: Bytes = np.frombuffer(seed, dtype=np.uint8)
        self._tape: Numbers = np.zeros((ROWS, _TAPE_COLUMNS), dtype=np.int64)
        self._matched: Bytes = np.zeros(LINKS, dtype=np.uint8)

    def next_sound(self, first: int, previous: bytes, earlier: str) -> Sound | None:
        """The next block, if all of its records are in order; None where they are not, and at the end.

        `first` is the position where it should begin, `previous` the hash of the record before, `earlier` its
        recorded_at. Raises Unreadable.
        """
        judge = self._judge
        in_order = judge.read(first, previous)
        count, block, hasher = judge.count, judge.source.block, judge.hasher
        if not count or not in_order:
            return None
        time: Bytes = np.frombuffer(earlier.encode(), dtype=np.uint8)
        if not go_on_in_time(block.arena, block.cells, count, time):
            return None
        links = judge.source.read_links(first + count - 1)
        linked = judge.source.link_block
        if not are_linked(
            block.arena, block.cells, count, linked.arena, linked.cells, links, self._matched
        ) or not take_down(
            block.arena, block.cells, count, self._seed, judge.room, hasher.state, hasher.digest, self._tape
        ):
            return None
        hashes = judge.hashes[: HASH_BYTES * count].tobytes()
        _, offset, length = block.cells[count - 1, RECORDED_AT]
        return Sound(
            [hashes[place : place + HASH_BYTES] for place in range(0, len(hashes), HASH_BYTES)],
            self._tape[:count].tobytes(),
            block.arena[offset : offset + length].tobytes().decode(),
        )

    def close(self) -> None:
        """Let go of what was opened."""
        self._judge.source.close()
