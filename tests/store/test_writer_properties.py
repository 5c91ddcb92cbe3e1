"""Whatever valid batches come in: every rule of the chain holds, and what was told is what is stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from flasktrack.core.record import Content, Event, Record, check_event
from flasktrack.errors import RecordConflict
from flasktrack.store.engine import writing
from flasktrack.store.writer import append
from tests.capture.events import EVENTS
from tests.store.chain import sound_records
from tests.store.samples import organizations, record_id

# Few actors, entities and record_ids, so that they meet again; everything else is whatever the spec allows.
ACTS = st.builds(
    replace,
    EVENTS,
    actor_type=st.sampled_from(["user", "automation"]),
    actor_id=st.sampled_from(["1", "1.0", 'Zoë "Z" \\', "\U00010348"]),
    entity_type=st.sampled_from(["sample", "null", "\x1f'"]),
    entity_id=st.sampled_from(["1", "true", "[1]"]),
    record_id=st.none() | st.sampled_from([record_id(n) for n in range(3)]),
)
BATCHES = st.lists(
    st.tuples(st.lists(ACTS, max_size=5), st.datetimes(timezones=st.just(UTC))),
    max_size=5,
)
organization_numbers = count(1)


def showing(moment: datetime) -> Callable[[], datetime]:
    """A recorder's clock that stands still."""
    return lambda: moment


def conflict(batch: Sequence[Event], known: dict[str, Content]) -> int | None:
    """The index of the first event whose record_id stands for other content."""
    seen = dict(known)
    for index, act in enumerate(batch):
        content = check_event(act)
        if act.record_id is not None and seen.setdefault(act.record_id, content) != content:
            return index
    return None


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=BATCHES)
def test_any_sequence_of_batches_gives_a_sound_chain(
    engine: Engine, batches: list[tuple[list[Event], datetime]]
) -> None:
    organization = f"lab-{next(organization_numbers)}"
    organizations(engine, organization)
    known: dict[str, Content] = {}
    told: dict[int, Record] = {}
    for batch, moment in batches:
        refused = conflict(batch, known)
        if refused is not None:
            with pytest.raises(RecordConflict) as refusal, writing(engine) as connection:
                append(connection, organization, batch)
            assert refusal.value.index == refused
            continue
        with writing(engine) as connection:
            made = append(connection, organization, iter(batch), clock=showing(moment))
        for act, record in zip(batch, made, strict=True):
            assert told.setdefault(record.seq, record) == record
            if act.record_id is not None:
                assert record.record_id == act.record_id
                known[act.record_id] = check_event(act)
    assert sound_records(engine, organization) == list(told.values())
