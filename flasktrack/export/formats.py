"""The registry of export formats, which the command line, the exports page and schedules share.

A format is a function in a module of its own, `write(selection, options, file)`: it writes every record of the
selection to the file, and raises ExportFailed where it can't. Modules are loaded when they are used: some of their
libraries take long.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from flasktrack.errors import ExportFailed
from flasktrack.export.new_file import NewFile
from flasktrack.export.selection import ExportOptions, Selection

Write = Callable[[Selection, ExportOptions, NewFile], None]

COLUMNS, WITHHELD = "columns", "withheld"


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """A format: its name on the command line, its title and what it is for on the page, and its files' ending.

    `module` is where its `write` is; `takes` are the options, of those that not every format takes, that it takes.
    `of_nothing`: whether one says something where no record meets the filter, as a report does. `of_sealed`: whether
    it takes records only up to the last checkpoint, since it proves them.
    """

    name: str
    title: str
    suffix: str
    about: str
    module: str
    takes: frozenset[str] = frozenset()
    of_nothing: bool = False
    of_sealed: bool = False

    def check(self, options: ExportOptions) -> None:
        """Raise ExportFailed where an option is given that this format does not take."""
        for name, given in ((COLUMNS, options.columns), (WITHHELD, options.withheld)):
            if given and name not in self.takes:
                able = ", ".join(other.name for other in FORMATS.values() if name in other.takes)
                said = "columns can't be chosen" if name == COLUMNS else "sections can't be withheld"
                advice = f"The formats where they can: {able}." if able else "Leave that out."
                raise ExportFailed(f"In the format {self.name} {said}.", advice)

    def write(self, selection: Selection, options: ExportOptions, file: NewFile) -> None:
        """Write the selection to the file. Raises ExportFailed."""
        cast("Write", import_module(self.module).write)(selection, options, file)


FORMATS = {
    format_.name: format_
    for format_ in (
        ExportFormat(
            "csv", "CSV", "csv",
            "For spreadsheets: text that one would take for a formula gets an apostrophe before it.",
            "flasktrack.export.csv_table",
            frozenset({COLUMNS}),
        ),
        ExportFormat(
            "jsonl", "JSON Lines", "jsonl",
            "For programs and for checking: each record with all that its hash was made of.",
            "flasktrack.export.json_lines",
        ),
        ExportFormat(
            "ocsf", "OCSF", "ocsf.jsonl",
            "For a SIEM: JSON Lines of the Open Cybersecurity Schema Framework 1.8.0, class Entity Management (3004).",
            "flasktrack.export.ocsf",
        ),
        ExportFormat(
            "xlsx", "Excel", "xlsx",
            "A workbook with numbers and times as such, and a sheet that states filter, zone, count and state.",
            "flasktrack.export.xlsx_table",
            frozenset({COLUMNS}),
        ),
        ExportFormat(
            "parquet", "Parquet", "parquet",
            "For analysis with pandas, DuckDB or Spark: typed columns, compressed.",
            "flasktrack.export.parquet_table",
            frozenset({COLUMNS}),
        ),
        ExportFormat(
            "evidence", "Evidence package", "zip",
            "For an inspector: signed, with proofs, and checkable by itself in a browser or with Python.",
            "flasktrack.export.evidence",
            frozenset({WITHHELD}),
            of_sealed=True,
        ),
        ExportFormat(
            "pdf", "Report (PDF)", "pdf",
            "For reading, printing and signing: what was asked, the chain's state, charts, the records in words.",
            "flasktrack.export.report_pdf",
            of_nothing=True,
        ),
        ExportFormat(
            "html", "Report (HTML)", "html",
            "The same report for a browser, of any size.",
            "flasktrack.export.report_html",
            of_nothing=True,
        ),
    )
}  # fmt: skip


def format_named(name: str) -> ExportFormat:
    """The format of that name. Raises ExportFailed."""
    try:
        return FORMATS[name]
    except KeyError:
        raise ExportFailed(f"{name[:60]!r} is no format of an export.", f"Use {', '.join(FORMATS)}.") from None
