"""Exports, as tests make and read them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import pyarrow.parquet as pq
from sqlalchemy import Engine

from flasktrack.export.columns import chosen_columns
from flasktrack.export.exporting import ExportResult, export_records
from flasktrack.export.selection import ExportOptions
from flasktrack.insight.filter import RecordFilter
from flasktrack.store.scope import machine_scope
from tests.store.samples import NORTHWIND

BERLIN = ZoneInfo("Europe/Berlin")
EVERYTHING = RecordFilter()


def export(engine: Engine, path: Path, chosen: RecordFilter = EVERYTHING, **more: Any) -> ExportResult:
    """Export to a file whose name tells the format."""
    return export_as(path.suffix[1:] or "jsonl", engine, path, chosen, **more)


def export_as(
    format_: str,
    engine: Engine,
    path: Path,
    chosen: RecordFilter = EVERYTHING,
    *,
    organization: str = NORTHWIND,
    zone: ZoneInfo = BERLIN,
    columns: tuple[str, ...] = (),
    **more: Any,
) -> ExportResult:
    options = ExportOptions(zone, columns=columns)
    return export_records(engine, machine_scope(organization), chosen, format_, path, options=options, **more)


def headings(zone: ZoneInfo) -> list[str]:
    """Those of all columns."""
    return [column.heading(zone) for column in chosen_columns(())]


def csv_rows(path: Path) -> list[dict[str, str]]:
    """A CSV as Python's own module reads it."""
    csv.field_size_limit(2**30)
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def json_rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="\n") as file:
        return [json.loads(line) for line in file]


def seqs(path: Path) -> list[int]:
    """The positions in a file of any format of a table, in its order."""
    if path.suffix == ".csv":
        return [int(row["seq"]) for row in csv_rows(path)]
    if path.suffix == ".parquet":
        return [int(seq) for seq in pq.read_table(path, columns=["seq"])["seq"].to_pylist()]
    if path.suffix == ".xlsx":
        book = openpyxl.load_workbook(path, read_only=True)
        head, *rows = book["Records"].values
        book.close()
        return [int(row[head.index("seq")]) for row in rows]
    return [int(row["seq"] if "seq" in row else row["metadata"]["sequence"]) for row in json_rows(path)]
