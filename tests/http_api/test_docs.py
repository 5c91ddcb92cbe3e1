"""docs/http-api.md and docs/api-keys.md: their commands are commands, their options are all, their JSON is a record."""

from __future__ import annotations

import argparse
import re
import shlex

import pytest

from flasktrack.cli import _parser
from flasktrack.http_api.events import MAX_RECORDS, read_events
from flasktrack.http_api.limits import MAX_BODY_BYTES, REFUSED_BURST, REFUSED_PER_SECOND
from flasktrack.http_api.openapi import openapi_document
from flasktrack.settings import HOME
from flasktrack.store.api_keys import MAX_LIFETIME
from tests.http_api.test_events import key

HTTP, KEYS = ((HOME / "docs" / name).read_text(encoding="utf-8") for name in ("http-api.md", "api-keys.md"))


def options(*command: str) -> set[str]:
    """The long options of a command that are its own."""
    parser = _parser()
    for word in command:
        (choices,) = [one.choices for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
        parser = choices[word]
    found = {name for action in parser._actions for name in action.option_strings if name.startswith("--")}
    return found - {"--help", "--database", "--json", "--organization", "--by", "--reason"}


def test_every_command_is_one() -> None:
    blocks = "\n".join(line[4:] for line in (HTTP + KEYS).splitlines() if line.startswith("    "))
    commands = re.findall(r"python -m flasktrack ([^\n]+)", blocks.replace("\\\n", " "))
    assert len(commands) >= 3
    for command in commands:
        assert callable(_parser().parse_args(shlex.split(command)).run)


@pytest.mark.parametrize(("page", "command"), [(HTTP, ("serve",)), (KEYS, ("api-keys", "issue"))])
def test_every_option_is_explained(page: str, command: tuple[str, ...]) -> None:
    rows = " ".join(line.split("|")[1] + line for line in page.splitlines() if line.startswith("|")) + page
    assert {name for name in options(*command) if name not in rows} == set()


def test_the_example_is_a_record_that_a_key_may_make() -> None:
    body = re.search(r"-d '(\{.*?\})'", HTTP, re.DOTALL)
    assert body is not None
    (made,) = read_events(key(), body[1].encode())
    assert (made.action, made.entity_id) == ("update", "S-104")


def test_addresses_and_figures_are_what_they_are() -> None:
    for path, methods in openapi_document()["paths"].items():
        for method in methods:
            assert f"| `{method.upper()} {path}` |" in HTTP
    assert f"1 to {MAX_RECORDS:,} records and at most {MAX_BODY_BYTES // 1024 // 1024} MiB" in HTTP
    assert f"{MAX_LIFETIME.days} days at most" in KEYS
    assert (REFUSED_BURST, REFUSED_PER_SECOND) == (10, 0.1)
    assert "ten uses are recorded at once, then one in ten seconds" in " ".join(KEYS.split())
