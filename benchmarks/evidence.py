"""Measure making and checking evidence packages: `python -m benchmarks.evidence [--records N]` prints a Markdown table.

Of a chain of N records (a million), packages are made of 10,000 neighbours, and of the two busiest people's whole
histories, which lie scattered over all of it. Each measurement runs in a process of its own. The chain and its seal
are made first, and not timed; what a package holds and proves is the same whoever verified the chain before.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from zoneinfo import ZoneInfo

from benchmarks.apart import report, run_apart
from benchmarks.measure import CHAIN, ORGANIZATION, append_batches
from benchmarks.stopwatch import Stopwatch
from flasktrack.core.checkpoint import Checkpoint, format_checkpoint
from flasktrack.core.note import format_note, sign_note
from flasktrack.export import verify_package
from flasktrack.export.exporting import export_records
from flasktrack.export.selection import ExportOptions
from flasktrack.insight.filter import RecordFilter
from flasktrack.store.engine import open_engine, writing
from flasktrack.store.scope import machine_scope
from flasktrack.trust.checkpoints import StoredCheckpoint, store_checkpoint
from flasktrack.trust.keyring import Keyring
from flasktrack.trust.tree import StoredTree, extend_tree
from flasktrack.verify.runner import Trust

NEIGHBOURS = 10_000
CHOSEN = {"neighbours": "10,000 neighbours", "scattered": "two people's records, scattered"}


def prepare(folder: Path, records: int) -> None:
    """A sealed chain. The seal is signed without the verification before it: benchmarks measure that elsewhere."""
    append_batches(folder, records, Stopwatch())
    keyring = _keyring(folder)
    keyring.create()
    engine = open_engine(f"sqlite:///{folder / CHAIN}")
    with writing(engine) as connection:
        extend_tree(connection, ORGANIZATION, records)
        root = StoredTree(connection, ORGANIZATION).root(records)
        text = format_checkpoint(Checkpoint(keyring.origin(ORGANIZATION), records, root))
        note = format_note(sign_note(text, keyring.signing_keys(ORGANIZATION), 0))
        store_checkpoint(connection, StoredCheckpoint(ORGANIZATION, records, root, note, "2026-11-24T05:06:07.123456Z"))
    engine.dispose()


def make(folder: Path, name: str, records: int, watch: Stopwatch) -> int:
    """Make a package; how many records it holds."""
    chosen = RecordFilter(actors=("user:u-007", "user:u-008"))
    if name == "neighbours":
        first = max(1, records // 2)
        chosen = RecordFilter(seq_first=first, seq_last=min(records, first + NEIGHBOURS - 1))
    options = ExportOptions(ZoneInfo("UTC"), trust=Trust(_keyring(folder), None))
    engine = open_engine(f"sqlite:///{folder / CHAIN}")
    package = folder / f"{name}.zip"
    package.unlink(missing_ok=True)
    with watch:
        made = export_records(engine, machine_scope(ORGANIZATION), chosen, "evidence", package, options=options)
    engine.dispose()
    return made.records


def check(folder: Path, name: str, watch: Stopwatch) -> int:
    """Check the package that `make` left."""
    keys = verify_package.read_keys(_keyring(folder).vkeys([ORGANIZATION]))
    with (folder / f"{name}.zip").open("rb") as file, watch:
        result = verify_package.check_package(file, keys)
    assert result.status == verify_package.VERIFIED
    return result.records


def _keyring(folder: Path) -> Keyring:
    return Keyring(folder / "keys", "benchmark.example")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evidence")
    parser.add_argument("--records", type=int, default=1_000_000, help="of the chain")
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        what, name, folder, records = options.measure
        watch = Stopwatch()
        place = Path(folder)
        count = make(place, name, int(records), watch) if what == "make" else check(place, name, watch)
        report(watch, records=count)
        return
    with tempfile.TemporaryDirectory(prefix="flasktrack-evidence-") as folder_name:
        folder = Path(folder_name)
        prepare(folder, options.records)
        print(f"| of {options.records:,} records | records | seconds | package | peak memory |")
        print("| --- | ---: | ---: | ---: | ---: |")
        for name, label in CHOSEN.items():
            for what, said in (("make", f"Package of {label}"), ("check", "· `verify-package`")):
                measured = run_apart("benchmarks.evidence", "--measure", what, name, folder, options.records)
                size = (folder / f"{name}.zip").stat().st_size
                print(
                    f"| {said} | {measured['records']:,.0f} | {measured['seconds']:,.2f} | {size / 1e6:,.1f} MB "
                    f"| {measured['peak'] / 1e6:,.0f} MB |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
