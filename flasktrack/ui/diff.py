"""An act's before and after as people read them: field by field, with no JSON to decipher.

What went is struck through, what came is bold; both are coloured, too. Of a long text what changed is drawn, with a
few words around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any, Literal

import orjson
import streamlit as st

from flasktrack.insight.diff import Change, changes
from flasktrack.insight.text_diff import Piece, text_changes
from flasktrack.insight.wording import field, sides, values
from flasktrack.ui.text import breaking, literal

MOST_ROWS = 200
"""Rows that are drawn of one snapshot: more would be slow, and nobody reads them on a page."""

_MOST_LETTERS = 600  # of one value
_LONG_TEXT = 40  # letters, from which on a text is compared word by word
_AROUND = 60  # letters that are drawn on each side of a change
_MOST_PIECES = 80  # of a text
_MARKS = {"removed": ":red-background[~~{}~~]", "added": ":green-background[**{}**]"}


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
    rows = [(_cell(field(change)), *_cells(change), change.kind) for change in found[:MOST_ROWS]]
    _draw(("Field", "Before", "After", "Change"), rows, len(found))


def draw_values(state: Any, words: Sequence[str] = ()) -> None:
    """Draw every value of a state (parsed JSON) beside the path that leads to it; those that hold all of the words."""
    found = (row for row in values(state) if all(word.casefold() in " ".join(row).casefold() for word in words))
    rows = list(islice(found, MOST_ROWS))
    _draw(("Field", "Value"), [(_cell(path), _cell(text)) for path, text in rows], len(rows) + sum(1 for _ in found))


def summary(found: list[Change] | None) -> str:
    """Changes in one line, for a table: `status: prepared → measured; result: + 5`."""
    if found is None:
        return "not readable"
    parts = []
    for change in found[:4]:
        before, after = sides(change)
        name = change.path or "state"
        if change.path_before is not None:
            parts.append(f"{_short(change.path_before)} moved to {_short(name)}")
        elif change.kind == "added":
            parts.append(f"{_short(name)}: + {_short(after)}")
        elif change.kind == "removed":
            parts.append(f"{_short(name)}: \u2212 {_short(before)}")
        else:
            parts.append(f"{_short(name)}: {_short(before)} → {_short(after)}")
    return "; ".join(parts) + (f"; and {len(found) - 4:,} more" if len(found) > 4 else "")


def _cells(change: Change) -> tuple[str, str]:
    """Both sides as markdown: items of lists signed, long texts with what changed in them marked."""
    before, after = sides(change)
    if change.kind == "changed" and max(len(before), len(after)) > _LONG_TEXT:
        pieces = text_changes(before, after)
        if any(piece.kind == "kept" and piece.text.strip() for piece in pieces):
            return _marked(pieces, "removed"), _marked(pieces, "added")
    old, new = _cell(before), _cell(after)
    if change.place_before is not None and change.kind != "moved":
        old = f"\u2212 {old} (item {change.place_before:,})"
    if change.place_after is not None and change.kind != "moved":
        new = f"\\+ {new} (item {change.place_after:,})"
    return old, new


def _marked(pieces: Sequence[Piece], kind: Literal["removed", "added"]) -> str:
    """One side of a text as markdown: what went or came marked, what stayed shortened to what stands around it."""
    mine = [piece for piece in pieces if piece.kind in ("kept", kind)]
    parts = []
    for place, piece in enumerate(mine[:_MOST_PIECES]):
        if piece.kind == kind:
            parts.append(_mark(piece))
        else:
            parts.append(_context(piece.text, first=place == 0, last=place == len(mine) - 1))
    more = sum(piece.kind == kind for piece in mine[_MOST_PIECES:])
    return "".join(parts) + (f" … ({more:,} more {kind})" if more else "")


def _mark(piece: Piece) -> str:
    """Markdown marks nothing that begins or ends with a blank; blanks alone are written as JSON does it."""
    text = piece.text
    if not text.strip():
        return _MARKS[piece.kind].format(literal(orjson.dumps(text[:_AROUND]).decode()))
    lead, trail = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    return f"{' ' if lead else ''}{_MARKS[piece.kind].format(_cell(text.strip()))}{' ' if trail else ''}"


def _context(text: str, *, first: bool, last: bool) -> str:
    """What stayed; of a long stretch, what stands next to a change."""
    head, tail = ("" if first else text[:_AROUND]), ("" if last else text[-_AROUND:])
    if len(text) <= len(head) + len(tail) + _AROUND:
        return breaking(text)
    return f"{breaking(head)} … {breaking(tail)}"


def _cell(text: str) -> str:
    """Text as markdown that shows exactly these characters, up to a length that a table can hold."""
    if len(text) <= _MOST_LETTERS:
        return breaking(text)
    return f"{breaking(text[:_MOST_LETTERS])}… ({len(text):,} characters)"


def _short(text: str, longest: int = 28) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _draw(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]], total: int) -> None:
    """Draw a table of markdown cells."""
    st.table({title: [row[place] for row in rows] for place, title in enumerate(titles)}, border="horizontal",
             hide_index=True)  # fmt: skip
    if total > len(rows):
        st.text(f"{total - len(rows):,} more are not drawn; an export holds them.")
