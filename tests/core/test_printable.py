"""What is printed can neither move a terminal's cursor nor hide what it holds, and a program reads the same in JSON."""

from __future__ import annotations

import json
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasktrack.core.printable import printable, printable_json

OBEYED = {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("S-1\r\x1b[1A\x1b[2Kverified", r"S-1\r\x1b[1A\x1b[2Kverified"),
        ("a\nb\tc\x00\x7f", r"a\nb\tc\x00\x7f"),
        ("\x9b2J\x85", r"\x9b2J\x85"),
        ("\u202egnp.exe\u2066\u200b\ufeff", r"\u202egnp.exe\u2066\u200b\ufeff"),
        ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
        ("\udcff", r"\udcff"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_a_terminal_obeys_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize("text", ["", "Zoë \u00a05 µl ≥ 3 \u202f\u65e5\u672c \U0001f9ea", "\\x1b"])
def test_what_it_draws_stays(text: str) -> None:
    assert printable(text) == text


@given(st.text())
def test_nothing_obeyed_is_left_and_it_is_one_line(text: str) -> None:
    shown = printable(text)
    assert not {category(char) for char in shown} & OBEYED
    assert len(shown.splitlines()) <= 1


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner)))
def test_json_says_the_same_in_characters_that_are_drawn(document: object) -> None:
    text = printable_json(document)
    assert json.loads(text) == document
    assert not {category(char) for char in text.replace("\n", "")} & OBEYED
    assert text.splitlines() == text.split("\n")
