"""A record that was acknowledged survives the process's death at any moment (SQLite: WAL, full synchronization)."""

from __future__ import annotations

import signal
import threading

import pytest
from sqlalchemy import Engine

from flasktrack.store.engine import open_database, writing
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope
from flasktrack.store.verifications import VERIFIED
from flasktrack.verify.runner import verify_organization
from tests.store.appender import acknowledged, go, start
from tests.store.chain import sound_records
from tests.store.samples import NORTHWIND, event, organizations, record

FOREVER = 1_000_000
FULL = 2  # PRAGMA synchronous


@pytest.mark.parametrize(("records", "until"), [(1, 40), (250, 1500)])
def test_acknowledged_records_survive_kill_9_while_writing(sqlite_engine: Engine, records: int, until: int) -> None:
    organizations(sqlite_engine)
    url = sqlite_engine.url.render_as_string(hide_password=False)
    told: dict[int, str] = {}
    for run in range(2):
        process = start(url, NORTHWIND, f"run-{run}", transactions=FOREVER, records=records)
        go(process)
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        assert process.stdout is not None
        output = "".join(process.stdout.readline() for _ in range(until))
        process.send_signal(signal.SIGKILL)
        output += process.stdout.read()
        assert process.wait(10) == -signal.SIGKILL
        watchdog.cancel()
        process.stdout.close()
        told |= acknowledged(output)
        stored = {
            item.record.seq: item.record.hash.hex() for item in Ledger(sqlite_engine, machine_scope(NORTHWIND)).stream()
        }
        assert told.items() <= stored.items()
        assert len(told) >= until
    assert verify_organization(sqlite_engine, NORTHWIND, started_by="test").status == VERIFIED
    assert len(sound_records(sqlite_engine, NORTHWIND)) % records == 0  # a transaction is there as a whole, or not
    assert record(sqlite_engine, event(1))[0].seq == len(sound_records(sqlite_engine, NORTHWIND))


def test_every_sqlite_connection_writes_ahead_and_synchronizes_fully(sqlite_engine: Engine) -> None:
    again = open_database(sqlite_engine.url.render_as_string(hide_password=False))
    for engine in (sqlite_engine, again):
        with engine.connect() as one, writing(engine) as other:
            for connection in (one, other):
                assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
                assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == FULL
    again.dispose()


def test_a_postgresql_session_leaves_the_servers_synchronization_as_it_is(postgresql_engine: Engine) -> None:
    with writing(postgresql_engine) as connection:  # the test server's own file turns it off
        source = connection.exec_driver_sql("SELECT source FROM pg_settings WHERE name = 'synchronous_commit'").scalar()
    assert source == "configuration file"
