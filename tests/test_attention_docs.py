"""docs/attention.md documents every rule as it is: its severity, thresholds, bounds and regulatory reasons."""

from __future__ import annotations

import re

import pytest

from flasktrack.insight.attention.attention import ASK
from flasktrack.insight.attention.look import DEFAULT_DAYS, LOOK_BACK, MOST_HITS, MOST_LINKED, MOST_RECORDS, MOST_ROWS
from flasktrack.insight.attention.rules import RULES
from flasktrack.insight.attention.series import MOST_ENDS
from flasktrack.settings import HOME

PAGE = (HOME / "docs" / "attention.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### [^\n]+\n\n`(\w+)`, (.+?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))


def test_the_rules_that_are_documented_are_those_that_are_asked() -> None:
    assert list(SECTIONS) == list(RULES)
    assert set(ASK) == set(RULES)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_documented_as_it_is(name: str) -> None:
    rule, section = RULES[name], " ".join(SECTIONS[name].split())
    assert section.startswith(f"severity {rule.severity} ")
    assert f"Looks for {rule.looks_for}. {rule.why}" in section
    thresholds = re.findall(r"\| `(\w+)` \| .*? \| (.*?) \|", section)
    defaults = [
        (one.name, ", ".join(one.default) if isinstance(one.default, tuple) else str(one.default))
        for one in rule.thresholds
    ]
    assert thresholds == defaults
    assert rule.citations
    for one in rule.citations:
        assert f"- {one.source}, {one.clause}: {one.says}" in section


def test_the_bounds_are_documented() -> None:
    for bound in (DEFAULT_DAYS, MOST_RECORDS, LOOK_BACK, MOST_ROWS, MOST_ENDS, MOST_HITS, MOST_LINKED):
        assert re.search(rf" {bound:,}\b", " ".join(PAGE.split()))
