"""Before and after as people read them: no JSON to decipher, nothing that differs reads the same."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from flasktrack.insight.diff import changes
from flasktrack.ui.diff import MOST_ROWS, summary
from tests.ui.app import unescaped

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc.", max_size=3), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def drawn(before: Any, after: Any) -> AppTest:
    def script(before: object, after: object) -> None:  # its source alone is run
        from flasktrack.ui.diff import draw_changes

        draw_changes(before, after)

    test = AppTest.from_function(script, kwargs={"before": before, "after": after}, default_timeout=30)
    test.run()
    assert not test.exception
    return test


def rows(test: AppTest) -> list[tuple[str, ...]]:
    (table,) = test.table
    return [tuple(unescaped(str(cell)) for cell in row) for row in table.value.itertuples(index=False)]


def test_changes_are_drawn_field_by_field() -> None:
    before = {"status": "prepared", "volume": 10, "steps": [{"id": "a", "ml": 1}, {"id": "b", "ml": 2}], "old": True}
    after = {"status": "measured", "volume": 10, "steps": [{"id": "b", "ml": 3}, {"id": "a", "ml": 1}], "new": None}
    said = {row[0]: row[1:] for row in rows(drawn(before, after))}
    assert said["status"] == ("prepared", "measured", "changed")
    assert said["steps[id=b].ml"] == ("2", "3", "changed")
    assert said["old"] == ("true", "\u2013", "removed")
    assert said["new"] == ("\u2013", "none", "added")
    assert "volume" not in said
    assert any(row[-1] == "moved" and "item" in row[0] for row in said.values())


def test_what_differs_never_reads_the_same() -> None:
    for before, after in ((1, "1"), (None, "none"), ([], "empty list"), (["a, b"], ["a", "b"]), (1, 1.0)):
        ((_, old, new, _),) = rows(drawn({"x": before}, {"x": after}))[:1]
        assert old != new, (before, after)


def test_equal_states_are_said_to_be_equal() -> None:
    test = drawn({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]})
    assert not test.table
    assert "Nothing differs" in test.text[0].value


@pytest.mark.parametrize("side", [0, 1])
def test_one_state_alone_is_drawn_whole(side: int) -> None:
    states: list[Any] = [None, None]
    states[side] = {"volume": 3, "unit": "mL"}
    assert rows(drawn(*states)) == [("volume", "3"), ("unit", "mL")]


def test_a_huge_state_is_cut_and_says_so() -> None:
    test = drawn(None, {f"field {number:04}": number for number in range(MOST_ROWS + 50)})
    assert len(rows(test)) == MOST_ROWS
    assert "50 more are not drawn" in test.text[0].value
    test = drawn(
        {str(number): 1 for number in range(MOST_ROWS + 7)}, {str(number): 2 for number in range(MOST_ROWS + 7)}
    )
    assert "7 more are not drawn" in test.text[0].value


def test_text_in_a_state_is_never_markup() -> None:
    nasty = "**b** <b>x</b> :red[r] $x$ ![i](https://example.org/i.png)"
    test = drawn({nasty: nasty}, {nasty: f"{nasty}!"})
    assert all(nasty not in str(cell) for cell in test.table[0].value.to_numpy().ravel())
    ((_, before, after, _),) = rows(test)
    assert (before, after) == (nasty, f"{nasty}:green-background[**!**]")


def test_what_changed_in_a_long_text_is_marked_word_by_word() -> None:
    before = "Equilibrate the column for 30 min at 0.8 mL/min, then inject."
    after = "Equilibrate the column for 45 min at 0.8 mL/min,  then inject."
    ((_, old, new, kind),) = rows(drawn({"step": before}, {"step": after}))
    assert old == before.replace("30", ":red-background[~~30~~]").replace(", ", ',:red-background[~~" "~~]')
    assert new == after.replace("45", ":green-background[**45**]").replace(",  ", ',:green-background[**"  "**]')
    assert kind == "changed"


def test_of_a_text_as_long_as_a_book_the_change_is_drawn() -> None:
    book = "word " * 100_000
    ((_, old, new, _),) = rows(drawn({"x": f"{book}left{book}"}, {"x": f"{book}right{book}"}))
    assert ":red-background[~~left" in old
    assert ":green-background[**right" in new
    assert max(len(old), len(new)) < 500
    ((_, value),) = rows(drawn(None, {"x": book}))
    assert value.endswith("word … (500,000 characters)")
    assert len(value) < 700


def test_items_of_lists_are_signed_and_moves_are_told() -> None:
    before = {"tags": ["a", "b"], "volume": 2.5}
    after = {"tags": ["b", "c"], "volume_ml": 2.5}
    assert rows(drawn(before, after)) == [
        ("tags", "\u2212 a (item 1)", "\u2013", "removed"),
        ("tags", "\u2013", "+ c (item 2)", "added"),
        ("volume → volume_ml", "2.5", "2.5", "moved"),
    ]


def test_values_are_found_by_words() -> None:
    def script() -> None:
        from flasktrack.ui.diff import draw_values

        draw_values({"Steps": [{"id": 1, "note": "Shake"}, {"id": 2}], "other": "shake well"}, ["SHAKE", "steps"])

    test = AppTest.from_function(script, default_timeout=30).run()
    assert rows(test) == [("Steps[1].note", "Shake")]


@given(JSON, JSON)
def test_any_two_states_give_a_summary_and_a_row_for_each_change(before: Any, after: Any) -> None:
    found = changes(before, after)
    line = summary(found)
    assert bool(line) == bool(found)
    if len(found) > 4:
        assert line.endswith(f"and {len(found) - 4} more")


def test_a_summary_says_what_cant_be_read() -> None:
    assert summary(None) == "not readable"


def test_a_summary_is_one_short_line() -> None:
    found = changes({}, orjson.loads(orjson.dumps({str(number): "x" * 500 for number in range(50)})))
    assert len(summary(found)) < 250
