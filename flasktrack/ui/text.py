"""Text from records in places where Streamlit reads markdown: it is data, and must never become markup."""

from __future__ import annotations

import re

_MARKUP = re.compile(r"([!-/:-@\[-`{-~])")  # CommonMark lets a backslash precede any ASCII punctuation
_SHORTCODE = re.compile(r":(?=[\w+-][\w+/-]*\\?[:\[])")  # :name: and :red[...] are replaced after escapes are resolved
_LINK = re.compile(r"(?<=http:)(?=//)|(?<=https:)(?=//)|(?<=www)(?=\.)|(?<=@)", re.IGNORECASE)  # made links likewise
_LINE = re.compile(r"[\r\n]+[ \t]*")
_WORD_JOINER = "\u2060"


def literal(text: str) -> str:
    """`text` as markdown that shows exactly these characters, on one line.

    Streamlit replaces emoji and icon shortcodes, and makes links of addresses, even where they were escaped; an
    invisible word joiner inside keeps them from being recognized.
    """
    joined = _LINK.sub(_WORD_JOINER, _SHORTCODE.sub(f":{_WORD_JOINER}", _LINE.sub(" ", text)))
    return _MARKUP.sub(r"\\\1", joined)


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 record`, `12,345 records`."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
