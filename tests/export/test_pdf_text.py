"""Whatever a text holds, it can be typeset: every character has a glyph, or is written by number."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from flasktrack.core.display import display
from flasktrack.export import report_pdf
from flasktrack.export.pdf_text import plain, printed
from tests.export.report_samples import NO_FONT, SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_that_has_a_font_stays_as_it_is(script: str) -> None:
    assert printed(SCRIPTS[script]) == SCRIPTS[script]


def test_a_character_without_a_font_is_written_by_number() -> None:
    said = printed("a 𒀀 \ue000 b").split()
    assert said == ["a", "[U+12000]", "[U+E000]", "b"]
    assert printed("x\u0951") == "x[U+0951]"  # a mark of Devanagari on a Latin letter: no font has both
    assert printed("नमूना") == "नमूना"


def test_a_long_word_may_break_but_not_within_what_belongs_together() -> None:
    assert printed("W" * 19) == "W" * 19
    assert max(map(len, printed("W" * 900).split("\u200b"))) <= 4
    for word in ("e\u0301" * 40, "👩\u200d🔬" * 30, "👍🏽" * 30):
        for part in printed(word).split("\u200b")[1:]:
            assert unicodedata.category(part[0])[0] != "M"
            assert part[0] not in "\u200d🏽"


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(TEXTS)
def test_the_last_resort_is_ascii(text: str) -> None:
    assert plain(text).replace("\u200b", "").isascii()


@settings(max_examples=5, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@example(
    [
        *SCRIPTS.values(),
        NO_FONT,
        "\u0301 alone",
        "\u200d",
        "ﷺ",
        "\u1100\u1161",
        "\U0001d4b3",
        "ⷶ",
        "e\u0301\u0302\u0951\u20dd",
    ]
)
@given(st.lists(TEXTS, min_size=60, max_size=60))
def test_any_text_is_typeset_without_the_last_resort(texts: list[str]) -> None:
    """PDF/UA refuses a text with a character that has no glyph: Typst would raise."""
    shown = [printed(display(text)) for text in texts]
    report_pdf._compile({**PART, "sentences": shown}, tagged=True)


PART = {
    "kind": "closing", "title": "T", "organization": "O", "author": "A", "footer": "F", "pages-before": 0,
    "signature": [],
}  # fmt: skip
