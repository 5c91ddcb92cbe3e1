"""All rules asked at once."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, create_engine

from flasktrack.insight.attention.attention import find_attention
from flasktrack.insight.attention.rules import RULES
from flasktrack.insight.attention.thresholds import DEFAULTS, Thresholds
from flasktrack.insight.copy_place import open_copy
from flasktrack.insight.questions import Questions
from flasktrack.store.scope import machine_scope
from tests.store.samples import NORTHWIND, event, organizations, record


def test_no_connection_is_held_while_another_one_is_waited_for(sqlite_engine: Engine) -> None:
    """Or many people's questions would each hold what the others wait for, until they give up."""
    organizations(sqlite_engine)
    record(sqlite_engine, *(event(number) for number in range(1, 4)))
    copy = open_copy(sqlite_engine)
    copy.take_in(NORTHWIND)
    copy.engine.dispose()
    copy.engine = create_engine(copy.engine.url, pool_size=1, max_overflow=0, pool_timeout=60)
    assert set(find_attention(Questions(copy, machine_scope(NORTHWIND)), DEFAULTS).answers) == set(RULES)
    copy.engine.dispose()


@pytest.mark.parametrize("off", [[], ["late_entry"], ["late_entry", "future_time"], list(RULES)])
def test_a_rule_that_is_switched_off_has_no_answer(sqlite_engine: Engine, off: list[str]) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, *(event(number) for number in range(1, 4)))
    copy = open_copy(sqlite_engine)
    copy.take_in(NORTHWIND)
    thresholds = Thresholds.read({name: {"on": False} for name in off})
    answers = find_attention(Questions(copy, machine_scope(NORTHWIND)), thresholds).answers
    assert list(answers) == [name for name in RULES if name not in off]
    copy.engine.dispose()
