"""Words as people search for them: which words a text holds, and the SQL that finds one.

`Müller` is to find MÜLLER. SQLite's lower() knows ASCII alone, and PostgreSQL's depends on how the server was set
up; so a word with other letters is looked for in each way that it is usually written.
"""

from __future__ import annotations

import orjson
from sqlalchemy import ColumnElement, or_

MAX_WORDS = 20
MAX_LETTERS = 200  # of one word


def split_words(text: str) -> tuple[str, ...]:
    """The words of a text, each once. Raises ValueError, which says why, for more or longer ones than are searched."""
    words = tuple(dict.fromkeys(text.split()))
    if len(words) > MAX_WORDS:
        raise ValueError(f"it has {len(words):,} words; at most {MAX_WORDS} are searched for")
    if any(len(word) > MAX_LETTERS for word in words):
        raise ValueError(f"it has a word of more than {MAX_LETTERS} letters")
    return words


def contains(column: ColumnElement[str | None], word: str) -> ColumnElement[bool]:
    """Whether the column's text holds the word, in upper or lower case."""
    return or_(*(column.icontains(form, autoescape=True) for form in _forms(word)))


def body_contains(column: ColumnElement[str | None], word: str) -> ColumnElement[bool]:
    """Whether a section's body holds the word, which is escaped there as JSON escapes it."""
    return or_(*(column.icontains(orjson.dumps(form).decode()[1:-1], autoescape=True) for form in _forms(word)))


def _forms(word: str) -> tuple[str, ...]:
    if word.isascii():
        return (word,)
    return tuple(dict.fromkeys((word, word.lower(), word.upper(), word.capitalize())))
