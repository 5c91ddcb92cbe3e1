"""A JSONL line is taken as the spec says it, or refused with the field's name."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasktrack.capture.jsonl import event_from_json, read_events
from flasktrack.core.record import Event, check_event
from flasktrack.errors import ImportFailed, InvalidRecord
from tests.capture.events import EVENTS, as_line

LINE: dict[str, Any] = {
    "actor": {"type": "user", "id": "u-1"},
    "action": "update",
    "entity": {"type": "sample", "id": "S-1"},
    "occurred_at": "2026-11-24T05:06:07+01:00",
}


def refused(text: str) -> tuple[str | None, str]:
    """The field and the message with which a line is refused."""
    with pytest.raises(ImportFailed) as failure:
        list(read_events([(17, text)]))
    assert failure.value.line == 17
    assert str(failure.value).startswith("line 17")
    assert str(failure.value).endswith("Nothing was imported.")
    return failure.value.field, str(failure.value)


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in LINE.items() if name != key}


def test_a_line_with_only_what_is_required_is_a_success_with_the_rest_null() -> None:
    assert event_from_json(json.dumps(LINE)) == Event(
        occurred_at=datetime(2026, 11, 24, 4, 6, 7, tzinfo=UTC),
        actor_type="user",
        actor_id="u-1",
        action="update",
        entity_type="sample",
        entity_id="S-1",
        outcome="success",
        related=[],
    )


def test_null_is_as_good_as_absent_for_an_optional_key() -> None:
    optional = ("record_id", "outcome", "credential_id", "on_behalf_of", "related", "reason", "correlation_id")
    line = LINE | dict.fromkeys((*optional, "before", "after", "context"))
    line["actor"] = LINE["actor"] | {"name": None, "role": None}
    assert event_from_json(json.dumps(line)) == event_from_json(json.dumps(LINE))


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (LINE | {"outcom": "denied"}, "outcom"),
        (LINE | {"actor": LINE["actor"] | {"nmae": "Ana"}}, "actor.nmae"),
        (LINE | {"entity": LINE["entity"] | {"role": "x"}}, "entity.role"),
        (LINE | {"related": [{"type": "batch", "id": "B-1", "name": "x"}]}, "related[0].name"),
        (LINE | {"related": [{"type": "batch", "id": "B-1"}, {"type": "batch"}]}, "related[1].id"),
        (LINE | {"related": {"type": "batch", "id": "B-1"}}, "related"),
        (LINE | {"related": ["batch:B-1"]}, "related[0]"),
        (LINE | {"a\nb": 1}, "'a\\nb'"),
        (LINE | {"": 1}, "''"),
        (without("actor"), "actor"),
        (without("action"), "action"),
        (without("entity"), "entity"),
        (without("occurred_at"), "occurred_at"),
        (LINE | {"actor": "user:u-1"}, "actor"),
        (LINE | {"actor": {"type": "user"}}, "actor.id"),
        (LINE | {"actor": {"type": "user", "id": 17}}, "actor.id"),
        (LINE | {"actor": {"type": "user", "id": "u", "name": ["Ana"]}}, "actor.name"),
        (LINE | {"entity": {"type": "sample", "id": None}}, "entity.id"),
        (LINE | {"action": True}, "action"),
        (LINE | {"outcome": 1}, "outcome"),
        (LINE | {"reason": {"text": "x"}}, "reason"),
        (LINE | {"record_id": 12}, "record_id"),
        (LINE | {"occurred_at": 1764000000}, "occurred_at"),
        (LINE | {"occurred_at": "2026-01-01"}, "occurred_at"),
        (LINE | {"occurred_at": "2026-01-01T10:00:00"}, "occurred_at"),
        (LINE | {"occurred_at": "yesterday"}, "occurred_at"),
        (LINE | {"occurred_at": "0001-01-01T00:00:00+14:00"}, "occurred_at"),
    ],
)
def test_what_is_not_the_specs_is_refused_by_name(line: dict[str, Any], field: str) -> None:
    assert refused(json.dumps(line))[0] == field


LONG_NUMBERS = (
    "12345678901234567", "123456789012345678", "-999999999999999999999", "1e400", "0.1000000000000000001", "-2E-9999",
)  # fmt: skip
TEXT_FIELDS = (
    "actor.type", "actor.id", "actor.name", "actor.role", "action", "entity.type", "entity.id", "entity.name",
    "record_id", "outcome", "credential_id", "on_behalf_of", "reason", "correlation_id",
    "related[0].type", "related[0].id",
)  # fmt: skip


def with_value(field: str, json_text: str) -> str:
    """A line that has some JSON in the place of a field."""
    value: dict[str, Any] = json.loads(json.dumps(LINE | {"related": [{"type": "batch", "id": "B-1"}]}))
    value["after"] = {"ids": ["MARK", 1e3]}
    *above, last = field.replace("[0]", ".0").split(".")
    inner: Any = value
    for key in above:
        inner = inner[int(key) if key.isdigit() else key]
    inner[last] = "MARK"
    return json.dumps(value).replace('"MARK"', json_text)


@pytest.mark.parametrize("digits", LONG_NUMBERS)
@pytest.mark.parametrize("field", TEXT_FIELDS)
def test_a_number_is_no_text_however_long_it_is(field: str, digits: str) -> None:
    named, message = refused(with_value(field, digits))
    assert named == field
    assert "must be text, not a number" in message


@pytest.mark.parametrize("digits", LONG_NUMBERS)
def test_digits_in_quotes_are_a_text_like_any_other_and_long_numbers_belong_in_sections(digits: str) -> None:
    for field in ("actor.id", "entity.id", "related[0].id", "reason"):
        content = check_event(event_from_json(with_value(field, json.dumps(digits))))
        assert digits in (content.actor_id, content.entity_id, content.related[0].id, content.reason)
    line = f'{json.dumps(LINE)[:-1]}, "after": {{"n": {digits}}}, "reason": "1.5"}}'
    assert check_event(event_from_json(line)).after in (f'{{"n":"{digits}"}}', f'{{"n":{digits}}}')


def test_a_time_without_a_zone_is_refused_in_plain_words() -> None:
    _, message = refused(json.dumps(LINE | {"occurred_at": "2026-01-01"}))
    assert message == "line 17, occurred_at: '2026-01-01' has no time zone. Nothing was imported."


@pytest.mark.parametrize(
    ("text", "field", "says"),
    [
        ("{", None, "not JSON"),
        ("not json", None, "at character 1"),
        ('{"a": 1} {"b": 2}', None, "Extra data"),
        ('{"a": 1}\r{"b": 2}', None, "Extra data"),
        ("[]", None, "must be a JSON object, not a list"),
        ("null", None, "must be a JSON object, not null"),
        ("\x00\x00\x00", None, "not JSON"),
        ('{"after": {"volume": NaN}}', "after.volume", "NaN is not JSON"),
        ('{"after": {"volumes": [1, {"x": -Infinity}]}}', "after.volumes[1].x", "-Infinity is not JSON"),
        ('{"action": "read", "action": "delete"}', None, "the key 'action' twice"),
        ('{"actor": {"id": "a", "id": "b"}}', "actor", "the key 'id' twice"),
        ('{"after": ' + "[" * 100_000, None, "nested too deeply"),
    ],
)
def test_what_is_not_strict_json_is_refused_with_its_place(text: str, field: str | None, says: str) -> None:
    named, message = refused(text)
    assert named == field
    assert says in message


def test_a_key_of_great_length_does_not_flood_the_message() -> None:
    _, message = refused(f'{{"{"k" * 100_000}": 1, "{"k" * 100_000}": 2}}')
    assert len(message) < 400


@pytest.mark.parametrize("blank", ["\n", "\r\n", "", " \t\n"])
def test_blank_lines_are_skipped_and_counted(blank: str) -> None:
    events = list(read_events([(1, blank), (2, json.dumps(LINE) + "\r\n"), (3, blank)]))
    assert [number for number, _ in events] == [2]


@pytest.mark.parametrize("escape", ["\\u0000", "\\ud800", "\\udc00x"])
@pytest.mark.parametrize(
    ("field", "line"),
    [
        ("reason", LINE | {"reason": "@"}),
        ("actor.name", LINE | {"actor": LINE["actor"] | {"name": "@"}}),
        ("related[0].id", LINE | {"related": [{"type": "batch", "id": "@"}]}),
        ("after", LINE | {"after": {"deep": [{"text": "@"}]}}),
        ("context", LINE | {"context": {"@": 1}}),
    ],
)
def test_characters_that_are_none_are_refused_by_field(field: str, line: dict[str, Any], escape: str) -> None:
    event = event_from_json(json.dumps(line).replace("@", escape))
    with pytest.raises(InvalidRecord) as failure:
        check_event(event)
    assert failure.value.field == field


def test_numbers_lose_nothing() -> None:
    event = event_from_json(
        json.dumps(LINE)[:-1] + ', "after": [0.1, 1.50, 9007199254740993, 1e400, 0.1000000000000000001]}'
    )
    assert check_event(event).after == '[0.1,1.5,"9007199254740993","1e400","0.1000000000000000001"]'


@given(EVENTS, st.booleans())
def test_any_valid_event_written_as_jsonl_reads_back_with_the_same_content(event: Event, ascii_only: bool) -> None:
    text = json.dumps(as_line(event), ensure_ascii=ascii_only)
    ((_, read),) = read_events([(1, text)])
    assert check_event(read) == check_event(event)
    assert read.record_id == event.record_id


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_any_decimal_keeps_its_value(value: Decimal) -> None:
    digits = str(value).lower()
    body = check_event(event_from_json(json.dumps(LINE)[:-1] + f', "after": {digits}}}')).after
    assert body is not None
    assert Decimal(body.strip('"')) == value
