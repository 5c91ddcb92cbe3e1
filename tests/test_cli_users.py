"""`users`: accounts are made and ended on the command line, and a password goes in by standard input alone."""

from __future__ import annotations

import io
import json

import pytest
from sqlalchemy import Engine

from flasktrack.access import passwords
from flasktrack.access.accounts import find_account, list_accounts
from flasktrack.access.passwords import Cost, check_password
from flasktrack.cli import main

PASSWORD = "a few words will do"


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "COST", Cost(8, 1, 1))


@pytest.fixture
def users(sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run `users ...` with a line of standard input; status, output and errors."""

    def run(*arguments: str, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        url = sqlite_engine.url.render_as_string(hide_password=False)
        status = main(["users", *arguments, "--database", url])
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


def test_a_user_is_added_with_a_temporary_password_and_listed(users, sqlite_engine: Engine) -> None:
    assert users("list")[1].startswith("There are no accounts yet")
    status, out, _ = users("add", "Anna", "--name", "Anna Berg", typed=f"{PASSWORD}\n")
    assert (status, "one sign-in" in out) == (0, True)
    (made,) = list_accounts(sqlite_engine)
    assert (made.id, made.name, made.temporary) == ("anna", "Anna Berg", True)
    assert check_password(PASSWORD, made.password)
    status, out, _ = users("list", "--json")
    assert json.loads(out)["users"] == [
        {"id": "anna", "name": "Anna Berg", "password": True, "temporary": True, "disabled_at": None, "sessions": 0}
    ]
    assert users("add", "anna", typed=f"{PASSWORD}\n")[0] == 2


@pytest.mark.parametrize("typed", ["", "short\n", "anna anna anna anna\n"])
def test_a_password_that_is_none_makes_no_account(users, sqlite_engine: Engine, typed: str) -> None:
    status, out, err = users("add", "anna", typed=typed)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert not typed.strip() or typed.strip() not in err
    assert list_accounts(sqlite_engine) == []


def test_a_password_is_reset_and_an_account_disabled_and_enabled(users, sqlite_engine: Engine) -> None:
    users("add", "anna", typed=f"{PASSWORD}\n")
    assert users("reset-password", "anna", typed="quite another lot of words\n")[0] == 0
    assert users("disable", "anna")[0] == 0
    with sqlite_engine.connect() as connection:
        found = find_account(connection, "anna")
    assert found is not None
    assert found.disabled_at is not None
    assert check_password("quite another lot of words", found.password)
    assert "disabled since" in users("list")[1]
    assert users("enable", "anna")[0] == 0
    assert "temporary password, 0 sessions open" in users("list")[1]
    assert "0 sessions were open" in users("sign-out", "anna")[1]
    for command in ("reset-password", "disable", "enable", "sign-out"):
        assert users(command, "nobody", typed=f"{PASSWORD}\n")[::2] == (
            2, "flasktrack: There is no account 'nobody'. See: users list\n"
        )  # fmt: skip
