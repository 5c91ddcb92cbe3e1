"""One measurement in a process of its own, so that its peak memory is its own: prints one JSON object.

    python -m benchmarks.measure append /tmp/folder 100000

Only the work is timed; making events, opening databases and reading the rows to be inserted is not.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
from auditchain import AuditLog, SqliteBackend
from sqlalchemy import Engine

from benchmarks import sealed
from benchmarks.apart import report
from benchmarks.events import make_events
from benchmarks.stopwatch import Stopwatch
from flasktrack.core.header import header_bytes
from flasktrack.core.record import Event
from flasktrack.store.engine import initialize, open_engine, writing
from flasktrack.store.organizations import create_organization
from flasktrack.store.schema import audit_payload, audit_record, record_link
from flasktrack.store.writer import append
from flasktrack.verify.runner import verify_organization

BATCH = 5000
ORGANIZATION = "northwind-labs"
TABLES = (audit_record, audit_payload, record_link)
CHAIN, OTHER, COPY = "flasktrack.db", "auditchain.db", "copy.db"

Entry = tuple[str, str, str, dict[str, Any] | None]


def append_batches(folder: Path, count: int, watch: Stopwatch) -> None:
    """Events through the writer, a transaction for each batch. Leaves the database for what comes next."""
    _append(folder, count, BATCH, watch)


def append_singly(folder: Path, count: int, watch: Stopwatch) -> None:
    """A transaction for each event."""
    _append(folder, count, 1, watch)


def _append(folder: Path, count: int, batch: int, watch: Stopwatch) -> None:
    engine = _new_chain(folder / CHAIN)
    for events in _event_batches(count, batch):
        with watch, writing(engine) as connection:
            append(connection, ORGANIZATION, events)
    engine.dispose()


def insert_batches(folder: Path, count: int, watch: Stopwatch) -> None:
    """The rows of the database that `append_batches` left, by `executemany` into the same tables without triggers."""
    _insert(folder, count, BATCH, watch)


def insert_singly(folder: Path, count: int, watch: Stopwatch) -> None:
    """The same, a transaction for each record's rows."""
    _insert(folder, count, 1, watch)


def _insert(folder: Path, count: int, batch: int, watch: Stopwatch) -> None:
    _new_chain(folder / COPY).dispose()
    inserts = [
        f"INSERT INTO {table.name} VALUES ({', '.join('?' * len(table.columns))})"  # columns as they were created
        for table in TABLES
    ]
    with _plain(folder / CHAIN) as source, _plain(folder / COPY) as copy:
        for (trigger,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            copy.execute(f"DROP TRIGGER {trigger}")
        for first in range(1, count + 1, batch):
            last = first + batch - 1
            rows = [
                source.execute(f"SELECT * FROM {table.name} WHERE seq BETWEEN ? AND ?", (first, last)).fetchall()
                for table in TABLES
            ]
            with watch:
                copy.execute("BEGIN IMMEDIATE")
                for insert, part in zip(inserts, rows, strict=True):
                    copy.executemany(insert, part)
                copy.execute("COMMIT")


def auditchain_append_batches(folder: Path, count: int, watch: Stopwatch) -> None:
    """The same events through auditchain's `append_many`. Leaves its database for what comes next."""

    _remove(folder / OTHER)

    async def run() -> None:
        async with _auditchain(folder) as log:
            for events in _event_batches(count, BATCH):
                entries = [_entry(event) for event in events]
                with watch:
                    await log.append_many(entries)

    asyncio.run(run())


def auditchain_append_singly(folder: Path, count: int, watch: Stopwatch) -> None:
    """The same events through auditchain's `append`."""

    _remove(folder / OTHER)

    async def run() -> None:
        async with _auditchain(folder) as log:
            for events in _event_batches(count, BATCH):
                for event in events:
                    actor, action, subject, metadata = _entry(event)
                    with watch:
                        await log.append(actor, action, subject, metadata=metadata)

    asyncio.run(run())


def verify(folder: Path, count: int, watch: Stopwatch) -> None:
    """A whole verification, in this process, of the database that `append_batches` left."""
    engine = open_engine(f"sqlite:///{folder / CHAIN}")
    with watch:
        done = verify_organization(engine, ORGANIZATION, started_by="benchmark", keep=False)
    assert (done.records, done.findings) == (count, ())
    engine.dispose()


def fetch(folder: Path, count: int, watch: Stopwatch) -> None:
    """Every row of the same database in order of position, and nothing done with it."""
    statement = (
        "SELECT * FROM audit_record r JOIN audit_payload p ON p.organization_id = r.organization_id AND p.seq = r.seq "
        "WHERE r.organization_id = ? ORDER BY r.seq"
    )
    fetched = 0
    with _plain(folder / CHAIN) as connection, watch:
        for _ in connection.execute(statement, (ORGANIZATION,)):
            fetched += 1
    assert fetched == count


def hash_alone(folder: Path, count: int, watch: Stopwatch) -> None:
    """Rows of the same database, each with its header, hash, link and sections' digests, in the plainest loop.

    What a verification of these formats can't do without: raw cursor rows, orjson and hashlib, and nothing judged of
    ordinals, states, related entities, the tree or the types of what is stored.
    """
    statement = (
        "SELECT r.seq, record_id, occurred_at, recorded_at, actor_type, actor_id, actor_name, actor_role, actor_seq, "
        "credential_id, on_behalf_of, action, outcome, entity_type, entity_id, entity_name, entity_seq, related, "
        "reason, correlation_id, before_digest, after_digest, context_digest, prev_hash, hash, "
        'CAST("before" AS BLOB), before_salt, CAST("after" AS BLOB), after_salt, CAST(context AS BLOB), context_salt '
        "FROM audit_record r JOIN audit_payload p ON p.organization_id = r.organization_id AND p.seq = r.seq "
        "WHERE r.organization_id = ? ORDER BY r.seq"
    )
    previous, hashed = bytes(32), 0
    with _plain(folder / CHAIN) as connection, watch:
        for row in connection.execute(statement, (ORGANIZATION,)):
            prev_hash, hash_, before, before_salt, after, after_salt, context, context_salt = row[23:]
            related = [] if row[17] == "[]" else [(one["type"], one["id"]) for one in orjson.loads(row[17])]
            fields = (*row[:17], related, *row[18:24])
            header = header_bytes(ORGANIZATION, *fields)
            assert prev_hash == previous
            assert sha256(b"\x00" + header).digest() == hash_
            assert before is None or sha256(before_salt + before).digest() == row[20]
            assert after is None or sha256(after_salt + after).digest() == row[21]
            assert context is None or sha256(context_salt + context).digest() == row[22]
            previous = hash_
            hashed += 1
    assert hashed == count


def auditchain_verify(folder: Path, count: int, watch: Stopwatch) -> None:
    """auditchain's verification of the database that `auditchain_append_batches` left."""

    async def run() -> None:
        log = _auditchain(folder)
        await log.backend.init()  # the log's own would read all records once more
        with watch:
            report = await log.verify()
        assert (report.ok, report.records_checked) == (True, count)
        await log.close()

    asyncio.run(run())


def _new_chain(file: Path) -> Engine:
    _remove(file)
    engine = open_engine(f"sqlite:///{file}")
    initialize(engine)
    with writing(engine) as connection:
        create_organization(connection, ORGANIZATION, "Northwind Labs", "UTC")
    return engine


def _remove(file: Path) -> None:
    for path in file.parent.glob(f"{file.name}*"):  # with its write-ahead log
        path.unlink()


def _auditchain(folder: Path) -> AuditLog:
    return AuditLog(SqliteBackend(folder / OTHER))


@contextmanager
def _plain(file: Path) -> Iterator[sqlite3.Connection]:
    """The driver's own connection, as durable and with as large a cache as FlaskTrack's."""
    engine = open_engine(f"sqlite:///{file}")
    with closing(engine.raw_connection()) as connection:
        driver = connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.text_factory = str
        yield driver
    engine.dispose()


def _event_batches(count: int, batch: int) -> Iterator[list[Event]]:
    events = (event for first in range(0, count, BATCH) for event in make_events(first, min(BATCH, count - first)))
    while part := list(islice(events, batch)):
        yield part


def _entry(event: Event) -> Entry:
    """What auditchain takes: all that it has no field for goes into the metadata."""
    metadata = {
        "occurred_at": event.occurred_at.isoformat(),
        "name": event.actor_name,
        "role": event.actor_role,
        "credential_id": event.credential_id,
        "outcome": event.outcome,
        "entity_name": event.entity_name,
        "related": _pairs(event.related),
        "reason": event.reason,
        "correlation_id": event.correlation_id,
        "before": event.before,
        "after": event.after,
        "context": event.context,
    }
    actor = f"{event.actor_type}:{event.actor_id}"
    return actor, event.action, f"{event.entity_type}:{event.entity_id}", metadata


def _pairs(related: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"type": type_, "id": id_} for type_, id_ in related]


MEASURES: dict[str, Callable[[Path, int, Stopwatch], None]] = {
    "append": append_batches,
    "insert": insert_batches,
    "auditchain-append": auditchain_append_batches,
    "append-singly": append_singly,
    "insert-singly": insert_singly,
    "auditchain-append-singly": auditchain_append_singly,
    "verify": verify,
    "fetch": fetch,
    "hash-alone": hash_alone,
    "auditchain-verify": auditchain_verify,
    **sealed.MEASURES,
}


def main() -> None:
    name, folder, count = sys.argv[1:]
    watch = Stopwatch()
    MEASURES[name](Path(folder), int(count), watch)
    report(watch)


if __name__ == "__main__":
    main()
