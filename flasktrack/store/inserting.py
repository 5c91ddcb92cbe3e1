"""Rows go to the database in bulk, in the form that the driver takes at the least cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import Column, Connection, Dialect, LargeBinary, Table

_FEW = 5  # rows: PostgreSQL takes as long to plan one statement for all as for so many of them
_JSON_CHARACTERS = 64 * 1024**2  # in one statement; PostgreSQL takes at most 1 GB


def insert_columns(connection: Connection, table: Table, columns: Sequence[Sequence[Any]]) -> None:
    """INSERT rows that are given as the table's columns in their order; where there are none, nothing is done.

    Through the driver: SQLAlchemy's handling of each parameter would cost more than the hashing does.
    """
    if not columns:
        return
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(_sqlite_insert(table), _for_sqlite(table, columns))
    elif len(columns[0]) < _FEW:
        statement = _postgresql_insert(connection.dialect, table, "%s")
        connection.exec_driver_sql(statement, list(zip(*columns, strict=True)))
    else:
        _insert_as_json(connection, table, columns)


def _insert_as_json(connection: Connection, table: Table, columns: Sequence[Sequence[Any]]) -> None:
    """INSERT into PostgreSQL with one JSON text for each column.

    That is two thirds of the server's work, and a tenth of the driver's, of a statement for each row. COPY would be
    faster still, but row security does not allow it.
    """
    texts = tuple(map(_json_column, table.columns, columns))
    if sum(map(len, texts)) <= _JSON_CHARACTERS:
        statement = _postgresql_insert(connection.dialect, table, "json_array_elements_text(%s::json)")
        connection.exec_driver_sql(statement, texts)
    else:
        half = len(columns[0]) // 2
        for part in (slice(half), slice(half, None)):
            insert_columns(connection, table, [values[part] for values in columns])


@lru_cache
def _postgresql_insert(dialect: Dialect, table: Table, value: str) -> str:
    """The statement; the spec's time text and a digest's hex digits are cast as any text is."""
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    values = ", ".join(f"{value}::{column.type.compile(dialect)}" for column in table.columns)
    return f"INSERT INTO {table.name} ({names}) SELECT {values}"


def _json_column(column: Column[Any], values: Sequence[Any]) -> str:
    if isinstance(column.type, LargeBinary):
        values = [None if value is None else f"\\x{value.hex()}" for value in values]
    return orjson.dumps(list(values)).decode()


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
