"""Reading records for the copy: a few in this process, many by workers, each of which reads a span of positions."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache

from sqlalchemy import Connection, Engine, func

from flasktrack.core.erasure import Erasure
from flasktrack.insight.intake import Part, read_parts
from flasktrack.store.engine import open_database, sqlite_file
from flasktrack.store.inspection import inspect_tables
from flasktrack.store.row_security import of_organization
from flasktrack.store.schema import audit_record
from flasktrack.store.scope import machine_scoped
from flasktrack.verify.span import spans

WORTH_WORKERS = 100_000
"""Records below which starting processes takes longer than they would save."""

_SPAN = 32_768
_AHEAD = 3  # spans for each worker, in work or waiting to be taken: what they hold is what memory they take


def read_records(
    source: Engine, connection: Connection, organization_id: str, first: int, last: int, erasures: Sequence[Erasure]
) -> Generator[Part, None, None]:
    """The records from `first` to `last`, checked, in order; to be closed before the connection is."""
    # In tables that were altered a position may hold more than one row, which compiled code knows nothing of.
    compiled = not inspect_tables(connection)
    workers = _processors()
    shared = source.dialect.name != "sqlite" or sqlite_file(source) is not None
    if last - first < WORTH_WORKERS or workers == 1 or not shared:
        yield from read_parts(connection, organization_id, first, last, erasures, compiled=compiled)
        return
    reached = first - 1
    try:
        for part in _read_by_workers(source, connection, organization_id, first, last, erasures, workers, compiled):
            yield part
            reached = part.last_seq
    except (BrokenProcessPool, OSError):  # too little memory, or too many processes: go on without them
        yield from read_parts(connection, organization_id, reached + 1, last, erasures, compiled=compiled)


def _read_by_workers(
    source: Engine, connection: Connection, organization_id: str, first: int, last: int,
    erasures: Sequence[Erasure], workers: int, compiled: bool,
) -> Iterator[Part]:  # fmt: skip
    seq = audit_record.c.seq

    def next_row(position: int) -> int:
        nearest = machine_scoped(organization_id, func.min(seq)).where(seq >= position, seq <= last)
        return int(connection.execute(nearest).scalar_one() or last)

    url = source.url.render_as_string(hide_password=False)
    # Not forked: this process has threads, and holds the copy's file.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = spans(first, last, _SPAN, next_row)
        running: deque[Future[list[Part]]] = deque()
        try:
            while True:
                for start, end in waiting:
                    span = (url, organization_id, start, end, tuple(erasures), compiled)
                    running.append(pool.submit(_read_span, *span))
                    if len(running) == _AHEAD * workers:
                        break
                if not running:
                    return
                yield from running.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _read_span(
    url: str, organization_id: str, first: int, last: int, erasures: Sequence[Erasure], compiled: bool
) -> list[Part]:
    """In a worker, which opens the database by itself."""
    with of_organization(_database(url), organization_id).connect() as connection:
        return list(read_parts(connection, organization_id, first, last, erasures, compiled=compiled))


@lru_cache(maxsize=4)
def _database(url: str) -> Engine:
    return open_database(url)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
