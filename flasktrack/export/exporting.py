"""Answers that leave: every record that a filter selects, in one of the formats, streamed to a file.

What is announced is what is written: records are counted and written up to the position that was the newest when the
export began, and the file appears under its name when it is whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from flasktrack.errors import ExportFailed
from flasktrack.export.formats import format_named
from flasktrack.export.new_file import new_file
from flasktrack.export.selection import ExportOptions, Progress, Selection
from flasktrack.insight.filter import RecordFilter
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import Permission, Scope


@dataclass(frozen=True, slots=True)
class ExportResult:
    """A file that was written: where it is, how many records it holds, its SHA-256 in hex, its size.

    `counted` is the filter with its upper end.
    """

    path: Path
    records: int
    sha256: str
    bytes: int
    counted: RecordFilter


Keep = Callable[[ExportResult], None]


def export_records(
    engine: Engine,
    scope: Scope,
    chosen: RecordFilter,
    format: str,  # noqa: A002 (as on the command line)
    path: Path,
    *,
    options: ExportOptions,
    announced: int | None = None,
    progress: Progress | None = None,
    keep: Keep | None = None,
) -> ExportResult:
    """Write the records that a filter selects to a new file, by position, in one of the formats of `export.formats`.

    `announced` is how many were counted before, where they were. `keep` is told of the result when the whole file is on
    the disk, before it gets its name: where that raises, there is none.

    Raises NotPermitted, UnknownOrganization; ExportFailed where the file exists or can't be written, no record meets
    the filter (reports say so instead), or records vanished from the database meanwhile; then there is no file.
    """
    chosen_format = format_named(format)
    chosen_format.check(options)
    scope.check(Permission.EXPORT)
    with Selection(Ledger(engine, scope), chosen, progress) as selection, new_file(path) as file:
        if announced is not None:
            selection.expect(announced)
        if not selection.total and not chosen_format.of_nothing:
            raise ExportFailed("No record meets the filter, so there is nothing to write.", "Widen the filter.")
        chosen_format.write(selection, options, file)
        if not selection.whole:
            raise ExportFailed(f"The format {format} left records out.", "Please report it. Nothing was left behind.")
        result = ExportResult(path, selection.total, file.sha256, file.bytes, selection.counted)
        if keep is not None:
            file.synchronize()
            keep(result)
    return result
