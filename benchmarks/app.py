"""The app as it is run, in a process of its own, and how much memory that takes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
_PATIENCE = 120  # seconds to start in


class RunningApp(NamedTuple):
    """Its address (http://127.0.0.1:PORT), and its process."""

    address: str
    process: subprocess.Popen[bytes]
    log: Path

    def memory(self) -> int:
        """Bytes of the process that are in memory now (Linux)."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def processor(self) -> float:
        """Seconds of a processor that the process has taken until now (Linux)."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def complaints(self) -> list[str]:
        """What the app's log says went wrong."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return [line for line in lines if "Error" in line or "Traceback" in line or "failed" in line]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_app(environment: Mapping[str, str], port: int) -> Iterator[RunningApp]:
    """The app at a port, until the block ends."""
    command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}"]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "app.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [*command, "--server.fileWatcherType=none"],
                cwd=ROOT, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        app = RunningApp(f"http://127.0.0.1:{port}", process, log)
        try:
            _wait(app)
            yield app
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(app: RunningApp) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and app.process.poll() is None:
        try:
            with urllib.request.urlopen(f"{app.address}/_stcore/health", timeout=5) as answer:  # noqa: S310 (ours)
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise SystemExit(f"The app did not start:\n{app.log.read_text()}")
