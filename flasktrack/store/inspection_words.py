"""How inspections name what they found."""

from __future__ import annotations

from collections.abc import Sequence

SHOWN = 200
"""Characters of a definition or message that are shown; an intruder may have chosen them."""
_NAMES = 5


def name_shown(name: str) -> str:
    """A name that somebody else may have chosen, on one line."""
    return " ".join(name.split())[:SHOWN]


def listed(names: Sequence[str]) -> str:
    """Names in a sentence, a few of them."""
    shown = ", ".join(name_shown(name) for name in names[:_NAMES])
    return f"{shown} and {len(names) - _NAMES:,} more" if len(names) > _NAMES else shown
