"""The form of values in a snapshot, which the session hook, statements and the trigger share."""

from __future__ import annotations

import enum
import hashlib
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.dialects.postgresql.ranges import MultiRange

from flasktrack.capture.snapshot import entity_id, json_form
from flasktrack.core.body import encode_body


class State(enum.Enum):
    READY = 1


class Code(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (1.5, 1.5),
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
        (Decimal("1.50"), "1.50"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-7"), "0.0000001"),
        (Decimal("NaN"), "NaN"),
        (Range(1, 10), "[1,10)"),
        (Range(date(2026, 1, 1), None, bounds="()"), "(2026-01-01,)"),
        (MultiRange([Range(1, 3), Range(5, 9)]), "{[1,3),[5,9)}"),
        (date(2026, 11, 24), "2026-11-24"),
        (time(5, 6), "05:06:00.000000"),
        (datetime(2026, 11, 24, 5, 6, 7), "2026-11-24T05:06:07.000000"),  # noqa: DTZ001
        (datetime(2026, 11, 24, 5, 6, 7, tzinfo=UTC), "2026-11-24T05:06:07.000000Z"),
        (datetime(2026, 11, 24, 5, 6, tzinfo=timezone(timedelta(hours=1))), "2026-11-24T04:06:00.000000Z"),
        (timedelta(days=1, seconds=3723, milliseconds=500), "P1DT3723.500000S"),
        (timedelta(seconds=-90), "-P0DT90.000000S"),
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (ip_address("2001:db8::7"), "2001:db8::7"),
        (b"\x00\xff", "AP8="),
        (b"x" * 1025, {"bytes": 1025, "sha256": hashlib.sha256(b"x" * 1025).hexdigest()}),
        (State.READY, "READY"),
        (Code("S-1"), "S-1"),
        ([Decimal(1), None], ["1", None]),
        ({"b", "a"}, ["a", "b"]),
        ({"at": date(2026, 1, 1), "n": float("inf")}, {"at": "2026-01-01", "n": "Infinity"}),
    ],
)
def test_form(value: Any, form: Any) -> None:
    assert json_form(value) == form
    assert type(json_form(value)) is type(form)


def test_a_value_without_a_form_is_refused() -> None:
    with pytest.raises(TypeError, match="object has no form"):
        json_form(object())


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.dates() | st.datetimes()
    | st.timedeltas() | st.uuids() | st.binary() | st.text(st.characters(exclude_characters="\0", codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
))  # fmt: skip
def test_every_form_can_be_recorded(value: Any) -> None:
    if isinstance(value, Decimal) and value.is_snan():
        return  # no database has one
    encode_body("after", {"value": json_form(value)})


@pytest.mark.parametrize(
    ("key", "text"),
    [((7,), "7"), (("a,b",), "a,b"), (("R-1", 2), "R-1,2"), (("a,b", "50%"), "a%2Cb,50%25"), ((True,), "true")],
)
def test_entity_id(key: tuple[Any, ...], text: str) -> None:
    assert entity_id(key) == text


@given(st.lists(st.text(), min_size=2, max_size=3), st.lists(st.text(), min_size=2, max_size=3))
def test_two_composite_keys_never_share_an_id(one: list[str], other: list[str]) -> None:
    assert (entity_id(one) == entity_id(other)) == (one == other)
