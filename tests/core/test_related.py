"""Related entities are written in one way, and any other way is not what was recorded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasktrack.core.record import Reference
from flasktrack.core.related import parse_related, related_text

WORD = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(st.lists(st.tuples(WORD, WORD), max_size=5))
def test_what_is_written_is_read_again(related: list[tuple[str, str]]) -> None:
    assert parse_related(related_text(related)) == tuple(Reference(*pair) for pair in related)


def test_the_text_is_the_specifications() -> None:
    assert related_text([("batch", "B-9"), ("file", "a\u00e9")]) == (
        '[{"type":"batch","id":"B-9"},{"type":"file","id":"a\u00e9"}]'
    )
    assert related_text([]) == "[]"


OTHER = [
    '[{"id":"B-9","type":"batch"}]', '[{"type":"batch", "id":"B-9"}]', '[{"type":"batch","id":"B\\u002d9"}]',
    '[{"type":"batch","id":"B-9","id":"B-9"}]', '[{"type":"batch","id":"B-9","name":"x"}]', '[["batch","B-9"]]',
    '[{"type":"batch"}]', "[ ]", "{}", "", "null", "5", '"[]"', "[1]", "[", "[" * 2000,
    b'[{"type":"batch","id":"B-9"}]', b"[]", None, 0, 1.5,
]  # fmt: skip


@pytest.mark.parametrize("stored", OTHER, ids=repr)
def test_another_spelling_is_refused(stored: Any) -> None:
    with pytest.raises(ValueError, match="is n"):
        parse_related(stored)
