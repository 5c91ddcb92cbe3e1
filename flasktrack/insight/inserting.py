"""Many rows into the copy and out of it at once, as each engine takes and gives them quickest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Executable,
    Table,
    and_,
    func,
    insert,
    literal,
    literal_column,
    select,
)
from sqlalchemy.types import TypeEngine

_TYPES = {"TEXT": pa.string(), "BIGINT": pa.int64(), "DATETIME": pa.timestamp("us")}


def arrow_schema(table: Table) -> pa.Schema:
    """The table's columns as Arrow has them."""
    return pa.schema([(column.name, _TYPES[str(column.type)]) for column in table.columns])


def each(values: Sequence[Any], type_: type[TypeEngine[Any]]) -> ColumnElement[Any]:
    """A row for each value: one parameter, however many they are."""
    return func.unnest(literal(values, ARRAY(type_)))


def late_materialized(connection: Connection, table: Table, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Conditions on a table, so put that DuckDB reads the other columns of those rows alone that meet them."""
    if connection.dialect.name != "duckdb":
        return and_(*conditions)
    row = literal_column(f"{table.name}.rowid", BigInteger)
    return row.in_(select(row).select_from(table).where(*conditions).correlate(None))


def fetch_rows(connection: Connection, schema: pa.Schema, statement: Executable) -> pa.Table:
    """The answer to a statement that gives the schema's columns, in their order."""
    result = connection.execute(statement)
    if connection.dialect.name == "duckdb":
        found = cast(Any, result.cursor).fetchnumpy().values()
        columns: list[tuple[Any, Any]] = [(np.ma.getdata(values), np.ma.getmaskarray(values)) for values in found]
    else:
        rows = result.all()
        columns = [(values, None) for values in zip(*rows, strict=True)] or [((), None)] * len(schema)
    arrays = [pa.array(values, type_, mask) for (values, mask), type_ in zip(columns, schema.types, strict=True)]
    return pa.table(arrays, schema=schema)


def as_stored(connection: Connection, rows: pa.Table) -> pa.Table:
    """Rows as the copy holds them: PostgreSQL's text has no U+0000; an altered record may."""
    if connection.dialect.name != "postgresql":
        return rows
    columns = [
        pc.replace_substring(column, "\0", "\ufffd") if pa.types.is_string(column.type) else column
        for column in rows.columns
    ]
    return pa.table(columns, schema=rows.schema)


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
        columns = [column.to_pylist() for column in as_stored(connection, rows).columns]
        with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} FROM STDIN") as copy:
            for row in zip(*columns, strict=True):
                copy.write_row(row)
    else:
        connection.execute(insert(table), rows.to_pylist())
