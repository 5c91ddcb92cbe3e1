"""The next block of an organization's rows, read and judged by compiled code."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import numpy as np
from sqlalchemy import ColumnElement, LargeBinary, select

from flasktrack.core.merkle import HASH_BYTES
from flasktrack.store.engine import sqlite_file
from flasktrack.store.schema import Time, audit_payload, audit_record
from flasktrack.store.scope import machine_scoped
from flasktrack.verify.compiled import postgresql
from flasktrack.verify.compiled.cells import (
    ARENA,
    COLUMNS,
    LINK_ARENA,
    LINK_COLUMNS,
    LINKS,
    RECORDED_AT,
    ROWS,
    Bytes,
    Cells,
    Numbers,
    Unreadable,
)
from flasktrack.verify.compiled.hashing import Hasher
from flasktrack.verify.compiled.postgresql import PostgresqlRows
from flasktrack.verify.compiled.sound import are_linked, give_hashes, go_on_in_time, take_down
from flasktrack.verify.compiled.sqlite import SqliteRows
from flasktrack.verify.compiled.symbols import hashing
from flasktrack.verify.rows import Streams

_HEADER_ROOM = 4 << 20
_TAPE_COLUMNS = 7


class Source(Protocol):
    """Where rows come from, in order of seq."""

    def read(self, block: Cells, links: Cells | None) -> tuple[int, int]:
        """Put the next rows into `block`, and the links of positions up to the last of these into `links`, where they
        are wanted; how many of each, 0 rows at the end. Raises Unreadable."""
        ...

    def close(self) -> None:
        """Let go of what was opened."""
        ...


class Block:
    """Rows, and the links that stand at their positions."""

    def __init__(self, *, with_links: bool) -> None:
        self.rows = Cells(ROWS, COLUMNS, ARENA)
        self.links = Cells(LINKS, LINK_COLUMNS, LINK_ARENA) if with_links else None
        self.count = self.link_count = 0


class Ahead:
    """The blocks of a source, each read while the one before is judged: compiled code holds no lock of Python's."""

    def __init__(self, source: Source, *, with_links: bool) -> None:
        """Raises Unreadable where no thread can be had; the source is closed then."""
        self._source = source
        self._blocks = [Block(with_links=with_links), Block(with_links=with_links)]
        self._thread = ThreadPoolExecutor(1, "flasktrack blocks")
        self._coming: Future[Block] | None
        try:
            self._coming = self._thread.submit(self._read)
        except RuntimeError:
            self.close()
            raise Unreadable from None

    def next(self) -> Block:
        """The next block; it holds until the one after it is asked for. Raises Unreadable."""
        assert self._coming is not None  # noqa: S101 (nobody asks for more after the end)
        block = self._coming.result()
        self._coming = self._thread.submit(self._read)
        return block

    def close(self) -> None:
        """Let go of what was opened."""
        self._thread.shutdown(cancel_futures=True)
        # What was read, and an error with all that it refers to, would live on until cycles are looked for.
        self._coming = None
        self._blocks = []
        self._source.close()

    def _read(self) -> Block:
        self._blocks.reverse()
        block = self._blocks[0]
        block.count, block.link_count = self._source.read(block.rows, block.links)
        return block


class Sound(NamedTuple):
    """What a block in which every record is in order leaves for what comes after it."""

    records: int
    hashes: bytes
    """One behind the other."""
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
    return PostgresqlRows(
        connection.connection.dbapi_connection,
        streams.sql(streams.record_statement(*columns)),
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
    """Holds blocks against their hashes, links and digests."""

    def __init__(self, organization_id: str) -> None:
        self.hashes: Bytes = np.zeros(ROWS * HASH_BYTES, dtype=np.uint8)
        """Those of the block that was judged last."""
        self.room: Bytes = np.zeros(_HEADER_ROOM, dtype=np.uint8)
        self.hasher = Hasher()
        self._organization: Bytes = np.frombuffer(organization_id.encode(), dtype=np.uint8)

    def agrees(self, block: Block, first: int, previous: bytes) -> bool:
        """Whether the rows are those from `first` on, each gives its hash and its sections' digests, and links to the
        one before, the first to `previous`."""
        link: Bytes = np.frombuffer(previous, dtype=np.uint8)
        return len(link) == HASH_BYTES and give_hashes(
            block.rows.arena, block.rows.cells, block.count, self._organization, first, link,
            self.room, self.hasher.state, self.hasher.digest, self.hashes,
        )  # fmt: skip


class Blocks:
    """The blocks of one pass over `streams`, as a verification judges them."""

    def __init__(self, streams: Streams, seed: bytes) -> None:
        """`seed` is that of the tape. Raises Unreadable."""
        self._ahead = Ahead(open_source(streams), with_links=True)
        self._judge = Judge(streams.organization_id)
        self._seed: Bytes = np.frombuffer(seed, dtype=np.uint8)
        self._tape: Numbers = np.zeros((ROWS, _TAPE_COLUMNS), dtype=np.int64)
        self._matched: Bytes = np.zeros(LINKS, dtype=np.uint8)

    def next_sound(self, first: int, previous: bytes, earlier: str) -> Sound | None:
        """The next block, if all of its records are in order; None where they are not, and at the end.

        `first` is the position where it should begin, `previous` the hash of the record before, `earlier` its
        recorded_at. Raises Unreadable.
        """
        judge, block = self._judge, self._ahead.next()
        count, rows, links, hasher = block.count, block.rows, block.links, judge.hasher
        assert links is not None  # noqa: S101 (they were asked for)
        try:
            time: Bytes = np.frombuffer(earlier.encode(), dtype=np.uint8)
        except UnicodeEncodeError:  # the record before was not checked by this, and may hold anything
            return None
        in_order = (
            count
            and judge.agrees(block, first, previous)
            and go_on_in_time(rows.arena, rows.cells, count, time)
            and are_linked(rows.arena, rows.cells, count, links.arena, links.cells, block.link_count, self._matched)
            and take_down(
                rows.arena, rows.cells, count, self._seed, judge.room, hasher.state, hasher.digest, self._tape
            )
        )
        if not in_order:
            return None
        _, offset, length = rows.cells[count - 1, RECORDED_AT]
        return Sound(
            count,
            judge.hashes[: HASH_BYTES * count].tobytes(),
            self._tape[:count].tobytes(),
            rows.arena[offset : offset + length].tobytes().decode(),
        )

    def close(self) -> None:
        """Let go of what was opened."""
        self._ahead.close()
