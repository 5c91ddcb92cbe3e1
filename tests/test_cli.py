"""The command line keeps to spec section 6: exit statuses, one JSON document, one line of error, no traceback."""

from __future__ import annotations

import json
import os
import pwd
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flasktrack.cli import main
from flasktrack.settings import HOME

EVENT = {
    "actor": {"type": "user", "id": "u-1", "name": "Zo\u00eb"},
    "action": "create",
    "entity": {"type": "sample", "id": "s-1"},
    "occurred_at": "2026-11-24T05:06:07.123456+01:00",
    "record_id": "0190c0de-0000-7000-8000-000000000001",
    "after": {"volume_ml": 2.5},
}


@pytest.fixture
def run(database_url: str, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command against a fresh database: (exit status, standard output, standard error)."""

    def call(*arguments: str) -> tuple[int, str, str]:
        status = main(["--database", database_url, *arguments])
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.fixture
def events(tmp_path: Path) -> Path:
    file = tmp_path / "events.jsonl"
    other = EVENT | {"action": "update", "record_id": "0190c0de-0000-7000-8000-000000000002"}
    file.write_text(f"{json.dumps(EVENT)}\n{json.dumps(other)}\n", encoding="utf-8")
    return file


def test_init_import_verify_export_in_a_row(run: Any, events: Path, tmp_path: Path) -> None:
    assert run("init")[0] == 0
    status, out, err = run("import", str(events), "--organization", "acme", "--json", "--time-zone", "Europe/Berlin")
    assert (status, err) == (0, "")
    assert json.loads(out) == {
        "organization_id": "acme", "read": 2, "added": 2, "already_present": 0, "first_seq": 1, "last_seq": 2,
    }  # fmt: skip
    status, out, err = run("verify", "--json")
    (found,) = json.loads(out)["organizations"]
    assert (status, err) == (0, "")
    assert (found["organization_id"], found["status"], found["records"], found["sealed"], found["findings"]) == (
        "acme", "verified", 2, 0, [],
    )  # fmt: skip
    target = tmp_path / "out.jsonl"
    status, out, _ = run(
        "export", "--organization", "acme", "--format", "jsonl", "--output", str(target), "--action", "update", "--json"
    )
    assert status == 0
    assert json.loads(out)["records"] == 1
    (line,) = target.read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["seq"] == 2
    assert json.loads(out)["recorded"] is True
    told = tmp_path / "told.jsonl"
    assert run("export", "--organization", "acme", "--format", "jsonl", "--output", str(told), "--seq", "3")[0] == 0
    act = json.loads(told.read_text(encoding="utf-8"))
    assert (act["action"], act["actor"]["type"], act["actor"]["id"]) == ("export", "system", "command-line")
    assert act["context"] == {"login": pwd.getpwuid(os.getuid()).pw_name}


def test_running_the_same_file_again_adds_nothing(run: Any, events: Path) -> None:
    run("init")
    run("import", str(events), "--organization", "acme")
    status, out, _ = run("import", str(events), "--organization", "acme", "--json")
    assert status == 0
    assert json.loads(out)["added"] == 0
    assert json.loads(out)["already_present"] == 2


def test_a_bad_line_names_line_and_field_and_writes_nothing(run: Any, events: Path) -> None:
    run("init")
    bad = EVENT | {"occurred_at": "2026-11-24T05:06:07", "record_id": "0190c0de-0000-7000-8000-000000000003"}
    events.write_text(f"{events.read_text(encoding='utf-8')}{json.dumps(bad)}\n", encoding="utf-8")
    status, out, err = run("import", str(events), "--organization", "acme")
    assert (status, out) == (2, "")
    assert "line 3" in err.lower()
    assert "occurred_at" in err
    assert len(err.splitlines()) == 1
    assert run("verify", "--organization", "acme")[0] == 2  # not even the organization was made


def test_an_altered_chain_exits_with_1_and_says_where(run: Any, events: Path, database_url: str) -> None:
    if not database_url.startswith("sqlite"):
        pytest.skip("altered through SQLite's own module; tests/verify alters PostgreSQL")
    run("init")
    run("import", str(events), "--organization", "acme")
    with sqlite3.connect(database_url.removeprefix("sqlite:///")) as insider:
        for (trigger,) in insider.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            insider.execute(f"DROP TRIGGER {trigger}")
        insider.execute("UPDATE audit_record SET actor_id = 'u-2' WHERE seq = 1")
    insider.close()
    status, out, _ = run("verify", "--json")
    assert status == 1
    (found,) = json.loads(out)["organizations"]
    assert found["status"] == "broken"
    assert [(f["code"], f["severity"], f["seq"], f["seq_end"], f["section"]) for f in found["findings"]] == [
        ("record_modified", "error", 1, 1, None)
    ]
    (remark,) = found["remarks"]
    assert "append-only tables are gone" in remark
    assert f"\n  error: {remark}\n" in run("verify")[1]


def test_nothing_to_check_is_not_sound(run: Any, tmp_path: Path) -> None:
    run("init")
    status, out, _ = run("verify", "--json")
    assert (status, json.loads(out)) == (1, {"organizations": []})
    empty = tmp_path / "none.jsonl"
    empty.write_text("", encoding="utf-8")
    run("import", str(empty), "--organization", "acme")
    status, out, _ = run("verify", "--json")
    assert status == 1
    assert json.loads(out)["organizations"][0]["status"] == "not_checked"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("verify", "--organization", "nobody"), "no organization"),
        (("export", "--organization", "nobody", "--format", "csv", "--output", "x.csv"), "no organization"),
        (("import", "missing.jsonl", "--organization", "acme"), "missing.jsonl"),
        (("import", "missing.jsonl", "--organization", "Not A Slug"), "organization"),
        (("frobnicate",), "invalid choice"),
        (("export", "--organization", "acme", "--format", "docx", "--output", "x"), "invalid choice"),
    ],
)
def test_what_cannot_be_done_exits_with_2_and_one_line(run: Any, arguments: tuple[str, ...], words: str) -> None:
    run("init")
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("command", ["verify", "demo --tampered", "import x --organization acme"])
def test_a_database_that_is_not_there_is_not_created(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "absent.db"
    assert main([*command.split(), "--database", f"sqlite:///{file}"]) == 2
    assert "no database" in capsys.readouterr().err
    assert not file.exists()


def test_progress_is_reported_as_json_lines(run: Any, events: Path) -> None:
    run("init")
    run("import", str(events), "--organization", "acme")
    _, _, err = run("verify", "--json", "--progress")
    assert json.loads(err.splitlines()[-1]) == {"checked": 2, "of": 2}


def test_the_module_runs_from_the_shell_and_shows_no_traceback(tmp_path: Path) -> None:
    not_a_database = tmp_path / "letter.db"
    not_a_database.write_text("Dear inspector, this is a letter and not a database. " * 20, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "flasktrack", "verify"],
        cwd=HOME,
        env={**os.environ, "FLASKTRACK_DATABASE_URL": f"sqlite:///{not_a_database}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "not an SQLite database" in done.stderr
