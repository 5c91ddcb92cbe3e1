"""A process that appends until it has done its number of transactions, or is killed.

    python -m tests.store.appender URL ORGANIZATION NAME TRANSACTIONS RECORDS

It prints `ready`, waits for a line on its input, and prints `seq hash` of each record once it was committed.
"""

from __future__ import annotations

import subprocess
import sys
from itertools import count
from pathlib import Path

from flasktrack.store.engine import open_database, writing
from flasktrack.store.writer import append
from tests.store.samples import event

ROOT = Path(__file__).resolve().parents[2]


def start(url: str, organization: str, name: str, *, transactions: int, records: int) -> subprocess.Popen[str]:
    """Start the process; it waits for `go`."""
    command = [sys.executable, "-m", "tests.store.appender", url, organization, name, str(transactions), str(records)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def go(*processes: subprocess.Popen[str]) -> None:
    """Wait until all of them are ready, then let them run at once."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.close()
        process.stdin = None  # so that communicate() leaves it alone


def acknowledged(output: str) -> dict[int, str]:
    """The hash of each acknowledged position. A line that the kill cut short was not told to anybody."""
    lines = [line.split() for line in output.splitlines(keepends=True) if line.endswith("\n")]
    return {int(seq): hash_ for seq, hash_ in lines}


def main(url: str, organization: str, name: str, transactions: int, records: int) -> None:
    engine = open_database(url)
    print("ready", flush=True)
    sys.stdin.readline()
    numbers = count(1)
    for _ in range(transactions):
        acts = [
            event(next(numbers) % 1_000_000, actor_id=name, related=[("batch", name)], context={"filler": "x" * 500})
            for _ in range(records)
        ]
        with writing(engine) as connection:
            made = append(connection, organization, acts)
        print("".join(f"{item.seq} {item.hash.hex()}\n" for item in made), end="", flush=True)
    engine.dispose()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], transactions=int(sys.argv[4]), records=int(sys.argv[5]))
