"""`verify`, `checkpoint` and `erase` on the command line: exit statuses, one JSON document, and what each one did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from flasktrack.cli import main
from flasktrack.core.checkpoint import parse_checkpoint
from flasktrack.core.note import parse_note
from flasktrack.store.engine import open_database
from tests import adversary, adversary_sealed

EVENT = {
    "actor": {"type": "user", "id": "u-1"},
    "action": "create",
    "entity": {"type": "sample", "id": "s-1"},
    "occurred_at": "2026-11-24T05:06:07Z",
    "context": {"ip": "192.0.2.1"},
}


@pytest.fixture
def run(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command with keys, anchors and a database of its own: (exit status, standard output, standard error)."""
    monkeypatch.setenv("FLASKTRACK_KEY_DIR", str(tmp_path / "keys"))
    monkeypatch.setenv("FLASKTRACK_ANCHOR_DIR", str(tmp_path / "anchors"))
    monkeypatch.setenv("FLASKTRACK_DEPLOYMENT", "lab.example.org")

    def call(*arguments: str) -> tuple[int, str, str]:
        status = main([*arguments, "--database", database_url])
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.fixture
def lab(engine: Engine, run: Any, tmp_path: Path) -> Any:
    """The same, with two organizations: `acme` has three records, `other` one."""
    run("init")
    add(run, tmp_path, "acme", 3)
    add(run, tmp_path, "other", 1)
    return run


def add(run: Any, folder: Path, organization: str, count: int) -> None:
    file = folder / "events.jsonl"
    file.write_text(f"{json.dumps(EVENT)}\n" * count, encoding="utf-8")
    assert run("import", str(file), "--organization", organization)[0] == 0


def verified(run: Any, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit status and what is said of acme."""
    status, out, err = run("verify", "--json", "--organization", "acme", *arguments)
    assert err == ""
    (found,) = json.loads(out)["organizations"]
    return status, found


def codes(found: dict[str, Any]) -> list[tuple[str, str, int, int, str | None]]:
    return [(f["code"], f["severity"], f["seq"], f["seq_end"], f["section"]) for f in found["findings"]]


def test_checkpoint_seals_every_organization_and_verify_says_how_far(lab: Any, tmp_path: Path) -> None:
    status, out, err = lab("checkpoint", "--json")
    assert (status, err) == (0, "")
    sealed = json.loads(out)["checkpoints"]
    assert [(one["organization_id"], one["size"]) for one in sealed] == [("acme", 3), ("other", 1)]
    found = parse_checkpoint(parse_note(sealed[0]["note"]).text)
    assert (found.origin, found.size) == ("lab.example.org/acme", 3)
    anchor = tmp_path / "anchors" / "acme" / "00000000000000000003.note"
    assert anchor.read_text(encoding="utf-8") == sealed[0]["note"]
    add(lab, tmp_path, "acme", 2)
    status, acme = verified(lab)
    assert (status, acme["status"], acme["records"], acme["sealed"], acme["anchored"]) == (0, "verified", 5, 3, 3)


def test_checkpoint_of_one_organization_and_again(lab: Any) -> None:
    first = lab("checkpoint", "--organization", "acme", "--json")
    assert [one["organization_id"] for one in json.loads(first[1])["checkpoints"]] == ["acme"]
    assert lab("checkpoint", "--organization", "acme", "--json") == first
    assert "3 records sealed" in lab("checkpoint", "--organization", "acme")[1]


def test_a_chain_that_is_not_sound_is_not_sealed_and_the_others_are(lab: Any, database_url: str) -> None:
    engine = open_database(database_url)
    adversary.alter_record(engine, "acme", 2, reason="x")
    engine.dispose()
    status, out, err = lab("checkpoint", "--json")
    assert status == 1
    document = json.loads(out)
    assert [one["organization_id"] for one in document["checkpoints"]] == ["other"]
    assert [one["organization_id"] for one in document["refused"]] == ["acme"]
    assert len(err.splitlines()) == 1
    assert "Record 2 was altered" in err


def test_a_chain_that_is_gone_is_still_asked_for_where_it_was_anchored(lab: Any, database_url: str) -> None:
    lab("checkpoint")
    engine = open_database(database_url)
    adversary_sealed.remove_everything(engine, "acme")
    engine.dispose()
    status, out, _ = lab("verify", "--json")
    found = {one["organization_id"]: one for one in json.loads(out)["organizations"]}
    assert status == 1
    assert found["other"]["status"] == "verified"
    assert found["acme"]["status"] == "broken"
    assert codes(found["acme"]) == [("chain_truncated", "error", 1, 3, None)]


def test_keys_that_did_not_sign_are_no_reason_to_believe(lab: Any, tmp_path: Path, monkeypatch: Any) -> None:
    lab("checkpoint")
    monkeypatch.setenv("FLASKTRACK_KEY_DIR", str(tmp_path / "none"))
    status, acme = verified(lab)
    assert (status, codes(acme)) == (1, [("checkpoint_invalid", "error", 3, 3, None)])
    status, out, err = lab("checkpoint")
    assert (status, out) == (2, "")
    assert "init" in err
    assert len(err.splitlines()) == 1


def test_an_incremental_or_partial_verification_is_never_called_more(lab: Any, tmp_path: Path) -> None:
    add(lab, tmp_path, "acme", 697)
    lab("checkpoint")
    add(lab, tmp_path, "acme", 5)
    status, acme = verified(lab, "--incremental")
    assert (status, acme["mode"], acme["first_seq"], acme["records"]) == (0, "incremental", 257, 449)
    status, acme = verified(lab, "--seq", "5-8")
    assert (status, acme["mode"], acme["first_seq"], acme["records"], acme["sealed"]) == (0, "range", 5, 4, 0)
    out = lab("verify", "--organization", "acme", "--incremental")[1]
    assert "since 257 only" in out
    assert "of a range only" in lab("verify", "--organization", "acme", "--seq", "7")[1]


def test_by_a_person_it_is_on_record(lab: Any) -> None:
    assert verified(lab, "--by", "user:u-7")[1]["records"] == 3
    status, acme = verified(lab)
    assert (status, acme["records"], acme["started_by"]) == (0, 4, "command line")


def test_an_erasure_is_told_and_everything_still_verifies(lab: Any) -> None:
    lab("checkpoint")
    status, out, err = lab(
        "erase", "--organization", "acme", "--seq", "1-2", "--section", "context", "--reason", "GDPR, article 17",
        "--actor", "user:dpo-1", "--json",
    )  # fmt: skip
    assert (status, err) == (0, "")
    assert (json.loads(out)["organization_id"], json.loads(out)["seq"]) == ("acme", 4)
    status, acme = verified(lab)
    assert (status, acme["status"], acme["sealed"]) == (0, "verified", 3)
    assert codes(acme) == [("payload_erased", "info", 1, 2, "context")]
    assert "record 4" in acme["findings"][0]["detail"]
    assert json.loads(lab("checkpoint", "--organization", "acme", "--json")[1])["checkpoints"][0]["size"] == 4


@pytest.mark.parametrize(
    "arguments",
    [
        ("verify", "--organization", "nobody"),
        ("verify", "--organization", "acme", "--seq", "8-5"),
        ("verify", "--organization", "acme", "--seq", "all"),
        ("verify", "--organization", "acme", "--seq", "1-2", "--incremental"),
        ("verify", "--organization", "acme", "--workers", "0"),
        ("checkpoint", "--organization", "nobody"),
        ("erase", "--organization", "nobody", "--seq", "1", "--section", "after", "--reason", "x", "--actor", "user:u"),
        (
            "erase",
            "--organization",
            "acme",
            "--seq",
            "1-9",
            "--section",
            "context",
            "--reason",
            "x",
            "--actor",
            "user:u",
        ),
        ("erase", "--organization", "acme", "--seq", "1", "--section", "hash", "--reason", "x", "--actor", "user:u"),
        ("erase", "--organization", "acme", "--seq", "1", "--section", "context", "--reason", " ", "--actor", "user:u"),
        ("erase", "--organization", "acme", "--seq", "1", "--section", "context", "--reason", "x", "--actor", "user"),
        ("erase", "--organization", "acme", "--seq", "1", "--section", "after", "--reason", "x", "--actor", "user:u"),
    ],
)
def test_what_cannot_be_done_exits_with_2_and_one_line_and_changes_nothing(
    lab: Any, arguments: tuple[str, ...]
) -> None:
    status, out, err = lab(*arguments)
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    status, acme = verified(lab)
    assert (status, acme["records"], acme["findings"]) == (0, 3, [])


def test_workers_give_the_same_answer(lab: Any) -> None:
    alone, together = verified(lab), verified(lab, "--workers", "2")
    for _, acme in (alone, together):
        del acme["started_at"], acme["seconds"]
    assert alone == together
