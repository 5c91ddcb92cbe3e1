"""Thresholds: defaults for what was not set, a sentence for what can't be meant, and a record for each change."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from flasktrack.errors import SettingRefused
from flasktrack.insight.attention.attention import find_attention
from flasktrack.insight.attention.rules import RULES
from flasktrack.insight.attention.thresholds import (
    DEFAULTS,
    InForce,
    Thresholds,
    read_thresholds,
    set_thresholds,
    thresholds_of,
)
from flasktrack.insight.copy_place import open_copy
from flasktrack.insight.questions import Questions
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope
from flasktrack.verify.runner import verify_organization
from tests.store.samples import NORTHWIND, event, organizations, record, somebody, tamper

WHO = somebody("user:u-7")


@pytest.fixture
def lab(engine: Engine) -> Engine:
    organizations(engine)
    return engine


@st.composite
def some_thresholds(draw: st.DrawFn) -> Thresholds:
    given: dict[str, dict[str, Any]] = {}
    for rule in RULES.values():
        for one in thresholds_of(rule):
            if draw(st.integers(0, 3)):
                continue
            if isinstance(one.default, bool):
                value: Any = draw(st.booleans())
            elif isinstance(one.default, int):
                value = draw(st.integers(one.least, one.most))
            elif isinstance(one.default, str):
                value = draw(st.times().map(lambda time: f"{time:%H:%M}"))
            else:
                words = st.sampled_from(one.choices) if one.choices else st.from_regex(r"[a-z_]{1,20}", fullmatch=True)
                value = draw(st.lists(words, max_size=5, unique=True))
            given.setdefault(rule.name, {})[one.name] = value
    return Thresholds.read(given)


@settings(max_examples=40)
@given(some_thresholds())
def test_thresholds_come_back_from_what_is_stored(thresholds: Thresholds) -> None:
    assert Thresholds.read(orjson.loads(orjson.dumps(thresholds.as_json()))) == thresholds


def test_what_is_not_given_is_the_default_and_what_is_unknown_is_left_out() -> None:
    read = Thresholds.read({"late_entry": {"hours": 12, "colour": "red"}, "no_such_rule": {"on": False}})
    assert read["late_entry"] == {"on": True, "hours": 12}
    assert read["off_hours"] == DEFAULTS["off_hours"]
    assert set(read.values) == set(RULES)


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        ("late_entry", {"hours": 0}),
        ("late_entry", {"hours": 87_601}),
        ("late_entry", {"hours": "24"}),
        ("late_entry", {"hours": True}),
        ("late_entry", {"on": "yes"}),
        ("late_entry", "off"),
        ("off_hours", {"begins": "25:00"}),
        ("off_hours", {"begins": "6"}),
        ("off_hours", {"days": ["mon", "someday"]}),
        ("bulk_deletion", {"actions": "delete"}),
        ("bulk_deletion", {"actions": [" delete"]}),
        ("bulk_deletion", {"actions": [1]}),
        ("bulk_deletion", {"actions": [str(n) for n in range(51)]}),
    ],
)
def test_what_cannot_be_meant_is_refused_by_the_rules_name(rule: str, values: Any) -> None:
    with pytest.raises(SettingRefused) as refused:
        Thresholds.read({rule: values})
    assert rule in str(refused.value) or RULES[rule].title in str(refused.value)


def test_a_change_is_a_record_and_counts_from_then_on(lab: Engine) -> None:
    former = read_thresholds(lab, machine_scope(NORTHWIND))
    assert former == InForce(DEFAULTS, 0)
    stricter = DEFAULTS.with_values("late_entry", {"hours": 1})
    done = set_thresholds(lab, WHO, former, stricter, reason="SOP-9")
    assert read_thresholds(lab, machine_scope(NORTHWIND)) == InForce(stricter, done.seq)
    looser = stricter.with_values("late_entry", {"hours": 3})
    set_thresholds(lab, WHO, read_thresholds(lab, machine_scope(NORTHWIND)), looser, reason="SOP-10")
    told = Ledger(lab, machine_scope(NORTHWIND)).get(2)
    assert told is not None
    assert told.before is not None
    assert told.after is not None
    hours = [orjson.loads(section.body)["late_entry"]["hours"] for section in (told.before, told.after)]
    assert (hours, told.record.reason, told.record.actor_id) == ([1, 3], "SOP-10", "u-7")
    assert verify_organization(lab, NORTHWIND, started_by="system:test").findings == ()


def test_who_saw_older_thresholds_changes_nothing(lab: Engine) -> None:
    seen = read_thresholds(lab, machine_scope(NORTHWIND))
    one, other = (DEFAULTS.with_values("late_entry", {"hours": hours}) for hours in (1, 2))
    set_thresholds(lab, WHO, seen, one, reason="first")
    with pytest.raises(SettingRefused, match="meanwhile"):
        set_thresholds(lab, WHO, seen, other, reason="second")
    assert read_thresholds(lab, machine_scope(NORTHWIND)).thresholds == one
    assert Ledger(lab, machine_scope(NORTHWIND)).count() == 1


def test_thresholds_that_were_changed_past_the_record_do_not_count_and_can_be_set_again(lab: Engine) -> None:
    loose = DEFAULTS.with_values("late_entry", {"hours": 5})
    set_thresholds(lab, WHO, read_thresholds(lab, machine_scope(NORTHWIND)), loose, reason="SOP-9")
    tamper(lab, """UPDATE organization_setting SET value = '{"late_entry":{"on":false}}'""")
    found = read_thresholds(lab, machine_scope(NORTHWIND))
    assert found.thresholds == DEFAULTS
    assert found.problem is not None
    set_thresholds(lab, WHO, found, loose, reason="as before")
    assert read_thresholds(lab, machine_scope(NORTHWIND)) == InForce(loose, 2)


def test_a_rule_that_is_switched_off_is_not_asked(lab: Engine) -> None:
    record(lab, *(event(number) for number in range(1, 4)))
    copy = open_copy(lab, "duckdb:///:memory:")
    copy.take_in(NORTHWIND)
    off = DEFAULTS.with_values("late_entry", {"on": False})
    answers = find_attention(Questions(copy, machine_scope(NORTHWIND)), off).answers
    copy.engine.dispose()
    assert set(answers) == set(RULES) - {"late_entry"}
