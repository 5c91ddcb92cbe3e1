"""Text from records and files on a terminal: as one line that can neither move the cursor nor hide what it holds.

    printable("S-1\\x1b[2Kverified")    ->    S-1\\x1b[2Kverified        with the escape character as four visible ones

Controls (C0, C1, a newline too), format characters (such as those that reverse the direction of text), separators
of lines and lone surrogates become Python's escapes. All other characters stay.
"""

from __future__ import annotations

import json
from typing import Any
from unicodedata import category

_ESCAPED = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))


def printable(text: str) -> str:
    """The text as one line without a character that a terminal obeys or doesn't draw."""
    if text.isprintable():  # also true of what is escaped nowhere: most texts
        return text
    return "".join(ascii(char)[1:-1] if category(char) in _ESCAPED else char for char in text)


def printable_json(document: Any) -> str:
    """The document as indented JSON, the same characters written as \\uXXXX: it says the same to a program."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    return "".join(
        json.dumps(char)[1:-1] if char != "\n" and category(char) in _ESCAPED else char for char in text
    )  # a newline in a string is escaped already: what is left stands between values
