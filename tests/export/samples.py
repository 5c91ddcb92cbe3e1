"""Exports, as tests make and read them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from flasktrack.export.exporting import ExportResult, export_records
from flasktrack.export.selection import ExportOptions
from flasktrack.insight.filter import RecordFilter
from tests.store.samples import NORTHWIND

BERLIN = ZoneInfo("Europe/Berlin")
EVERYTHING = RecordFilter()


def export(
    engine: Engine,
    path: Path,
    chosen: RecordFilter = EVERYTHING,
    *,
    organization: str = NORTHWIND,
    zone: ZoneInfo = BERLIN,
    **more: Any,
) -> ExportResult:
    """Export to a file whose name tells the format."""
    options = ExportOptions(zone)
    return export_records(engine, organization, chosen, path.suffix[1:] or "jsonl", path, options=options, **more)


def csv_rows(path: Path) -> list[dict[str, str]]:
    """A CSV as Python's own module reads it."""
    csv.field_size_limit(2**30)
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def json_rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="\n") as file:
        return [json.loads(line) for line in file]


def seqs(path: Path) -> list[int]:
    rows = csv_rows(path) if path.suffix == ".csv" else json_rows(path)
    return [int(row["seq"]) for row in rows]
