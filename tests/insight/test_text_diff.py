"""A text is told word by word: what was kept, went and came gives both texts again, whatever they hold."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flasktrack.insight import text_diff
from flasktrack.insight.text_diff import Piece, text_changes

WORDS = st.lists(
    st.sampled_from(["ml", "shake", "S-1", " ", "\n", ".", "é", "e\u0301", "温", "👩‍🔬", "שלום", "\t "])
).map("".join)


def side(pieces: list[Piece], kind: str) -> str:
    return "".join(piece.text for piece in pieces if piece.kind in ("kept", kind))


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("shake the tube", "shake a tube", "shake [-the][+a] tube"),
        ("shake", "shake twice", "shake[+ twice]"),
        ("as it was", "as it was", "as it was"),
        ("", "new", "[+new]"),
        ("old", "", "[-old]"),
        ("one\ntwo two\nthree", "one\ntwo new two\nthree\nfour", "one\ntwo [+new ]two\nthree[+\nfour]"),
        ("a b c d", "a x y d", "a [-b c][+x y] d"),  # one change to the eye, not two
        ("温度は25度", "温度は30度", "温度は[-25][+30]度"),
        ("by 👩‍🔬.", "by 👨🏽‍🔬.", "by [-👩‍🔬][+👨🏽‍🔬]."),
        ("कार्य पूरा", "कार्यालय पूरा", "[-कार्य][+कार्यालय] पूरा"),
    ],
)
def test_changes_as_people_see_them(before: str, after: str, told: str) -> None:
    signs = {"kept": "{}", "removed": "[-{}]", "added": "[+{}]"}
    assert "".join(signs[piece.kind].format(piece.text) for piece in text_changes(before, after)) == told


@pytest.mark.parametrize("cells", [text_diff.MOST_CELLS, 4])
@settings(deadline=None)
@given(st.one_of(WORDS, st.text()), st.one_of(WORDS, st.text()))
def test_the_pieces_are_both_texts(cells: int, before: str, after: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_diff, "MOST_CELLS", cells)  # with few, most of it is given whole
        pieces = text_changes(before, after)
    assert (side(pieces, "removed"), side(pieces, "added")) == (before, after)
    assert all(piece.text for piece in pieces)
    assert (before == after) == all(piece.kind == "kept" for piece in pieces)
    assert not any(one.kind == other.kind for one, other in pairwise(pieces))


def test_a_megabyte_of_lines_is_told_word_by_word() -> None:
    lines = [f"step {number}: " + "shake and wait " * 7 for number in range(8000)]
    before = "\n".join(lines)
    lines[10] = lines[10].replace("wait", "spin", 1)
    lines[7000] += "done"
    pieces = text_changes(before, "\n".join(lines))
    assert [(piece.kind, piece.text) for piece in pieces if piece.kind != "kept"] == [
        ("removed", "wait"), ("added", "spin"), ("added", "done"),
    ]  # fmt: skip
