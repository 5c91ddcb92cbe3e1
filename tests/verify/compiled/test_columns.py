"""Columns of sound blocks hold what the rows hold."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasktrack.core.times import format_time
from flasktrack.insight.intake import _fingerprint, _ip
from flasktrack.verify.compiled import columns as compiled_columns
from flasktrack.verify.compiled.cells import ACTOR_NAME, BEFORE, CONTEXT, OCCURRED_AT, RELATED
from flasktrack.verify.compiled.columns import Columns
from tests.verify.compiled.rows import block_of


def columns(place: int, values: list[Any]) -> Columns:
    rows = [[number + 1] + [None] * 30 for number in range(len(values))]
    for row, value in zip(rows, values, strict=True):
        row[place] = value
    return Columns(block_of(rows))


@given(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"])), max_size=20))
def test_texts(values: list[str | None]) -> None:
    rows = columns(ACTOR_NAME, values)
    assert [column.to_pylist() for column in rows.texts(ACTOR_NAME, OCCURRED_AT)] == [values, [None] * len(values)]


@given(st.lists(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)), max_size=20))  # noqa: DTZ001
def test_times(values: list[datetime]) -> None:
    texts = [format_time(value.replace(tzinfo=UTC)) for value in values]
    found = columns(OCCURRED_AT, texts).times(OCCURRED_AT)
    assert found is not None
    assert found.to_pylist() == values


@pytest.mark.parametrize(
    "text",
    [
        None, 5, "", "2026-02-29T00:00:00.000000Z", "2026-13-01T00:00:00.000000Z", "2026-00-01T00:00:00.000000Z",
        "2026-01-00T00:00:00.000000Z", "2026-04-31T00:00:00.000000Z", "2026-01-01T24:00:00.000000Z",
        "2026-01-01T00:60:00.000000Z", "2026-01-01T00:00:60.000000Z", "0000-01-01T00:00:00.000000Z",
        "2026-01-01 00:00:00.000000Z", "2026-01-01T00:00:00.000000+", "2026-01-01T00:00:00.00000xZ",
        "2026-01-01T00:00:00,000000Z", "2026/01-01T00:00:00.000000Z", "2026-01-01T00:00:00.000000Z ",
    ],
)  # fmt: skip
def test_what_is_no_time_as_the_recorder_writes_it_gives_no_column(text: Any) -> None:
    assert columns(OCCURRED_AT, ["2024-02-29T23:59:59.999999Z", text]).times(OCCURRED_AT) is None


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["10.0.0.1", "ip", "", "é", 'a"b', "\\", ":"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["ip", "a", "ip2", "é"]), inner),
    max_leaves=8,
)


@given(st.lists(st.none() | _json.map(lambda value: orjson.dumps(value).decode()), max_size=6))
def test_addresses_are_those_that_a_parser_of_json_finds(bodies: list[str | None]) -> None:
    found = columns(CONTEXT, bodies).addresses()
    if found is None:  # left to the parser
        assert any(body is not None and ("\\" in body or not body.isascii()) for body in bodies)
    else:
        assert found.to_pylist() == [_ip(None if body is None else body.encode()) for body in bodies]


def test_the_last_of_several_addresses_counts_as_for_a_parser() -> None:
    bodies = ['{"ip":"1","ip":"2"}', '{"ip":"1","ip":7}', '{"ip":"1","ip":{"ip":"3"}}', '{"a":{"ip":"1"}}', '["ip"]']
    found = columns(CONTEXT, bodies).addresses()
    assert found is not None
    assert found.to_pylist() == [_ip(body.encode()) for body in bodies] == ["2", None, None, None, None]


@given(st.lists(st.none() | st.text(max_size=99), max_size=6))
def test_fingerprints(bodies: list[str | None]) -> None:
    bodies = [None if body is None else body.encode("utf-8", "ignore").decode() for body in bodies]
    expected = [_fingerprint(None if body is None else body.encode()) for body in bodies]
    assert columns(BEFORE, bodies).fingerprints(BEFORE).to_pylist() == expected


def test_related_items_stand_with_their_positions() -> None:
    rows = ["[]", '[{"type":"batch","id":"B-1"},{"type":"é","id":""}]', '[{"type":"a","id":"b"}]']
    found = columns(RELATED, rows).related()
    assert found is not None
    assert [array.to_pylist() for array in found] == [[2, 2, 3], ["batch", "é", "a"], ["B-1", "", "b"]]


def test_more_items_than_can_be_recorded_are_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_columns, "LINKS", 2)
    item = '{"type":"a","id":"b"}'
    assert columns(RELATED, [f"[{item},{item}]"]).related() is not None
    assert columns(RELATED, [f"[{item},{item},{item}]"]).related() is None


def test_columns_outlive_their_block() -> None:
    block = columns(ACTOR_NAME, ["Anna", "Ben"])
    (names,) = block.texts(ACTOR_NAME)
    block._arena[:] = np.uint8(0)
    assert names.to_pylist() == ["Anna", "Ben"]
