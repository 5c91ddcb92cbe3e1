"""The example application, started as its page says, used over its socket; its activity is verified and shown."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from flasktrack.store.engine import open_engine
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope
from tests.conftest import ROOT
from tests.ui.app import App


@contextmanager
def application(url: str, log: Path) -> Iterator[int]:
    """The port of the running example."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "examples.lab", "--port", str(port)],
            cwd=ROOT, env=os.environ | {"FLASKTRACK_DATABASE_URL": url}, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def ask(port: int, method: str, path: str, token: str, body: Any = None) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", method=method, data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json", "X-Request-ID": f"r-{token}"},
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as problem:
        with problem:
            return problem.code, json.loads(problem.read())


def test_the_example_records_who_did_what_and_the_dashboard_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'lab.db'}"
    with application(url, tmp_path / "log") as port:
        assert ask(port, "PUT", "/batches/B-1", "zoe")[0] == 201, (tmp_path / "log").read_text()
        sample = {"label": "S-1", "volume_ul": 250.0, "batch_id": "B-1", "patient": "P-4711"}
        status, made = ask(port, "POST", "/samples", "lims", sample)
        assert (status, made["label"]) == (201, "S-1")
        assert ask(port, "PATCH", f"/samples/{made['id']}", "zoe", {"volume_ul": 200.0})[1]["volume_ul"] == 200.0
        assert ask(port, "POST", "/batches/B-1/recount", "zoe")[0] == 202
        assert ask(port, "POST", "/samples", "zoe", sample | {"batch_id": "B-9"})[0] == 404
        assert ask(port, "GET", "/samples", "mallory")[0] == 401
        assert ask(port, "POST", "/batches/B-1/approve", "amir")[0] == 200
        assert [one["id"] for one in ask(port, "GET", "/samples", "amir")[1]] == [made["id"]]
    engine = open_engine(url)
    records = list(Ledger(engine, machine_scope("example-lab")).stream())
    engine.dispose()
    told = [(one.record.actor_id, one.record.action, one.record.entity_type, one.record.entity_id) for one in records]
    assert told == [
        ("u-17", "create", "batch", "B-1"),
        ("lims-sync", "create", "sample", str(made["id"])),
        ("u-17", "update", "sample", str(made["id"])),
        ("recount", "update", "batch", "B-1"),
        ("u-04", "update", "batch", "B-1"),
        ("u-04", "approve", "batch", "B-1"),
    ]
    assert records[3].record.on_behalf_of == "user:u-17"
    assert [records[1].record.credential_id, records[1].record.correlation_id] == ["token-lims", "r-lims"]
    assert records[1].after is not None
    assert orjson.loads(records[1].after.body)["patient"] == "[masked]"

    command = [sys.executable, "-m", "flasktrack", "verify", "--database", url, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    (verdict,) = json.loads(done.stdout)["organizations"]
    assert (verdict["status"], verdict["records"], verdict["findings"]) == ("verified", 6, []), done.stderr

    monkeypatch.setenv("FLASKTRACK_DATABASE_URL", url)
    page = App("records", org="example-lab")
    assert page.errors == []
    assert page.counted == 6
    shown = page.table("records_").to_string()
    assert all(name in shown for name in ("Zoë Ødegaard", "LIMS", "Stock recount", "Amir Haddad"))


def test_the_example_is_short() -> None:
    assert len((ROOT / "examples" / "lab.py").read_text().splitlines()) < 200
