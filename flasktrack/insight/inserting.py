"""Many rows into the copy and out of it at once, as each engine takes and gives them quickest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa
from sqlalchemy import ARRAY, ColumnElement, Connection, Executable, Table, func, insert, literal
from sqlalchemy.types import TypeEngine

_TYPES = {"TEXT": pa.string(), "BIGINT": pa.int64(), "DATETIME": pa.timestamp("us")}


def arrow_schema(table: Table) -> pa.Schema:
    """The table's columns as Arrow has them."""
    return pa.schema([(column.name, _TYPES[str(column.type)]) for column in table.columns])


def each(values: Sequence[Any], type_: type[TypeEngine[Any]]) -> ColumnElement[Any]:
    """A row for each value: one parameter, however many they are."""
    return func.unnest(literal(values, ARRAY(type_)))


def fetch_rows(connection: Connection, table: Table, statement: Executable) -> pa.Table:
    """The answer to a statement that gives the table's columns, in their order."""
    result = connection.execute(statement)
    schema = arrow_schema(table)
    if connection.dialect.name == "duckdb":
        found = cast(Any, result.cursor).fetchnumpy().values()
        columns: list[tuple[Any, Any]] = [(np.ma.getdata(values), np.ma.getmaskarray(values)) for values in found]
    else:
        rows = result.all()
        columns = [(values, None) for values in zip(*rows, strict=True)] or [((), None)] * len(schema)
    arrays = [pa.array(values, type_, mask) for (values, mask), type_ in zip(columns, schema.types, strict=True)]
    return pa.table(arrays, schema=schema)


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
