"""Where do rows belong that do not give their hash? Some were only moved (`record_reordered`), others altered.

A record's header holds its position, so a row that was given another seq no longer gives its hash; put back to the
position that its link implies (one after the record whose hash it links to), it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from flasktrack.core.check import fields_hash
from flasktrack.core.header import ZERO_HASH
from flasktrack.core.related import parse_related
from flasktrack.verify.chain import Suspect

Range = tuple[int, int]

MAX_SHIFT = 1000
"""How far from where it stands a row is looked for when the record that it links to is gone."""
MAX_SEARCHES = 200
"""How many such rows are looked for in vain before the rest counts as altered (each costs some milliseconds)."""

_SEQ, _RELATED, _PREV = 1, 18, 24  # places among a header's fields


class Order(NamedTuple):
    """What became of the positions."""

    moved: dict[int, int]
    """Position at which a row stands now -> position at which it was recorded."""
    missing: list[Range]
    """Runs of positions at which no record is left, below the newest record."""


def restore_order(
    suspects: list[Suspect], gaps: list[Range], last_seq: int, hashes: Iterable[tuple[int, bytes]]
) -> Order:
    """Find the moved ones among the suspects, and the positions that are absent when they are put back.

    `gaps` are the runs of positions without a row up to `last_seq`, the highest position of a row; `hashes` gives
    position and stored hash of every row, and is read only where there are suspects.
    """
    moved = _moved(suspects, hashes) if suspects else {}
    if not moved:
        return Order({}, gaps)
    absent = _join([*gaps, *((seq, seq) for seq in moved)])
    if absent and absent[-1][1] >= last_seq:  # the highest rows were moved there: nothing was recorded so far up
        last_seq = absent[-1][0] - 1
    newest = max(last_seq, *moved.values())
    return Order(moved, list(_without(absent, sorted(moved.values()), newest)))


def _moved(suspects: list[Suspect], hashes: Iterable[tuple[int, bytes]]) -> dict[int, int]:
    by_link: dict[bytes, list[Suspect]] = {}
    for suspect in suspects:
        if isinstance(suspect.fields[_PREV], bytes) and isinstance(suspect.hash, bytes):
            by_link.setdefault(suspect.fields[_PREV], []).append(suspect)
    standing = {suspect.fields[_SEQ] for suspect in suspects}
    position = {ZERO_HASH: 0} | {stored: seq for seq, stored in hashes if stored in by_link and seq not in standing}
    moved: dict[int, int] = {}

    def follow(ready: list[bytes]) -> None:
        """From records whose position is known to those that link to them, and on."""
        while ready:
            link = ready.pop()
            for suspect in by_link.get(link, ()):
                if suspect.fields[_SEQ] not in moved and _fits(suspect, position[link] + 1):
                    moved[suspect.fields[_SEQ]] = position[suspect.hash] = position[link] + 1
                    ready.append(suspect.hash)

    follow(list(position))
    own_hashes = {suspect.hash for suspect in suspects}
    searches = 0
    for link, linked in by_link.items():
        if link in position or link in own_hashes:
            continue
        for suspect in linked:  # the record before it is gone
            seq = suspect.fields[_SEQ]
            if searches == MAX_SEARCHES:
                return moved
            place = next((place for place in _nearby(seq) if _fits(suspect, place)), None)
            if place is None:
                searches += 1
            else:
                moved[seq] = position[suspect.hash] = place
                follow([suspect.hash])
    return moved


def _fits(suspect: Suspect, place: int) -> bool:
    """Whether the row gives its hash at another place than its own."""
    if place == suspect.fields[_SEQ]:
        return False
    fields = list(suspect.fields)
    fields[_SEQ] = place
    try:
        fields[_RELATED] = parse_related(fields[_RELATED])
    except (TypeError, ValueError, AttributeError):
        return False
    return bool(fields_hash(fields) == suspect.hash)


def _nearby(seq: int) -> Iterator[int]:
    for distance in range(1, MAX_SHIFT + 1):
        yield seq + distance
        if seq > distance:
            yield seq - distance


def _join(ranges: list[Range]) -> list[Range]:
    joined: list[Range] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined


def _without(ranges: list[Range], points: list[int], newest: int) -> Iterator[Range]:
    """The ranges, cut at `newest`, less single points."""
    for first, last in ranges:
        start, end = max(first, 1), min(last, newest)
        for point in points:
            if start <= point <= end:
                if start < point:
                    yield start, point - 1
                start = point + 1
        if start <= end:
            yield start, end
