"""Text from records as a page shows it: it is data, which must neither become markup nor hide what it holds."""

from __future__ import annotations

import re
from unicodedata import category

_MARKUP = re.compile(r"([!-/:-@\[-`{-~])")  # CommonMark lets a backslash precede any ASCII punctuation
_LINE = re.compile(r"[\r\n\t]+[ \t]*")
_WORD_JOINER = "\u2060"
_REPLACED = re.compile(  # by Streamlit, after escapes are resolved; it is broken up at the place that is matched
    r"(?<=:)(?=[\w+-][\w+/-]*[:\[])"  # :name: and :red[...]
    r"|(?<=http:)(?=//)|(?<=https:)(?=//)|(?<=www)(?=\.)|(?<=@)"  # addresses become links
    r"|(?<=[-<>=~])(?=[-=>])"  # arrows, dashes, >= and the like
    r"|^(?=\s)",  # the beginning of code
    re.IGNORECASE,
)
_CONTROLS = ("Cc", "Cf", "Cs", "Zl", "Zp")
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0") | {
    chr(code) for code in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
}
"""Characters that are drawn as nothing, though they are no controls: fillers and variation selectors."""
_JOINERS = "\u200c\u200d\ufe0e\ufe0f"
_JOINED = ("Lo", "Mc", "Mn", "Sk", "So")  # Arabic and Indic letters, parts of emoji: not what looks Latin
_MOST_BYTES = 40


def display(value: object) -> str:
    """Whatever a stored column holds, as one line of text in which nothing is invisible; null is "".

    Controls, bidirectional ones too, are shown by number: `a[U+202E]b`. An altered row may hold anything in place of
    text: bytes are shown as SQL writes them, `x'64'`. Joiners stay where scripts and emoji need them.
    """
    text = _LINE.sub(" ", value if isinstance(value, str) else _written(value))
    if text.isascii() and text.isprintable():
        return text
    return "".join(f"[U+{ord(char):04X}]" if _hidden(text, place) else char for place, char in enumerate(text))


def literal(value: object) -> str:
    """What `display` gives, as markdown that shows exactly these characters.

    What Streamlit replaces in spite of escapes (shortcodes, arrows, addresses) is broken up by word joiners. They are
    invisible, but come along when somebody copies it: an id or hash to copy is drawn by st.code or st.text.
    """
    return _MARKUP.sub(r"\\\1", _REPLACED.sub(_WORD_JOINER, display(value)))


def number(value: object) -> str:
    """A stored number with separators for thousands, `12,345`; what is none (in an altered row) as it is."""
    return f"{value:,}" if isinstance(value, int) else display(value)


def hex_text(value: object) -> str:
    """A stored hash or digest in hex; what is none (in an altered row) as it is."""
    return value.hex() if isinstance(value, bytes) else display(value)


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 record`, `12,345 records`."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def _written(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return f"x'{value[:_MOST_BYTES].hex()}{'…' if len(value) > _MOST_BYTES else ''}'"
    return str(value)


def _hidden(text: str, place: int) -> bool:
    char = text[place]
    if category(char) not in _CONTROLS and char not in _BLANK:
        return False
    return not (char in _JOINERS and place and category(text[place - 1]) in _JOINED)
