"""Capturing units of work: what a session's flush inserts, updates and deletes.

Before a flush, the audited rows that it is going to change are read, one SELECT for each class, and locked against
others; after it they are read again, and each that differs is an event. Rows are named by the mappers' own events,
which come for everything that a flush does: cascades, orphans, rows that trade places. Rows of a table that joins
others come through `capture.statements`, since a flush has no event for them. Rows that the database changes by itself
(ON DELETE CASCADE) are looked for along the foreign keys.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy import Connection, Table, event, inspect
from sqlalchemy.orm import InstanceState, Mapper, Session, UOWTransaction, object_session

from flasktrack.capture.catalog import catalog, configured_catalog, one_of
from flasktrack.capture.kinds import Key, Kind
from flasktrack.capture.pending import Changes
from flasktrack.capture.recorder import Recorder, recorder_of

_FLUSHES = "flasktrack_flushes"  # in session.info: the flushes on its connections that are going on


class Flush(Changes):
    """A flush on one connection."""

    def __init__(self, recorder: Recorder, connection: Connection) -> None:
        super().__init__()
        self.recorder = recorder
        self.connection = connection
        self.tables: set[Any] = set()
        """The tables whose rows it has named: what it says to them is captured here, not as a statement."""
        self.objects: list[tuple[Kind, Mapper[Any], Any, Key | None]] = []
        """What it inserts or updates, with the key before."""


def listen_to_sessions() -> None:
    """Listen to all sessions and mappers, once; only those on an engine with a recorder are captured."""
    if event.contains(Session, "before_flush", _read_before):
        return
    event.listen(Session, "before_flush", _read_before)
    event.listen(Session, "after_flush", _record_after)
    event.listen(Mapper, "before_insert", _inserting)
    event.listen(Mapper, "before_update", _updating)
    event.listen(Mapper, "before_delete", _deleting)


def _read_before(session: Session, _: UOWTransaction, __: Any) -> None:
    """Read the rows that are known to be changed or deleted, all of a kind at once."""
    session.info.pop(_FLUSHES, None)  # of a flush that failed
    kinds = catalog().kinds
    changed: dict[Mapper[Any], list[Key]] = defaultdict(list)
    deleted: dict[Mapper[Any], list[Key]] = defaultdict(list)
    for objects, keys in ((session.dirty, changed), (session.deleted, deleted)):
        for target in objects:
            state: InstanceState[Any] = inspect(target)
            if state.mapper in kinds and state.identity is not None:
                keys[state.mapper].append(state.identity)
    for mapper in dict.fromkeys([*changed, *deleted]):
        if recorder_of(session.get_bind(mapper)) is None:
            continue
        flush = _flush(session, session.connection(bind_arguments={"mapper": mapper}))
        if flush is not None:
            flush.read(flush.connection, kinds[mapper], changed[mapper] + deleted[mapper])
            if deleted[mapper]:
                _name_dependents(flush, mapper, deleted[mapper])


def _inserting(mapper: Mapper[Any], connection: Connection, target: Any) -> None:
    _name(mapper, connection, target, None)


def _updating(mapper: Mapper[Any], connection: Connection, target: Any) -> None:
    """Comes for each object that something was set on, even where no UPDATE follows."""
    state: InstanceState[Any] = inspect(target)
    _name(mapper, connection, target, state.identity)


def _deleting(mapper: Mapper[Any], connection: Connection, target: Any) -> None:
    state: InstanceState[Any] = inspect(target)
    _name(mapper, connection, target, state.identity, deleted=True)


def _name(
    mapper: Mapper[Any], connection: Connection, target: Any, identity: Key | None, *, deleted: bool = False
) -> None:
    """Take in a row that the flush is about to write."""
    kind = configured_catalog().kinds.get(mapper)
    session = object_session(target)
    if kind is None or session is None:
        return
    flush = _flush(session, connection)
    if flush is None:
        return
    if not flush.recorder.knows_actor() and (
        identity is None or deleted or session.is_modified(target, include_collections=False)
    ):
        flush.recorder.actor()  # which raises
    flush.tables.update(mapper.tables)
    if identity is None:
        flush.name_coming(kind, inspect(target))
        flush.objects.append((kind, mapper, target, None))
        return
    flush.name(connection, kind, [identity])
    if deleted:
        _name_dependents(flush, mapper, [identity])
        return
    flush.objects.append((kind, mapper, target, identity))
    if tuple(mapper.primary_key_from_instance(target)) != identity:
        _name_dependents(flush, mapper, [identity], on_update=True)


def _name_dependents(flush: Flush, mapper: Mapper[Any], keys: list[Key], *, on_update: bool = False) -> None:
    """Take in the rows that the database deletes or changes along with these."""
    known = configured_catalog()
    for table in mapper.tables:
        if isinstance(table, Table) and known.reaches(table):
            condition = one_of(known.holdings[table].key, keys)
            for holding, some in known.dependents(flush.connection, table, condition, on_update=on_update):
                flush.name_held(flush.connection, holding, some)


def _record_after(session: Session, _: UOWTransaction) -> None:
    """Read the rows anew, and put down what changed; the events wait for the commit."""
    for flush in session.info.pop(_FLUSHES, {}).values():
        for kind, mapper, target, identity in flush.objects:
            key = tuple(mapper.primary_key_from_instance(target))
            flush.rename(kind, inspect(target) if identity is None else identity, key)
        pending = flush.recorder.pending(flush.connection)
        pending.flush = None
        flush.recorder.record(flush.connection, flush)


def _flush(session: Session, connection: Connection) -> Flush | None:
    """The flush that is going on, on this connection; None where nothing is recorded there."""
    flushes: dict[Connection, Flush] = session.info.setdefault(_FLUSHES, {})
    flush = flushes.get(connection)
    if flush is None:
        recorder = recorder_of(connection)
        if recorder is None:
            return None
        flush = flushes[connection] = Flush(recorder, connection)
        recorder.pending(connection).flush = flush
    return flush
