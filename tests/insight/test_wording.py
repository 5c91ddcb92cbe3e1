"""States as people read them: no JSON to decipher, and nothing left out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasktrack.insight.wording import readable, values

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc.", max_size=3), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("text", "text"),
        ("", '""'),
        ("  ", '"  "'),
        (None, "none"),
        (True, "true"),
        (1.50, "1.5"),
        ([], "empty list"),
        ({}, "nothing inside"),
        (["a", 2, None], "a, 2, none"),
        ({"unit": "mL", "value": 3}, "unit: mL, value: 3"),
        ([{"id": "S-1", "tags": ["a", "b"]}], "(id: S-1, tags: (a, b))"),
        ([[]], "empty list"),
    ],
)
def test_a_value_reads_as_a_person_would_write_it(value: Any, said: str) -> None:
    assert readable(value) == said


def test_values_come_with_the_path_that_leads_to_them() -> None:
    state = {"headers": {"host": "x"}, "tags": ["a", "b"], "steps": [{"id": 1}, {"id": 2, "by": {"name": "Zoë"}}]}
    assert list(values(state)) == [
        ("headers.host", "x"),
        ("tags", "a, b"),
        ("steps[1].id", "1"),
        ("steps[2].id", "2"),
        ("steps[2].by.name", "Zoë"),
    ]


@pytest.mark.parametrize("whole", ["text", 5, None, [], {}])
def test_a_state_that_is_one_value_is_shown_too(whole: Any) -> None:
    assert list(values(whole)) == [("(whole)", readable(whole))]


@given(JSON)
def test_any_value_can_be_read(value: Any) -> None:
    assert readable(value)
    assert all(path and said for path, said in values(value))
