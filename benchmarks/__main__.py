"""Measure, and print one Markdown table: `make bench`, or `python -m benchmarks [--quick] [--write] [--only NAME]`.

Each measurement runs in a process of its own. What is compared runs in turn, round after round, and the best round
counts: other work on the machine only ever makes a round slower.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from benchmarks.apart import ROOT, run_apart
from benchmarks.sealed import NEW, PROOFS, postgresql_server

DOCUMENT = ROOT / "docs" / "benchmarks.md"
START, END = "<!-- table -->\n", "<!-- end of table -->\n"


class Group(NamedTuple):
    """Measurements that are compared: name (see benchmarks.measure) and what the table calls it.

    `counted`: how many things each deals with, where that is not `records`.
    """

    records: int
    rounds: int
    rows: tuple[tuple[str, str], ...]
    counted: int | None = None


class Result(NamedTuple):
    """Seconds of the best round, and bytes of the largest."""

    seconds: float
    peak: float


def groups(scale: int) -> tuple[Group, ...]:
    """What is measured, in its order: a group may need the database that the one before it left."""
    return (
        Group(
            2_000 // scale,
            3,
            (
                ("append-singly", "Append, a transaction for each record: FlaskTrack"),
                ("insert-singly", "· the same rows, plain `INSERT`"),
                ("auditchain-append-singly", "· the same events, auditchain `append`"),
            ),
        ),
        Group(
            100_000 // scale,
            3,
            (
                ("append", "Append, a transaction for each 5,000 records: FlaskTrack"),
                ("insert", "· the same rows, plain `executemany`"),
                ("auditchain-append", "· the same events, auditchain `append_many`"),
            ),
        ),
        Group(
            1_000_000 // scale,
            1,
            (
                ("append", "Append, ten times as many: FlaskTrack"),
                ("auditchain-append", "· the same events, auditchain `append_many`"),
            ),
        ),
        Group(
            1_000_000 // scale,
            3,
            (
                ("verify", "Verify everything, one process: FlaskTrack"),
                ("hash-alone", "· fetch and hash alone, in the plainest loop"),
                ("fetch", "· bare fetch of the same rows"),
                ("auditchain-verify", "· the same events, auditchain `verify`"),
            ),
        ),
        Group(1_000_000 // scale, 1, (("seal-first", "Seal all of it for the first time"),)),
        Group(
            1_000_000 // scale,
            3,
            (
                ("verify-one", "Verify it sealed, one process"),
                ("verify-two", "· two worker processes"),
            ),
        ),
        Group(
            1_000_000 // scale,
            3,
            (("proofs", "Inclusion proofs in it, each from nothing"),),
            counted=PROOFS,
        ),
        Group(
            1_000_000 // scale,
            3,
            (
                ("incremental", "Verify what is new after 1,000 more records"),
                ("seal-again", "· and seal it"),
            ),
            counted=NEW,
        ),
        Group(1_000_000 // scale, 1, (("append-postgresql", "PostgreSQL: append, a transaction for each 5,000"),)),
        Group(1_000_000 // scale, 1, (("seal-first-postgresql", "· seal all of it for the first time"),)),
        Group(
            1_000_000 // scale,
            2,
            (
                ("verify-one-postgresql", "· verify it sealed, one process"),
                ("verify-two-postgresql", "· two worker processes"),
                ("verify-dask-postgresql", "· a Dask cluster of two workers"),
                ("fetch-postgresql", "· bare fetch of the same rows"),
            ),
        ),
        *(
            Group(
                max(objects // scale, size),
                3,
                (
                    (
                        f"capture-flasktrack-{size}",
                        f"Flush and commit of {size:,} changed object{'s' if size > 1 else ''}: FlaskTrack",
                    ),
                    (f"capture-none-{size}", "· the same, nothing recorded"),
                    (f"capture-continuum-{size}", "· the same, SQLAlchemy-Continuum"),
                ),
            )
            for size, objects in ((1, 500), (10, 2_000), (1_000, 5_000))
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, and print one Markdown table.")
    parser.add_argument("--quick", action="store_true", help="a twentieth of the records: for a look, not for quoting")
    parser.add_argument("--write", action="store_true", help=f"put the table into {DOCUMENT.relative_to(ROOT)} too")
    parser.add_argument("--only", metavar="NAME", default="", help="what has a name that begins so, such as capture")
    options = parser.parse_args()
    if options.write and (options.quick or options.only):
        parser.error("only all figures, at full length, are worth writing down")
    with tempfile.TemporaryDirectory(prefix="flasktrack-benchmarks-") as folder, postgresql_server():
        plan = groups(20 if options.quick else 1)
        plan = tuple(group for group in plan if group.rows[0][0].startswith(options.only))
        table = ""
        for line in _table(plan, Path(folder)):
            print(line, end="", flush=True)
            table += line
    if options.write:
        text = DOCUMENT.read_text()
        head, tail = text.partition(START)[0], text.partition(END)[2]
        DOCUMENT.write_text(f"{head}{START}\n{table}\n{END}{tail}")


def _table(plan: tuple[Group, ...], folder: Path) -> Iterator[str]:
    yield f"Measured on {machine()}.\n\n"
    yield "| | records | seconds | records/s | peak memory |\n"
    yield "| --- | ---: | ---: | ---: | ---: |\n"
    total = sum(group.rounds * len(group.rows) for group in plan)
    with tqdm(total=total, unit=" measurements", leave=False, disable=None) as bar:
        for group in plan:
            results: dict[str, Result] = {}
            for _ in range(group.rounds):
                for name, label in group.rows:
                    bar.set_description_str(f"{name}, {group.records:,} records")
                    results[label] = _better(results.get(label), _measure(name, folder, group.records))
                    bar.update()
            for label, best in results.items():
                counted = group.counted or group.records
                yield (
                    f"| {label} | {counted:,} | {best.seconds:,.2f} | {counted / best.seconds:,.0f} "
                    f"| {best.peak / 1e6:,.0f} MB |\n"
                )


def _measure(name: str, folder: Path, records: int) -> Result:
    module = "benchmarks.capture" if name.startswith("capture-") else "benchmarks.measure"
    return Result(**run_apart(module, name, folder, records))


def _better(one: Result | None, other: Result) -> Result:
    if one is None:
        return other
    return Result(min(one.seconds, other.seconds), max(one.peak, other.peak))


def machine() -> str:
    """What is measured on, in a few words."""
    model = next((line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if "model name" in line), "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores ({model or platform.machine()}), {platform.system()}, Python {platform.python_version()}"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


if __name__ == "__main__":
    main()
