"""A filter selects the records that a naive reading of its fields selects, in both databases alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from flasktrack.core.record import ACTOR_TYPES, MAX_POSITION, OUTCOMES, Event
from flasktrack.insight.filter import MAX_ENTITY_TYPES, RecordFilter
from flasktrack.insight.filter_values import MAX_VALUES
from flasktrack.insight.words import MAX_LETTERS, MAX_WORDS
from flasktrack.store.engine import writing
from flasktrack.store.organizations import create_organization
from flasktrack.store.reader import Ledger
from flasktrack.store.schema import audit_record
from flasktrack.store.scope import machine_scope, machine_scoped
from flasktrack.store.writer import append
from tests.insight.lab import ACTIONS, ACTORS, ENTITIES, HERE, HOUR_SPANS, ROWS, THERE, WORDS, selected

A_MOMENT = ROWS[HERE][40].moment
ACTOR_NAMES = [f"{type_}:{id_}" for type_, id_, _ in ACTORS]
ENTITY_NAMES = [f"{type_}:{id_}" for type_, id_, _ in ENTITIES]


def found(engine: Engine, organization_id: str, chosen: RecordFilter) -> list[int]:
    """Positions that the database selects, in order."""
    statement = machine_scoped(organization_id, audit_record.c.seq).where(*chosen.conditions())
    with engine.connect() as connection:
        return list(connection.scalars(statement.order_by(audit_record.c.seq)))


def expected(organization_id: str, chosen: RecordFilter) -> list[int]:
    return [row.seq for row in selected(organization_id, chosen)]


ONE_FIELD: list[dict[str, Any]] = [
    {"occurred_from": A_MOMENT},
    {"occurred_to": A_MOMENT},
    {"occurred_from": A_MOMENT, "occurred_to": A_MOMENT + timedelta(microseconds=1)},
    {"occurred_from": datetime(2026, 3, 29, tzinfo=UTC), "occurred_to": datetime(2026, 10, 25, 1, tzinfo=UTC)},
    *({"actors": (name,)} for name in ACTOR_NAMES),
    {"actors": tuple(ACTOR_NAMES[:3])},
    {"actors": ("user:u-1", "api_key:u:2")},  # the second one is nobody, though both halves exist
    *({"actor_types": (name,)} for name in ACTOR_TYPES),
    {"actor_types": ("user", "api_key")},
    *({"actions": (name,)} for name in ACTIONS),
    {"actions": ("delete", "create")},
    *({"entities": (name,)} for name in ENTITY_NAMES),
    *({"entities": (name,), "with_related": True} for name in ENTITY_NAMES),
    {"entities": ("sample:S-1", "batch:S-1", "file:S-1")},
    {"entities": ("sample:S:1:b", "batch:S-1"), "with_related": True},
    {"with_related": True},
    {"entity_types": ("batch",)},
    {"entity_types": ("batch", "file")},
    *({"outcomes": (name,)} for name in OUTCOMES),
    {"outcomes": ("failure", "denied")},
    {"credentials": ("tok_1",)},
    {"credentials": ("tok_1", "TOK_1", "tok_2")},
    {"on_behalf_of": ("user:u:2",)},
    {"ips": ("192.0.2.7",)},
    {"ips": ("192.0.2.7", "192.0.2.77", "7")},
    *({"hours": (name,)} for name in HOUR_SPANS),
    {"hours": tuple(HOUR_SPANS)},
    {"seq_first": 17},
    {"seq_last": 17},
    {"seq_first": 5, "seq_last": 5},
    {"seq_first": MAX_POSITION},
    {"seq_last": MAX_POSITION},
]


@pytest.mark.parametrize("fields", ONE_FIELD, ids=repr)
def test_each_field_selects_its_records(lab: Engine, fields: dict[str, Any]) -> None:
    chosen = RecordFilter(**fields)
    for organization_id in (HERE, THERE):
        assert found(lab, organization_id, chosen) == expected(organization_id, chosen)


def test_no_field_selects_everything(lab: Engine) -> None:
    assert RecordFilter().is_empty
    assert found(lab, HERE, RecordFilter()) == [row.seq for row in ROWS[HERE]]


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_found_wherever_it_stands_in_any_case_and_as_it_is(lab: Engine, word: str) -> None:
    chosen = RecordFilter(text=word)
    assert found(lab, HERE, chosen) == expected(HERE, chosen)


def test_the_words_that_are_tried_are_there_but_for_those_that_wildcards_would_find() -> None:
    absent = {word for word in WORDS if not expected(HERE, RecordFilter(text=word))}
    assert absent == {"GRÖSSE", "runx1", "xzy", "nowhere"}


def test_every_word_has_to_be_found_but_not_in_the_same_place(lab: Engine) -> None:
    chosen = RecordFilter(text='  MÜLLER\t"old" µL ')
    assert found(lab, HERE, chosen) == expected(HERE, chosen) != []


FIELDS = {
    "actors": st.lists(st.sampled_from(ACTOR_NAMES), unique=True).map(tuple),
    "actor_types": st.lists(st.sampled_from(ACTOR_TYPES), unique=True).map(tuple),
    "actions": st.lists(st.sampled_from(ACTIONS), unique=True).map(tuple),
    "entities": st.lists(st.sampled_from(ENTITY_NAMES), unique=True).map(tuple),
    "with_related": st.booleans(),
    "entity_types": st.lists(st.sampled_from(("sample", "batch", "file", "none")), unique=True).map(tuple),
    "outcomes": st.lists(st.sampled_from(OUTCOMES), unique=True).map(tuple),
    "occurred_from": st.none() | st.sampled_from([row.moment for row in ROWS[HERE]]),
    "hours": st.lists(st.sampled_from(list(HOUR_SPANS)), unique=True).map(tuple),
    "credentials": st.lists(st.sampled_from(("tok_1", "TOK_1")), unique=True).map(tuple),
    "seq_first": st.none() | st.integers(1, 150),
    "seq_last": st.none() | st.integers(150, 300),
    "positions": st.lists(st.integers(1, 300)).map(tuple),
    "text": st.none() | st.lists(st.sampled_from(WORDS), max_size=2).map(" ".join),
}


@settings(max_examples=100, deadline=None)
@given(st.fixed_dictionaries({}, optional=FIELDS))
def test_fields_narrow_each_other(lab: Engine, fields: dict[str, Any]) -> None:
    chosen = RecordFilter(**fields)
    assert found(lab, HERE, chosen) == expected(HERE, chosen)


def test_a_ledger_streams_and_counts_what_a_filter_with_text_and_relations_selects(lab: Engine) -> None:
    chosen = RecordFilter(text="run_7", entities=("batch:S-1",), with_related=True)
    ledger = Ledger(lab, machine_scope(HERE))
    streamed = [checked.record.seq for checked in ledger.stream(*chosen.conditions())]
    assert streamed == expected(HERE, chosen) != []
    assert ledger.count(*chosen.conditions()) == len(streamed)


def test_as_much_as_a_filter_may_hold_is_answered(lab: Engine) -> None:
    pairs = (*(f"kind-{n % (MAX_ENTITY_TYPES - 1)}:{n}" for n in range(MAX_VALUES - 1)), "sample:S-1")
    names = (*(f"name-{n}" for n in range(MAX_VALUES - len(ACTIONS))), *ACTIONS)
    chosen = RecordFilter(
        actors=(*(f"user:{n}" for n in range(MAX_VALUES - 1)), "user:u-1"),
        actor_types=ACTOR_TYPES,
        actions=names,
        entities=pairs,
        with_related=True,
        entity_types=(*names[4:], *("sample", "batch", "file")),
        text="müller",
    )
    assert found(lab, HERE, chosen) == expected(HERE, chosen) != []
    words = " ".join(f"{'ö' * (MAX_LETTERS - 2)}{n:02}" for n in range(MAX_WORDS))
    assert found(lab, HERE, RecordFilter(text=words)) == []


def test_text_reaches_every_place(engine: Engine) -> None:
    own = ("actor_id", "actor_name", "action", "reason", "entity_id", "entity_name", "correlation_id")
    places = (*own, "before", "after", "context")
    fields: dict[str, Any] = {"actor_type": "user", "actor_id": "u", "entity_type": "sample", "entity_id": "s"}
    fields |= {"occurred_at": A_MOMENT, "action": "read"}
    with writing(engine) as connection:
        create_organization(connection, HERE)
        append(connection, HERE, [Event(**{**fields, place: f"needle_{place}"}) for place in places])
    for seq, place in enumerate(places, 1):
        assert found(engine, HERE, RecordFilter(text=f"NEEDLE_{place}")) == [seq]
