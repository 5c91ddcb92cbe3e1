"""The app below a path of its server (server.baseUrlPath), as the server answers there."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.app import free_port
from flasktrack.settings import HOME
from flasktrack.ui.downloads import PATH

SECONDS = 60


@pytest.fixture
def server(small_url: str, tmp_path: Path) -> Iterator[str]:
    """The address of a server that serves the app below /audit."""
    address = f"http://127.0.0.1:{free_port()}"
    environment = {"FLASKTRACK_DATABASE_URL": small_url, "STREAMLIT_SERVER_BASE_URL_PATH": "audit"}
    command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={address.rpartition(':')[2]}"]
    with (tmp_path / "app.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--server.fileWatcherType=none"],
            cwd=HOME, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + SECONDS
        while answered(f"{address}/audit/_stcore/health")[0] != 200:
            assert process.poll() is None, (tmp_path / "app.log").read_text()
            assert time.monotonic() < deadline, "it did not start"
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(SECONDS)


def answered(address: str) -> tuple[int, str]:
    """The status and the text at an address; 0 where nobody answers."""
    try:
        with urllib.request.urlopen(address, timeout=SECONDS) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as problem:
        return problem.code, problem.read().decode()
    except OSError:
        return 0, ""


def test_downloads_are_below_the_path_that_all_addresses_begin_with(server: str) -> None:
    status, text = answered(f"{server}/audit{PATH}/no-such-token")
    assert (status, text.partition(".")[0]) == (404, "This address is not good any more, or not for this browser")
    assert "not good any more" not in answered(f"{server}{PATH}/no-such-token")[1]
