"""Whatever is recorded verifies, and whatever is altered in it afterwards does not."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Engine, select
from sqlalchemy.types import Integer, LargeBinary

from flasktrack.core.record import Event
from flasktrack.core.times import format_time
from flasktrack.store.engine import writing
from flasktrack.store.schema import Time, audit_payload, audit_record
from flasktrack.store.writer import append
from tests import adversary
from tests.capture.events import EVENTS, TEXT
from tests.verify.chains import findings, make_chain, new_organization, verify

SLOW = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
FEW = st.sampled_from(["a", "b", "Ä"])


def crowded(events: list[Event], names: list[tuple[str, str]]) -> list[Event]:
    """The same acts by few actors on few entities, so that they follow on each other."""
    return [
        replace(event, actor_id=actor, entity_id=entity, actor_type="user", entity_type="sample", record_id=None)
        for event, (actor, entity) in zip(events, names, strict=False)
    ]


def coherent(events: list[Event]) -> Iterator[Event]:
    """The same acts, each of which found its entity as it was last recorded, or does not say."""
    states: dict[str, Any] = {}
    for event in events:
        known = states.get(event.entity_id)
        yield replace(event, before=None if event.before is None else known)
        if event.after is not None:
            states[event.entity_id] = event.after


@SLOW
@given(
    events=st.lists(EVENTS, max_size=12),
    names=st.lists(st.tuples(FEW, FEW), min_size=12, max_size=12),
    parts=st.lists(st.integers(0, 12), max_size=3).map(sorted),
)
def test_an_intact_chain_is_never_accused(
    engine: Engine, events: list[Event], names: list[tuple[str, str]], parts: list[int]
) -> None:
    lab = new_organization(engine, f"lab-{uuid.uuid4().hex}")
    acts = list(coherent(crowded(events, names)))
    for start, end in zip([0, *parts], [*parts, len(acts)], strict=True):
        with writing(engine) as connection:
            append(connection, lab, acts[start:end])
    verification = verify(engine, lab)
    assert verification.findings == ()
    assert (verification.status, verification.records) == ("verified" if acts else "not_checked", len(acts))


@SLOW
@given(events=st.lists(EVENTS, min_size=1, max_size=8))
def test_events_of_any_content_give_no_error(engine: Engine, events: list[Event]) -> None:
    lab = new_organization(engine, f"lab-{uuid.uuid4().hex}")
    with writing(engine) as connection:
        append(connection, lab, {event.record_id or str(index): event for index, event in enumerate(events)}.values())
    assert {finding.code for finding in verify(engine, lab).findings} <= {"state_gap"}


def any_value(column: Column[Any]) -> st.SearchStrategy[Any]:
    """Whatever the column's type holds in both databases."""
    values: st.SearchStrategy[Any]
    if isinstance(column.type, Time):
        values = st.datetimes(timezones=st.timezones()).filter(lambda moment: 1 < moment.year < 9999).map(format_time)
    elif isinstance(column.type, LargeBinary):
        values = st.binary(max_size=40)
    elif isinstance(column.type, Integer):
        values = st.integers(-(2**63), 2**63 - 1)
    else:
        values = TEXT
    return st.none() | values if column.nullable else values


ALTERATIONS = st.one_of(
    [
        st.tuples(st.just(column), any_value(column))
        for table in (audit_record, audit_payload)
        for column in table.columns
        if column.name not in ("organization_id", "seq")
    ]
)


@pytest.fixture(scope="module")
def chain(engine: Engine) -> str:
    """A sound chain, put back after each alteration."""
    lab = f"lab-{uuid.uuid4().hex}"
    make_chain(engine, lab, 7)
    return lab


@settings(SLOW, max_examples=60)
@given(alteration=ALTERATIONS, seq=st.integers(1, 7))
def test_a_single_alteration_of_any_column_is_an_error(
    engine: Engine, chain: str, alteration: tuple[Column[Any], Any], seq: int
) -> None:
    column, value = alteration
    with engine.connect() as connection:
        where = (column.table.c.organization_id == chain, column.table.c.seq == seq)
        old = connection.scalar(select(column).where(*where))
    assume(value != old)
    with adversary.past_the_triggers(engine) as connection:
        connection.execute(column.table.update().where(*where).values({column: value}))
    try:
        verification = verify(engine, chain)
    finally:
        with adversary.past_the_triggers(engine) as connection:
            connection.execute(column.table.update().where(*where).values({column: old}))
    expected = "record_modified" if column.table is audit_record else "payload_modified"
    assert [(finding.code, finding.seq, finding.seq_end) for finding in verification.findings] == [(expected, seq, seq)]
    assert verification.status == "broken"
    assert findings(engine, chain) == []


@settings(SLOW, max_examples=15)
@given(order=st.permutations(range(1, 8)))
def test_any_new_order_of_the_records_is_told_with_every_position(engine: Engine, chain: str, order: list[int]) -> None:
    def arrange(positions: list[int]) -> None:
        with adversary.past_the_triggers(engine) as connection:
            for table in adversary.HISTORY:
                mine = table.update().where(table.c.organization_id == chain)
                for place in range(1, 8):
                    connection.execute(mine.where(table.c.seq == place).values(seq=-positions[place - 1]))
                connection.execute(mine.values(seq=-table.c.seq))

    arrange(order)
    try:
        verification = verify(engine, chain)
    finally:
        arrange([order.index(place) + 1 for place in range(1, 8)])
    told = {seq for finding in verification.findings for seq in range(finding.seq, finding.seq_end + 1)}
    assert {finding.code for finding in verification.findings} <= {"record_reordered"}
    assert told == {new for old, new in enumerate(order, 1) if old != new}
    assert findings(engine, chain) == []
