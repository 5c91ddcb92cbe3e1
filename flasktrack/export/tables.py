"""Tables that leave: every record that a filter selects, as CSV or JSON Lines, streamed to a file.

What is announced is what is written: records are counted and written up to the position that was the newest when the
export began, and the file appears under its name when it is whole.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, cast
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from flasktrack.errors import ExportFailed
from flasktrack.export.csv_table import csv_head, csv_line
from flasktrack.export.json_lines import jsonl_line
from flasktrack.export.new_file import new_file
from flasktrack.insight.filter import RecordFilter
from flasktrack.store.reader import CheckedRecord, Ledger

Format = Literal["csv", "jsonl"]
Progress = Callable[[int, int], None]
"""Called with the number of records written so far, and of how many; may raise to cancel."""

_REPORT_EVERY = 500  # records


@dataclass(frozen=True, slots=True)
class ExportResult:
    """A file that was written: where it is, how many records it holds, and its SHA-256 in hex."""

    path: Path
    records: int
    sha256: str


def count_selected(ledger: Ledger, chosen: RecordFilter) -> tuple[RecordFilter, int]:
    """The filter up to the newest record that there is now, and how many records meet it."""
    newest = ledger.newest()
    if (chosen.seq_first or 1) > newest:
        return chosen, 0
    counted = replace(chosen, seq_last=min(newest, chosen.seq_last or newest))
    return counted, ledger.count(*counted.conditions())


def export_records(
    engine: Engine,
    organization_id: str,
    chosen: RecordFilter,
    format: Format,  # noqa: A002 (as on the command line)
    path: Path,
    *,
    zone: ZoneInfo,
    progress: Progress | None = None,
) -> ExportResult:
    """Write the records that a filter selects to a new file, by position; CSV gives times in `zone`, too.

    Raises UnknownOrganization, and ExportFailed where the file exists or can't be written, or where records vanished
    from the database meanwhile. After any error there is no file.
    """
    if format not in ("csv", "jsonl"):
        raise ExportFailed(f"{format[:60]!r} is no format of a table.", "Use csv or jsonl.")
    ledger = Ledger(engine, organization_id)
    counted, total = count_selected(ledger, chosen)
    line = jsonl_line if format == "jsonl" else partial(csv_line, zone=zone)
    written = 0
    with new_file(path) as file:
        if format == "csv":
            file.write(csv_head(zone))
        if total:  # where nothing was counted, nothing is read: a record may have come since
            stream = cast("Generator[CheckedRecord, None, None]", ledger.stream(*counted.conditions()))
            with closing(stream):  # or an error's traceback would keep the database's read transaction open
                for checked in stream:
                    if progress is not None and written % _REPORT_EVERY == 0:
                        progress(written, total)
                    file.write(line(checked))
                    written += 1
        if written != total:
            raise ExportFailed(
                f"{total:,} records met the filter when the export began, but {written:,} were there to be written.",
                "Somebody changed the database meanwhile: run a verification. Nothing was left behind.",
            )
        if progress is not None:
            progress(written, total)
    return ExportResult(path, written, file.sha256)
