"""An SQLite database as it stands at one moment, read by the library that Python's sqlite3 uses, over a connection of
its own that only reads."""

from __future__ import annotations

import ctypes
import os
import threading
from pathlib import Path

from flasktrack.verify.compiled.cells import Unreadable
from flasktrack.verify.compiled.symbols import sqlite_library

OK, ROW, DONE = 0, 100, 101
TYPE_INTEGER, TYPE_TEXT, TYPE_BLOB, TYPE_NULL = 1, 3, 4, 5
"""What `sqlite3_column_type` says."""

_READ_ONLY, _NO_MUTEX = 0x1, 0x8000
"""One thread at a time uses the connection, so its library need not lock it at each call."""
_IMPOSTER = 25
_BUSY_MILLISECONDS = 30_000


class Snapshot:
    """One read transaction over a file."""

    def __init__(self, file: Path) -> None:
        """Begin it. Raises Unreadable, as every method but `interrupt` and `close`."""
        library = sqlite_library()
        if library is None:
            raise Unreadable
        self._library = library
        self._connection = ctypes.c_void_p()
        self._statements: list[ctypes.c_void_p] = []
        self._closing = threading.Lock()
        try:
            name, flags = os.fsencode(file.resolve()), _READ_ONLY | _NO_MUTEX
            self._check(library.sqlite3_open_v2(name, ctypes.byref(self._connection), flags, None))
            self._check(library.sqlite3_busy_timeout(self._connection, _BUSY_MILLISECONDS))
            self.run("BEGIN")
        except Unreadable:
            self.close()
            raise

    def run(self, sql: str) -> None:
        """Run a statement that gives no rows."""
        self._check(
            self._library.sqlite3_exec(self._connection, sql.encode(errors="surrogateescape"), None, None, None)
        )

    def prepare(self, sql: str) -> int:
        """A statement, which lives until `close`."""
        statement = ctypes.c_void_p()
        prepared = self._library.sqlite3_prepare_v2(
            self._connection, sql.encode(errors="surrogateescape"), -1, ctypes.byref(statement), None
        )
        self._check(prepared)
        self._statements.append(statement)
        assert statement.value is not None  # noqa: S101 (the statements are ours, and not empty)
        return statement.value

    def rows(self, sql: str) -> list[tuple[str, ...]]:
        """All rows of a statement that gives few of them, each value as text, null as the empty text."""
        library, statement, found = self._library, ctypes.c_void_p(self.prepare(sql)), []
        library.sqlite3_column_text.restype = ctypes.c_char_p
        columns = range(library.sqlite3_column_count(statement))
        while (status := library.sqlite3_step(statement)) == ROW:
            values = (library.sqlite3_column_text(statement, column) for column in columns)
            found.append(tuple((value or b"").decode(errors="surrogateescape") for value in values))
        self._check(status, DONE)
        return found

    def lay_over(self, root: int, sql: str) -> None:
        """Take what begins at a root page for a table, as CREATE TABLE has it; nothing is written, and no other
        connection knows of it.

        An index in the same form as a table WITHOUT ROWID: SQLite calls that an imposter table.
        """
        library = self._library
        if not hasattr(library, "sqlite3_test_control"):
            raise Unreadable
        library.sqlite3_test_control.argtypes = [ctypes.c_int]  # the others are variadic
        main = ctypes.c_char_p(b"main")
        library.sqlite3_test_control(_IMPOSTER, self._connection, main, 1, root)
        try:
            self.run(sql)
        finally:
            library.sqlite3_test_control(_IMPOSTER, self._connection, main, 0, 0)

    def interrupt(self) -> None:
        """Make what runs in another thread fail."""
        with self._closing:
            if self._connection.value is not None:
                self._library.sqlite3_interrupt(self._connection)

    def close(self) -> None:
        """End the transaction, and let go of the file."""
        with self._closing:
            for statement in self._statements:
                self._library.sqlite3_finalize(statement)
            self._statements = []
            self._library.sqlite3_close(self._connection)
            self._connection = ctypes.c_void_p()

    def _check(self, status: int, wanted: int = OK) -> None:
        if status != wanted:
            raise Unreadable
