"""`members` adds, lists, changes and removes, says what it did, and refuses in one line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flasktrack.cli import main
from tests.store.samples import NORTHWIND


@pytest.fixture
def run(lab: Any, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run `members`: (exit status, standard output, standard error)."""
    url = lab.url.render_as_string(hide_password=False)

    def call(action: str, *arguments: str) -> tuple[int, str, str]:
        status = main(["members", action, *arguments, "--organization", NORTHWIND, "--database", url])
        out, err = capsys.readouterr()
        return status, out, err

    return call


def test_members_are_added_listed_changed_and_removed(run: Any) -> None:
    assert run("list")[1] == f"{NORTHWIND} has no members yet.\n"
    boss = ("--role", "administrator", "--reason", "founds the lab")
    assert run("add", "user:anna", "--name", "Anna Berg", *boss)[1] == (
        f"{NORTHWIND}: user:anna is a member: Administrator; record 1 says so.\n"
    )
    by_anna = ("--by", "user:anna", "--reason", "SOP-3")
    assert run("add", "user:ben", "--role", "qa-lead", "--role", "lab-manager", *by_anna)[0] == 0
    assert run("list")[1].splitlines() == [
        "user:anna (Anna Berg): Administrator, by record 1",
        "user:ben (ben): Lab manager and QA lead, by record 2",
    ]
    assert run("roles", "user:ben", "--role", "lab-manager", *by_anna)[0] == 0
    members = json.loads(run("list", "--json")[1])["members"]
    assert [(one["subject"], one["roles"], one["seq"]) for one in members][1] == ("user:ben", ["lab-manager"], 3)
    assert json.loads(run("remove", "user:ben", "--json", *by_anna)[1])["seq"] == 4
    assert len(run("list")[1].splitlines()) == 1


def test_what_is_refused_is_one_line_and_changes_nothing(run: Any) -> None:
    run("add", "user:anna", "--role", "administrator", "--reason", "founds the lab")
    run("add", "user:ben", "--role", "qa-lead", "--reason", "joins")
    for arguments, why in (
        (("add", "user:eve", "--role", "boss", "--reason", "x"), "no role"),
        (("add", "user:eve", "--role", "qa-lead", "--reason", "x", "--by", "user:ben"), "only Administrator may"),
        (("remove", "user:anna", "--reason", "x", "--by", "user:eve"), "does not belong"),
        (("remove", "user:anna", "--reason", "x"), "no administrator"),
        (("add", "user:eve", "--role", "qa-lead"), "--reason"),
    ):
        status, out, err = run(*arguments)
        assert (status, out) == (2, "")
        assert why in err
        assert err.count("\n") == 1
    assert len(run("list")[1].splitlines()) == 2
