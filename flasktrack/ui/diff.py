"""An act's before and after as people read them: field by field, with no JSON to decipher."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import streamlit as st

from flasktrack.insight.diff import Change, changes
from flasktrack.insight.wording import sides, values
from flasktrack.ui.text import literal

MOST_ROWS = 200
"""Rows that are drawn of one snapshot: more would be slow, and nobody reads them on a page."""


def draw_changes(before: Any, after: Any) -> None:
    """Draw what changed between two states (parsed JSON; None for no state).

    With one state alone, its values are drawn: all that was recorded, or all that was deleted.
    """
    if before is None or after is None:
        draw_values(after if before is None else before)
        return
    found = changes(before, after)
    if not found:
        st.text("Nothing differs between before and after.")
        return
    draw_change_rows(found)


def draw_change_rows(found: Sequence[Change]) -> None:
    """Draw changes, one a row."""
    rows = [(change.path or "(whole)", *sides(change), change.kind) for change in found[:MOST_ROWS]]
    _draw(("Field", "Before", "After", "Change"), rows, len(found))


def draw_values(state: Any) -> None:
    """Draw every value of a state (parsed JSON) beside the path that leads to it."""
    rows = list(islice(values(state), MOST_ROWS + 1))
    total = len(rows) if len(rows) <= MOST_ROWS else sum(1 for _ in values(state))
    _draw(("Field", "Value"), rows[:MOST_ROWS], total)


def summary(found: list[Change] | None) -> str:
    """Changes in one line, for a table: `status prepared → measured, result added`."""
    if found is None:
        return "not readable"
    parts = []
    for change in found[:4]:
        before, after = sides(change)
        name = change.path or "state"
        if change.kind == "changed":
            parts.append(f"{name}: {_short(before)} → {_short(after)}")
        elif change.kind == "added":
            parts.append(f"{name}: + {_short(after)}")
        elif change.kind == "removed":
            parts.append(f"{name}: \u2212 {_short(before)}")
        else:
            parts.append(f"{name}: {before} → {after}")
    return "; ".join(parts) + (f"; and {len(found) - 4} more" if len(found) > 4 else "")


def _short(text: str, longest: int = 28) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _draw(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]], total: int) -> None:
    """Draw a table; st.table reads markdown, so every text is made literal."""
    columns = {title: [literal(row[place]) for row in rows] for place, title in enumerate(titles)}
    st.table(columns, border="horizontal", hide_index=True)
    if total > len(rows):
        st.text(f"{total - len(rows):,} more are not drawn; an export holds them.")
