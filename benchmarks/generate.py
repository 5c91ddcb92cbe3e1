"""Fill a database with chained records faster than the writer may: for measuring at ten million of them.

    python -m benchmarks.generate sqlite:////tmp/lab.db 10000000

The records are what the writer would have made of `events.make_events`: checked, hashed and linked by the same code of
`core`, so that a verification finds nothing. Workers make and check events; one process chains and inserts them. It is
quick since nobody else writes meanwhile and nothing is kept if it fails: no lock, no sync, no look at what is there.
"""

from __future__ import annotations

import argparse
import gc
import os
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Table
from tqdm import tqdm

from benchmarks.events import make_events
from flasktrack.core.header import ZERO_HASH, header_bytes, header_hash
from flasktrack.core.record import check_events
from flasktrack.core.related import related_text
from flasktrack.core.times import format_time
from flasktrack.store.engine import initialize, open_engine, sqlite_file, writing
from flasktrack.store.organizations import create_organization
from flasktrack.store.randomness import new_record_ids, salted
from flasktrack.store.schema import audit_payload, audit_record, chain_head, record_link

ORGANIZATION = "northwind-labs"
_BLOCK = 8_000
_AHEAD = 6  # blocks that are made before they are wanted
DELAY = timedelta(seconds=2)  # between an act and its record
_Row = tuple[Any, ...]


def fill(
    engine: Engine, organization_id: str, count: int, workers: int = 2, *, name: str | None = None, mark: str = ""
) -> Iterator[int]:
    """Make the organization and give it `count` records, in one transaction; yields how many there are so far.

    `mark` ends every name and id in its records (`events.make_events`).
    """
    head = (0, ZERO_HASH)
    actors: Counter[tuple[str, str]] = Counter()
    entities: Counter[tuple[str, str]] = Counter()
    with writing(engine) as connection, _without_triggers(connection):
        create_organization(connection, organization_id, name)
        insert = _Insert(connection)
        for block in _blocks(count, workers, mark):
            head = insert.chained(organization_id, block, head, actors, entities)
            yield head[0]
        mine = chain_head.c.organization_id == organization_id
        connection.execute(chain_head.update().where(mine).values(size=head[0], hash=head[1]))


@contextmanager
def _without_triggers(connection: Connection) -> Iterator[None]:
    """SQLite's triggers look for each row before it is inserted: they are put back at the end, as they were."""
    triggers: list[tuple[str, str]] = []
    if connection.dialect.name == "sqlite":
        found = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        triggers = [(name, sql) for name, sql in found]
    for name, _ in triggers:
        connection.exec_driver_sql(f"DROP TRIGGER {name}")
    yield
    for _, sql in triggers:
        connection.exec_driver_sql(sql)


def _blocks(count: int, workers: int, mark: str) -> Iterator[list[_Row]]:
    with ProcessPoolExecutor(workers) as pool:
        waiting: deque[Future[list[_Row]]] = deque()
        for first in range(0, count, _BLOCK):
            waiting.append(pool.submit(_prepare, first, min(_BLOCK, count - first), mark))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _prepare(first: int, count: int, mark: str) -> list[_Row]:
    """In a worker: events, checked; their record_ids, recording times, digests and what goes into audit_payload."""
    gc.disable()
    events = list(make_events(first, count, mark))
    contents, _ = check_events(events)
    *_, before, after, context = zip(*contents, strict=True)
    (before_salt, before_digest), (after_salt, after_digest) = salted(before), salted(after)
    context_salt, context_digest = salted(context)
    return list(
        zip(
            new_record_ids(count),
            [format_time(event.occurred_at + DELAY) for event in events],
            [content[:-3] for content in contents],
            zip(before_digest, after_digest, context_digest, strict=True),
            zip(before, before_salt, after, after_salt, context, context_salt, strict=True),
            strict=True,
        )
    )


class _Insert:
    """Rows of three tables, inserted by the driver in bulk."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.sqlite = connection.dialect.name == "sqlite"

    def chained(
        self,
        organization_id: str,
        block: list[_Row],
        head: tuple[int, bytes],
        actors: Counter[tuple[str, str]],
        entities: Counter[tuple[str, str]],
    ) -> tuple[int, bytes]:
        """Chain a block behind the head and insert it; the new head."""
        seq, hash_ = head
        records, payloads, links = [], [], []
        for record_id, recorded_at, content, digests, payload in block:
            (
                occurred_at, actor_type, actor_id, actor_name, actor_role, credential_id, on_behalf_of, action, outcome,
                entity_type, entity_id, entity_name, related, reason, correlation_id,
            ) = content  # fmt: skip
            seq += 1
            actors[actor_type, actor_id] += 1
            entities[entity_type, entity_id] += 1
            before = (
                organization_id, seq, record_id, occurred_at, recorded_at, actor_type, actor_id, actor_name, actor_role,
                actors[actor_type, actor_id], credential_id, on_behalf_of, action, outcome, entity_type, entity_id,
                entity_name, entities[entity_type, entity_id],
            )  # fmt: skip
            after = (reason, correlation_id, *digests, hash_)
            fields: tuple[Any, ...] = (*before, related, *after)
            hash_ = header_hash(header_bytes(*fields))
            records.append((*before, related_text(related), *after, hash_))
            payloads.append((organization_id, seq, *payload))
            links += [(organization_id, type_, id_, seq) for type_, id_ in related]
        for table, rows in ((audit_record, records), (audit_payload, payloads), (record_link, links)):
            self._rows(table, rows)
        return seq, hash_

    def _rows(self, table: Table, rows: list[_Row]) -> None:
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        if self.sqlite:
            marks = ", ".join("?" * len(table.columns))
            self.connection.exec_driver_sql(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", rows)
            return
        driver: Any = self.connection.connection.dbapi_connection
        with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


def fast_engine(url: str) -> Engine:
    """An engine that trusts the machine not to stop."""
    engine = open_engine(url)
    initialize(engine)
    if sqlite_file(engine) is not None:
        with engine.connect().execution_options(flasktrack_begin="") as connection:
            for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{2 * 1024**2}"):
                connection.exec_driver_sql(f"PRAGMA {pragma}")
    return engine


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generate", description=__doc__.splitlines()[0])
    parser.add_argument("url", help="an empty database")
    parser.add_argument("records", type=int)
    options = parser.parse_args()
    engine = fast_engine(options.url)
    workers = len(os.sched_getaffinity(0))
    with tqdm(total=options.records, unit=" records", disable=None) as bar:
        for reached in fill(engine, ORGANIZATION, options.records, workers):
            bar.update(reached - bar.n)
    if sqlite_file(engine) is not None:
        with engine.connect().execution_options(flasktrack_begin="") as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    engine.dispose()


if __name__ == "__main__":
    main()
