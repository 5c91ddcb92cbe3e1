"""Text from records as it is shown and printed: it must not hide what it holds."""

from __future__ import annotations

import re
from unicodedata import category

_LINE = re.compile(r"[\r\n\t]+[ \t]*")
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
