"""Every limit of spec section 1: a field at its limit is accepted; one step beyond, it is refused by name."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest

from flasktrack.core.record import (
    ACTOR_TYPES,
    OUTCOMES,
    Content,
    Event,
    Reference,
    check_event,
    check_events,
    check_organization_id,
    check_record_id,
)
from flasktrack.errors import InvalidOrganization, InvalidRecord

UUID = "0192e4a0-7b3c-7d2e-8f10-1234567890ab"

WIDE = "\U00010348"  # one character, two UTF-16 units, four bytes: limits count characters
REQUIRED = {"actor_id": "actor.id", "entity_type": "entity.type", "entity_id": "entity.id"}
OPTIONAL = {
    "actor_role": ("actor.role", 255),
    "credential_id": ("credential_id", 255),
    "correlation_id": ("correlation_id", 255),
    "actor_name": ("actor.name", 1024),
    "entity_name": ("entity.name", 1024),
    "reason": ("reason", 8192),
}
LIMITS = [*((name, field, 255) for name, field in REQUIRED.items()), *((n, f, m) for n, (f, m) in OPTIONAL.items())]


def event(**changes: Any) -> Event:
    values: dict[str, Any] = {
        "occurred_at": datetime(2026, 11, 24, 5, 6, 7, tzinfo=UTC),
        "actor_type": "user",
        "actor_id": "u-17",
        "action": "update",
        "entity_type": "sample",
        "entity_id": "S-100",
    }
    return Event(**(values | changes))


MANY: list[dict[str, Any]] = [
    {},
    {"actor_name": "Zoë", "related": [("batch", "B-9")], "before": {"a": [1, None, 2.5]}, "context": ""},
    {"actor_name": "Zoë", "actor_role": "qa", "on_behalf_of": "user:u-4", "after": [], "reason": ""},
]


class Alike:
    """Equal to a text, and none."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return other == self.text

    def __hash__(self) -> int:
        return hash(self.text)


def refused_field(**changes: Any) -> str:
    with pytest.raises(InvalidRecord) as refusal:
        check_event(event(**changes))
    assert refusal.value.field in str(refusal.value)
    return refusal.value.field


def test_an_event_becomes_content_with_the_specs_text() -> None:
    content = check_event(event(related=[("batch", "B-9")], after={"b": 1, "a": 2}, context={}))
    assert content.occurred_at == "2026-11-24T05:06:07.000000Z"
    assert content.related == (Reference("batch", "B-9"),)
    assert (content.before, content.after, content.context) == (None, '{"a":2,"b":1}', "{}")
    assert content.outcome == "success"


def test_content_has_every_field_of_an_event() -> None:
    assert {field.name for field in fields(Event)} - {"record_id"} == set(Content._fields)


@pytest.mark.parametrize(("name", "field", "longest"), LIMITS, ids=[name for name, _, _ in LIMITS])
def test_text_at_its_limit_is_accepted_and_one_character_more_refused(name: str, field: str, longest: int) -> None:
    full = WIDE * longest
    assert getattr(check_event(event(**{name: full})), name) == full
    assert refused_field(**{name: full + "x"}) == field


@pytest.mark.parametrize(("name", "field"), [(n, f) for n, f, _ in LIMITS if n != "reason"])
def test_empty_text_is_refused(name: str, field: str) -> None:
    assert refused_field(**{name: ""}) == field


@pytest.mark.parametrize(("name", "field"), [(n, f) for n, f, _ in LIMITS])
@pytest.mark.parametrize("value", ["a\x00b", "\ud800", "é\udfff", 17, b"bytes"], ids=ascii)
def test_what_is_not_clean_text_is_refused(name: str, field: str, value: Any) -> None:
    assert refused_field(**{name: value}) == field


@pytest.mark.parametrize("name", OPTIONAL)
def test_optional_text_may_be_absent(name: str) -> None:
    assert getattr(check_event(event(**{name: None})), name) is None


@pytest.mark.parametrize(("name", "field"), REQUIRED.items())
def test_required_text_may_not_be_absent(name: str, field: str) -> None:
    assert refused_field(**{name: None}) == field


@pytest.mark.parametrize("actor_type", ACTOR_TYPES)
def test_actor_types(actor_type: str) -> None:
    assert check_event(event(actor_type=actor_type)).actor_type == actor_type


@pytest.mark.parametrize("actor_type", ["", "User", "robot", None, 1, "user\n"])
def test_other_actor_types_are_refused(actor_type: Any) -> None:
    assert refused_field(actor_type=actor_type) == "actor.type"


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_outcomes(outcome: str) -> None:
    assert check_event(event(outcome=outcome)).outcome == outcome


@pytest.mark.parametrize("outcome", ["", "ok", "SUCCESS", None])
def test_other_outcomes_are_refused(outcome: Any) -> None:
    assert refused_field(outcome=outcome) == "outcome"


@pytest.mark.parametrize("action", ["create", "sign_in", "step_2", "a" * 255])
def test_actions(action: str) -> None:
    assert check_event(event(action=action)).action == action


@pytest.mark.parametrize("action", ["", "Create", "sign in", "sign-in", "löschen", "a" * 256, "create\n", None, 3])
def test_actions_that_are_no_verb_in_lower_case_are_refused(action: Any) -> None:
    assert refused_field(action=action) == "action"


@pytest.mark.parametrize("actor_type", ACTOR_TYPES)
def test_on_behalf_of_takes_an_actor_with_the_longest_id(actor_type: str) -> None:
    actor = f"{actor_type}:{'x' * 255}"
    assert check_event(event(on_behalf_of=actor)).on_behalf_of == actor
    assert refused_field(on_behalf_of=actor + "x") == "on_behalf_of"


def test_on_behalf_of_may_hold_further_colons() -> None:
    assert check_event(event(on_behalf_of="user:urn:lab:17")).on_behalf_of == "user:urn:lab:17"


@pytest.mark.parametrize(
    "value", ["", "user", "user:", ":u-17", "robot:r-1", "user:a\x00", "user:\ud800", ("user", "u")]
)
def test_on_behalf_of_that_is_no_actor_is_refused(value: Any) -> None:
    assert refused_field(on_behalf_of=value) == "on_behalf_of"


def test_hundred_related_entities_are_accepted_and_one_more_refused() -> None:
    related = [("batch", f"B-{number}") for number in range(100)]
    assert check_event(event(related=iter(related))).related == tuple(related)
    assert refused_field(related=[*related, ("batch", "B-100")]) == "related"


@pytest.mark.parametrize(
    ("item", "field"),
    [
        (("batch", "x" * 256), "related[1].id"),
        (("x" * 256, "B-1"), "related[1].type"),
        (("batch", ""), "related[1].id"),
        (("", "B-1"), "related[1].type"),
        (("batch", None), "related[1].id"),
        (("batch", "B\x00"), "related[1].id"),
        (("batch",), "related[1]"),
        (("batch", "B-1", "more"), "related[1]"),
        ("ab", "related[1]"),
        ({"type": "batch", "id": "B-1"}, "related[1]"),
        (None, "related[1]"),
    ],
)
def test_bad_related_entity_is_refused_by_its_number(item: Any, field: str) -> None:
    assert refused_field(related=[("workflow", "W-2"), item]) == field


def test_related_entity_at_its_limits_is_accepted() -> None:
    item = (WIDE * 255, WIDE * 255)
    assert check_event(event(related=[item])).related == (item,)


@pytest.mark.parametrize("related", [None, 5, "batch", object()], ids=["none", "number", "text", "object"])
def test_related_that_is_no_list_is_refused(related: Any) -> None:
    assert refused_field(related=related) == "related"


@pytest.mark.parametrize("section", ["before", "after", "context"])
def test_section_is_limited_to_one_mebibyte_and_named(section: str) -> None:
    room = 1024 * 1024 - len('{"k":""}')
    content = check_event(event(**{section: {"k": "x" * room}}))
    assert len(getattr(content, section)) == 1024 * 1024
    assert refused_field(**{section: {"k": "x" * (room + 1)}}) == section


@pytest.mark.parametrize("section", ["before", "after", "context"])
@pytest.mark.parametrize("value", [float("nan"), {"k": "\x00"}, ["\ud800"], {1: 2}], ids=ascii)
def test_section_with_what_json_cannot_hold_is_refused_by_name(section: str, value: Any) -> None:
    assert refused_field(**{section: value}) == section


@pytest.mark.parametrize("value", [datetime(2026, 11, 24), "2026-11-24T05:06:07Z", 1764000000, None])  # noqa: DTZ001
def test_time_without_a_zone_is_refused(value: Any) -> None:
    assert refused_field(occurred_at=value) == "occurred_at"


@pytest.mark.parametrize("organization_id", ["a", "0", "northwind-labs", "a-", "x" * 63])
def test_organization_ids(organization_id: str) -> None:
    assert check_organization_id(organization_id) == organization_id


@pytest.mark.parametrize("organization_id", ["", "-a", "A", "a_b", "a b", "ä", "x" * 64, "a\n", "a/b", "..", None, 5])
def test_organization_ids_that_are_no_slug_are_refused(organization_id: Any) -> None:
    with pytest.raises(InvalidOrganization):
        check_organization_id(organization_id)


def test_record_id_is_a_lower_case_uuid() -> None:
    record_id = "0190c0de-0000-7000-8000-00000000000a"
    assert check_record_id(record_id) == record_id


@pytest.mark.parametrize(
    "record_id",
    [
        "0190C0DE-0000-7000-8000-00000000000A",
        "0190c0de000070008000000000000001",
        "{0190c0de-0000-7000-8000-000000000001}",
        "0190c0de-0000-7000-8000-000000000001\n",
        "0190c0de-0000-7000-8000-00000000000g",
        "",
        None,
    ],
)
def test_record_ids_that_are_none_are_refused(record_id: Any) -> None:
    with pytest.raises(InvalidRecord) as refusal:
        check_record_id(record_id)
    assert refusal.value.field == "record_id"


def test_of_many_events_the_first_breach_is_named_with_its_place() -> None:
    fine = event(record_id=UUID)
    breaches: list[tuple[str, dict[str, Any]]] = [
        ("context", {"context": {"x": object()}}),
        ("related[1].id", {"related": [("batch", "B"), ("batch", "")]}),
        ("record_id", {"record_id": "7"}),
        ("actor.id", {"actor_id": ""}),
        ("occurred_at", {"occurred_at": None}),
    ]
    for first in range(len(breaches)):
        later = [event(**changes) for _, changes in breaches[first:]]
        with pytest.raises(InvalidRecord) as refusal:
            check_events([fine, fine, *later])
        assert (refusal.value.field, refusal.value.index) == (breaches[first][0], 2)


def test_many_events_give_what_each_gives_alone() -> None:
    acts = [event(record_id=record_id, **changes) for record_id in (None, UUID) for changes in MANY]
    contents, record_ids = check_events(acts)
    assert contents == [check_event(act) for act in acts]
    assert record_ids == tuple(act.record_id for act in acts)
    assert check_events([]) == ([], ())


@pytest.mark.parametrize("value", [["u-17"], b"u-17", 17, Alike("u-17")], ids=lambda value: type(value).__name__)
def test_what_is_no_text_is_refused_though_it_equals_a_text_beside_it(value: Any) -> None:
    with pytest.raises(InvalidRecord, match=r"actor\.id: must be text") as refusal:
        check_events([event(actor_id="u-17"), event(actor_id=value), event(actor_id="u-17")])
    assert refusal.value.index == 1
