"""Measure exports: `python -m benchmarks.exports [--records N] [--format NAME ...]` prints a Markdown table.

A chain of N records (a million) is exported whole, once in each format of a table. Each export runs in a process of its
own, so that its peak memory is its own; the same at a tenth of the records shows that memory does not grow with them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from zoneinfo import ZoneInfo

from benchmarks.apart import ROOT, report, run_apart
from benchmarks.generate import ORGANIZATION
from benchmarks.stopwatch import Stopwatch
from flasktrack.export.exporting import export_records
from flasktrack.export.selection import ExportOptions
from flasktrack.insight.filter import RecordFilter
from flasktrack.store.engine import open_engine
from flasktrack.store.scope import machine_scope

TABLES = ("csv", "jsonl", "ocsf", "parquet", "xlsx")


def export(url: str, format_: str, records: int, file: Path, watch: Stopwatch) -> None:
    """Export the first so many records."""
    engine = open_engine(url)
    chosen = RecordFilter(seq_last=records)
    with watch:
        done = export_records(
            engine, machine_scope(ORGANIZATION), chosen, format_, file, options=ExportOptions(ZoneInfo("Europe/Berlin"))
        )
    assert done.records == records
    engine.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exports")
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--format", choices=TABLES, action="append", help="default: all")
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        url, format_, records, file = options.measure
        watch = Stopwatch()
        export(url, format_, int(records), Path(file), watch)
        report(watch)
        return
    with tempfile.TemporaryDirectory(prefix="flasktrack-exports-") as folder_name:
        folder = Path(folder_name)
        url = f"sqlite:///{folder / 'lab.db'}"
        made = [sys.executable, "-m", "benchmarks.generate", url, str(options.records)]
        subprocess.run(made, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        print("| export | records | seconds | records/s | file | peak memory |")
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        for format_ in options.format or TABLES:
            for records in (options.records // 10, options.records):
                file = folder / f"{records}.{format_}"
                measured = run_apart("benchmarks.exports", "--measure", url, format_, records, file)
                print(
                    f"| {format_} | {records:,} | {measured['seconds']:,.1f} | {records / measured['seconds']:,.0f} "
                    f"| {file.stat().st_size / 1e6:,.0f} MB | {measured['peak'] / 1e6:,.0f} MB |",
                    flush=True,
                )
                file.unlink()


if __name__ == "__main__":
    main()
