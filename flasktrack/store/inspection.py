"""Are the tables what FlaskTrack's schema says, so that everybody who reads them reads the same?

A verification reads every record by its position. A page may read by another index, and whoever owns the database can
make the two see different rows: with a view or a rule in a table's place, row security, a trigger that swallows what
is appended, an index that leaves rows out. `inspect_tables` compares what the catalog says with what the migrations
make; `IndexCheck` holds what the indexes contain against their tables. Both answer in sentences, or with none where
all is well.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import lru_cache
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

import psycopg
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from flasktrack.errors import FlaskTrackError
from flasktrack.store.engine import initialize, open_engine, sqlite_file
from flasktrack.store.inspection_postgresql import damaged_indexes, inspect_postgresql
from flasktrack.store.inspection_words import SHOWN, listed, name_shown
from flasktrack.store.schema import metadata

_MIGRATING = threading.Lock()  # Alembic keeps its state in modules: two threads would disturb each other
_MESSAGES = 100  # of SQLite's integrity check; one is enough to know


def inspect_tables(connection: Connection) -> list[str]:
    """What makes the tables other than what FlaskTrack's schema says; a sentence each, for a QA lead.

    Reads the catalog alone (a few milliseconds): not what tables and indexes hold.
    """
    return inspect_postgresql(connection) if connection.dialect.name == "postgresql" else _inspect_sqlite(connection)


class _Made(NamedTuple):
    """A row of sqlite_master; `sql` is None for the index of a key, and otherwise has single spaces."""

    kind: str
    name: str
    table: str
    sql: str | None


def _inspect_sqlite(connection: Connection) -> list[str]:
    found = Counter(_objects(connection))
    missing = _as_migrated() - found
    extra = [made for made in found - _as_migrated() if _concerns(made)]
    there = {made.name.lower() for made in found}
    sentences = []
    guards = sorted(made.name for made in missing if made.kind == "trigger")
    if guards:
        sentences.append(f"The guards of the append-only tables are gone, or not as they were made: {listed(guards)}.")
    for made in sorted(missing, key=lambda made: made.name):
        if made.kind != "trigger" and made.name.lower() not in there:
            sentences.append(f"The {made.kind} {made.name} is gone.")
    known = {made.name.lower(): made.kind for made in _as_migrated()}
    for made in sorted(extra, key=lambda made: made.name):
        name = name_shown(made.name)
        kind = known.get(made.name.lower())
        if kind is None:
            sentences.append(f"FlaskTrack did not make the {made.kind} {name} of the table {name_shown(made.table)}.")
        elif kind != made.kind:
            sentences.append(f"In place of the {kind} {name} there is a {made.kind}: {(made.sql or '')[:SHOWN]}.")
        elif kind != "trigger":  # of those it was said
            sentences.append(f"The {kind} {name} is not what FlaskTrack made: {(made.sql or '')[:SHOWN]}.")
    return sentences


def _objects(connection: Connection) -> Iterator[_Made]:
    # Two rows may bear the same name, where somebody wrote them there.
    for kind, name, table, sql in connection.execute(text("SELECT type, name, tbl_name, sql FROM main.sqlite_master")):
        yield _Made(str(kind), str(name), str(table), None if sql is None else " ".join(str(sql).split()))


def _concerns(made: _Made) -> bool:
    return made.table.lower() in metadata.tables or made.name.lower() in metadata.tables


def _as_migrated() -> Counter[_Made]:
    """What the migrations make, taken from an empty database in memory."""
    with _MIGRATING:
        return _migrated()


@lru_cache
def _migrated() -> Counter[_Made]:
    engine = open_engine("sqlite://")
    try:
        initialize(engine)
        with engine.connect() as connection:
            return Counter(made for made in _objects(connection) if _concerns(made))
    finally:
        engine.dispose()


class QuickCheck(Protocol):
    """Another way to find that the indexes of an SQLite database are sound."""

    def are_sound(self) -> bool:
        """Whether SQLite's integrity check would find nothing; False also where that is not certain."""
        ...

    def interrupt(self) -> None:
        """Make `are_sound` come to an end in another thread, with whatever answer."""
        ...

    def close(self) -> None:
        """Let go of what was opened."""
        ...


class IndexCheck:
    """Holds what every index contains against its table, in a thread of its own beside a verification.

        with IndexCheck(engine) as indexes:
            ...                     # verify one organization, or all of them: indexes belong to the whole database
            indexes.sentences()     # waits until it is done

    In SQLite `quick`, where it gives a check, and where that is not content, SQLite's own integrity check: 5 and 9 µs
    of a processor for each record. Neither takes any Python, so that it runs beside the verification. In PostgreSQL
    the server's extension amcheck, where the database has it and the user may call it.
    """

    def __init__(self, engine: Engine, quick: Callable[[Engine], QuickCheck | None] = lambda _: None) -> None:
        self._engine = engine
        self._quick = quick
        self._found: list[str] = []
        self._problem: Exception | None = None
        self._driver: Any = None
        self._given_up = False
        self._thread = threading.Thread(target=self._run, name="index check", daemon=True)

    def __enter__(self) -> Self:
        if self._engine.dialect.name == "sqlite" and sqlite_file(self._engine) is None:
            self._run()  # a database in memory is its own thread's alone
        else:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._given_up = True
        while self._thread.is_alive():
            driver = self._driver
            if driver is not None:
                driver.cancel() if isinstance(driver, psycopg.Connection) else driver.interrupt()
            self._thread.join(0.05)

    def sentences(self) -> list[str]:
        """What was found, once it is. Raises DatabaseError."""
        if self._thread.is_alive():
            self._thread.join()
        if self._problem is not None:
            raise self._problem
        return self._found

    def _run(self) -> None:
        try:
            if self._are_sound():
                return
            with self._engine.connect() as connection:
                self._driver = connection.connection.dbapi_connection
                try:
                    if not self._given_up:
                        self._found = _damaged(connection)
                finally:
                    self._driver = None
        except (FlaskTrackError, SQLAlchemyError) as problem:
            self._problem = problem

    def _are_sound(self) -> bool:
        quick = self._quick(self._engine)
        if quick is None:
            return False
        with closing(quick):
            self._driver = quick
            try:
                return not self._given_up and quick.are_sound()
            finally:
                self._driver = None


def _damaged(connection: Connection) -> list[str]:
    if connection.dialect.name == "postgresql":
        return damaged_indexes(connection)
    said = connection.execute(text(f"PRAGMA integrity_check({_MESSAGES})")).scalars().all()
    # What a column holds of another type than it should is found by the hashes, and named by position.
    problems = [str(message) for message in said if message != "ok" and " value in " not in str(message)]
    if not problems and len(said) < _MESSAGES:
        return []
    shown = problems or said  # where there is no room for anything else, it can't be known that all else is well
    return [f"An index or table does not hold what it should. SQLite says: {listed([p[:SHOWN] for p in shown])}."]
