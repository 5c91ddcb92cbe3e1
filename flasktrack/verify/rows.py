"""The streams that a verification reads: raw rows from the driver, in order of seq, in constant memory.

SQLAlchemy builds the statements and the driver's own cursor fetches the rows: wrapping each row would cost a third
of the verification. Sections come as bytes (what was hashed), times as the spec's text.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain, dropwhile, islice
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, LargeBinary, Select, and_, case, cast, func, select, text
from sqlalchemy.sql import literal_column

from flasktrack.core.record import MAX_POSITION
from flasktrack.store.schema import audit_payload, audit_record, record_link
from flasktrack.store.scope import machine_scoped

RawRow = tuple[Any, ...]
_ROWS_AT_ONCE = {"sqlite": 64, "postgresql": 256}
"""What is held in memory: a row may carry 3 MiB of sections. PostgreSQL is asked each time over a connection."""
_TIMES = ("occurred_at", "recorded_at")


class Streams(NamedTuple):
    """Three streams over one organization's positions from `first` to `last`; `open_end`: links go on beyond them."""

    connection: Connection
    organization_id: str
    first: int
    last: int
    open_end: bool = True

    @contextmanager
    def fast_text(self) -> Iterator[None]:
        """While the streams are read, SQLite's driver decodes text by its own fast decoder; afterwards as before."""
        driver = self.connection.connection.dbapi_connection
        if not isinstance(driver, sqlite3.Connection):
            yield
            return
        lenient = driver.text_factory
        driver.text_factory = str
        try:
            yield
        finally:
            driver.text_factory = lenient

    def records(self) -> Iterator[list[RawRow]]:
        """audit_record's columns in the order of `Record` but for the organization, then body and salt of before,
        after and context; in blocks."""
        columns = [
            self._time(column) if column.name in _TIMES else column for column in tuple(audit_record.columns)[1:]
        ]
        sections = [
            self._bytes(column) if not column.name.endswith("_salt") else column
            for column in tuple(audit_payload.columns)[2:]
        ]
        return self._fetch(self.record_statement(*columns, *sections), audit_record.c.seq)

    def record_statement(self, *columns: Any) -> Select[Any]:
        """SELECT `columns` of these positions, each record beside its sections, in order of seq."""
        seq = audit_record.c.seq
        return self._with_sections(*columns).where(*self.span(seq)).order_by(seq)

    def neighbour(self) -> RawRow | None:
        """Hash and recorded_at of the record before the first; None where there is none."""
        columns = audit_record.c
        statement = machine_scoped(self.organization_id, columns.seq, columns.hash, self._time(columns.recorded_at))
        found = next(self._fetch(statement.where(columns.seq == self.first - 1), columns.seq), None)
        return None if found is None else found[0][1:]

    def rows_at(self, seq: int) -> int:
        """How many rows stand at a position: more than one only where somebody got round the primary keys."""
        at = audit_record.c.seq
        # Asked for as a range: a database stops after the first row that is equal to a unique key.
        near = chain.from_iterable(self._fetch(self._with_sections(at).where(at > seq - 1, at < seq + 1), at))
        return sum(found_at == seq for (found_at,) in near)

    def links(self) -> Iterator[RawRow]:
        """(seq, entity_type, entity_id) of record_link."""
        return chain.from_iterable(self._fetch(self.link_statement(), record_link.c.seq))

    def link_statement(self) -> Select[Any]:
        """SELECT of `links`."""
        columns = record_link.c
        end = MAX_POSITION if self.open_end else self.last
        return (
            select(columns.seq, columns.entity_type, columns.entity_id)
            .where(columns.organization_id == self.organization_id, *self._from(columns.seq), columns.seq <= end)
            .order_by(columns.seq)
        )

    def hashes(self) -> Iterator[RawRow]:
        """(seq, hash) of every record."""
        seq = audit_record.c.seq
        statement = machine_scoped(self.organization_id, seq, audit_record.c.hash).where(*self.span(seq)).order_by(seq)
        return chain.from_iterable(self._fetch(statement, seq))

    def rest(self, first: int) -> Streams:
        """What of these streams lies behind the position before `first`."""
        return self._replace(first=first)

    def span(self, seq: ColumnElement[int]) -> list[ColumnElement[bool]]:
        """The condition on `seq` for these positions."""
        return [*self._from(seq), seq <= self.last]

    def _with_sections(self, *columns: Any) -> Select[Any]:
        same = and_(
            audit_payload.c.organization_id == audit_record.c.organization_id,
            audit_payload.c.seq == audit_record.c.seq,
        )
        return machine_scoped(self.organization_id, *columns).outerjoin_from(audit_record, audit_payload, same)

    def _from(self, seq: ColumnElement[int]) -> list[ColumnElement[bool]]:
        """The first span takes whatever stands before position 1, too, and each one what stands behind the one before:
        in SQLite that may be a fraction."""
        return [seq > self.first - 1] if self.first > 1 else []

    def _fetch(self, statement: Select[Any], seq: ColumnElement[int]) -> Iterator[list[RawRow]]:
        """Rows, the first column of which is `seq`, in blocks."""
        if not self.connection.in_transaction():
            self.connection.begin()  # which tells PostgreSQL of which organization rows are wanted; a driver does not
        driver = self.connection.connection.dbapi_connection
        if isinstance(driver, sqlite3.Connection):
            return self._fetch_sqlite(driver, statement, seq)
        return self._fetch_postgresql(driver, statement)

    def _fetch_sqlite(
        self, driver: sqlite3.Connection, statement: Select[Any], seq: ColumnElement[int]
    ) -> Iterator[list[RawRow]]:
        """Broken UTF-8 raises; from there on text is decoded so that it equals no text that could be recorded."""
        last: RawRow | None = None
        try:
            for block in _blocks(driver.execute(self.sql(statement))):
                yield block
                last = block[-1]
            return
        except sqlite3.OperationalError as problem:
            if "decode" not in str(problem).lower():
                raise
        driver.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
        if last is None:
            yield from _blocks(driver.execute(self.sql(statement)))
            return
        # From the last row's position on, since there may be more rows of it, and on from that row itself.
        rest = dropwhile(lambda other: other != last, driver.execute(self.sql(statement.where(seq >= last[0]))))
        next(rest, None)
        while block := list(islice(rest, _ROWS_AT_ONCE["sqlite"])):
            yield block

    def _fetch_postgresql(self, driver: Any, statement: Select[Any]) -> Iterator[list[RawRow]]:
        with driver.cursor(name=f"flasktrack_{id(statement)}") as cursor:
            cursor.execute(self.sql(statement), binary=True)
            while block := cursor.fetchmany(_ROWS_AT_ONCE["postgresql"]):
                yield block

    def sql(self, statement: Select[Any]) -> str:
        return str(statement.compile(dialect=self.connection.dialect, compile_kwargs={"literal_binds": True}))

    def _time(self, column: ColumnElement[str]) -> ColumnElement[Any]:
        if self.connection.dialect.name == "sqlite":
            return column
        form: ColumnElement[str] = literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'""")
        # A year before Christ is written with the same digits as the one after.
        return case((column >= text("'0001-01-01 00:00:00+00'"), func.to_char(func.timezone("UTC", column), form)))

    def _bytes(self, column: ColumnElement[str]) -> ColumnElement[bytes]:
        if self.connection.dialect.name == "sqlite":
            # What is stored as anything but text is no body, whatever its bytes are.
            # (All text lies between '' and X'': asking for the type by its name takes far longer.)
            nothing = literal_column("X''", LargeBinary)
            return case(
                (and_(column >= text("''"), column < nothing), cast(column, LargeBinary)),
                (column.is_not(None), nothing),
            )
        return func.convert_to(column, "UTF8")


def _blocks(cursor: sqlite3.Cursor) -> Iterator[list[RawRow]]:
    while block := cursor.fetchmany(_ROWS_AT_ONCE["sqlite"]):
        yield block
