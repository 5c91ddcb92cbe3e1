"""A body carries what was recorded exactly, and refuses what it can't carry (spec section 1)."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasktrack.core.body import MAX_DEPTH, MAX_EXACT_INTEGER, MAX_SECTION_BYTES, encode_body, parse_exact
from flasktrack.errors import InvalidRecord

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
finite_floats = st.floats(allow_nan=False, allow_infinity=False)
plain_values = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_EXACT_INTEGER, MAX_EXACT_INTEGER) | finite_floats | texts,
    lambda children: st.lists(children) | st.dictionaries(texts, children),
)
json_numbers = st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?", fullmatch=True)


class Colour(str, Enum):  # noqa: UP042  whose str() is not its value
    RED = "red"


class Phase(StrEnum):
    DONE = "done"


class Grade(IntEnum):
    HIGH = 3


@given(plain_values)
def test_what_json_can_carry_comes_back_as_it_was(value: Any) -> None:
    back = json.loads(encode_body("after", value))
    assert back == value
    assert repr(back) == repr(_sorted(value))  # tells 1 from 1.0 and True, and 0.0 from -0.0


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


@given(plain_values)
def test_body_is_compact_with_sorted_keys(value: Any) -> None:
    body = encode_body("after", value)
    keys: list[list[str]] = []
    json.loads(body, object_pairs_hook=lambda pairs: keys.append([key for key, _ in pairs]))
    assert all(names == sorted(names) for names in keys)
    outside_strings = re.sub(r'"(\\.|[^"\\])*"', '""', body)
    assert not re.search(r"\s", outside_strings)


@given(st.integers())
def test_integer_is_a_number_only_where_a_double_holds_it(number: int) -> None:
    body = encode_body("after", number)
    assert body == (f"{number}" if abs(number) <= 2**53 - 1 else f'"{number}"')


@pytest.mark.parametrize(
    ("number", "body"),
    [
        (2**53 - 1, "9007199254740991"),
        (2**53, '"9007199254740992"'),
        (-(2**53) + 1, "-9007199254740991"),
        (-(2**53), '"-9007199254740992"'),
        (10**30, f'"{10**30}"'),
    ],
)
def test_integers_around_the_limit(number: int, body: str) -> None:
    assert encode_body("after", number) == body


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_decimal_is_written_with_all_its_digits(number: Decimal) -> None:
    assert json.loads(encode_body("after", number)) == str(number)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Decimal("0.1000"), "0.1000"),
        (date(2026, 11, 24), "2026-11-24"),
        (datetime(2026, 11, 24, 5, 6, 7, 8, tzinfo=UTC), "2026-11-24T05:06:07.000008+00:00"),
        (time(5, 6), "05:06:00"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (b"\x00\xff", base64.b64encode(b"\x00\xff").decode()),
        (bytearray(b"a"), "YQ=="),
        (memoryview(b"a"), "YQ=="),
        (Colour.RED, "red"),
        (Phase.DONE, "done"),
        (Grade.HIGH, "3"),
    ],
)
def test_what_json_cannot_carry_is_written_as_text(value: Any, written: str) -> None:
    assert json.loads(encode_body("after", {"value": value, "list": [value]})) == {"list": [written], "value": written}


def test_key_that_is_an_enum_is_written_as_its_value() -> None:
    assert encode_body("after", {Colour.RED: 1, Phase.DONE: 2}) == '{"done":2,"red":1}'


def test_tuple_is_written_as_a_list() -> None:
    assert encode_body("after", (1, (2, 3))) == "[1,[2,3]]"


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("-Infinity"),
        "a\x00b",
        "\ud800",
        "\udfff tail",
        {1, 2},
        object,
        1j,
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    "wrap",
    [lambda v: v, lambda v: [v], lambda v: {"key": {"deep": v}}, lambda v: [1.5, None, "null", v]],
    ids=["bare", "list", "object", "beside null"],
)
def test_what_no_body_can_hold_is_refused_and_the_section_named(value: Any, wrap: Callable[[Any], Any]) -> None:
    with pytest.raises(InvalidRecord) as refusal:
        encode_body("context", wrap(value))
    assert refusal.value.field == "context"
    assert "context" in str(refusal.value)


@pytest.mark.parametrize("key", [1, None, True, "a\x00", "\udc00", b"a", ("a",)], ids=repr)
def test_key_that_is_not_clean_text_is_refused(key: Any) -> None:
    with pytest.raises(InvalidRecord) as refusal:
        encode_body("before", {"outer": [{key: 1}]})
    assert refusal.value.field == "before"


def _nested(levels: int) -> Any:
    value: Any = "core"
    for _ in range(levels):
        value = [value]
    return value


def test_deepest_nesting_is_accepted() -> None:
    assert encode_body("after", _nested(MAX_DEPTH)) == "[" * MAX_DEPTH + '"core"' + "]" * MAX_DEPTH


@pytest.mark.parametrize("levels", [MAX_DEPTH + 2, 100_000])
def test_deeper_nesting_is_refused(levels: int) -> None:
    with pytest.raises(InvalidRecord, match="levels deep"):
        encode_body("after", _nested(levels))


def test_value_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(InvalidRecord, match="levels deep"):
        encode_body("after", loop)


@pytest.mark.parametrize("character", ["a", "é", "試", "\U00010348"])
def test_section_of_one_mebibyte_is_accepted_and_one_byte_more_refused(character: str) -> None:
    width = len(character.encode())
    room = MAX_SECTION_BYTES - len('""')
    full = character * (room // width) + "x" * (room % width)
    assert len(encode_body("after", full).encode()) == 1_048_576
    with pytest.raises(InvalidRecord, match="1,048,577 bytes"):
        encode_body("after", full + "x")


@given(plain_values)
def test_parsing_a_body_and_writing_it_again_changes_nothing(value: Any) -> None:
    body = encode_body("after", value)
    assert encode_body("after", parse_exact(body)) == body


@given(json_numbers)
def test_number_from_a_file_keeps_its_value_to_the_last_digit(digits: str) -> None:
    stored = json.loads(encode_body("after", parse_exact(digits)))
    if isinstance(stored, str):
        assert stored in (digits, str(int(digits)) if digits.lstrip("-").isdigit() else digits)
    else:
        assert Decimal(repr(stored)) == Decimal(digits)


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("0.1", "0.1"),
        ("0.1000000000000000055511151231257827", '"0.1000000000000000055511151231257827"'),
        ("9007199254740991", "9007199254740991"),
        ("9007199254740993", '"9007199254740993"'),
        ("1e400", '"1e400"'),
        ("1e-400", '"1e-400"'),
        ("1e-99999999999999999999", '"1e-99999999999999999999"'),
        ("0e99999999999999999999", '"0e99999999999999999999"'),
        ("1" * 5000, '"' + "1" * 5000 + '"'),
        ('"\\u00e9"', '"é"'),
        ('{"b": 1.50, "a": [true, null]}', '{"a":[true,null],"b":1.5}'),
    ],
)  # fmt: skip
def test_text_from_a_file_becomes_this_body(text: str, body: str) -> None:
    assert encode_body("after", parse_exact(text)) == body
    assert encode_body("after", parse_exact(text.encode())) == body


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1,]",
        "{'a': 1}",
        "01",
        "NaN",
        "[Infinity]",
        '{"a": -Infinity}',
        '{"a": 1, "a": 1}',
        '[{"a": {"b": 1, "c": 2, "b": 3}}]',
        '{"a": 1, "\\u0061": 2}',
        "1 2",
        b"\xff",
        b'"\xc3"',
        "[" * 100_000,
    ],
    ids=lambda text: repr(text[:40]),
)
def test_text_that_is_not_exact_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_exact(text)


def test_a_key_that_stands_twice_among_many_is_found_at_once() -> None:
    many = ",".join(f'"k{n}":0' for n in range(200_000))
    with pytest.raises(ValueError, match="'k199999' twice"):
        parse_exact(f'{{{many},"k199999":1}}')


def test_the_key_that_stands_twice_is_named() -> None:
    with pytest.raises(ValueError, match="'volume' twice"):
        parse_exact('{"name": 1, "volume": 2, "volume": 3}')
