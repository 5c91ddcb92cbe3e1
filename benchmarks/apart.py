"""Measurements in processes of their own, so that the peak memory of each is its own.

measured = run_apart("benchmarks.exports", "--measure", "csv", 100_000)    # in the process that prints the table
report(watch, records=100_000)                                             # at the end of the one that measures
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

from benchmarks.stopwatch import Stopwatch

ROOT = Path(__file__).resolve().parent.parent


def run_apart(module: str, *arguments: object) -> dict[str, float]:
    """Run a module with arguments, and return what it reported; a failure ends the program with what it said."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"The measurement {' '.join(command[2:])} failed:\n{done.stderr}")
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def report(watch: Stopwatch, **more: float) -> None:
    """Print the seconds that were timed, and the peak memory in bytes: of the process, or of a worker of its own."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    peak = max(resource.getrusage(one).ru_maxrss for one in who) * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"seconds": watch.seconds, "peak": peak, **more}))
