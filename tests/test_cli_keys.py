"""`init` makes the keys; `keys show`, `rotate` and `trust` do what spec section 6 says, or say why they can't."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, insert

from flasktrack.cli import main
from flasktrack.core.keys import SigningKey, parse_vkey
from flasktrack.settings import Settings
from flasktrack.store.engine import open_database, writing
from flasktrack.store.schema import checkpoint
from flasktrack.trust.keyring import Keyring

EVENT = {
    "actor": {"type": "user", "id": "u-1"},
    "action": "create",
    "entity": {"type": "sample", "id": "s-1"},
    "occurred_at": "2026-11-24T05:06:07Z",
}
WITNESS = SigningKey("witness.example", Ed25519PrivateKey.generate()).verifier


@pytest.fixture
def run(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command with keys and a database of its own: (exit status, standard output, standard error)."""
    monkeypatch.setenv("FLASKTRACK_KEY_DIR", str(tmp_path / "keys"))
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
    for name, count in {"acme": 3, "other": 1}.items():
        file = tmp_path / f"{name}.jsonl"
        file.write_text(f"{json.dumps(EVENT)}\n" * count, encoding="utf-8")
        assert run("import", str(file), "--organization", name)[0] == 0
    return run


def keyring() -> Keyring:
    return Keyring.from_settings(Settings.from_environment())


def test_init_makes_the_keys_and_says_where(run: Any, tmp_path: Path) -> None:
    status, out, err = run("init", "--json")
    assert (status, err) == (0, "")
    assert json.loads(out)["keys"] == str(tmp_path / "keys")
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert len(keyring().signing_keys("acme")) == 2


def test_init_again_keeps_the_keys_and_makes_those_that_an_older_database_lacks(lab: Any, tmp_path: Path) -> None:
    before = keyring().vkeys(["acme"])
    assert lab("init")[0] == 0
    assert keyring().vkeys(["acme"]) == before
    for file in (tmp_path / "keys").iterdir():
        file.unlink()
    assert lab("init")[0] == 0
    assert keyring().vkeys(["acme"]) != before


def test_init_says_where_keys_cannot_be_made_but_the_database_is(run: Any, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("in the way")
    status, out, err = run("init")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "is ready, but not its keys" in err
    assert str(tmp_path / "keys") in err
    (tmp_path / "keys").unlink()
    assert run("verify")[0] == 1, "nothing to check, in a database that is there"


def test_init_with_a_deployment_that_cannot_be_writes_nothing(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASKTRACK_DEPLOYMENT", "Our Lab")
    status, _, err = run("init")
    assert status == 2
    assert "FLASKTRACK_DEPLOYMENT" in err
    assert list(tmp_path.iterdir()) == []


def test_show_prints_both_vkeys_of_every_organization_one_a_line(lab: Any) -> None:
    status, out, err = lab("keys", "show")
    assert (status, err) == (0, "")
    names = [parse_vkey(line).name for line in out.splitlines()]
    assert names == ["lab.example.org/acme"] * 2 + ["lab.example.org/other"] * 2
    assert out.splitlines() == keyring().vkeys(["acme", "other"])


def test_show_as_json_gives_type_and_size_of_retirement(lab: Any) -> None:
    old = keyring().vkeys(["acme"])
    assert lab("keys", "rotate")[0] == 0
    status, out, err = lab("keys", "show", "--json")
    assert (status, err) == (0, "")
    rows = [row for row in json.loads(out)["keys"] if row["organization_id"] == "acme"]
    assert [(row["type"], row["retired_at"]) for row in rows] == [
        ("Ed25519", None), ("ML-DSA-44", None), ("Ed25519", 3), ("ML-DSA-44", 3),
    ]  # fmt: skip
    assert [row["vkey"] for row in rows] == [*keyring().vkeys(["acme"]), *old]
    assert not set(old) & set(lab("keys", "show")[1].splitlines()), (
        "a retired key is not handed out as one without limit"
    )


def test_show_without_organizations_prints_no_key_and_says_why(run: Any) -> None:
    run("init")
    status, out, err = run("keys", "show")
    assert (status, out, err.count("\n")) == (0, "", 1)
    assert "none yet" in err
    assert json.loads(run("keys", "show", "--json")[1]) == {"keys": []}


def test_show_needs_no_passphrase(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = lab("keys", "show")
    monkeypatch.setenv("FLASKTRACK_KEY_PASSPHRASE", "a passphrase")
    assert lab("keys", "rotate")[0] == 0
    monkeypatch.delenv("FLASKTRACK_KEY_PASSPHRASE")
    status, out, _ = lab("keys", "show")
    assert status == 0
    assert out != before[1]


def test_rotate_retires_each_organizations_keys_at_its_size(lab: Any) -> None:
    old = keyring().vkeys(["acme", "other"])
    status, out, err = lab("keys", "rotate", "--json")
    assert (status, err) == (0, "")
    assert json.loads(out) == {
        "organizations": [
            {"organization_id": "acme", "retired_at": 3}, {"organization_id": "other", "retired_at": 1},
        ]
    }  # fmt: skip
    retired = [(key.key.vkey, key.until) for name in ("acme", "other") for key in keyring().trusted(name) if key.until]
    assert retired == list(zip(old, [3, 3, 1, 1], strict=True))


def test_rotate_keeps_the_keys_of_checkpoints_that_cover_more_than_is_left(lab: Any, database_url: str) -> None:
    engine = open_database(database_url)
    with writing(engine) as connection:
        row = {"organization_id": "acme", "size": 5, "root": bytes(32), "note": "", "created_at": EVENT["occurred_at"]}
        connection.execute(insert(checkpoint).values(row))
    engine.dispose()
    assert lab("keys", "rotate")[0] == 0
    assert [key.until for key in keyring().trusted("acme")] == [None, None, 5, 5], "or a cut tail would go unseen"


def test_trust_takes_keys_in_once(run: Any, tmp_path: Path) -> None:
    run("init")
    file = tmp_path / "keys.txt"
    file.write_bytes(f"\ufeff{WITNESS.vkey}\r\n\r\n# nothing else\r\n".encode())
    assert run("keys", "trust", str(file))[1] == "1 key is trusted that was not before.\n"
    status, out, err = run("keys", "trust", str(file), "--json")
    assert (status, json.loads(out), err) == (0, {"added": 0}, "")
    assert keyring().witnesses() == [WITNESS]


def test_keys_that_one_deployment_shows_another_trusts(
    lab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = lab("keys", "show")[1]
    (tmp_path / "shown.vkeys").write_text(shown)
    monkeypatch.setenv("FLASKTRACK_KEY_DIR", str(tmp_path / "auditor"))
    assert lab("keys", "trust", str(tmp_path / "shown.vkeys"))[0] == 0
    assert [key.key.vkey for name in ("acme", "other") for key in keyring().trusted(name)] == shown.splitlines()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f"{WITNESS.vkey}\n{WITNESS.vkey[:-2]}\n".encode(), "Line 2"),
        (b"\xff\xfe\x00", "not a text file"),
        (None, "can't be read"),
        (b"#" * (16 * 1024 * 1024 + 1), "too large"),
    ],
    ids=["malformed", "binary", "absent", "large"],
)
def test_trust_refuses_what_is_no_list_of_vkeys(run: Any, tmp_path: Path, content: bytes | None, words: str) -> None:
    run("init")
    file = tmp_path / "keys.txt"
    if content is not None:
        file.write_bytes(content)
    status, out, err = run("keys", "trust", str(file))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert words in err
    assert "keys.txt" in err
    assert keyring().witnesses() == []


@pytest.mark.parametrize("action", ["show", "rotate"])
def test_without_keys_the_commands_say_how_to_make_them(lab: Any, tmp_path: Path, action: str) -> None:
    for file in (tmp_path / "keys").iterdir():
        file.unlink()
    (tmp_path / "keys").rmdir()
    status, out, err = lab("keys", action)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "flasktrack init" in err


def test_a_wrong_passphrase_stands_in_no_message(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASKTRACK_KEY_PASSPHRASE", "the-right-one")
    assert lab("keys", "rotate")[0] == 0
    monkeypatch.setenv("FLASKTRACK_KEY_PASSPHRASE", "the-wrong-one")
    status, out, err = lab("keys", "rotate")
    assert (status, out) == (2, "")
    assert "passphrase is wrong" in err
    assert "the-wrong-one" not in err
    assert "the-right-one" not in err


@pytest.mark.parametrize("arguments", [(), ("frobnicate",), ("trust",)], ids=["none", "unknown", "no file"])
def test_wrong_arguments_are_reported_in_one_line(run: Any, arguments: tuple[str, ...]) -> None:
    status, out, err = run("keys", *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)


def test_tests_leave_the_default_key_directory_alone() -> None:
    assert os.environ["FLASKTRACK_KEY_DIR"] != str(Settings().key_dir)
