"""What is wrong with a database is said in a sentence, with what to do; and nothing is left behind."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, inspect, make_url, text

import flasktrack.store.engine as engine_module
from flasktrack.errors import DatabaseError, SchemaError
from flasktrack.store.engine import (
    VERSION_TABLE,
    check_schema,
    initialize,
    is_blank,
    open_database,
    open_engine,
    sqlite_file,
    writing,
)
from tests.store.samples import everything, organizations

SECRET = "s3cr3t-Pa55"


@pytest.fixture
def raw(database_url: str) -> Iterator[Engine]:
    """An engine over a database without FlaskTrack's schema."""
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


def tables(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(inspect(connection).get_table_names())


def run(engine: Engine, *statements: str) -> None:
    with writing(engine) as connection:
        for statement in statements:
            connection.execute(text(statement))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "url",
    [
        "", "flasktrack.db", "mysql://host/name", "nonsense://x", "sqlite", "postgresql+asyncpg://h/x", "oracle://",
        f"postgresql://user:{SECRET}@host:port/name", f"postgresql://user:{SECRET}@[::1/name", f"mysql://u:{SECRET}@h/n",
        "sqlite:///file.db?timeout=soon",
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_with_what_one_looks_like(url: str) -> None:
    with pytest.raises(DatabaseError, match=r"sqlite:///path/to/file\.db or postgresql://") as refusal:
        check_schema(open_engine(url))
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
@pytest.mark.parametrize("options", ["", "?connect_timeout=5", "?nonsense=1"])
def test_a_server_that_cannot_be_reached_is_told_without_the_password(scheme: str, options: str) -> None:
    engine = open_engine(f"{scheme}://user:{SECRET}@127.0.0.1:1/name{options}")
    for attempt in (check_schema, initialize, is_blank):
        with pytest.raises(DatabaseError, match="can't be reached") as refusal:
            attempt(engine)
        assert SECRET not in str(refusal.value) + repr(refusal.value)
        assert "\n" not in str(refusal.value)


def test_a_database_that_the_server_does_not_have_is_named(postgresql_url: str) -> None:
    engine = open_engine(make_url(postgresql_url).set(database="nowhere").render_as_string(hide_password=False))
    with pytest.raises(DatabaseError, match=r"can't be reached.*nowhere.*does not exist"):
        check_schema(engine)


def test_a_missing_file_is_named_and_not_created(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere" / "flasktrack.db"
    with pytest.raises(DatabaseError, match=rf"no database at {missing}.*flasktrack init"):
        open_database(f"sqlite:///{missing}")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}")
    with pytest.raises(DatabaseError, match="no database"):
        check_schema(engine)
    with pytest.raises(DatabaseError, match="can't be opened"):
        initialize(engine)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DatabaseError, match=f"folder {tmp_path / 'file' / 'data'} can't be made"):
        initialize(open_engine(f"sqlite:///{tmp_path}/file/data/flasktrack.db"))


def test_a_file_that_is_no_database_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_bytes(b"These are my notes, and not a database. " * 100)
    before = contents(tmp_path)
    engine = open_engine(f"sqlite:///{file}")
    for attempt in (check_schema, initialize, is_blank):
        with pytest.raises(DatabaseError, match=r"is not an SQLite database. Check the path"):
            attempt(engine)
    assert contents(tmp_path) == before


def test_a_schema_that_is_too_new_is_left_alone(engine: Engine) -> None:
    organizations(engine)
    if engine.dialect.name == "postgresql":
        run(engine, f"ALTER TABLE {VERSION_TABLE} ALTER version_num TYPE text")
    before = everything(engine)
    for version in ("9999", "abc", "x" * 1000):
        run(engine, f"UPDATE {VERSION_TABLE} SET version_num = '{version}'")
        for attempt in (check_schema, initialize):
            with pytest.raises(SchemaError, match=r"newer than this version of FlaskTrack. Upgrade") as refusal:
                attempt(engine)
            assert len(str(refusal.value)) < 250
    assert everything(engine) == before


def test_a_schema_that_is_too_old_is_told_how_to_be_upgraded(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    current = engine_module._known_versions()
    monkeypatch.setattr(engine_module, "_known_versions", lambda: ("9999", *current))
    with pytest.raises(
        SchemaError, match=rf"older schema {current[0]}; this version needs 9999. Back it up, then run: .* init"
    ):
        check_schema(engine)


def test_a_database_of_somebody_else_is_told_and_left_alone(raw: Engine) -> None:
    run(raw, "CREATE TABLE sample (id INTEGER)", "CREATE TABLE organization (id INTEGER)")
    with pytest.raises(SchemaError, match=r"no FlaskTrack tables"):
        check_schema(raw)
    with pytest.raises(
        SchemaError, match=r"has a table organization that is not FlaskTrack's. Choose another database"
    ):
        initialize(raw)
    assert tables(raw) == {"sample", "organization"}
    file = sqlite_file(raw)
    if file is not None:
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


@pytest.mark.parametrize("column", ["version_num", "something"])
def test_a_version_table_without_a_version_is_not_ours(raw: Engine, column: str) -> None:
    run(raw, f"CREATE TABLE {VERSION_TABLE} ({column} VARCHAR(32))")
    with pytest.raises(SchemaError, match="no FlaskTrack tables"):
        check_schema(raw)
    with pytest.raises(SchemaError, match=f"table {VERSION_TABLE} that is not FlaskTrack's"):
        initialize(raw)
    assert tables(raw) == {VERSION_TABLE}


def test_the_labs_own_tables_may_stand_beside_flasktracks(raw: Engine) -> None:
    assert is_blank(raw)
    run(raw, "CREATE TABLE sample (id INTEGER)")
    assert not is_blank(raw)
    initialize(raw)
    check_schema(raw)
    assert {"sample", "audit_record", VERSION_TABLE} <= tables(raw)


def test_a_migration_that_fails_leaves_no_table_behind(raw: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("sqlite_triggers", "postgresql_triggers"):
        monkeypatch.setattr(f"flasktrack.store.triggers.{kind}", lambda: ["CREATE TRIGGER on nothing"])
    with pytest.raises(Exception, match="syntax error"):
        initialize(raw)
    assert tables(raw) == set()
    monkeypatch.undo()
    initialize(raw)
    check_schema(raw)


def test_init_makes_missing_folders(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/100% new/data/flasktrack.db")
    initialize(engine)
    check_schema(engine)
    engine.dispose()


def test_two_inits_at_once_make_one_schema(database_url: str) -> None:
    engines = [open_engine(database_url) for _ in range(3)]
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(initialize, engines))
    check_schema(engines[0])
    for engine in engines:
        engine.dispose()


def test_text_is_compared_without_case_in_every_alphabet(engine: Engine) -> None:
    with engine.connect() as connection:
        assert connection.execute(text("SELECT lower('ÅNGSTRÖM Ж')")).scalar() == "ångström ж"


def test_the_servers_own_zone_is_not_taken(postgresql_engine: Engine) -> None:
    run(postgresql_engine, f"ALTER DATABASE {postgresql_engine.url.database} SET TimeZone = 'Asia/Tokyo'")
    postgresql_engine.dispose()
    for _ in range(2):  # a new connection, and the same one from the pool
        with postgresql_engine.connect() as connection:
            assert connection.execute(text("SHOW TimeZone")).scalar() == "UTC"


def test_a_file_that_keeps_text_as_utf_16_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "utf16.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA encoding = 'UTF-16le'")
        connection.execute("CREATE TABLE t (x)")
        connection.execute("DROP TABLE t")
    before = contents(tmp_path)
    engine = open_engine(f"sqlite:///{file}")
    for check in (initialize, check_schema):
        with pytest.raises(SchemaError, match=r"UTF-16le, not as UTF-8.*another file"):
            check(engine)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_server_database_that_keeps_text_otherwise_is_refused(postgresql_url: str, encoding: str) -> None:
    name = f"{make_url(postgresql_url).database}_other"
    here = open_engine(postgresql_url)
    with here.connect().execution_options(isolation_level="AUTOCOMMIT") as console:
        create = f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"
        console.exec_driver_sql(create)
        other = open_engine(make_url(postgresql_url).set(database=name).render_as_string(hide_password=False))
        try:
            for check in (initialize, check_schema):
                with pytest.raises(SchemaError, match=rf"{encoding}, not as UTF-8.*ENCODING 'UTF8'"):
                    check(other)
            assert tables(other) == set()
        finally:
            other.dispose()
            console.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    here.dispose()
