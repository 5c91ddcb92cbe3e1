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
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.dml import ReturningUpdate

from flasktrack.core.collector import collector_paused
from flasktrack.core.erasure import ACTION, check_no_erasure
from flasktrack.core.header import ZERO_HASH, header_bytes, header_hash
from flasktrack.core.record import Content, Event, Record, check_events, is_organization_id
from flasktrack.core.related import NOTHING_RELATED, related_text
from flasktrack.core.times import format_time, utc_now
from flasktrack.errors import ChainBroken, InvalidRecord, RecordConflict, UnknownOrganization
from flasktrack.store.inserting import insert_columns
from flasktrack.store.ordinals import Key, last_ordinals
from flasktrack.store.randomness import new_record_ids, salted
from flasktrack.store.reader import RecordedContent, find_recorded, read_newest
from flasktrack.store.row_security import enter
from flasktrack.store.schema import audit_payload, audit_record, chain_head, record_link

if TYPE_CHECKING:
    from sqlalchemy.orm import Session  # which takes its time to load, and whoever has one has loaded it

_RELATED = Record._fields.index("related")
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
        return _append(transaction, organization_id, *_check(events, organization_id), clock)


def _check(events: Iterable[Event], organization_id: str) -> tuple[list[Content], tuple[str | None, ...]]:
    """The events' contents and record_ids; none of them may be an erasure in this organization.

    Where the source of the events fails, what is wrong with one that came before is raised instead.
    """
    read: list[Event] = []
    try:
        read.extend(events)
    except Exception:
        check_events(read)
        raise
    contents, record_ids = check_events(read)
    for index, content in enumerate(contents):
        if content.action == ACTION:
            try:
                check_no_erasure(content, organization_id)
            except InvalidRecord as problem:
                problem.index = index
                raise
    return contents, record_ids


def append_erasure(
    transaction: Connection | Session, organization_id: str, event: Event, *, clock: Callable[[], datetime]
) -> Record:
    """Append the record of an erasure, for `store.erasure`, which erases in the same transaction.

    `append` takes no such event: nothing that comes from outside may pass for an erasure, and so explain what is gone.
    """
    (record,) = _append(transaction, organization_id, *check_events([event]), clock)
    return record


def _append(
    transaction: Connection | Session,
    organization_id: str,
    contents: Sequence[Content],
    record_ids: Sequence[str | None],
    clock: Callable[[], datetime],
) -> list[Record]:
    """Append what was checked before the lock is taken: others need not wait for it."""
    connection = transaction if isinstance(transaction, Connection) else transaction.connection()
    if not contents:
        return []
    head = _take_head(connection, organization_id)
    known: dict[str | None, RecordedContent] = {}
    for part in _parts([record_id for record_id in record_ids if record_id is not None]):
        known.update((found.record.record_id, found) for found in find_recorded(connection, organization_id, part))
    answers: list[Record | int] = []  # the record that exists, or the place of the one to be made
    new: list[int] = []  # places of the events that it is made from
    places: dict[str | None, int] = {}
    for index, (record_id, content) in enumerate(zip(record_ids, contents, strict=True)):
        found, place = known.get(record_id), places.get(record_id)
        if found is not None:
            if not found.agrees_with(content):
                raise _conflict(found.record.record_id, found.record.seq, index)
            answers.append(found.record)
        elif place is not None:
            if contents[new[place]] != content:
                raise _conflict(record_id, head.size + 1 + place, index)
            answers.append(place)
        else:
            if record_id is not None:
                places[record_id] = len(new)
            answers.append(len(new))
            new.append(index)
    made = _chain(connection, organization_id, head, [contents[i] for i in new], [record_ids[i] for i in new], clock)
    return [made[answer] if isinstance(answer, int) else answer for answer in answers]


class _Head(NamedTuple):
    """The end of a chain: how many records there are, and of the last one its hash and recorded_at."""

    size: int
    hash: bytes
    recorded_at: str


def _take_head(connection: Connection, organization_id: str) -> _Head:
    """Lock the organization's head, and make sure that it is the end of the chain.

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
        end = _Head(0, ZERO_HASH, "")
    else:
        record, sound = newest
        if not sound:  # what it says would be built on: its time, its hash
            raise _broken(f"The newest record of {organization_id} does not give its hash")
        end = _Head(record.seq, record.hash, record.recorded_at)
    if (head.size, head.hash) != (end.size, end.hash):
        raise _broken(f"The newest record of {organization_id} is not the one that its head names")
    return end


def _broken(what: str) -> ChainBroken:
    return ChainBroken(
        f"{what}, so nothing can be appended.",
        "Somebody altered the database: run a verification, and keep a copy as evidence.",
    )


def _unknown(organization_id: str) -> UnknownOrganization:
    return UnknownOrganization(
        f"There is no organization {organization_id[:80]!r} here.", "Create it first, or import its first records."
    )


def _conflict(record_id: str | None, seq: int, index: int) -> RecordConflict:
    return RecordConflict(
        f"record_id {record_id} already stands for record {seq}, which has other content.",
        "Give the event an id of its own. Nothing was written.",
        index=index,
    )


def _chain(
    connection: Connection,
    organization_id: str,
    head: _Head,
    contents: Sequence[Content],
    record_ids: Sequence[str | None],
    clock: Callable[[], datetime],
) -> list[Record]:
    """Put contents at the end of the chain and move its head: column by column, as the tables take them.

    Only the hash goes from one record to the next.
    """
    if not contents:
        return []
    (
        occurred_at, actor_type, actor_id, actor_name, actor_role, credential_id, on_behalf_of, action, outcome,
        entity_type, entity_id, entity_name, related, reason, correlation_id, before, after, context,
    ) = zip(*contents, strict=True)  # fmt: skip
    size = head.size + len(contents)
    organization = (organization_id,) * len(contents)
    seq = range(head.size + 1, size + 1)
    made = iter(new_record_ids(record_ids.count(None)))
    ids = [next(made) if record_id is None else record_id for record_id in record_ids]
    recorded_at = _times(clock, head.recorded_at, len(contents))
    actor_seq = _ordinals(connection, organization_id, "actor", zip(actor_type, actor_id, strict=True), head.size)
    entity_seq = _ordinals(connection, organization_id, "entity", zip(entity_type, entity_id, strict=True), head.size)
    (before_salt, before_digest), (after_salt, after_digest) = salted(before), salted(after)
    context_salt, context_digest = salted(context)
    columns: list[Sequence[Any]] = [
        organization, seq, ids, occurred_at, recorded_at,
        actor_type, actor_id, actor_name, actor_role, actor_seq, credential_id, on_behalf_of, action, outcome,
        entity_type, entity_id, entity_name, entity_seq, related, reason, correlation_id,
        before_digest, after_digest, context_digest,
    ]  # fmt: skip
    hashes = [head.hash]
    for fields in zip(*columns, strict=True):
        linked = (*fields, hashes[-1])
        hashes.append(header_hash(header_bytes(*linked)))
    columns += [hashes[:-1], hashes[1:]]
    records = list(map(Record._make, zip(*columns, strict=True)))
    columns[_RELATED] = [related_text(items) if items else NOTHING_RELATED for items in related]
    payloads = [organization, seq, before, before_salt, after, after_salt, context, context_salt]
    links = [
        (organization_id, type_, id_, position)
        for position, items in zip(seq, related, strict=True)
        for type_, id_ in items
    ]
    try:
        insert_columns(connection, audit_record, columns)
        insert_columns(connection, audit_payload, payloads)
        insert_columns(connection, record_link, list(zip(*links, strict=True)))
    except IntegrityError:  # the head is ours, and no record has these ids: nobody else has been writing
        raise _broken(f"Something stands already where the next record of {organization_id} belongs") from None
    connection.execute(
        update(chain_head).where(chain_head.c.organization_id == organization_id).values(size=size, hash=hashes[-1])
    )
    return records


def _times(clock: Callable[[], datetime], last: str, count: int) -> list[str]:
    """What the clock shows for each record, or the time before where it runs behind."""
    times = []
    for _ in range(count):
        last = max(format_time(clock()), last)
        times.append(last)
    return times


def _ordinals(connection: Connection, organization_id: str, kind: str, keys: Iterable[Key], size: int) -> list[int]:
    """The next ordinal of each key, an actor's or entity's, which may come several times."""
    keys = list(keys)
    last = last_ordinals(connection, organization_id, kind, set(keys))
    for (type_, id_), ordinal in last.items():
        if type(ordinal) is not int or not 0 <= ordinal <= size:  # there are no more acts than records
            raise _broken(f"The acts of {kind} {type_}:{id_} in {organization_id} are not counted 1, 2, 3")
    following = {key: count(ordinal + 1) for key, ordinal in last.items()}
    return [next(following[key]) for key in keys]


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
