"""Opening a database, making its schema, and saying plainly what is wrong with it.

SQLite runs in WAL mode with full synchronization: a commit that returned is on the disk. Its transactions begin
explicitly (BEGIN, or BEGIN IMMEDIATE for writers), since a transaction that reads first and writes later can't get
the write lock once another writer has committed in between.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from psycopg.abc import Buffer
from psycopg.adapt import Loader
from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from flasktrack.core.clocks import local_hour
from flasktrack.errors import DatabaseError, DatabaseReadOnly, SchemaError
from flasktrack.store import roles, row_security, time_limit
from flasktrack.store.schema import metadata
from flasktrack.store.time_limit import too_long

VERSION_TABLE = "flasktrack_schema"
BUSY_SECONDS = 30  # how long a writer waits for another one; an append holds the lock for milliseconds
_CACHE_KIB = 32 * 1024  # the index of prev_hash is random access: with SQLite's 2 MB each insert reads and evicts
_CHECKPOINT_PAGES = 8192  # 32 MB of write-ahead log before it goes into the database; commits sync the log anyway
_BEGIN = "flasktrack_begin"  # execution option: how a transaction begins in SQLite; empty for not at all
_MIGRATIONS = Path(__file__).parent / "migrations"
_INIT_LOCK = 0x666C61736B  # "flask": the advisory lock that keeps two `init` apart in PostgreSQL


def open_engine(url: str) -> Engine:
    """An engine for a database URL; nothing is opened yet. Raises DatabaseError for a URL that can't be used."""
    try:
        parsed = make_url(url)
        if parsed.drivername in ("postgres", "postgresql"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise ArgumentError
        sqlite = parsed.get_backend_name() == "sqlite"
        options: dict[str, Any] = {"timeout": BUSY_SECONDS} if sqlite else {"client_encoding": "utf8"}
        engine = create_engine(parsed, connect_args=options)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError, ValueError):  # ValueError: a port like "abc"
        raise DatabaseError(
            "That is not a database URL that FlaskTrack can use.",
            "Give sqlite:///path/to/file.db or postgresql://user@host/name.",
        ) from None
    event.listen(engine, "handle_error", _explain)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "connect", _prepare_postgresql)
        event.listen(engine, "begin", row_security.begin)
        event.listen(engine, "begin", time_limit.begin_postgresql)
    return engine


def open_database(url: str) -> Engine:
    """An engine for a database that exists and has this version's schema. Raises DatabaseError, SchemaError."""
    engine = open_engine(url)
    check_schema(engine)
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A connection in a write transaction, committed at the end and rolled back on an error."""
    with engine.connect() as connection:
        connection = connection.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
        with connection.begin():
            yield connection


def sqlite_file(engine: Engine) -> Path | None:
    """The file of an SQLite database; None for PostgreSQL and for a database in memory."""
    name = engine.url.database
    return Path(name) if engine.dialect.name == "sqlite" and name and name != ":memory:" else None


def is_blank(engine: Engine) -> bool:
    """Whether there is no database yet, or one without a single table."""
    file = sqlite_file(engine)
    if file is not None and (not file.exists() or file.stat().st_size == 0):
        return True
    with engine.connect() as connection:
        return not inspect(connection).get_table_names()


def initialize(engine: Engine, *, with_roles: bool = False) -> None:
    """Create the schema, or bring an older one to this version; does nothing where it is current.

    `with_roles` makes PostgreSQL's roles, too (roles.py); where they own the tables already, they stay in force.

    Raises SchemaError where the schema is newer than this version of FlaskTrack, or a table of somebody else's has
    the name of one of FlaskTrack's; DatabaseError where the database can't be reached or written.
    """
    file = sqlite_file(engine)
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise DatabaseError(
                f"The folder {file.parent} can't be made ({problem.strerror}).", "Choose another place."
            ) from None
        with engine.connect() as connection:
            _check_upgradable(connection)
        with engine.connect().execution_options(**{_BEGIN: ""}) as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")  # kept in the file; not possible in a transaction
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _INIT_LOCK})
        _check_upgradable(connection)
        owned = engine.dialect.name == "postgresql" and roles.become_owner(connection, VERSION_TABLE)
        _migrate(connection)
        if with_roles:
            roles.make_roles(connection, VERSION_TABLE)
        elif owned:
            roles.grant(connection, VERSION_TABLE)


def check_schema(engine: Engine) -> None:
    """Raise where the database is missing (DatabaseError), foreign, older or newer than this version (SchemaError)."""
    file = sqlite_file(engine)
    advice = "Check the address, or create a database there with: python -m flasktrack init"
    if file is not None and not file.is_file():
        raise DatabaseError(f"There is no database at {file}.", advice)
    with engine.connect() as connection:
        _check_encoding(connection)
        version = _stored_version(connection)
    if version is None:
        raise SchemaError("This database holds no FlaskTrack tables.", advice)
    if version not in _known_versions():
        raise _too_new(version)
    if version != _known_versions()[0]:
        raise SchemaError(
            f"This database has the older schema {version}; this version needs {_known_versions()[0]}.",
            "Back it up, then run: python -m flasktrack init",
        )


def _check_encoding(connection: Connection) -> None:
    """Raise SchemaError where text is not kept as UTF-8: bodies are hashed as the UTF-8 that they are.

    SQLite would hand out UTF-16 as the bytes of a body, and PostgreSQL turn away what its encoding lacks, or (as
    SQL_ASCII) not look at it at all.
    """
    sqlite = connection.dialect.name == "sqlite"
    encoding = connection.exec_driver_sql("PRAGMA encoding" if sqlite else "SHOW server_encoding").scalar_one()
    if encoding != ("UTF-8" if sqlite else "UTF8"):
        raise SchemaError(
            f"This database keeps text as {encoding}, not as UTF-8, so what it holds can't be hashed as it is.",
            "Choose another file." if sqlite else "Create one WITH ENCODING 'UTF8' TEMPLATE template0, and use that.",
        )


def _check_upgradable(connection: Connection) -> None:
    _check_encoding(connection)
    version = _stored_version(connection)
    if version is None:
        taken = {VERSION_TABLE, *metadata.tables} & set(inspect(connection).get_table_names())
        if taken:
            raise SchemaError(
                f"This database has a table {min(taken)} that is not FlaskTrack's.", "Choose another database."
            )
    elif version not in _known_versions():
        raise _too_new(version)


def _too_new(version: str) -> SchemaError:
    return SchemaError(
        f"This database has the schema {version[:40]}, which is newer than this version of FlaskTrack.",
        "Upgrade FlaskTrack, or give the address of another database.",
    )


def _stored_version(connection: Connection) -> str | None:
    look = inspect(connection)
    if not look.has_table(VERSION_TABLE):
        return None
    if "version_num" not in (column["name"] for column in look.get_columns(VERSION_TABLE)):
        return None
    version = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    return None if version is None else str(version)


def _migrate(connection: Connection) -> None:
    from alembic import command  # here alone: every other command, and the app, would load it for nothing
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@lru_cache
def _known_versions() -> tuple[str, ...]:
    """Schema versions that this code knows, the newest first: each migration's file begins with its own (v0001_...)."""
    names = (file.name for file in (_MIGRATIONS / "versions").glob("v*_*.py"))
    return tuple(sorted((name[1:].partition("_")[0] for name in names), reverse=True))


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy begins transactions (below), not the driver
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    # Text that an intruder stored as broken UTF-8 must arrive, and fail its hash, rather than stop the reader.
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")
    # SQLite folds case for ASCII only; a search for Ångström should find ångström, as it does in PostgreSQL.
    connection.create_function("lower", 1, _lower, deterministic=True)
    connection.create_function("local_hour", 2, local_hour, deterministic=True)  # SQLite knows no time zones


def _prepare_postgresql(connection: Any, _: Any) -> None:
    # The server's own zone would push a time near the year 9999 out of what a datetime holds.
    connection.execute("SET TIME ZONE 'UTC'; SET datestyle = 'ISO'")
    connection.commit()
    connection.adapters.register_loader("timestamptz", _TimeLoader)


class _TimeLoader(Loader):
    """A datetime; the server's text where an intruder stored what a datetime can't hold (infinity, 44 BC)."""

    def load(self, data: Buffer) -> datetime | str:
        text = bytes(data).decode()
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            return text


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _begin_sqlite(connection: Connection) -> None:
    time_limit.begin_sqlite(connection)
    begin = connection.get_execution_options().get(_BEGIN, "BEGIN")
    if begin:
        connection.exec_driver_sql(begin)


_SQLITE_PROBLEMS = {
    sqlite3.SQLITE_BUSY: ("is locked by another program", "Wait until it has finished, then try again."),
    sqlite3.SQLITE_LOCKED: ("is locked by another program", "Wait until it has finished, then try again."),
    sqlite3.SQLITE_FULL: ("could not grow: the disk is full", "Free some space, then try again. Nothing was written."),
    sqlite3.SQLITE_READONLY: ("can't be written", "Check who owns the file and its folder."),
    sqlite3.SQLITE_PERM: ("can't be opened", "Check who may read the file and its folder."),
    sqlite3.SQLITE_CANTOPEN: ("can't be opened", "Check the path, and who may read the file and its folder."),
    sqlite3.SQLITE_NOTADB: ("is not an SQLite database", "Check the path; restore the file from a backup."),
    sqlite3.SQLITE_CORRUPT: ("is damaged", "Keep the file as evidence, and restore it from a backup."),
    sqlite3.SQLITE_IOERR: ("could not be read or written", "Check the disk, then try again."),
}

_POSTGRES_PROBLEMS = {
    "53100": ("could not grow: the disk is full", "Free some space, then try again. Nothing was written."),
    "55P03": ("is locked by another program", "Wait until it has finished, then try again."),
    "40001": ("was written by somebody else meanwhile", "Try again. Nothing was written."),
    "40P01": ("was written by somebody else meanwhile", "Try again. Nothing was written."),
    "42501": ("refuses this to the database user", "Ask its owner for the right to do it."),
    "25006": ("can't be written", "It is read-only; give the address of the primary server."),
}

_READ_ONLY = {sqlite3.SQLITE_READONLY, "25006", "42501"}
_GIVEN_UP = {sqlite3.SQLITE_INTERRUPT, "57014"}


def _explain(context: ExceptionContext) -> DatabaseError | None:
    """Turn what the database reports into a sentence for the user; what SQLAlchemy made of it stays otherwise."""
    original = context.original_exception
    name = sqlite3.Error.__module__
    code: int | str
    if type(original).__module__ == name:
        code = (getattr(original, "sqlite_errorcode", None) or 0) & 0xFF
        problem = _SQLITE_PROBLEMS.get(code)
    else:
        code = getattr(original, "sqlstate", None) or ""
        problem = _POSTGRES_PROBLEMS.get(code)
        # Not connected yet: the server's refusal, or (ProgrammingError) an option in the URL that there isn't.
        if problem is None and context.connection is None:
            problem = ("can't be reached", f"The server says: {_first_line(original)}")
    if code in _GIVEN_UP:
        return too_long()
    if problem is None:
        return None
    return (DatabaseReadOnly if code in _READ_ONLY else DatabaseError)(f"The database {problem[0]}.", problem[1])


def _first_line(problem: BaseException) -> str:
    return (str(problem).strip().splitlines() or ["nothing"])[0]
