"""docs/witness.md: every command in it is one, and every refusal that it explains is one that the witness gives."""

from __future__ import annotations

import re
import shlex

import pytest

from flasktrack.cli import _parser
from flasktrack.settings import HOME

PAGE = (HOME / "docs" / "witness.md").read_text(encoding="utf-8")
BLOCKS = "\n".join(line[4:] for line in PAGE.splitlines() if line.startswith("    ")).replace("\\\n", " ")
COMMANDS = re.findall(r"python -m flasktrack ([^|>#\n]+)", BLOCKS)
REFUSALS = [row.partition(" | ")[0].removeprefix("| ") for row in PAGE.splitlines() if re.search(r"\| [12] \|", row)]


def test_there_are_commands_and_refusals_to_check() -> None:
    assert len(COMMANDS) >= 12
    assert len(REFUSALS) == 6


@pytest.mark.parametrize("command", dict.fromkeys(COMMANDS))
def test_every_command_is_one(command: str) -> None:
    assert callable(_parser().parse_args(shlex.split(command)).run)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_every_refusal_is_given_in_these_words(refusal: str) -> None:
    source = (HOME / "flasktrack" / "seal" / "witness.py").read_text(encoding="utf-8")
    source = re.sub(r'"\s*f?"', "", source)  # a sentence may stand on two lines
    for words in re.split(r"…|\b[MN]\b(?: records)?", refusal):
        assert words.strip().lower() in source.lower()
