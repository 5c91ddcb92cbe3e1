"""Inserting many rows into the copy at once, as each engine takes them quickest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, Table, insert

_TYPES = {"TEXT": pa.string(), "BIGINT": pa.int64(), "DATETIME": pa.timestamp("us")}


def arrow_schema(table: Table) -> pa.Schema:
    """The table's columns as Arrow has them."""
    return pa.schema([(column.name, _TYPES[str(column.type)]) for column in table.columns])


def as_arrow(table: Table, rows: Sequence[Sequence[Any]]) -> pa.Table:
    """Rows that hold the table's columns, in their order."""
    schema = arrow_schema(table)
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    return pa.table([pa.array(values, type_) for values, type_ in zip(columns, schema.types, strict=True)], schema)


def insert_rows(connection: Connection, table: Table, rows: pa.Table) -> None:
    """Insert an Arrow table whose columns are the table's."""
    if not rows.num_rows:
        return
    driver: Any = connection.connection.dbapi_connection
    if connection.dialect.name == "duckdb":
        driver.register("rows_to_insert", rows)
        connection.exec_driver_sql(f"INSERT INTO {table.name} SELECT * FROM rows_to_insert")
        driver.unregister("rows_to_insert")
    elif connection.dialect.name == "postgresql":
        columns = [column.to_pylist() for column in rows.columns]
        with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} FROM STDIN") as copy:
            for row in zip(*columns, strict=True):
                # PostgreSQL's text holds no U+0000; an altered record may.
                copy.write_row([value.replace("\0", "\ufffd") if isinstance(value, str) else value for value in row])
    else:
        connection.execute(insert(table), rows.to_pylist())
