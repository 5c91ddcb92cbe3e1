"""Text from records as a page shows it: it is data, which must neither become markup nor hide what it holds."""

from __future__ import annotations

import re

from flasktrack.core.display import display

_MARKUP = re.compile(r"([!-/:-@\[-`{-~])")  # CommonMark lets a backslash precede any ASCII punctuation
_LONG_RUN = re.compile(r"\S{40}(?=\S)")
_ZERO_WIDTH_SPACE = "\u200b"
_WORD_JOINER = "\u2060"
_REPLACED = re.compile(  # by Streamlit, after escapes are resolved; it is broken up at the place that is matched
    r"(?<=:)(?=[\w+-][\w+/-]*[:\[])"  # :name: and :red[...]
    r"|(?<=http:)(?=//)|(?<=https:)(?=//)|(?<=www)(?=\.)|(?<=@)"  # addresses become links
    r"|(?<=[-<>=~])(?=[-=>])"  # arrows, dashes, >= and the like
    r"|^(?=\s)",  # the beginning of code
    re.IGNORECASE,
)


def literal(value: object) -> str:
    """What `display` gives, as markdown that shows exactly these characters.

    What Streamlit replaces in spite of escapes (shortcodes, arrows, addresses) is broken up by word joiners. They are
    invisible, but come along when somebody copies it: an id or hash to copy is drawn by st.code or st.text.
    """
    return _MARKUP.sub(r"\\\1", _REPLACED.sub(_WORD_JOINER, display(value)))


def breaking(text: str) -> str:
    """As `literal`, with a place to break the line in each run of letters that a table's cell would cut off without a
    word: a path, a hash. The places are invisible (U+200B), and `display` shows that character where a record has it.
    """
    ends = [found.end() for found in _LONG_RUN.finditer(text)]
    return _ZERO_WIDTH_SPACE.join(literal(text[a:b]) for a, b in zip([0, *ends], [*ends, None], strict=True))


def number(value: object) -> str:
    """A stored number with separators for thousands, `12,345`; what is none (in an altered row) as it is."""
    return f"{value:,}" if isinstance(value, int) else display(value)


def hex_text(value: object) -> str:
    """A stored hash or digest in hex; what is none (in an altered row) as it is."""
    return value.hex() if isinstance(value, bytes) else display(value)


def who(people: int, machines: int) -> str:
    """`3 people`, `1 machine`, `3 people and 1 machine`: what there is none of is left out."""
    some = [count(people, "person", "people")] if people or not machines else []
    return " and ".join([*some, *([count(machines, "machine")] if machines else [])])


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 record`, `12,345 records`."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
