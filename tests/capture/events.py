"""Any event that the spec allows, and the JSONL line that states it."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from flasktrack.core.record import ACTOR_TYPES, OUTCOMES, Event

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=40)
WORD = TEXT.filter(bool)
MAYBE = st.none() | WORD
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
EVENTS = st.builds(
    Event,
    occurred_at=st.datetimes(timezones=st.timezones()).filter(lambda moment: 1 < moment.year < 9999),
    actor_type=st.sampled_from(ACTOR_TYPES),
    actor_id=WORD,
    actor_name=MAYBE,
    actor_role=MAYBE,
    action=st.from_regex(r"[a-z0-9_]{1,30}", fullmatch=True),
    entity_type=WORD,
    entity_id=WORD,
    entity_name=MAYBE,
    outcome=st.sampled_from(OUTCOMES),
    credential_id=MAYBE,
    on_behalf_of=st.none() | st.builds("{}:{}".format, st.sampled_from(ACTOR_TYPES), WORD),
    related=st.lists(st.tuples(WORD, WORD), max_size=3),
    reason=st.none() | TEXT,
    correlation_id=MAYBE,
    before=JSON,
    after=JSON,
    context=JSON,
    record_id=st.none() | st.uuids().map(str),
)


def as_line(event: Event) -> dict[str, Any]:
    """The object that spec section 6 has for an event."""
    return {
        "actor": {
            "type": event.actor_type,
            "id": event.actor_id,
            "name": event.actor_name,
            "role": event.actor_role,
        },
        "entity": {"type": event.entity_type, "id": event.entity_id, "name": event.entity_name},
        "occurred_at": event.occurred_at.isoformat(),
        "related": [{"type": type_, "id": id_} for type_, id_ in event.related],
    } | {
        key: getattr(event, key)
        for key in (
            "action",
            "outcome",
            "credential_id",
            "on_behalf_of",
            "reason",
            "correlation_id",
            "before",
            "after",
            "context",
            "record_id",
        )
    }
