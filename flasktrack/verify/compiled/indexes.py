"""Does every index of an SQLite database hold what its table holds?

SQLite's integrity check takes each row, and seeks it in every index. Here each index of the large tables is read once
from end to end, and so is its table, which proves the same in less time:

1. An index's entries ascend strictly, in SQLite's own order (those of a unique one by its key alone), as the rows of
   the table do. So a seek finds what is there.
2. They are the table's rows, projected on the index's columns: see entries.py.

Pages, and whatever belongs to the other tables, SQLite itself checks.

Nothing here accuses anybody: where it is not certain that all is well, SQLite's integrity check is asked.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from flasktrack.store.schema import audit_payload, audit_record, record_link
from flasktrack.verify.compiled.cells import Unreadable
from flasktrack.verify.compiled.entries import Told, tell_rows
from flasktrack.verify.compiled.siphash import KEY_BYTES, Words
from flasktrack.verify.compiled.snapshot import Snapshot

LARGE = (audit_record.name, audit_payload.name, record_link.name)
"""The tables that grow with every record."""

_ROWID = "rowid"


class _Index(NamedTuple):
    name: str
    columns: tuple[str, ...]
    """What an entry holds: the key's columns first, then those that say which row it belongs to."""
    ordered: int
    """How many of its columns no two entries have in common."""


class _Table(NamedTuple):
    name: str
    key: tuple[str, ...]
    clustered: str | None
    """The index that is the table itself, as those WITHOUT ROWID have it."""
    indexes: list[_Index]


class Indexes:
    """The indexes of a database file, at one moment."""

    def __init__(self, file: Path) -> None:
        """Raises Unreadable."""
        self._snapshot = Snapshot(file)
        self._hash_key: Words = np.frombuffer(os.urandom(KEY_BYTES), dtype=np.uint64)

    def are_sound(self) -> bool:
        """Whether SQLite's integrity check would find nothing; False also where that is not certain."""
        try:
            # SQLite's own checks come first: they would take what `_entries` lays over an index for a damaged table.
            return self.others_are_sound() and all(self.agree_with(table) for table in LARGE)
        except Unreadable:
            return False

    def others_are_sound(self) -> bool:
        """Whether SQLite finds nothing wrong with the file's pages, nor with any table that is not LARGE.

        Raises Unreadable.
        """
        if not self._finds_nothing("quick_check"):
            return False
        # As SQLite itself reads the catalog: the names that stand beside its definitions may be others.
        tables = {row[1] for row in self._snapshot.rows("PRAGMA table_list") if row[0] == "main"}
        others = [table.replace("'", "''") for table in sorted(tables - set(LARGE))]
        return tables >= set(LARGE) and all(self._finds_nothing(f"integrity_check('{table}')") for table in others)

    def agree_with(self, table: str) -> bool:
        """Whether each index of one of the LARGE tables holds what the table holds. Raises Unreadable."""
        found = self._table(table)
        rows = self._rows(found)
        return rows == [self._entries(found, index) for index in found.indexes]

    def interrupt(self) -> None:
        """Make `are_sound` come to an end in another thread, with whatever answer."""
        self._snapshot.interrupt()

    def close(self) -> None:
        """Let go of the file."""
        self._snapshot.close()

    def _finds_nothing(self, pragma: str) -> bool:
        return self._snapshot.rows(f"PRAGMA {pragma}") == [("ok",)]

    def _table(self, name: str) -> _Table:
        """A table and its indexes, as SQLite itself reads the catalog. Raises Unreadable for kinds that it has not."""
        kinds = [row[2:5:2] for row in self._snapshot.rows("PRAGMA table_list") if row[:2] == ("main", name)]
        if kinds not in ([("table", "0")], [("table", "1")]):
            raise Unreadable
        without_rowid = kinds == [("table", "1")]
        table = _Table(name, (_ROWID,), None, [])
        for row in self._snapshot.rows(f"PRAGMA index_list({_quoted(name)})"):
            index, unique, origin, partial = row[1:5]
            columns = self._snapshot.rows(f"PRAGMA index_xinfo({_quoted(index)})")
            ascending = all(column[3:5] == ("0", "BINARY") for column in columns)
            if partial != "0" or not ascending or any(int(column[1]) < -1 for column in columns):  # -2: an expression
                raise Unreadable
            names = tuple(column[2] or _ROWID for column in columns)
            key = tuple(column[2] for column in columns if column[5] == "1")
            if without_rowid and origin == "pk":
                table = table._replace(key=key, clustered=index)
            else:
                table.indexes.append(_Index(index, names, len(key) if unique == "1" else len(names)))
        return table

    def _rows(self, table: _Table) -> list[Told]:
        """What each index has to hold. Raises Unreadable."""
        others = {column for index in table.indexes for column in index.columns} - set(table.key)
        columns = (*table.key, *sorted(others))
        way = "NOT INDEXED" if table.clustered is None else f"INDEXED BY {_quoted(table.clustered)}"
        sql = f"SELECT {_listed(columns)} FROM {_quoted(table.name)} {way}"
        self._expect(sql, f"SCAN {table.name}")
        projections = [[columns.index(column) for column in index.columns] for index in table.indexes]
        return tell_rows(self._snapshot, self._hash_key, sql, len(columns), len(table.key), projections)

    def _entries(self, table: _Table, index: _Index) -> Told:
        """What an index holds. Raises Unreadable."""
        columns = _listed(index.columns)
        sql = f"SELECT {columns} FROM {_quoted(table.name)} INDEXED BY {_quoted(index.name)}"
        plan = f"SCAN {table.name} USING COVERING INDEX {index.name}"
        if table.clustered is not None:
            # For the index of a constraint SQLite would look up each row, though the entry has all that is asked for.
            root = self._root(
                f"SELECT {_quoted(index.columns[0])} FROM {_quoted(table.name)} INDEXED BY {_quoted(index.name)}"
            )
            name = f"entries of {index.name}"
            self._snapshot.lay_over(
                root, f"CREATE TABLE {_quoted(name)} ({columns}, PRIMARY KEY ({columns})) WITHOUT ROWID"
            )
            sql, plan = f"SELECT {columns} FROM {_quoted(name)}", f"SCAN {name}"
            if self._root(sql) != root:
                raise Unreadable
        self._expect(sql, plan)
        projection = range(len(index.columns))
        (told,) = tell_rows(self._snapshot, self._hash_key, sql, len(index.columns), index.ordered, [projection])
        return told

    def _expect(self, sql: str, plan: str) -> None:
        """Raise Unreadable unless SQLite gives rows as they stand there: from nowhere else, and not sorted first."""
        if [row[3] for row in self._snapshot.rows(f"EXPLAIN QUERY PLAN {sql}")] != [plan]:
            raise Unreadable

    def _root(self, sql: str) -> int:
        """The root page of the one index or table that a statement reads. Raises Unreadable where there are more."""
        opened = [row for row in self._snapshot.rows(f"EXPLAIN {sql}") if row[1].startswith(("Open", "Sorter"))]
        if len(opened) != 1 or opened[0][1] != "OpenRead":
            raise Unreadable
        return int(opened[0][3])


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(map(_quoted, columns))
