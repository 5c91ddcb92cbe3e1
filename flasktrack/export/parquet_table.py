"""Parquet for analysis: typed columns in row groups, written as the records come (docs/exporting.md).

The file's metadata states under the key `flasktrack` what it holds, as JSON.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from flasktrack.export.columns import Column, Kind, chosen_columns, local_time
from flasktrack.export.new_file import NewFile
from flasktrack.export.selection import ExportOptions, Selection
from flasktrack.export.statement import statement

METADATA: Final = b"flasktrack"

_GROUP_ROWS = 20_000
_GROUP_BYTES = 32 * 1024 * 1024  # of text: a record may carry 3 MiB of sections
_LONGEST = 2**63 - 1  # of a column of numbers
_UTC = ZoneInfo("UTC")
_TYPES: Final = {
    Kind.TEXT: pa.string(),
    Kind.NUMBER: pa.int64(),
    Kind.TIME: pa.timestamp("us", tz="UTC"),
    Kind.HASH: pa.string(),
    Kind.RELATED: pa.list_(pa.struct([("type", pa.string()), ("id", pa.string())])),
    Kind.CODES: pa.list_(pa.string()),
}


def write(selection: Selection, options: ExportOptions, file: NewFile) -> None:
    """Write the selection as a table. Raises ExportFailed."""
    columns = chosen_columns(options.columns)
    schema = _schema(columns, options.zone).with_metadata({METADATA: orjson.dumps(statement(selection, options))})
    with pa.PythonFile(_Open(file), mode="w") as sink, pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        rows: list[list[Any]] = [[] for _ in columns]
        size = 0
        for checked in selection.records():
            for column, values in zip(columns, rows, strict=True):
                value = _value(column.kind, column.get(checked))
                size += len(value) if isinstance(value, str) else 8
                values.append(value)
            if len(rows[0]) == _GROUP_ROWS or size >= _GROUP_BYTES:
                _flush(writer, schema, rows)
                size = 0
        _flush(writer, schema, rows)


class _Open:
    """The file as pyarrow asks for one; its end is not pyarrow's to decide."""

    closed = False

    def __init__(self, file: NewFile) -> None:
        self.write = file.write
        self.flush = file.flush

    def close(self) -> None:
        pass


def _schema(columns: list[Column], zone: ZoneInfo) -> pa.Schema:
    types = {**_TYPES, Kind.LOCAL: pa.timestamp("us", tz=zone.key)}
    return pa.schema([pa.field(column.heading(zone), types[column.kind]) for column in columns])


def _flush(writer: pq.ParquetWriter, schema: pa.Schema, rows: list[list[Any]]) -> None:
    """Write what has come as a row group, and forget it."""
    if rows[0]:
        arrays = [pa.array(values, field.type) for values, field in zip(rows, schema, strict=True)]
        writer.write_batch(pa.record_batch(arrays, schema=schema))
        for values in rows:
            values.clear()


def _value(kind: Kind, value: Any) -> Any:
    """A value of the column's type; null where somebody put into the row what is none."""
    if kind in (Kind.TIME, Kind.LOCAL):
        moment: datetime | None = local_time(value, _UTC)
        return moment
    if kind is Kind.NUMBER:
        return value if type(value) is int and abs(value) <= _LONGEST else None
    if kind is Kind.RELATED:
        return [{"type": str(type_), "id": str(id_)} for type_, id_ in value]
    if kind is Kind.CODES or value is None or isinstance(value, str):
        return value
    return value.hex() if isinstance(value, bytes) else str(value)
