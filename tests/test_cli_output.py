"""What the command line prints: one line is one line, whatever a record, a file or an argument holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unicodedata import category

import pytest
from sqlalchemy import Engine

from flasktrack.cli import main
from flasktrack.errors import DatabaseError
from flasktrack.verify import runner
from tests.store.samples import tamper

FAKE = (
    "S-1\r\x1b[1A\x1b[2K\x1b[32macme: verified - 2 records checked, 0 findings\x1b[0m\nacme: verified\x85\u2028\u202e"
)
OBEYED = {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.fixture
def run(engine: Engine, database_url: str, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command against a database without records: (exit status, standard output, standard error)."""

    def call(*arguments: str) -> tuple[int, str, str]:
        status = main(["--database", database_url, *arguments])
        out, err = capsys.readouterr()
        return status, out, err

    call("init")
    return call


def imported(run: Any, folder: Path, organization: str, *changes: dict[str, Any]) -> tuple[int, str, str]:
    lines = [
        {
            "actor": {"type": "user", "id": "u-1"},
            "action": "update",
            "entity": {"type": "sample", "id": "S-1"},
            "occurred_at": "2026-11-24T05:06:07Z",
            **change,
        }
        for change in changes
    ]
    file = folder / "events.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    done: tuple[int, str, str] = run("import", str(file), "--organization", organization)
    return done


def harmless(text: str) -> bool:
    return not {category(char) for char in text.replace("\n", "")} & OBEYED


def test_a_finding_can_not_print_a_verdict(run: Any, tmp_path: Path) -> None:
    entity = {"type": "sample", "id": FAKE}
    unrecorded = ({"entity": entity, "after": {"v": 1}}, {"entity": entity, "before": {"v": 5}, "after": {"v": 6}})
    assert imported(run, tmp_path, "acme", *unrecorded)[0] == 0
    status, out, err = run("verify")
    assert (status, err) == (0, "")
    assert "state_gap" in out
    assert r"\x1b[2K" in out
    assert harmless(out)
    assert len(out.splitlines()) == 2, "the verdict, and its finding"
    _, out, _ = run("verify", "--json")
    (finding,) = json.loads(out)["organizations"][0]["findings"]
    assert "\x1b[2K" in finding["detail"], "a program reads what is there"
    assert harmless(out)


@pytest.mark.parametrize(
    "arguments", [("import", f"no-{FAKE}.jsonl", "--organization", "acme"), ("verify", "--organization", FAKE), (FAKE,)]
)
def test_an_error_is_one_harmless_line(run: Any, arguments: tuple[str, ...]) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert harmless(err)
    assert len(err.splitlines()) == 1


def test_an_error_about_a_files_content_is_one_harmless_line(run: Any, tmp_path: Path) -> None:
    for change in ({"action": FAKE}, {FAKE: 1}, {"actor": {"type": FAKE, "id": "x"}}, {"occurred_at": FAKE}):
        status, _, err = imported(run, tmp_path, "acme", change)
        assert (status, harmless(err), len(err.splitlines())) == (2, True, 1)


def test_who_asks_is_an_actor(run: Any, tmp_path: Path) -> None:
    imported(run, tmp_path, "acme", {})
    for by in ("user:qa-lead", "automation:nightly", "command line"):
        assert run("verify", "--by", by)[0] == 0
    for by in ("qa-lead", "user:", "robot:r2", "user:" + "x" * 256, ""):
        for command in ("verify", "checkpoint"):
            status, out, err = run(command, "--by", by)
            assert (status, out) == (2, "")
            assert "--by" in err
            assert "type:id" in err


def test_rows_under_what_can_not_be_an_organization_are_reported_beside_the_rest(
    run: Any, engine: Engine, tmp_path: Path
) -> None:
    for name in ("acme", "zeta"):
        imported(run, tmp_path, name, {})
    assert run("verify")[0] == 0
    tamper(engine, "INSERT INTO chain_head VALUES ('AA', 0, '')")
    status, out, err = run("verify")
    assert (status, err) == (1, "")
    assert "acme: verified" in out
    assert "'AA'" in out.splitlines()[-1]
    status, out, _ = run("verify", "--json")
    assert status == 1
    assert json.loads(out)["strays"] == ["AA"]
    tamper(engine, "UPDATE audit_record SET reason = 'made up' WHERE organization_id = 'zeta'")
    status, out, _ = run("verify", "--json")
    assert (status, [one["status"] for one in json.loads(out)["organizations"]]) == (1, ["verified", "broken"])
    assert run("checkpoint", "--organization", "acme")[0] == 0


def test_an_organization_that_can_not_be_checked_keeps_no_other_from_it(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("acme", "middle", "zeta"):
        imported(run, tmp_path, name, {})
    verify = runner.verify_organization

    def fails(engine: Engine, organization_id: str, **options: Any) -> Any:
        if organization_id == "middle":
            raise DatabaseError("The database is damaged.", "Restore it.")
        return verify(engine, organization_id, **options)

    monkeypatch.setattr(runner, "verify_organization", fails)
    status, out, err = run("verify", "--json")
    assert status == 2
    assert [one["organization_id"] for one in json.loads(out)["organizations"]] == ["acme", "zeta"]
    assert json.loads(out)["failed"][0]["organization_id"] == "middle"
    assert err == "flasktrack: middle: The database is damaged. Restore it.\n"
    assert run("verify", "--organization", "middle") == (2, "", "flasktrack: The database is damaged. Restore it.\n")


def test_the_tampered_copy_is_not_made_of_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("flasktrack.cli.DATA", tmp_path / "data")
    itself = tmp_path / "data" / "tampered.db"
    assert main(["--database", f"sqlite:///{itself}", "init"]) == 0
    (tmp_path / "other.db").symlink_to(itself)
    for name in ("data/tampered.db", "data/../data/tampered.db", "other.db"):
        assert main(["--database", f"sqlite:///{tmp_path}/{name}", "demo", "--tampered"]) == 2
        assert "tampered copy itself" in capsys.readouterr().err
    assert itself.stat().st_size > 0
