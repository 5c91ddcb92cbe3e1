"""Which words of a text went and came: a minimal difference of words, in bounded time and memory.

    text_changes("shake the tube twice", "shake a tube once")
    ->  kept "shake ", removed "the", added "a", kept " tube ", removed "twice", added "once"

Lines are compared first, then the words inside those that changed. Where even that would be too much (a megabyte in
one line, all of it other words) what changed is given whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Literal, NamedTuple

from rapidfuzz.distance import Indel

MOST_CELLS = 400_000_000
"""Tokens before x tokens after that are compared at once: a bit of memory each, so 50 MB, and a tenth of a second."""

_LINES = re.compile(r"[^\n]*\n|[^\n]+")
# What is written without blanks, character by character; a word with the marks and joiners that scripts put into it;
# a line's end; blanks; anything else, an emoji with what modifies it.
_WORDS = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
    r"|(?:(?![\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])"
    r"[\w\u0300-\u036f\u0591-\u05bd\u064b-\u065f\u0900-\u109f\u1780-\u17ff\u200c])+"
    r"|\n|[^\S\n]+"
    r"|[^\w\s](?:[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]|\u200d[^\w\s])*"
)

Kind = Literal["kept", "removed", "added"]


class Piece(NamedTuple):
    """A stretch of text. Kept and removed ones make the text before, kept and added ones the text after."""

    kind: Kind
    text: str


def text_changes(before: str, after: str) -> list[Piece]:
    """The pieces that lead from one text to the other; of what changed at one place, what went comes first."""
    return list(_joined(_compare(before, after, (_LINES, _WORDS))))


def _compare(before: str, after: str, levels: Sequence[re.Pattern[str]]) -> Iterator[Piece]:
    if not levels or not before or not after:
        yield Piece("removed", before)
        yield Piece("added", after)
        return
    old, new = levels[0].findall(before), levels[0].findall(after)
    shorter = min(len(old), len(new))
    head = next((i for i in range(shorter) if old[i] != new[i]), shorter)
    tail = next((i for i in range(shorter - head) if old[-1 - i] != new[-1 - i]), shorter - head)
    yield Piece("kept", "".join(old[:head]))
    for kept, gone, come in _runs(old[head : len(old) - tail], new[head : len(new) - tail]):
        yield Piece("kept", kept)
        yield from _compare(gone, come, levels[1:])
    yield Piece("kept", "".join(old[len(old) - tail :]))


def _runs(old: list[str], new: list[str]) -> Iterator[tuple[str, str, str]]:
    """What was kept, and then what went and what came, in turn."""
    if len(old) * len(new) > MOST_CELLS:
        yield "", "".join(old), "".join(new)
        return
    numbers: dict[str, int] = {}  # compared by number, which is exact; by their hashes, two words might be one
    ids = [[numbers.setdefault(token, len(numbers)) for token in tokens] for tokens in (old, new)]
    kept = ""
    for equal, steps in groupby(Indel.opcodes(*ids), key=lambda step: step.tag == "equal"):
        parts = list(steps)
        gone = "".join("".join(old[step.src_start : step.src_end]) for step in parts)
        if equal:
            kept = gone
        else:
            yield kept, gone, "".join("".join(new[step.dest_start : step.dest_end]) for step in parts)
            kept = ""
    yield kept, "", ""


def _joined(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Without empty pieces, blanks between two changes being part of the change: nobody reads word by word."""
    gone = come = kept = ""
    for kind, text in pieces:
        if kind == "kept":
            kept += text
            continue
        if not text:
            continue
        if kept and (kept.strip() or not (gone or come)):
            yield from _changed(gone, come)
            yield Piece("kept", kept)
            gone = come = ""
        else:
            gone, come = gone + kept, come + kept
        kept = ""
        gone, come = (gone + text, come) if kind == "removed" else (gone, come + text)
    yield from _changed(gone, come)
    if kept:
        yield Piece("kept", kept)


def _changed(gone: str, come: str) -> Iterator[Piece]:
    if gone:
        yield Piece("removed", gone)
    if come:
        yield Piece("added", come)
