"""What an insider, or a machine in a poor state, could do to compiled code in particular: each was possible once."""

from __future__ import annotations

import gc
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from flasktrack.insight.intake import read_parts
from flasktrack.store.engine import initialize, open_engine, sqlite_file
from flasktrack.store.verifications import Verification
from flasktrack.trust import tree
from flasktrack.verify import chain, compiled, rows
from flasktrack.verify.chain import BLOCK
from flasktrack.verify.compiled import blocks
from flasktrack.verify.compiled.cells import ROWS
from flasktrack.verify.continuity import Tape
from flasktrack.verify.rows import Streams
from flasktrack.verify.runner import verify_organization
from flasktrack.verify.span import scan_elsewhere
from tests.adversary import alter_record, past_the_triggers, run_sql
from tests.verify.chains import make_chain, said, verify

LAB = "lab"
FORGED = {"record_id": "'ffffffff-0000-4000-8000-000000000000'", "actor_id": "'u-forged'"}


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Engine]:
    """An SQLite database of its own."""
    engine = open_engine(f"sqlite:///{tmp_path / 'lab.db'}")
    initialize(engine)
    yield engine
    engine.dispose()


@contextmanager
def schema_of(engine: Engine, table: str, old: str, new: str) -> Iterator[None]:
    """Meanwhile the table's definition says something else, which nothing that is stored is held against."""
    file = sqlite_file(engine)
    assert file is not None

    def rewrite(one: str, other: str) -> None:
        engine.dispose()
        with closing(sqlite3.connect(file, isolation_level=None)) as console:
            console.execute("PRAGMA writable_schema = ON")
            told = "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE type = 'table' AND name = ?"
            assert console.execute(told, (one, other, table)).rowcount == 1
            (version,) = console.execute("PRAGMA schema_version").fetchone()
            console.execute(f"PRAGMA schema_version = {version + 1}")
        with closing(sqlite3.connect(file, isolation_level=None)) as console:  # the other indexes have the key in them
            named = "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ?"
            for (name,) in console.execute(named, (table,)).fetchall():
                if name != f"sqlite_autoindex_{table}_1":
                    console.execute(f'REINDEX "{name}"')

    rewrite(old, new)
    yield
    rewrite(new, old)


def between(engine: Engine, lab: str, first: int, last: int) -> Verification:
    return verify_organization(engine, lab, started_by="user:u-1", between=(first, last), keep=False)


def add_second_row(engine: Engine, lab: str, seq: int, at: str = "seq") -> None:
    """A forged record at a position where one stands already, or near it, past the keys."""
    with past_the_triggers(engine) as connection:
        (first,) = connection.exec_driver_sql("SELECT * FROM audit_record LIMIT 1").mappings().all()
        other = {"seq": at, "prev_hash": "randomblob(32)", "hash": "randomblob(32)"}
        if engine.dialect.name == "postgresql":
            other = {"prev_hash": "'\\x0123'::bytea", "hash": "'\\x01'::bytea"}
        chosen = ", ".join((FORGED | other).get(name, f'"{name}"') for name in first)
        connection.exec_driver_sql(
            f"INSERT INTO audit_record SELECT {chosen} FROM audit_record "
            f"WHERE organization_id = '{lab}' AND seq = {seq}"
        )


def test_sections_at_a_position_that_is_no_whole_number_are_not_passed_over(alone: Engine) -> None:
    make_chain(alone, LAB, 9, before=None, after=None, context=None)
    with schema_of(alone, "audit_payload", "seq INTEGER", "seq BLOB"):
        run_sql(alone, "DELETE FROM audit_payload WHERE seq = 5")
        forged = """INSERT INTO audit_payload (organization_id, seq, after, after_salt)
            VALUES ('lab', 5.0, '["forged"]', zeroblob(16))"""
        run_sql(alone, forged)
    assert [(finding.code, finding.seq) for finding in verify(alone, LAB).findings] == [("payload_modified", 5)]


@pytest.mark.parametrize("seq", [8, 9, 16, 24])
def test_a_second_row_where_one_block_ends_is_found_on_sqlite(
    alone: Engine, monkeypatch: pytest.MonkeyPatch, seq: int
) -> None:
    for module in (blocks, chain):
        monkeypatch.setattr(module, "ROWS" if module is blocks else "BLOCK", 8)
    make_chain(alone, LAB, 40)
    keys = "PRIMARY KEY (organization_id, seq)", "PRIMARY KEY (organization_id, seq, record_id)"
    with schema_of(alone, "audit_record", *keys):
        add_second_row(alone, LAB, seq)
    found = between(alone, LAB, 1, 40)
    assert [(finding.code, finding.seq) for finding in found.findings] == [("chain_broken", seq)]
    with alone.connect() as connection:
        parts = list(read_parts(connection, LAB, 1, 40, [], compiled=True))
        by_rows = list(read_parts(connection, LAB, 1, 40, [], compiled=False))
    assert sum(part.records.num_rows for part in parts) == 41
    assert [part.records for part in parts] == [part.records for part in by_rows]


@pytest.mark.parametrize("seq", [255, 256, 257])
def test_a_second_row_where_one_block_ends_is_found_on_postgresql(
    postgresql_engine: Engine, lab: str, seq: int
) -> None:
    make_chain(postgresql_engine, lab, 600)
    unique = "indisunique AND indrelid = 'audit_record'::regclass"
    with postgresql_engine.begin() as connection:
        names = connection.exec_driver_sql(f"SELECT indexrelid FROM pg_index WHERE {unique}").scalars().all()
        listed = ", ".join(map(str, names))
        connection.exec_driver_sql(f"UPDATE pg_index SET indisunique = false WHERE indexrelid IN ({listed})")
    postgresql_engine.dispose()
    add_second_row(postgresql_engine, lab, seq)
    with postgresql_engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE pg_index SET indisunique = true WHERE indexrelid IN ({listed})")
    postgresql_engine.dispose()
    found = verify(postgresql_engine, lab)
    run_sql(postgresql_engine, "DELETE FROM audit_record WHERE actor_id = 'u-forged'")
    assert [(finding.code, finding.seq) for finding in found.findings] == [("chain_broken", seq)]


@pytest.mark.parametrize("seq", range(14, 26))
def test_a_row_between_two_positions_is_counted_once(alone: Engine, monkeypatch: pytest.MonkeyPatch, seq: int) -> None:
    monkeypatch.setattr(blocks, "ROWS", 8)
    monkeypatch.setattr(chain, "BLOCK", 4)
    monkeypatch.setitem(rows._ROWS_AT_ONCE, "sqlite", 4)
    make_chain(alone, LAB, 40)
    add_second_row(alone, LAB, seq, at=f"{seq}.5")
    alter_record(alone, LAB, 12, actor_id="u-99")
    by_machine = between(alone, LAB, 1, 40)
    monkeypatch.setattr(chain, "open_blocks", lambda *_: None)
    assert said(by_machine) == said(between(alone, LAB, 1, 40))
    assert by_machine.records == 41


def test_rows_below_the_first_position_are_read_once(alone: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    make_chain(alone, LAB, 20)
    with past_the_triggers(alone) as connection:
        names = connection.exec_driver_sql("SELECT * FROM audit_record LIMIT 1").mappings().one().keys()
        for seq in range(-2 * BLOCK, 0):
            other = {"seq": str(seq), "record_id": f"'z{seq}'", "prev_hash": "randomblob(32)"}
            chosen = ", ".join(other.get(name, f'"{name}"') for name in names)
            connection.exec_driver_sql(f"INSERT INTO audit_record SELECT {chosen} FROM audit_record WHERE seq = 5")
    with alone.connect() as connection:
        parts = list(read_parts(connection, LAB, 1, 20, [], compiled=True))
    assert sum(part.records.num_rows for part in parts) == 2 * BLOCK + 20


@pytest.mark.parametrize("column", ["actor_type", "actor_id", "entity_type", "entity_id"])
def test_a_name_that_is_no_text_gives_a_verdict(alone: Engine, column: str) -> None:
    make_chain(alone, LAB, 20)
    run_sql(alone, f"UPDATE audit_record SET {column} = X'' WHERE seq = 14")
    assert [(finding.code, finding.seq) for finding in between(alone, LAB, 5, 20).findings] == [("record_modified", 14)]


@pytest.mark.parametrize(
    ("column", "value"),
    [("recorded_at", b"x"), ("recorded_at", ""), ("hash", "text"), ("hash", b""), ("hash", b"x"), ("hash", 5)],
)
def test_whatever_stands_before_a_range_there_is_a_verdict(alone: Engine, column: str, value: Any) -> None:
    make_chain(alone, LAB, 20)
    run_sql(alone, f"UPDATE audit_record SET {column} = :value WHERE seq = 10", value=value)
    by_machine = between(alone, LAB, 11, 20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chain, "open_blocks", lambda *_: None)
        assert said(between(alone, LAB, 11, 20)) == said(by_machine)
    assert by_machine.records == 10


def test_a_row_at_no_position_before_a_range_gives_a_verdict(alone: Engine) -> None:
    make_chain(alone, LAB, 20)
    run_sql(alone, "UPDATE audit_record SET seq = 'x' WHERE seq = 9")
    run_sql(alone, "UPDATE audit_payload SET after = X'7B7D' WHERE seq < 11")
    assert between(alone, LAB, 11, 20).records == 10


def test_broken_text_before_a_range_gives_a_verdict(alone: Engine) -> None:
    make_chain(alone, LAB, 20)
    run_sql(alone, "UPDATE audit_record SET recorded_at = CAST(X'32FF' AS TEXT) WHERE seq = 10")
    assert between(alone, LAB, 11, 20).records == 10


@pytest.mark.parametrize("time", ["infinity", "-infinity", "0044-03-15 00:00:00+00 BC"])
def test_a_time_that_no_text_can_have_before_a_range_gives_a_verdict(
    postgresql_engine: Engine, lab: str, time: str
) -> None:
    make_chain(postgresql_engine, lab, 20)
    alter = "UPDATE audit_record SET recorded_at = :time WHERE organization_id = :lab AND seq = 10"
    run_sql(postgresql_engine, alter, time=time, lab=lab)
    assert between(postgresql_engine, lab, 11, 20).records == 10


def test_without_a_library_everything_is_read_row_by_row(alone: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "hashing", lambda: False)
    monkeypatch.setattr(compiled, "_ready", False)
    make_chain(alone, LAB, 300)
    assert verify(alone, LAB).status == "verified"
    hashes = [bytes([number]) * 32 for number in range(4)]
    assert compiled.fold(b"".join(hashes)) == tree.fold(hashes)


def test_without_a_thread_everything_is_read_row_by_row(alone: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    make_chain(alone, LAB, 20)
    monkeypatch.setattr(ThreadPoolExecutor, "submit", refuse)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(3):
        assert between(alone, LAB, 1, 20).records == 20
    assert len(os.listdir("/proc/self/fd")) <= before + 2, "one connection of the pool, with its log"  # noqa: PTH208


def test_what_was_read_is_let_go_at_once(engine: Engine, lab: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verification looks for no cycles meanwhile: an error that refers to its blocks would keep them."""
    make_chain(engine, lab, 20)
    monkeypatch.setattr(blocks, "ARENA", 100)
    gc.collect()
    gc.disable()
    try:
        verify(engine, lab)
        assert not [one for one in gc.get_objects() if type(one) in (blocks.Ahead, blocks.Block)]
    finally:
        gc.enable()


def test_blocks_are_looked_for_more_rarely_the_fewer_there_are(alone: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "BLOCK", 8)
    opened = 0
    openly: Callable[..., Any] = compiled.open_blocks

    def count(*arguments: Any) -> Any:
        nonlocal opened
        opened += 1
        return openly(*arguments)

    monkeypatch.setattr(chain, "open_blocks", count)
    make_chain(alone, LAB, 1024)
    run_sql(alone, "UPDATE record_link SET entity_id = 'q' WHERE seq % 50 = 0 AND entity_type = 'workflow'")
    assert len(verify(alone, LAB).findings) == 1024 // 50
    assert opened <= 8


def test_a_path_may_hold_bytes_that_are_no_text(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / os.fsdecode(b'lab-%s.db' % bytes([0xFF]))}")
    initialize(engine)
    make_chain(engine, LAB, 5)
    assert verify(engine, LAB).status == "verified"
    engine.dispose()


def test_verifications_side_by_side_in_one_process_do_not_disturb_each_other(alone: Engine) -> None:
    """As on a Dask worker of several threads: the tapes of each have a seed of their own."""
    make_chain(alone, LAB, 600)
    url = alone.url.render_as_string()

    def gaps(seed: int) -> int:
        with closing(Tape()) as tape:
            for first, last in ((1, 256), (257, 512), (513, 600)):
                tape.add(scan_elsewhere(url, LAB, first, last, (), first > 1, False, bytes([seed]) * 32).tape)
            return len(list(tape.gaps(np.zeros((0, 2), dtype=np.int64))))

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(gaps, range(1, 9))) == [0] * 8


def test_parts_that_are_closed_leave_the_connection_to_others(engine: Engine, lab: str) -> None:
    make_chain(engine, lab, 3 * ROWS)
    for _ in range(5):
        with (
            engine.connect() as connection,
            closing(read_parts(connection, lab, 1, 3 * ROWS, [], compiled=True)) as parts,
        ):
            next(parts)
        with engine.connect() as connection:
            assert len(list(Streams(connection, lab, 1, 10).hashes())) == 10
