"""How sums are found again: by 64 bits of their key."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from flasktrack.insight.copy_tables import by_entity
from flasktrack.insight.sums import _prints, key_print


@given(st.lists(st.tuples(st.text(), *[st.none() | st.text()] * 2), min_size=1))
def test_many_keys_get_the_prints_that_each_would_get_alone(keys: list[tuple[str | None, ...]]) -> None:
    """Or an entity's sums would be counted twice, or not be found."""
    names = ("organization_id", *by_entity.key)
    rows = pa.table([pa.array(values, pa.string()) for values in zip(*keys, strict=True)], names=names)
    assert _prints(by_entity, rows).to_pylist() == [key_print(*key) for key in keys]
