"""The columnar copy of a database's records: a cache that answers questions, taken in by position.

    copy = open_copy(engine)                # see copy_place
    copy.take_in("northwind-labs")

It can be deleted at any time. One that is of another version, damaged, or of another database (the newest record that
it knows isn't there, or has another hash) is made anew. A verification never asks it.

An erasure takes what it erased out of the copy as well: the records that it names are read again.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import NamedTuple

import pyarrow as pa
from sqlalchemy import Connection, Engine, delete, func, insert, inspect, select, update
from sqlalchemy.exc import IntegrityError

from flasktrack.core.erasure import Erasure
from flasktrack.core.record import MAX_POSITION
from flasktrack.errors import DatabaseError
from flasktrack.insight import copy_tables, first_uses, sums
from flasktrack.insight.copy_tables import about, found, progress, record, related, search
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.inserting import as_stored, insert_rows
from flasktrack.insight.intake import Part, stored_hash
from flasktrack.insight.intake_spans import read_records
from flasktrack.store.reader import list_erasures
from flasktrack.store.row_security import of_organization
from flasktrack.store.schema import audit_record
from flasktrack.store.scope import machine_scoped

_FOUND_AT_ONCE = 50_000
_SEARCHES = 50  # searches for words that are remembered for an organization
_ROWS_AT_ONCE = 491_520  # 4 row groups of DuckDB, and 15 spans of a worker: they go to the disk as they will stay
_PRUNED = (record, related)


class CopyState(NamedTuple):
    """How far the copy of an organization has come: its newest record, how many there are, how many failed."""

    last_seq: int = 0
    last_hash: bytes = b""
    records: int = 0
    failed: int = 0


class CopyFailed(DatabaseError):
    """The copy can't be written or read; the records themselves are not concerned."""

    def __init__(self, said: str) -> None:
        super().__init__(
            f"The copy that pages count from can't be used: {said}",
            "See to it (disk space, rights), or name another place in FLASKTRACK_ANALYTICS_URL; the records are safe.",
        )


class _Overtaken(Exception):
    """Another process has taken in the same records."""


Report = Callable[[int, int], None]
"""Called with the position that is reached, and the newest one."""


class Copy:
    """The copy, in `engine`, of the records in `source`. `spare` gives an engine to go on with if this one fails."""

    def __init__(self, source: Engine, engine: Engine, spare: Callable[[], Engine] | None = None) -> None:
        self.source = source
        self.engine = engine
        self._spare = spare
        self._lock = threading.Lock()
        self._taking_in: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._looking_up = threading.Lock()
        _prepare(engine)

    def state(self, organization_id: str) -> CopyState:
        """How far the copy of an organization has come; nothing, where there is none."""
        mine = progress.c.organization_id == organization_id
        with self.engine.connect() as connection:
            row = connection.execute(select(*(progress.c[name] for name in CopyState._fields)).where(mine)).first()
        return CopyState() if row is None else CopyState(*row)

    def standing(self, organization_id: str) -> tuple[CopyState, int]:
        """How far the copy has come, and how far there are records. A copy of something else is forgotten."""
        state = self.state(organization_id)
        with of_organization(self.source, organization_id).connect() as connection:
            seq = audit_record.c.seq
            if state.records:
                hashes = connection.execute(
                    machine_scoped(organization_id, audit_record.c.hash).where(seq == state.last_seq)
                )
                if state.last_hash not in [stored_hash(hash_) for (hash_,) in hashes]:
                    self._forget(organization_id)
                    state = CopyState()
            newest = machine_scoped(organization_id, seq).where(seq <= MAX_POSITION).order_by(seq.desc()).limit(1)
            return state, int(connection.execute(newest).scalar() or 0)

    def take_in(self, organization_id: str, report: Report | None = None) -> CopyState:
        """Take in what is new, and return where the copy stands then.

        Raises CopyFailed where the copy can't be written, and DatabaseError where the records can't be read.
        """
        with self._taking_in[organization_id], of_organization(self.source, organization_id).connect() as connection:
            state, newest = self.standing(organization_id)
            if newest <= state.last_seq:
                return state
            erasures = list_erasures(connection, organization_id)  # after `newest`: all up to there are known
            again = [one for one in erasures if state.last_seq < one.seq <= newest and one.first <= state.last_seq]
            if again:
                try:
                    self._take_in_again(connection, organization_id, again, state, erasures)
                except _Overtaken:
                    return self.state(organization_id)
                state = self.state(organization_id)
            parts = read_records(self.source, connection, organization_id, state.last_seq + 1, newest, erasures)
            with closing(parts):  # before the connection, which they read
                try:
                    for several in _batches(parts):
                        state = self._add(organization_id, state, several)
                        if report is not None:
                            report(state.last_seq, newest)
                except _Overtaken:
                    return self.state(organization_id)
            return state

    def look_up(self, organization_id: str, chosen: RecordFilter) -> None:
        """Look in the SQL database for the words of a filter, in the records that were not yet looked through.

        What is found is remembered, so that a search takes as long as what came since.
        """
        with self._looking_up:
            reached = self.state(organization_id).last_seq
            key = chosen.search_key
            mine = search.c.organization_id == organization_id, search.c.search == key
            with self.engine.connect() as connection:
                before = connection.execute(select(func.max(search.c.last_seq)).where(*mine)).scalar()
            if before is not None and before >= reached:
                return
            seq = audit_record.c.seq
            wanted = machine_scoped(organization_id, seq).where(seq <= reached, *chosen.conditions())
            if before is not None:
                wanted = wanted.where(seq > before)
            with of_organization(self.source, organization_id).connect() as source, self.engine.begin() as connection:
                rows = source.execution_options(yield_per=_FOUND_AT_ONCE).execute(wanted.order_by(seq))
                for positions in rows.scalars().partitions():
                    columns = [[organization_id] * len(positions), [key] * len(positions), list(positions)]
                    insert_rows(connection, found, pa.table(columns, names=found.columns.keys()))
                connection.execute(delete(search).where(*mine))
                connection.execute(insert(search).values(organization_id=organization_id, search=key, last_seq=reached))
                _forget_searches(connection, organization_id)

    def renew(self) -> bool:
        """After a failure: go on with a spare engine, an empty one; False where there is none."""
        with self._lock:
            if self._spare is None:
                return False
            failed, self.engine = self.engine, self._spare()
            self._spare = None
            _prepare(self.engine)
        failed.dispose()
        return True

    def _add(self, organization_id: str, state: CopyState, parts: Iterator[Part]) -> CopyState:
        """Add parts in one transaction, each as it comes: all of them may be more than should be held."""
        reached, counted = state, []
        with self.engine.begin() as connection:
            _claim(connection, organization_id, state)
            for part in parts:
                rows = as_stored(connection, pa.Table.from_batches([part.records]))
                insert_rows(connection, record, rows)
                insert_rows(connection, related, pa.Table.from_batches([part.related]))
                counted.append(sums.count(rows))
                records, failed = reached.records + rows.num_rows, reached.failed + part.failed
                reached = CopyState(part.last_seq, part.last_hash, records, failed)
            sums.add(connection, organization_id, counted)
            first_uses.add(connection, organization_id, state.last_seq + 1, reached.last_seq)
            mine = progress.c.organization_id == organization_id
            connection.execute(update(progress).where(mine).values(**reached._asdict()))
        return reached

    def _take_in_again(
        self,
        source: Connection,
        organization_id: str,
        again: Sequence[Erasure],
        state: CopyState,
        erasures: Sequence[Erasure],
    ) -> None:
        """Read the records of which something was erased once more, and forget what was found in them."""
        with self.engine.begin() as connection:
            _claim(connection, organization_id, state)
            for one in again:
                end = min(one.last, state.last_seq)
                for table in _PRUNED:
                    within = table.c.organization_id == organization_id, table.c.seq.between(one.first, end)
                    connection.execute(delete(table).where(*within))
                with closing(read_records(self.source, source, organization_id, one.first, end, erasures)) as parts:
                    for part in parts:
                        insert_rows(connection, record, pa.Table.from_batches([part.records]))
                        insert_rows(connection, related, pa.Table.from_batches([part.related]))
            for table in (search, found):
                connection.execute(delete(table).where(table.c.organization_id == organization_id))
            failed = select(func.count(record.c.failed)).where(record.c.organization_id == organization_id)
            mine = progress.c.organization_id == organization_id
            connection.execute(update(progress).where(mine).values(failed=failed.scalar_subquery()))
            sums.renew(connection, organization_id)
            first_uses.renew(connection, organization_id)

    def _forget(self, organization_id: str) -> None:
        with self.engine.begin() as connection:
            for table in copy_tables.OF_ORGANIZATION:
                connection.execute(delete(table).where(table.c.organization_id == organization_id))


def _batches(parts: Iterator[Part]) -> Iterator[Iterator[Part]]:
    """Parts put together to what is worth a transaction; the first alone, so that there soon is something to show."""

    def batch(part: Part, wanted: int) -> Iterator[Part]:
        yield part
        held = part.records.num_rows
        while held < wanted and (following := next(parts, None)) is not None:
            yield following
            held += following.records.num_rows

    wanted = 1
    for first in parts:
        yield batch(first, wanted)
        wanted = _ROWS_AT_ONCE


def _claim(connection: Connection, organization_id: str, state: CopyState) -> None:
    """Take the mark for this transaction, from where this process has seen it: others that want it wait.

    Raises _Overtaken where another process has moved it meanwhile.
    """
    if not state.records:
        try:
            connection.execute(insert(progress).values(organization_id=organization_id, **state._asdict()))
        except IntegrityError:
            raise _Overtaken from None
        return
    last = progress.c.last_seq
    mine = progress.c.organization_id == organization_id, last == state.last_seq
    if not connection.execute(update(progress).where(*mine).values(last_seq=last).returning(last)).all():
        raise _Overtaken


def _prepare(engine: Engine) -> None:
    """Make the tables; anew, where they are of another version."""
    with engine.begin() as connection:
        version = None
        if inspect(connection).has_table(about.name):
            version = connection.execute(select(func.max(about.c.version))).scalar_one()
        if version != copy_tables.VERSION:
            copy_tables.metadata.drop_all(connection)
            copy_tables.metadata.create_all(connection)
            connection.execute(insert(about).values(version=copy_tables.VERSION))


def _forget_searches(connection: Connection, organization_id: str) -> None:
    """Keep the searches that went furthest."""
    mine = search.c.organization_id == organization_id
    kept = select(search.c.search).where(mine).order_by(search.c.last_seq.desc()).limit(_SEARCHES)
    if len(connection.execute(select(search.c.search).where(mine)).all()) > 2 * _SEARCHES:
        names = list(connection.execute(kept).scalars())
        for table in (search, found):
            gone = table.c.organization_id == organization_id, table.c.search.not_in(names)
            connection.execute(delete(table).where(*gone))
