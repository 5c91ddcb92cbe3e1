"""Writers at the same time: one gapless chain without a fork, and nothing that was acknowledged is missing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning

import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from flasktrack.core.record import Record
from flasktrack.errors import DatabaseError
from flasktrack.store.engine import writing
from flasktrack.store.organizations import get_organization
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope
from flasktrack.store.writer import append
from tests.store.appender import acknowledged, go, start
from tests.store.chain import sound_records
from tests.store.samples import (
    NORTHWIND,
    SOUTHPORT,
    event,
    organizations,
    record,
    record_id,
    second_record,
    stored,
    tamper,
)

THREADS = 6
PROCESSES = 3


def append_in_ways(engine: Engine, thread: int, start_line: threading.Barrier) -> list[Record]:
    """Ten transactions: in the embedded writer's way, on a plain connection, and in an ORM session."""
    start_line.wait()
    made = []
    for number in range(1, 11):
        acts = [event(number, actor_id=f"u-{thread}", entity_id=f"S-{number % 3}") for _ in range(number % 3 + 1)]
        if number % 3 == 0:
            with writing(engine) as connection:
                made += append(connection, NORTHWIND, acts)
        elif number % 3 == 1:
            with engine.begin() as connection:
                made += append(connection, NORTHWIND, acts)
        else:
            with Session(engine) as session, session.begin():
                made += append(session, NORTHWIND, acts)
    return made


def test_threads_append_one_gapless_chain(lab: Engine) -> None:
    start_line = threading.Barrier(THREADS)
    with ThreadPoolExecutor(THREADS) as threads:
        made = list(threads.map(lambda n: append_in_ways(lab, n, start_line), range(THREADS)))
    records = sound_records(lab, NORTHWIND)
    assert sorted(item for part in made for item in part) == records
    assert len(records) == THREADS * 20
    for part in made:  # each thread's own order is kept
        assert [item.seq for item in part] == sorted(item.seq for item in part)


def test_processes_append_one_gapless_chain(database_url: str, lab: Engine) -> None:
    processes = [
        start(database_url, NORTHWIND, f"p-{number}", transactions=15, records=number + 1)
        for number in range(PROCESSES)
    ]
    go(*processes)
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * PROCESSES
    told = [item for output in outputs for item in acknowledged(output).items()]
    assert sorted(told) == [(item.seq, item.hash.hex()) for item in sound_records(lab, NORTHWIND)]
    assert len(told) == 15 * (1 + 2 + 3)


@pytest.mark.parametrize("outcome", ["commit", "rollback"])
def test_a_writer_waits_for_the_one_that_holds_the_head(lab: Engine, outcome: str) -> None:
    with ThreadPoolExecutor(1) as threads, lab.connect() as connection:
        append(connection, NORTHWIND, [event(1, actor_id="first")])
        second: Future[list[Record]] = threads.submit(record, lab, event(2, actor_id="second"))
        with pytest.raises(StillRunning):
            second.result(0.3)
        getattr(connection, outcome)()
        seq = second.result(20)[0].seq
    assert seq == (2 if outcome == "commit" else 1)
    assert len(sound_records(lab, NORTHWIND)) == seq


def test_organizations_do_not_wait_for_each_other_in_postgresql(postgresql_engine: Engine) -> None:
    engine = postgresql_engine  # SQLite has one writer at a time for the whole file
    organizations(engine, NORTHWIND, SOUTHPORT)
    with ThreadPoolExecutor(1) as threads, engine.begin() as connection:
        append(connection, NORTHWIND, [event(1)])
        assert threads.submit(record, engine, event(2), organization=SOUTHPORT).result(10)[0].seq == 1


def test_readers_do_not_wait_for_a_writer(lab: Engine) -> None:
    record(lab, event(1))
    with writing(lab) as connection:
        append(connection, NORTHWIND, [event(2)])
        assert [item.record.seq for item in stored(lab)] == [1]
        assert get_organization(lab, NORTHWIND).id == NORTHWIND
    assert [item.record.seq for item in stored(lab)] == [1, 2]


def test_the_same_record_id_from_many_threads_is_one_record(lab: Engine) -> None:
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: record(lab, event(1, record_id=record_id(1)), event(2)), range(4)))
    assert len({part[0] for part in made}) == 1
    assert len(sound_records(lab, NORTHWIND)) == 5


def test_a_transaction_that_read_an_older_state_is_refused_and_not_a_fork(lab: Engine) -> None:
    snapshot = lab if lab.dialect.name == "sqlite" else lab.execution_options(isolation_level="REPEATABLE READ")

    def read_then_append(connection: Connection, meanwhile: Callable[[], object]) -> None:
        connection.exec_driver_sql("SELECT count(*) FROM audit_record").scalar()
        meanwhile()
        append(connection, NORTHWIND, [event(2)])

    with pytest.raises(DatabaseError, match=r"try again|Try again"), snapshot.begin() as connection:
        read_then_append(connection, lambda: record(lab, event(1)))
    assert len(sound_records(lab, NORTHWIND)) == 1


def test_the_schema_refuses_a_second_record_on_the_same_one_before(lab: Engine) -> None:
    record(lab, event(1), event(2))
    for of in (1, 2):
        fork = second_record(of, seq="3", record_id=f"'{record_id(9)}'")
        with pytest.raises(IntegrityError, match=r"prev_hash|append-only"), writing(lab) as connection:
            connection.exec_driver_sql(fork)
        with pytest.raises(IntegrityError, match="prev_hash"):  # the constraint itself
            tamper(lab, fork)
    assert len(sound_records(lab, NORTHWIND)) == 2


def test_the_schema_refuses_a_second_record_with_the_same_position_or_id(lab: Engine) -> None:
    record(lab, event(1, record_id=record_id(1)))
    same_id = second_record(1, seq="2", prev_hash="hash")
    same_position = second_record(1, record_id=f"'{record_id(2)}'", prev_hash="hash")
    for statement, column in ((same_id, "record_id"), (same_position, r"seq|pkey")):
        with pytest.raises(IntegrityError, match=column):
            tamper(lab, statement)
    assert Ledger(lab, machine_scope(NORTHWIND)).count() == 1
