"""A database that is locked, full, read-only or damaged: a sentence with what to do, and nothing half-written."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine

import flasktrack.store.engine as engine_module
from flasktrack.errors import DatabaseError
from flasktrack.store.engine import initialize, open_database, open_engine, sqlite_file, writing
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope
from flasktrack.store.writer import append
from tests.store.chain import sound_records
from tests.store.samples import NORTHWIND, event, everything, organizations, record


def test_a_damaged_file_is_told_from_a_missing_one(sqlite_engine: Engine) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, *(event(n, after="x" * 3000) for n in range(50)))
    file = sqlite_file(sqlite_engine)
    assert file is not None
    with sqlite_engine.execution_options(flasktrack_begin="").connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    sqlite_engine.dispose()
    whole = file.read_bytes()
    file.write_bytes(whole[:4096] + b"\xa5" * (len(whole) - 4096))
    with pytest.raises(DatabaseError, match=r"is damaged. Keep the file as evidence"):
        list(Ledger(sqlite_engine, machine_scope(NORTHWIND)).stream())


def test_a_locked_database_is_told_and_nothing_is_half_written(
    sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    organizations(sqlite_engine)
    monkeypatch.setattr(engine_module, "BUSY_SECONDS", 0.05)
    other = open_database(sqlite_engine.url.render_as_string(hide_password=False))
    with writing(sqlite_engine) as connection:
        append(connection, NORTHWIND, [event(1)])
        with pytest.raises(DatabaseError, match=r"locked by another program. Wait until it has finished"):
            record(other, event(2))
    assert [item.seq for item in sound_records(other, NORTHWIND)] == [1]
    other.dispose()


def test_a_database_that_somebody_has_for_themselves_is_told(
    tmp_path: Path, sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "BUSY_SECONDS", 0.05)
    url = sqlite_engine.url.render_as_string(hide_password=False)
    sqlite_engine.dispose()
    with closing(sqlite3.connect(tmp_path / "flasktrack.db", isolation_level=None)) as holder:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseError, match="locked by another program"):
            open_database(url)
        with pytest.raises(DatabaseError, match="locked by another program"):
            initialize(open_engine(url))
    open_database(url).dispose()


def append_after(engine: Engine, statement: str) -> None:
    """Append in a transaction that begins with the statement."""
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
        append(connection, NORTHWIND, [event(2)])


def test_a_head_that_is_locked_in_postgresql_is_told(postgresql_engine: Engine) -> None:
    organizations(postgresql_engine)
    with postgresql_engine.connect() as holder:
        append(holder, NORTHWIND, [event(1)])
        with pytest.raises(DatabaseError, match="locked by another program"):
            append_after(postgresql_engine, "SET LOCAL lock_timeout = '50ms'")
    assert sound_records(postgresql_engine, NORTHWIND) == []


def test_a_full_disk_is_told_and_nothing_is_half_written(sqlite_engine: Engine) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, event(1))
    before = everything(sqlite_engine)
    with sqlite_engine.connect() as connection:  # the pool hands the same connection out again
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 5}")
    with pytest.raises(DatabaseError, match=r"the disk is full. Free some space.* Nothing was written"):
        record(sqlite_engine, *(event(n, after="x" * 50_000) for n in range(2, 10)))
    assert everything(sqlite_engine) == before
    with sqlite_engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    assert record(sqlite_engine, event(2))[0].seq == 2
    assert len(sound_records(sqlite_engine, NORTHWIND)) == 2


def test_a_database_that_may_only_be_read_is_told(engine: Engine) -> None:
    organizations(engine)
    record(engine, event(1))
    read_only = {"sqlite": "PRAGMA query_only = ON", "postgresql": "SET TRANSACTION READ ONLY"}
    with pytest.raises(DatabaseError, match="can't be written"):
        append_after(engine, read_only[engine.dialect.name])
    assert len(sound_records(engine, NORTHWIND)) == 1
