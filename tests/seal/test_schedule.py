"""A schedule verifies and seals round after round, tells how it fares, and outlives what fails."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from flasktrack.errors import ScheduleError
from flasktrack.seal.schedule import run_schedule, write_health
from flasktrack.settings import HOME
from flasktrack.store.scope import machine_scope
from flasktrack.store.verifications import list_verifications
from flasktrack.trust.anchors import Anchors
from flasktrack.trust.keyring import Keyring
from flasktrack.verify.runner import Trust
from tests.store.samples import NORTHWIND, event, organizations, record, tamper

SECOND = timedelta(seconds=1)


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    keyring = Keyring(tmp_path / "keys", "flasktrack.test")
    keyring.create()
    return Trust(keyring, Anchors(tmp_path / "anchors"))


class After(threading.Event):
    """A stop that comes after so many rounds, without waiting."""

    def __init__(self, rounds: int) -> None:
        super().__init__()
        self.rounds = rounds

    def wait(self, timeout: float | None = None) -> bool:
        self.rounds -= 1
        return self.rounds <= 0


def test_each_round_verifies_and_seals_and_says_so(sqlite_engine: Engine, trust: Trust, tmp_path: Path) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, event(1), event(2))
    health, said = tmp_path / "health.json", list[str]()
    run_schedule(sqlite_engine, trust, SECOND, seals=True, health=health, report=said.append, stop=After(2))
    document = json.loads(health.read_text(encoding="utf-8"))
    assert document["ok"] is True
    (northwind,) = document["organizations"]
    assert (northwind["status"], northwind["records"], northwind["sealed"]) == ("verified", 2, 2)
    assert {run.started_by for run in list_verifications(sqlite_engine, machine_scope(NORTHWIND))} == {
        "automation:schedule"
    }
    assert len(said) == 2


def test_a_broken_chain_is_not_ok_not_sealed_and_tried_again(
    sqlite_engine: Engine, trust: Trust, tmp_path: Path
) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, event(1), event(2))
    tamper(sqlite_engine, "UPDATE audit_record SET reason = 'forged' WHERE seq = 1")
    health = tmp_path / "health.json"
    run_schedule(sqlite_engine, trust, SECOND, seals=True, health=health, report=lambda _: None, stop=After(3))
    document = json.loads(health.read_text(encoding="utf-8"))
    assert document["ok"] is False
    assert document["organizations"][0]["status"] == "broken"
    assert document["organizations"][0]["sealed"] == 0
    assert len(list_verifications(sqlite_engine, machine_scope(NORTHWIND))) == 3


def test_keys_that_are_gone_are_a_problem_and_not_the_end(sqlite_engine: Engine, tmp_path: Path) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, event(1))
    health = tmp_path / "health.json"
    nothing = Trust(Keyring(tmp_path / "nowhere", "flasktrack.test"))
    run_schedule(sqlite_engine, nothing, SECOND, seals=True, health=health, report=lambda _: None, stop=After(1))
    document = json.loads(health.read_text(encoding="utf-8"))
    assert document["ok"] is False
    assert "problem" in document["organizations"][0]


def test_nothing_to_verify_is_not_ok(tmp_path: Path) -> None:
    write_health(tmp_path / "health.json", SECOND, [])
    assert json.loads((tmp_path / "health.json").read_text(encoding="utf-8"))["ok"] is False
    assert [file.name for file in tmp_path.iterdir()] == ["health.json"]


def test_a_health_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(ScheduleError, match="can't be written"):
        write_health(tmp_path / "no" / "health.json", SECOND, [])


def test_a_service_managers_stop_ends_the_command(sqlite_engine: Engine, tmp_path: Path) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, event(1))
    health = tmp_path / "health.json"
    url = sqlite_engine.url.render_as_string(hide_password=False)
    command = [
        sys.executable,
        "-m",
        "flasktrack",
        "--database",
        url,
        "verify",
        "--every",
        "1h",
        "--health",
        str(health),
    ]
    with subprocess.Popen(command, cwd=HOME, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not health.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "northwind-labs: verified" in out
