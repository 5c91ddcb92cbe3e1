"""Text from records stays text, whatever it holds, where Streamlit reads markdown.

tests/browser sees it in a real browser; here is the rule that makes it so: CommonMark takes a backslash before any
ASCII punctuation, so that no character of a text can begin markup, and taking these away gives the text back.
"""

from __future__ import annotations

import re
import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasktrack.core.display import display
from flasktrack.ui.text import breaking, count, hex_text, literal, number
from tests.ui.app import unescaped
from tests.ui.nasty import NASTY

ANY_TEXT = st.text(st.characters())
MARKUP = st.text(st.sampled_from(":red[](smile)*_`$~<>#|\\!&/-+material_home \n"))
SHORTCODE = re.compile(r":[\w+-][\w+/-]*[:\[]")
"""What Streamlit replaces after markdown was read: emoji, icons, and coloured text."""


@given(ANY_TEXT | MARKUP)
def test_taking_the_backslashes_away_gives_the_text_back(text: str) -> None:
    assert unescaped(literal(text)) == display(text)


@given(ANY_TEXT | MARKUP)
def test_every_punctuation_mark_has_a_backslash(text: str) -> None:
    rest = re.sub(r"\\[!-/:-@\[-`{-~]", "", literal(text))
    assert not set(rest) & set(string.punctuation)


@given(MARKUP)
def test_no_shortcode_is_left_once_the_backslashes_are_gone(text: str) -> None:
    shown = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", literal(text))
    assert not SHORTCODE.search(shown)


@pytest.mark.parametrize("text", ["", "plain words", "Søndergaard 名前", "م\u200cخ", "❤\ufe0f\u200d🔥", "1\xa0mL"])
def test_plain_words_stay_as_they_are(text: str) -> None:
    assert literal(text) == display(text) == text


@pytest.mark.parametrize(
    "text",
    ["https://example.org", "see HTTP://example.org/a", "www.example.org", "WWW.example.org", "mail@example.org"],
)
def test_an_address_in_a_text_is_no_link(text: str) -> None:
    """Streamlit makes links of addresses even where they were escaped; what is invisible inside keeps them apart."""
    shown = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", literal(text))
    assert not re.search(r"https?://|www\.|@[-\w]", shown, re.IGNORECASE)
    assert unescaped(literal(text)) == text


@pytest.mark.parametrize("sign", ["<->", "->", "<-", "--", ">=", "<=", "~="])
def test_what_streamlit_would_write_as_an_arrow_or_a_sign_stays_as_it_is(sign: str) -> None:
    shown = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", literal(f"10 {sign} 20"))
    assert sign not in shown
    assert unescaped(shown) == f"10 {sign} 20"


def test_text_stays_on_its_line() -> None:
    """A line break could begin a list, a heading or code; blanks at the beginning would make code, too."""
    assert "\n" not in literal("a\r\n    code\n# heading\n\n- item")
    assert literal("     code")[0] == "\u2060"


@pytest.mark.parametrize(
    "hidden",
    ["\u202e", "\u2066", "\u200b", "\u2060", "\ufeff", "\xad", "\x00", "\x1b", "\x85", "\u2028", "\udc80", "\u3164",
     "\ufe0f", "\u200d", "\U000e0041", "\U000e0101"],
)  # fmt: skip
def test_what_is_invisible_in_a_text_is_shown(hidden: str) -> None:
    """A name that only looks like another, or is drawn from right to left, would deceive who reads it."""
    shown = f"adm[U+{ord(hidden):04X}]in"
    assert display(f"adm{hidden}in") == shown
    assert unescaped(literal(f"adm{hidden}in")) == shown


@given(ANY_TEXT)
def test_nothing_that_is_shown_is_a_control(text: str) -> None:
    controls = {char for char in display(text) if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    assert controls <= set("\u200c\u200d")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, ""), (b"d", "x'64'"), (bytes(100), f"x'{'00' * 40}…'"), (5, "5"), (1.5, "1.5"), ("a\tb\r\n c", "a b c")],
)
def test_whatever_an_altered_row_holds_is_shown(value: object, shown: str) -> None:
    assert display(value) == shown


def test_numbers_and_hashes_are_shown_as_such_and_anything_else_as_it_is() -> None:
    assert (number(12345), number("x"), number(None), number(b"\x01")) == ("12,345", "x", "", "x'01'")
    assert (hex_text(b"\xab\x00"), hex_text("abc"), hex_text(None)) == ("ab00", "abc", "")


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


def test_a_long_run_of_letters_can_break_and_is_otherwise_what_it_was() -> None:
    for text in ("a" * 40, "a" * 30 + " " + "b" * 40, "", "**bold** " * 9):
        assert breaking(text) == literal(text)
    broken = breaking("x" * 100 + " y")
    assert [len(part) for part in broken.split("\u200b")] == [40, 40, 22]
    assert "[U+200B]" in breaking("\u200b").replace("\\", "")
