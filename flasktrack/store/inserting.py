"""Rows go to the database in bulk, in the form that the driver takes at the least cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Column, Connection, LargeBinary, Table


def insert_columns(connection: Connection, table: Table, columns: Sequence[Sequence[Any]]) -> None:
    """INSERT rows that are given as the table's columns in their order; where there are none, nothing is done.

    Through the driver: SQLAlchemy's handling of each parameter would cost more than the hashing does.
    PostgreSQL reads the spec's time text as timestamptz by itself.
    """
    if not columns:
        return
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(_sqlite_insert(table), _for_sqlite(table, columns))
    else:
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        marks = ", ".join("%s" for _ in table.columns)
        rows = list(zip(*columns, strict=True))
        connection.exec_driver_sql(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", rows)


@lru_cache
def _sqlite_insert(table: Table) -> str:
    """The statement for rows of `_for_sqlite`. OR FAIL is explained in triggers.py.

    CASE and not NULLIF: a statement with a function could fail midway, for all SQLite knows, and would keep a journal.
    """
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    values = ", ".join(
        f"CASE WHEN ?{place} <> 0 THEN ?{place} END" if column.nullable else f"?{place}"
        for place, column in enumerate(table.columns, 1)
    )
    return f"INSERT OR FAIL INTO {table.name} ({names}) VALUES ({values})"


def _for_sqlite(table: Table, columns: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """The rows with 0 for null and bytearray for bytes.

    For each None and each bytes Python's driver asks who adapts it, and is answered by an exception: with a dozen of
    them in a record that took a third of the whole insert.
    """
    return list(zip(*map(_column_for_sqlite, table.columns, columns), strict=True))


def _column_for_sqlite(column: Column[Any], values: Sequence[Any]) -> Iterable[Any]:
    if not isinstance(column.type, LargeBinary):
        return [0 if value is None else value for value in values] if column.nullable else values
    if not column.nullable:
        return map(bytearray, values)
    return [0 if value is None else bytearray(value) for value in values]
