"""The columnar copy of a database's records: a cache that answers questions, taken in by position.

    copy = open_copy(engine)                # see copy_place
    copy.take_in("northwind-labs")

It can be deleted at any time. One that is of another version, damaged, or of another database (the newest record that
it knows isn't there, or has another hash) is made anew. A verification never asks it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import pyarrow as pa
from sqlalchemy import Connection, Engine, Table, delete, func, insert, inspect, select, update

from flasktrack.core.record import MAX_POSITION
from flasktrack.insight import copy_tables
from flasktrack.insight.copy_tables import about, found, progress, record, related, search
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.intake import Part, read_parts, stored_hash
from flasktrack.store.reader import list_erasures
from flasktrack.store.schema import audit_record
from flasktrack.store.scope import scoped

_FOUND_AT_ONCE = 50_000


class CopyState(NamedTuple):
    """How far the copy of an organization has come: its newest record, how many there are, how many failed."""

    last_seq: int = 0
    last_hash: bytes = b""
    records: int = 0
    failed: int = 0


class Copy:
    """The copy, in `engine`, of the records in `source`."""

    def __init__(self, source: Engine, engine: Engine) -> None:
        self.source = source
        self.engine = engine
        self._taking_in = threading.Lock()
        self._looking_up = threading.Lock()
        with engine.begin() as connection:
            _prepare(connection)

    def state(self, organization_id: str) -> CopyState:
        """How far the copy of an organization has come; nothing, where there is none."""
        with self.engine.connect() as connection:
            return _state(connection, organization_id)

    def take_in(self, organization_id: str, report: Callable[[int, int], None] | None = None) -> CopyState:
        """Take in what is new, and return where the copy stands then.

        `report` is called with the position that is reached and the newest one.
        """
        with self._taking_in, self.source.connect() as connection:
            state = self.state(organization_id)
            if state.last_seq and not _is_there(connection, organization_id, state):
                self._forget(organization_id)
                state = CopyState()
            newest = _newest(connection, organization_id)
            if newest <= state.last_seq:
                return state
            erasures = list_erasures(connection, organization_id)
            for part in read_parts(connection, organization_id, state.last_seq + 1, newest, erasures):
                state = self._add(organization_id, state, part)
                if report is not None:
                    report(state.last_seq, newest)
            return state

    def look_up(self, organization_id: str, chosen: RecordFilter) -> None:
        """Look in the SQL database for the words of a filter, in the records that were not yet looked through.

        What is found is remembered, so that a search is as long as what came since.
        """
        with self._looking_up:
            reached = self.state(organization_id).last_seq
            key = chosen.search_key
            mine = search.c.organization_id == organization_id, search.c.search == key
            with self.engine.connect() as connection:
                before = connection.execute(select(search.c.last_seq).where(*mine)).scalar()
            if before is not None and before >= reached:
                return
            seq = audit_record.c.seq
            wanted = scoped(organization_id, seq).where(seq <= reached, *chosen.conditions())
            if before is not None:
                wanted = wanted.where(seq > before)
            with self.source.connect() as source, self.engine.begin() as connection:
                rows = source.execution_options(yield_per=_FOUND_AT_ONCE).execute(wanted.order_by(seq))
                for positions in rows.scalars().partitions():
                    columns = [[organization_id] * len(positions), [key] * len(positions), list(positions)]
                    insert_batch(connection, found, pa.RecordBatch.from_arrays(columns, names=found.columns.keys()))
                if before is None:
                    connection.execute(
                        insert(search).values(organization_id=organization_id, search=key, last_seq=reached)
                    )
                else:
                    connection.execute(update(search).where(*mine).values(last_seq=reached))

    def _add(self, organization_id: str, state: CopyState, part: Part) -> CopyState:
        reached = CopyState(
            part.last_seq, part.last_hash, state.records + part.records.num_rows, state.failed + part.failed
        )
        with self.engine.begin() as connection:
            if not state.records:
                connection.execute(insert(progress).values(organization_id=organization_id, **reached._asdict()))
            else:
                mine = progress.c.organization_id == organization_id
                connection.execute(update(progress).where(mine).values(**reached._asdict()))
            for table, batch in ((record, part.records), (related, part.related)):
                insert_batch(connection, table, batch)
        return reached

    def _forget(self, organization_id: str) -> None:
        with self.engine.begin() as connection:
            for table in (record, related, search, found, progress):
                connection.execute(delete(table).where(table.c.organization_id == organization_id))


def _prepare(connection: Connection) -> None:
    """Make the tables; anew, where they are of another version."""
    version = None
    if inspect(connection).has_table(about.name):
        version = connection.execute(select(func.max(about.c.version))).scalar_one()
    if version != copy_tables.VERSION:
        copy_tables.metadata.drop_all(connection)
        copy_tables.metadata.create_all(connection)
        connection.execute(insert(about).values(version=copy_tables.VERSION))


def _state(connection: Connection, organization_id: str) -> CopyState:
    mine = progress.c.organization_id == organization_id
    row = connection.execute(select(*(progress.c[name] for name in CopyState._fields)).where(mine)).first()
    return CopyState() if row is None else CopyState(*row)


def _is_there(connection: Connection, organization_id: str, state: CopyState) -> bool:
    """Whether the newest record that the copy knows is in the database."""
    hashes = scoped(organization_id, audit_record.c.hash).where(audit_record.c.seq == state.last_seq)
    return state.last_hash in [stored_hash(hash_) for (hash_,) in connection.execute(hashes)]


def _newest(connection: Connection, organization_id: str) -> int:
    seq = audit_record.c.seq
    newest = scoped(organization_id, func.coalesce(func.max(seq), 0)).where(seq <= MAX_POSITION)
    return int(connection.execute(newest).scalar_one())


def insert_batch(connection: Connection, table: Table, batch: pa.RecordBatch) -> None:
    """Insert an Arrow batch whose columns are the table's."""
    if not batch.num_rows:
        return
    if connection.dialect.name == "duckdb":
        driver: Any = connection.connection.dbapi_connection
        driver.register("batch", batch)
        connection.exec_driver_sql(f"INSERT INTO {table.name} SELECT * FROM batch")
        driver.unregister("batch")
    else:
        connection.execute(insert(table), batch.to_pylist())
