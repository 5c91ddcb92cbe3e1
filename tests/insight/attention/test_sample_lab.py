"""What is planted in the sample lab is found, each by its rule; and a laboratory at work gives little else."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from flasktrack.demo.plant import DELETED_IN_BULK, DENIED_SIGN_INS, FIRST, LATE_ENTRIES, SECOND
from flasktrack.insight.attention.attention import Attention, find_attention
from flasktrack.insight.attention.rule import LOW
from flasktrack.insight.attention.thresholds import DEFAULTS
from flasktrack.insight.copy_place import open_copy
from flasktrack.insight.questions import Questions
from flasktrack.settings import HOME
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope

PLANTED = {
    FIRST: {
        "state_gap": (1, "user:u-16"), "self_approval": (1, "user:u-17"),
        "bulk_deletion": (DELETED_IN_BULK, "user:u-14"), "late_entry": (LATE_ENTRIES, "user:u-13"),
    },
    SECOND: {
        "no_reason": (3, "user:u-34"), "failed_series": (DENIED_SIGN_INS, "user:u-31"),
        "first_address": (DENIED_SIGN_INS + 1, "user:u-31"), "off_hours": (6, "user:u-32"),
    },
}  # fmt: skip


@pytest.fixture(scope="module", params=[FIRST, SECOND])
def found(request: pytest.FixtureRequest, past_sample_lab: Engine) -> tuple[Ledger, Attention]:
    copy = open_copy(past_sample_lab)
    copy.take_in(request.param)
    attention = find_attention(Questions(copy, machine_scope(request.param)), DEFAULTS, days=90)
    copy.engine.dispose()
    return Ledger(past_sample_lab, machine_scope(request.param)), attention


def test_each_planted_incident_is_found_by_its_rule(found: tuple[Ledger, Attention]) -> None:
    ledger, attention = found
    hits = {
        hit.rule: (hit.records, {f"{one.record.actor_type}:{one.record.actor_id}" for one in records})
        for hit in attention.hits
        if (records := list(ledger.stream(*hit.chosen.conditions()))) and hit.severity != LOW
    }
    assert hits == {rule: (number, {who}) for rule, (number, who) in PLANTED[ledger.organization.id].items()}


def test_a_laboratory_at_work_gives_little_else(found: tuple[Ledger, Attention]) -> None:
    ledger, attention = found
    others = [hit for hit in attention.hits if hit.rule not in PLANTED[ledger.organization.id]]
    assert {hit.severity for hit in others} == {LOW}
    assert len(others) <= 8  # in ninety days
    assert attention.total == len(attention.hits)


def test_every_hit_leads_to_as_many_records_as_it_says(found: tuple[Ledger, Attention]) -> None:
    ledger, attention = found
    assert [ledger.count(*hit.chosen.conditions()) for hit in attention.hits] == [hit.records for hit in attention.hits]


def test_the_docs_say_by_which_rule_each_planted_incident_is_found() -> None:
    page = (HOME / "docs" / "sample-lab.md").read_text(encoding="utf-8")
    for rules in PLANTED.values():
        assert all(f"`{rule}`" in page for rule in rules)
