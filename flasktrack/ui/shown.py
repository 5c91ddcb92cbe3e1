"""Records as they are drawn: an altered row may hold anything anywhere, and is shown all the same."""

from __future__ import annotations

from flasktrack.core.display import display
from flasktrack.core.record import SECTIONS, Record

_NUMBERS = frozenset(("seq", "actor_seq", "entity_seq"))
_HASHES = frozenset(("prev_hash", "hash", *(f"{name}_digest" for name in SECTIONS)))
_AS_STORED = _NUMBERS | _HASHES | {"related"}
"""Fields that are no text: `number` and `hex_text` draw them."""


def shown(record: Record) -> Record:
    """The record with every text as `display` shows it: to be drawn, never to be asked for. Nulls stay null."""
    fields = record._asdict()
    texts = {name: display(value) for name, value in fields.items() if name not in _AS_STORED and value is not None}
    return Record(**(fields | texts))


def pair(kind: object, name: object) -> str | None:
    """An actor or entity as a filter takes it, `type:id`; None where an altered record holds no text there."""
    return f"{kind}:{name}" if isinstance(kind, str) and isinstance(name, str) else None
