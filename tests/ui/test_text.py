"""Text from records stays text, whatever it holds, where Streamlit reads markdown.

tests/browser sees it in a real browser; here is the rule that makes it so: CommonMark takes a backslash before any
ASCII punctuation, so that no character of a text can begin markup, and taking these away gives the text back.
"""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasktrack.ui.text import count, literal
from tests.ui.app import unescaped
from tests.ui.nasty import NASTY

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\u2060"))
MARKUP = st.text(st.sampled_from(":red[](smile)*_`$~<>#|\\!&/-+material_home \n"))
SHORTCODE = re.compile(r":[\w+-][\w+/-]*[:\[]")
"""What Streamlit replaces after markdown was read: emoji, icons, and coloured text."""


def on_one_line(text: str) -> str:
    return re.sub(r"[\r\n]+[ \t]*", " ", text)


@given(ANY_TEXT | MARKUP)
def test_taking_the_backslashes_away_gives_the_text_back(text: str) -> None:
    assert unescaped(literal(text)) == on_one_line(text)


@given(ANY_TEXT | MARKUP)
def test_every_punctuation_mark_has_a_backslash(text: str) -> None:
    rest = re.sub(r"\\[!-/:-@\[-`{-~]", "", literal(text))
    assert not set(rest) & set(string.punctuation)


@given(MARKUP)
def test_no_shortcode_is_left_once_the_backslashes_are_gone(text: str) -> None:
    shown = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", literal(text))
    assert not SHORTCODE.search(shown)


@pytest.mark.parametrize("text", ["", "plain words", "Søndergaard 名前", "  "])
def test_plain_words_stay_as_they_are(text: str) -> None:
    assert literal(text) == text


@pytest.mark.parametrize(
    "text",
    ["https://example.org", "see HTTP://example.org/a", "www.example.org", "WWW.example.org", "mail@example.org"],
)
def test_an_address_in_a_text_is_no_link(text: str) -> None:
    """Streamlit makes links of addresses even where they were escaped; what is invisible inside keeps them apart."""
    shown = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", literal(text))
    assert not re.search(r"https?://|www\.|@[-\w]", shown, re.IGNORECASE)
    assert unescaped(literal(text)) == text


def test_text_stays_on_its_line() -> None:
    """A line break could begin a list, a heading or code."""
    assert "\n" not in literal("a\r\n    code\n# heading\n\n- item")


def test_the_nasty_text_of_the_page_tests_comes_back_whole() -> None:
    assert unescaped(literal(NASTY)) == NASTY


@pytest.mark.parametrize(
    ("number", "words", "said"),
    [
        (0, ("record",), "0 records"),
        (1, ("record",), "1 record"),
        (12345, ("record",), "12,345 records"),
        (1, ("person", "people"), "1 person"),
        (2, ("person", "people"), "2 people"),
    ],
)
def test_counts_are_said_in_words(number: int, words: tuple[str, ...], said: str) -> None:
    assert count(number, *words) == said
