"""Rows go to the database in bulk, as the driver takes them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table


def insert_rows(connection: Connection, table: Table, rows: list[tuple[Any, ...]]) -> None:
    """INSERT through the driver: SQLAlchemy's handling of each parameter would cost more than the hashing does.

    PostgreSQL reads the spec's time text as timestamptz by itself. OR FAIL is explained in triggers.py.
    """
    if not rows:
        return
    sqlite = connection.dialect.name == "sqlite"
    insert = "INSERT OR FAIL" if sqlite else "INSERT"
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    marks = ", ".join("?" if sqlite else "%s" for _ in table.columns)
    connection.exec_driver_sql(f"{insert} INTO {table.name} ({names}) VALUES ({marks})", rows)
