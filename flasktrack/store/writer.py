"""The one writer of records.

    with writing(engine) as connection:                       # or the caller's own transaction
        connection.execute(insert(sample)...)                 # the business change
        append(connection, "northwind-labs", [Event(...)])    # and its record: both commit, or neither

An append checks its events, takes the organization's head row for itself (so concurrent writers queue up there and
get consecutive positions), gives each event its position and ordinals, links it to the record before, and moves the
head. The lock is the head row's and not the newest record's: a writer that waits for a record's lock gets the record
that was the newest when it began to wait, and would fork the chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningUpdate

from flasktrack.core.collector import collector_paused
from flasktrack.core.erasure import ACTION, check_no_erasure
from flasktrack.core.header import ZERO_HASH, header_bytes, header_hash
from flasktrack.core.record import Content, Event, Record, check_event, check_record_id, is_organization_id
from flasktrack.core.related import NOTHING_RELATED, related_text
from flasktrack.core.times import format_time, utc_now
from flasktrack.errors import ChainBroken, InvalidRecord, RecordConflict, UnknownOrganization
from flasktrack.store.inserting import insert_rows
from flasktrack.store.ordinals import Key, last_ordinals
from flasktrack.store.randomness import new_record_id, random_parts
from flasktrack.store.reader import RecordedContent, find_recorded, read_newest
from flasktrack.store.row_security import enter
from flasktrack.store.schema import audit_payload, audit_record, chain_head, record_link

_LOOKUP = 400  # record_ids in one look-up; SQLite allows 999 parameters in its older builds


def append(
    transaction: Connection | Session,
    organization_id: str,
    events: Iterable[Event],
    *,
    clock: Callable[[], datetime] = utc_now,
) -> list[Record]:
    """Append events in their order, inside the caller's transaction, and return their records.

    `clock` is asked for each record's recorded_at; where it runs behind, the record before is taken instead, so that
    recorded_at never goes back. An event whose record_id is recorded already gives the record that exists.

    Raises InvalidRecord (`index` is the event's place among `events`) for an event that spec section 1 refuses,
    RecordConflict for a record_id that stands for other content, UnknownOrganization, and ChainBroken where what it
    would build on was altered: the newest record is not the head's or doesn't give its hash, or acts are counted
    wrongly. After any of them nothing was written; but where something stands already in the next record's place,
    which ChainBroken says as well, the caller must roll back.
    """
    with collector_paused():
        return _append(transaction, organization_id, _check(events, organization_id), clock)


def append_erasure(
    transaction: Connection | Session, organization_id: str, event: Event, *, clock: Callable[[], datetime]
) -> Record:
    """Append the record of an erasure, for `store.erasure`, which erases in the same transaction.

    `append` takes no such event: nothing that comes from outside may pass for an erasure, and so explain what is gone.
    """
    (record,) = _append(transaction, organization_id, _check([event], None), clock)
    return record


def _append(
    transaction: Connection | Session,
    organization_id: str,
    checked: list[tuple[str | None, Content]],
    clock: Callable[[], datetime],
) -> list[Record]:
    """Append what was checked before the lock is taken: others need not wait for it."""
    connection = transaction.connection() if isinstance(transaction, Session) else transaction
    if not checked:
        return []
    size, last_hash, last_time = _take_head(connection, organization_id)
    known: dict[str | None, RecordedContent] = {}
    for part in _parts([record_id for record_id, _ in checked if record_id]):
        known.update((found.record.record_id, found) for found in find_recorded(connection, organization_id, part))
    batch = _Batch(connection, organization_id, size, last_hash, last_time, clock)
    batch.read_ordinals([content for record_id, content in checked if record_id not in known])
    records = []
    for index, (record_id, content) in enumerate(checked):
        before = known.get(record_id)
        if before is not None:
            if not before.agrees_with(content):
                raise _conflict(before.record, index)
            records.append(before.record)
            continue
        record = batch.chain(record_id, content)
        if record_id:
            known[record_id] = RecordedContent(record, content)
        records.append(record)
    batch.write()
    return records


def _check(events: Iterable[Event], organization_id: str | None) -> list[tuple[str | None, Content]]:
    """The events' ids and contents; with an organization's id, none of them may be an erasure in it."""
    checked = []
    for index, event in enumerate(events):
        try:
            record_id = None if event.record_id is None else check_record_id(event.record_id)
            content = check_event(event)
            if content.action == ACTION and organization_id is not None:
                check_no_erasure(content, organization_id)
            checked.append((record_id, content))
        except InvalidRecord as problem:
            problem.index = index
            raise
    return checked


def _take_head(connection: Connection, organization_id: str) -> tuple[int, bytes, str]:
    """Lock the organization's head; its size and hash, and the newest record's recorded_at.

    The no-change UPDATE takes the row's lock in PostgreSQL and the write lock in SQLite, and returns the row as it is
    once the lock was granted.
    """
    if not is_organization_id(organization_id):  # it may be text that no database takes
        raise _unknown(organization_id)
    enter(connection, organization_id)
    heads = connection.execute(_lock_statement(organization_id)).all()
    if not heads:
        raise _unknown(organization_id)
    if len(heads) > 1:
        raise _broken(f"{organization_id} has more than one head")
    (head,) = heads
    newest = read_newest(connection, organization_id)
    if newest is None:
        last_seq, last_hash, last_time = 0, ZERO_HASH, ""
    else:
        record, sound = newest
        if not sound:  # what it says would be built on: its time, its hash
            raise _broken(f"The newest record of {organization_id} does not give its hash")
        last_seq, last_hash, last_time = record.seq, record.hash, record.recorded_at
    if (head.size, head.hash) != (last_seq, last_hash):
        raise _broken(f"The newest record of {organization_id} is not the one that its head names")
    return last_seq, last_hash, last_time


def _broken(what: str) -> ChainBroken:
    return ChainBroken(
        f"{what}, so nothing can be appended.",
        "Somebody altered the database: run a verification, and keep a copy as evidence.",
    )


def _unknown(organization_id: str) -> UnknownOrganization:
    return UnknownOrganization(
        f"There is no organization {organization_id[:80]!r} here.", "Create it first, or import its first records."
    )


def _conflict(record: Record, index: int) -> RecordConflict:
    return RecordConflict(
        f"record_id {record.record_id} already stands for record {record.seq}, which has other content.",
        "Give the event an id of its own. Nothing was written.",
        index=index,
    )


class _Batch:
    """Records that are being chained: the state that goes from one to the next, and the rows to insert."""

    def __init__(
        self,
        connection: Connection,
        organization_id: str,
        size: int,
        last_hash: bytes,
        last_time: str,
        clock: Callable[[], datetime],
    ) -> None:
        self.connection = connection
        self.organization_id = organization_id
        self.size = size
        self.hash = last_hash
        self.time = last_time
        self.clock = clock
        self.random = random_parts()
        self.actors: dict[tuple[str, str], int] = {}
        self.entities: dict[tuple[str, str], int] = {}
        self.records: list[tuple[Any, ...]] = []
        self.payloads: list[tuple[Any, ...]] = []
        self.links: list[tuple[Any, ...]] = []

    def read_ordinals(self, contents: Iterable[Content]) -> None:
        """Read the last ordinal of every actor and entity that the contents name."""
        contents = list(contents)
        self.actors = self._last("actor", dict.fromkeys((c.actor_type, c.actor_id) for c in contents))
        self.entities = self._last("entity", dict.fromkeys((c.entity_type, c.entity_id) for c in contents))

    def _last(self, kind: str, keys: Iterable[Key]) -> dict[Key, int]:
        ordinals = last_ordinals(self.connection, self.organization_id, kind, keys)
        for (type_, id_), ordinal in ordinals.items():
            if type(ordinal) is not int or not 0 <= ordinal <= self.size:  # there are no more acts than records
                raise _broken(f"The acts of {kind} {type_}:{id_} in {self.organization_id} are not counted 1, 2, 3")
        return ordinals

    def chain(self, record_id: str | None, content: Content) -> Record:
        """Give the content its place at the end of the chain."""
        (
            occurred_at, actor_type, actor_id, actor_name, actor_role, credential_id, on_behalf_of, action, outcome,
            entity_type, entity_id, entity_name, related, reason, correlation_id, before, after, context,
        ) = content  # fmt: skip
        organization_id = self.organization_id
        self.size = seq = self.size + 1
        self.time = max(format_time(self.clock()), self.time)
        self.actors[actor_type, actor_id] = actor_seq = self.actors[actor_type, actor_id] + 1
        self.entities[entity_type, entity_id] = entity_seq = self.entities[entity_type, entity_id] + 1
        random = next(self.random)
        before_salt = after_salt = context_salt = before_digest = after_digest = context_digest = None
        if before is not None:
            before_salt = random[:16]
            before_digest = sha256(before_salt + before.encode()).digest()
        if after is not None:
            after_salt = random[16:32]
            after_digest = sha256(after_salt + after.encode()).digest()
        if context is not None:
            context_salt = random[32:48]
            context_digest = sha256(context_salt + context.encode()).digest()
        fields = (
            organization_id, seq, record_id or new_record_id(random[48:]), occurred_at, self.time,
            actor_type, actor_id, actor_name, actor_role, actor_seq, credential_id, on_behalf_of, action, outcome,
            entity_type, entity_id, entity_name, entity_seq, related, reason, correlation_id,
            before_digest, after_digest, context_digest, self.hash,
        )  # fmt: skip
        self.hash = header_hash(header_bytes(*fields))
        record = Record(*fields, self.hash)
        if related:
            self.records.append((*record[:18], related_text(related), *record[19:]))
            for type_, id_ in related:
                self.links.append((organization_id, type_, id_, seq))
        else:
            self.records.append((*record[:18], NOTHING_RELATED, *record[19:]))
        self.payloads.append((organization_id, seq, before, before_salt, after, after_salt, context, context_salt))
        return record

    def write(self) -> None:
        """Insert what was chained and move the head."""
        if not self.records:
            return
        try:
            insert_rows(self.connection, audit_record, self.records)
            insert_rows(self.connection, audit_payload, self.payloads)
            insert_rows(self.connection, record_link, self.links)
        except IntegrityError:  # the head is ours, and no record has these ids: nobody else has been writing
            raise _broken(f"Something stands already where the next record of {self.organization_id} belongs") from None
        self.connection.execute(
            update(chain_head)
            .where(chain_head.c.organization_id == self.organization_id)
            .values(size=self.size, hash=self.hash)
        )


@lru_cache  # building it takes longer than a database takes to answer it
def _lock_statement(organization_id: str) -> ReturningUpdate[Any]:
    return (
        update(chain_head)
        .where(chain_head.c.organization_id == organization_id)
        .values(size=chain_head.c.size)
        .returning(chain_head.c.size, chain_head.c.hash)
    )


def _parts(items: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(items), _LOOKUP):
        yield items[start : start + _LOOKUP]
