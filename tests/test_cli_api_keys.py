"""`api-keys` and `service-accounts`: the token is printed once, and nothing is done without a reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import Engine

from flasktrack.cli import main
from flasktrack.store.api_key_use import authenticate
from tests.store.samples import NORTHWIND, organizations, stored

WHO = ("--by", "user:u-1", "--reason", "SOP-12")


@pytest.fixture
def run(sqlite_engine: Engine, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command for an organization: (exit status, standard output, standard error)."""
    organizations(sqlite_engine)
    url = sqlite_engine.url.render_as_string(hide_password=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        status = main([*arguments, "--organization", NORTHWIND, "--database", url])
        out, err = capsys.readouterr()
        return status, out, err

    return call


def test_a_key_is_printed_once_listed_without_its_secret_and_revoked(run: Any, sqlite_engine: Engine) -> None:
    assert run("service-accounts", "add", "lims", "--name", "LIMS", *WHO)[0] == 0
    options = ("--service-account", "lims", "--action", "create", "--action", "update", "--read", "--expires", "30d")
    status, out, err = run("api-keys", "issue", "--name", "sync", *options, *WHO)
    assert (status, err) == (0, "")
    says, token = out.splitlines()
    key = authenticate(sqlite_engine, token)
    assert "may record create, update and may read until" in says
    for arguments in (("api-keys", "list"), ("api-keys", "list", "--json")):
        status, out, _ = run(*arguments)
        assert status == 0
        assert key.id in out
        assert token not in out
        assert token.rpartition("_")[2] not in out
    assert run("api-keys", "revoke", key.id, *WHO)[0] == 0
    assert json.loads(run("api-keys", "list", "--json")[1])["keys"][0]["status"] == "revoked"
    assert run("service-accounts", "retire", "lims", *WHO)[0] == 0
    assert "retired at" in run("service-accounts", "list")[1]
    assert [one.record.action for one in stored(sqlite_engine)] == ["create", "create", "revoke", "retire"]


def test_json_holds_the_token_once(run: Any, sqlite_engine: Engine) -> None:
    document = json.loads(run("api-keys", "issue", "--name", "app", "--any-action", "--name-users", *WHO, "--json")[1])
    key = authenticate(sqlite_engine, document["token"])
    assert (key.may_record("anything"), key.may_name_users, key.may_read) == (True, True, False)
    assert document["key"]["id"] == key.id


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("api-keys", "issue", "--name", "x", "--read"), "--reason"),
        (("api-keys", "issue", "--name", "x", *WHO), "neither record nor read"),
        (("api-keys", "issue", "--name", "x", "--read", "--expires", "400d", *WHO), "366 days"),
        (("api-keys", "revoke", "ftk_0000000000000000", *WHO), "no API key"),
        (("service-accounts", "retire", "nobody", *WHO), "no service account"),
    ],
)
def test_what_cannot_be_done_exits_with_2_and_one_line(run: Any, arguments: tuple[str, ...], words: str) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1
