"""The column `related`: the other entities of a record, as JSON text (spec section 3).

    [{"type":"batch","id":"B-9"},{"type":"workflow","id":"W-1"}]

There is one way to write it. Any other spelling (blanks, another order of keys, escapes that are not needed) may mean
the same, but it is not what was recorded.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import orjson

from flasktrack.core.record import Reference

NOTHING_RELATED = "[]"


def related_text(related: Iterable[tuple[str, str]]) -> str:
    """The JSON text of pairs of type and id."""
    return orjson.dumps([{"type": type_, "id": id_} for type_, id_ in related]).decode()


@lru_cache(1024)  # neighbouring records often relate to the same
def parse_related(text: str) -> tuple[Reference, ...]:
    """The references in a stored text. Raises ValueError where it is not what `related_text` writes for them."""
    if text == NOTHING_RELATED:
        return ()
    try:
        related = tuple(Reference(item["type"], item["id"]) for item in orjson.loads(text))
        written = related_text(related) == text
    except (ValueError, TypeError, KeyError) as problem:  # a stored row may hold anything
        raise ValueError("is no list of references") from problem
    if not written:
        raise ValueError("is not written as a list of references is")
    return related
