"""The quick check of indexes sees by itself whatever somebody does to one, and accuses none that is sound."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import uuid
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from flasktrack.core.record import Event
from flasktrack.store.engine import open_engine, sqlite_file, writing
from flasktrack.store.writer import append
from flasktrack.verify import compiled
from flasktrack.verify.compiled import open_indexes, snapshot
from flasktrack.verify.compiled.cells import Unreadable
from flasktrack.verify.compiled.entries import Told, tell_rows
from flasktrack.verify.compiled.indexes import LARGE, Indexes
from flasktrack.verify.compiled.snapshot import Snapshot
from tests.capture.events import EVENTS
from tests.verify.chains import make_chain, new_organization

FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

KEY = np.array([1, 2], dtype=np.uint64)

INDEXES = {
    "sqlite_autoindex_audit_record_2": ("audit_record", "organization_id, prev_hash, seq"),
    "sqlite_autoindex_audit_record_3": ("audit_record", "organization_id, record_id, seq"),
    "ix_audit_record_actor": ("audit_record", "organization_id, actor_type, actor_id, actor_seq, seq"),
    "ix_audit_record_entity": ("audit_record", "organization_id, entity_type, entity_id, entity_seq, seq"),
    "ix_record_link_entity": ("record_link", "organization_id, entity_type, entity_id, seq, id"),
    "ix_record_link_seq": ("record_link", "organization_id, seq, id"),
}
"""Each index of the large tables: its table, and what an entry has; `id` is the rowid."""

# What somebody does to the entries. `key` is the last column of the key, `row` tells which row an entry belongs to.
ATTACKS = {
    "an entry is gone": ["DELETE FROM entries WHERE {row} = 3"],
    "an entry that no row has": ["INSERT INTO entries SELECT {start}, {row} + 1000 FROM entries WHERE {row} = 3"],
    "another organization": [
        "UPDATE entries SET organization_id = 'lab-2' WHERE {row} = 3 AND organization_id = 'lab-1'"
    ],
    "another key": ["UPDATE entries SET {key} = {key} || 'x' WHERE {row} = 3"],
    "the same key of another type": [
        "UPDATE entries SET {key} = CAST({key} AS BLOB) WHERE {row} = 3 AND typeof({key}) <> 'blob'",
        "UPDATE entries SET {key} = CAST({key} AS TEXT) WHERE {row} = 6 AND typeof({key}) = 'blob'",
    ],
    "the key of another row": ["UPDATE entries SET {row} = 9 - {row} WHERE {row} IN (3, 6)"],
    "two entries for a row, none for another": ["UPDATE entries SET {row} = 6 WHERE {row} = 3"],
    "a number that is none": ["UPDATE entries SET {row} = {row} + 0.5 WHERE {row} = 3"],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, made_sqlite_file: Path) -> Path:
    """A database with two chains."""
    file = tmp_path_factory.mktemp("indexes") / "made.db"
    shutil.copyfile(made_sqlite_file, file)
    engine = open_engine(f"sqlite:///{file}")
    for lab in ("lab-1", "lab-3"):
        make_chain(engine, lab, 9)
    engine.dispose()
    return file


@pytest.fixture
def file(tmp_path: Path, made: Path) -> Path:
    """A copy of it, to be altered."""
    return Path(shutil.copyfile(made, tmp_path / "flasktrack.db"))


def agree(file: Path, table: str) -> bool:
    """What the quick check alone says of a table's indexes."""
    with closing(Indexes(file)) as indexes:
        try:
            return indexes.agree_with(table)
        except Unreadable:
            return False


def integrity(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return [row[0] for row in connection.execute("PRAGMA integrity_check")]


def alter(file: Path, monkeypatch: pytest.MonkeyPatch, index: str, definition: str, *statements: str) -> None:
    """Write into an index, or a table WITHOUT ROWID, past SQLite: as the table `entries`."""
    with closing(sqlite3.connect(file)) as catalog:
        ((root,),) = catalog.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (index,))
    with monkeypatch.context() as patch:
        patch.setattr(snapshot, "_READ_ONLY", 2)  # SQLITE_OPEN_READWRITE
        with closing(Snapshot(file)) as insider:
            insider.rows("SELECT * FROM sqlite_master LIMIT 1")
            insider.lay_over(root, f"CREATE TABLE entries ({definition}) WITHOUT ROWID")
            for statement in (*statements, "COMMIT"):
                insider.run(statement)


def test_a_database_as_it_was_written_is_sound(file: Path) -> None:
    with closing(Indexes(file)) as indexes:
        assert indexes.are_sound()


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("index", INDEXES)
def test_whatever_is_done_to_an_entry_of_an_index_is_seen(
    file: Path, monkeypatch: pytest.MonkeyPatch, index: str, attack: str
) -> None:
    table, columns = INDEXES[index]
    start, _, row = columns.rpartition(", ")
    key = start.rpartition(", ")[2]
    assert agree(file, table)
    statements = [statement.format(start=start, key=key, row=row) for statement in ATTACKS[attack]]
    alter(file, monkeypatch, index, f"{columns}, PRIMARY KEY ({columns})", *statements)
    assert integrity(file) != ["ok"], "SQLite itself would see it"
    assert not agree(file, table)
    for other in set(LARGE) - {table}:
        assert agree(file, other)


@pytest.mark.parametrize("index", INDEXES)
def test_entries_in_another_order_are_seen(file: Path, monkeypatch: pytest.MonkeyPatch, index: str) -> None:
    table, columns = INDEXES[index]
    falling = ", ".join(f"{column} DESC" for column in columns.split(", "))
    alter(
        file, monkeypatch, index, f"{columns}, PRIMARY KEY ({falling})",
        "CREATE TEMP TABLE kept AS SELECT * FROM entries", "DELETE FROM entries",
        "INSERT INTO entries SELECT * FROM kept",
    )  # fmt: skip
    assert integrity(file) != ["ok"]
    assert not agree(file, table)


@pytest.mark.parametrize("index", INDEXES)
def test_an_entry_that_is_there_twice_in_place_of_another_is_seen(
    file: Path, monkeypatch: pytest.MonkeyPatch, index: str
) -> None:
    table, columns = INDEXES[index]
    row = columns.rpartition(", ")[2]
    alter(
        file, monkeypatch, index, f"{columns}, more, PRIMARY KEY ({columns}, more)",
        f"CREATE TEMP TABLE kept AS SELECT {columns} FROM entries WHERE {row} <> 4", "DELETE FROM entries",
        "INSERT INTO entries SELECT *, 0 FROM kept", f"INSERT INTO entries SELECT *, 1 FROM kept WHERE {row} = 3",
    )  # fmt: skip
    assert not agree(file, table)


@pytest.mark.parametrize("table", ["audit_record", "audit_payload"])
@pytest.mark.parametrize("way", ["in another order", "twice"])
def test_rows_of_a_table_in_another_order_or_twice_are_seen(
    file: Path, monkeypatch: pytest.MonkeyPatch, table: str, way: str
) -> None:
    with closing(sqlite3.connect(file)) as catalog:
        columns = ", ".join(f'"{row[1]}"' for row in catalog.execute(f"PRAGMA table_info({table})"))
    order = "organization_id DESC, seq DESC" if way == "in another order" else f"{columns}"
    change = "UPDATE kept SET seq = seq" if way == "in another order" else "UPDATE kept SET seq = 4 WHERE seq = 5"
    alter(
        file, monkeypatch, table, f"{columns}, PRIMARY KEY ({order})",
        "CREATE TEMP TABLE kept AS SELECT * FROM entries", change, "DELETE FROM entries",
        "INSERT INTO entries SELECT * FROM kept",
    )  # fmt: skip
    assert integrity(file) != ["ok"]
    assert not agree(file, table)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE INDEX theirs ON {table} (organization_id) WHERE organization_id <> 'x'",
        "CREATE INDEX theirs ON {table} (lower(organization_id))",
        "CREATE INDEX theirs ON {table} (organization_id DESC)",
        "CREATE INDEX theirs ON {table} (organization_id COLLATE NOCASE)",
    ],
)
def test_indexes_of_other_kinds_are_left_to_sqlite(file: Path, statement: str) -> None:
    for table in LARGE:
        with closing(sqlite3.connect(file)) as connection:
            connection.execute(statement.format(table=table))
            assert not agree(file, table)
            connection.execute("DROP INDEX theirs")
        assert agree(file, table)


def test_damage_elsewhere_is_seen(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(
            "CREATE TABLE 'the''irs' (a, b); INSERT INTO 'the''irs' VALUES (1, 2);"
            "CREATE INDEX of_theirs ON 'the''irs' (a); CREATE VIEW theirs AS SELECT * FROM audit_record"
        )
    with closing(Indexes(file)) as indexes:
        assert indexes.are_sound()
    alter(file, monkeypatch, "of_theirs", "a, id, PRIMARY KEY (a, id)", "UPDATE entries SET a = 5")
    with closing(Indexes(file)) as indexes:
        assert not indexes.are_sound()
        assert not indexes.others_are_sound()


def test_a_table_under_another_name_in_the_catalog_is_looked_at(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite takes a table's name from its definition."""
    alter(
        file, monkeypatch, "sqlite_autoindex_chain_head_1", "a, id, PRIMARY KEY (a, id)", "UPDATE entries SET a = 'x'"
    )
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET name = 'organization' WHERE name = 'chain_head'")
        connection.commit()
    with closing(Indexes(file)) as indexes:
        assert not indexes.are_sound()


def test_statistics_that_somebody_put_in_change_nothing(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("ANALYZE")
        connection.execute(
            "UPDATE sqlite_stat1 SET stat = '1000000 1000000 1000000 1000000 1000000 unordered noskipscan'"
        )
        connection.commit()
    with closing(Indexes(file)) as indexes:
        assert indexes.are_sound()


def test_a_table_that_is_gone_or_a_view_is_not_sound(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("ALTER TABLE record_link RENAME TO kept")
        for statement in ("SELECT 1", "CREATE VIEW record_link AS SELECT * FROM kept"):
            connection.execute(statement)
            with closing(Indexes(file)) as indexes:
                assert not indexes.are_sound()


@FEW
@given(st.lists(EVENTS, max_size=6))
def test_no_database_that_flasktrack_wrote_is_accused(shared_sqlite_engine: Engine, events: list[Event]) -> None:
    lab = new_organization(shared_sqlite_engine, f"lab-{uuid.uuid4().hex}")
    with writing(shared_sqlite_engine) as connection:
        append(connection, lab, events)
    file = sqlite_file(shared_sqlite_engine)
    assert file is not None
    with closing(Indexes(file)) as indexes:
        assert indexes.are_sound()


# Rows, and the order they have

_values = (
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.integers(-2, 2)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.text("a\0\x7fé", max_size=10)
    | st.binary(max_size=20)
    | st.sampled_from([b"12345678", "12345678", "123456789", b"1234567", "1234567\0"])
)
_rows = st.sets(st.tuples(_values, _values, _values), min_size=2, max_size=20)


def table_of(folder: Path, rows: set[tuple[object, ...]]) -> Path:
    file = folder / "rows.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("DROP TABLE IF EXISTS t")
        connection.execute("CREATE TABLE t (a, b, c)")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
        connection.commit()
    return file


def told(file: Path, sql: str, columns: int = 3, ordered: int = 3) -> Told | None:
    """None where the rows do not ascend, or can't be read."""
    with closing(Snapshot(file)) as opened:
        try:
            return tell_rows(opened, KEY, sql, columns, ordered, [range(columns)])[0]
        except Unreadable:
            return None


@FEW
@given(_rows)
def test_rows_ascend_exactly_where_sqlite_says_so(tmp_path: Path, rows: set[tuple[object, ...]]) -> None:
    file = table_of(tmp_path, rows)
    assert told(file, "SELECT a, b, c FROM t ORDER BY a, b, c") is not None
    assert told(file, "SELECT a, b, c FROM t ORDER BY a DESC, b DESC, c DESC") is None
    assert told(file, "SELECT a, b, c FROM t UNION ALL SELECT a, b, c FROM t ORDER BY 1, 2, 3") is None
    one_of_each = told(file, "SELECT a, max(b), c FROM t GROUP BY a ORDER BY a, b, c", ordered=1)
    assert one_of_each is not None
    first_alone = told(file, "SELECT a, b, c FROM t ORDER BY a, b, c", ordered=1)
    assert (first_alone is not None) == (one_of_each[0] == len(rows))


@FEW
@given(_rows, st.data())
def test_sets_of_rows_are_told_apart_and_no_others(
    tmp_path: Path, rows: set[tuple[object, ...]], data: st.DataObject
) -> None:
    first = told(table_of(tmp_path, rows), "SELECT a, b, c FROM t ORDER BY a, b, c")
    gone = data.draw(st.sampled_from(sorted(rows, key=repr)))
    others = rows - {gone} | {data.draw(st.tuples(_values, _values, _values))}
    if others != rows:
        assert first != told(table_of(tmp_path, others), "SELECT a, b, c FROM t ORDER BY a, b, c")


def test_what_no_record_holds_is_left_to_sqlite(tmp_path: Path) -> None:
    for value in (1.5, "x" * 2**14, b"x" * 2**14):
        assert told(table_of(tmp_path, {(1, 2, value)}), "SELECT a, b, c FROM t") is None
    longest = table_of(tmp_path, {(1, 2, "x" * (2**14 - 1))})
    assert told(longest, "SELECT a, b, c FROM t") is not None
    wide = ", ".join(["c"] * 9)  # more than there is room for
    assert told(longest, f"SELECT {wide} FROM t", 9, 1) is None


# Whether it is asked, and giving it up


def test_it_is_asked_of_files_with_many_records(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_ready", False)  # few records are worth it where compiled code is loaded
    engine = open_engine(f"sqlite:///{file}")
    monkeypatch.setattr(compiled, "WORTH_LOADING", 19)
    assert open_indexes(engine) is None
    monkeypatch.setattr(compiled, "WORTH_LOADING", 18)
    found = open_indexes(engine)
    assert found is not None
    found.close()
    with writing(engine) as connection:
        connection.exec_driver_sql("DROP TABLE chain_head")
    assert open_indexes(engine) is None, "SQLite's own check is to say what is the matter"
    engine.dispose()
    assert open_indexes(open_engine("sqlite://")) is None


def test_a_file_that_is_none_of_sqlites_is_left_to_its_driver(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database" * 1000)
    with closing(Indexes(tmp_path / "text.db")) as indexes:
        assert not indexes.are_sound()
    with pytest.raises(Unreadable):
        Indexes(tmp_path / "nothing.db")


def test_what_runs_in_another_thread_is_interrupted(file: Path) -> None:
    opened, ended = Snapshot(file), []

    def count_for_ever() -> None:
        with pytest.raises(Unreadable):
            opened.rows("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n")
        ended.append(True)

    thread = threading.Thread(target=count_for_ever)
    thread.start()
    while thread.is_alive():
        opened.interrupt()
        thread.join(0.01)
    assert ended == [True]
    opened.close()
    opened.interrupt()  # comes too late, and harms nothing
