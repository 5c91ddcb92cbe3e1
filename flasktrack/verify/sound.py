"""Blocks of records that are all in order: judged column by column, which takes less time than row by row.

A block is sound only where every rule of `ChainCheck` has nothing to say of any of its records; whatever is else, down
to a single byte, goes through those rules row by row, which know what to call it. So this module accuses nobody: what
it must never do is pass a block that the rules would not.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import chain, repeat
from operator import eq, le
from typing import Any, NamedTuple

from flasktrack.core.header import SALT_BYTES, header_bytes
from flasktrack.core.related import NOTHING_RELATED, parse_related
from flasktrack.verify.continuity import ABSENT, fingerprint, name_key

Link = tuple[Any, ...]
"""(seq, entity_type, entity_id) of `record_link`."""

_SALT = frozenset({SALT_BYTES})
_TEXT = frozenset({str, type(None)})
UNREADABLE = (TypeError, ValueError, KeyError, AttributeError, OverflowError)
"""What a tampered row may lead to."""


class Links:
    """A stream of links in order of seq, from which those of one position or of many are taken."""

    def __init__(self, links: Iterator[Link]) -> None:
        self._links = links
        self._next: Link | None = next(links, None)
        self._returned: list[Link] = []

    def take(self, last: int) -> list[Link]:
        """The links of positions up to `last`."""
        taken = []
        if self._returned:
            taken = [link for link in self._returned if link[0] <= last]
            self._returned = self._returned[len(taken) :]
            if self._returned:
                return taken
        link = self._next
        while link is not None and link[0] <= last:
            taken.append(link)
            link = next(self._links, None)
        self._next = link
        return taken

    def give_back(self, links: list[Link]) -> None:
        """Put back the links that were taken last, to be taken again."""
        self._returned = links + self._returned

    def rest(self) -> Iterator[Link]:
        """All links that were not taken."""
        yield from self._returned
        if self._next is not None:
            yield self._next
        yield from self._links


class Columns(NamedTuple):
    """The rows of a block (see `Streams.records`), column by column."""

    seq: tuple[Any, ...]
    record_id: tuple[Any, ...]
    occurred_at: tuple[Any, ...]
    recorded_at: tuple[Any, ...]
    actor_type: tuple[Any, ...]
    actor_id: tuple[Any, ...]
    actor_name: tuple[Any, ...]
    actor_role: tuple[Any, ...]
    actor_seq: tuple[Any, ...]
    credential_id: tuple[Any, ...]
    on_behalf_of: tuple[Any, ...]
    action: tuple[Any, ...]
    outcome: tuple[Any, ...]
    entity_type: tuple[Any, ...]
    entity_id: tuple[Any, ...]
    entity_name: tuple[Any, ...]
    entity_seq: tuple[Any, ...]
    related: tuple[Any, ...]
    reason: tuple[Any, ...]
    correlation_id: tuple[Any, ...]
    before_digest: tuple[Any, ...]
    after_digest: tuple[Any, ...]
    context_digest: tuple[Any, ...]
    prev_hash: tuple[Any, ...]
    hash: tuple[Any, ...]
    before: tuple[Any, ...]
    before_salt: tuple[Any, ...]
    after: tuple[Any, ...]
    after_salt: tuple[Any, ...]
    context: tuple[Any, ...]
    context_salt: tuple[Any, ...]


class Sound(NamedTuple):
    """What a sound block leaves for what comes after it."""

    hashes: list[bytes]
    continuity: bytes
    """What `Tape` takes down of it."""
    last_time: str


def columns_of(rows: Sequence[Any]) -> Columns:
    """The columns of at least one row."""
    return Columns._make(zip(*rows, strict=True))


def give_hashes(
    organization_id: str, columns: Columns, related: Sequence[tuple[tuple[str, str], ...]], first: int, previous: bytes
) -> bool:
    """Whether the rows are those of the positions from `first` on, each gives its hash and its sections' digests, and
    links to the one before, the first of them to `previous`.

    Raises what `UNREADABLE` names where a row holds what no record can.
    """
    seqs, hashes = columns.seq, columns.hash
    if seqs != tuple(range(first, first + len(seqs))):
        return False
    texts = (*columns[1:8], *columns[9:16], columns.reason, columns.correlation_id)
    if not _TEXT.issuperset(map(type, chain.from_iterable(texts))):  # a number would be written as one
        return False
    headers = map(header_bytes, repeat(organization_id), *columns[:17], related, *columns[18:24])
    return (
        all(map(eq, hashes, [sha256(b"\x00" + header).digest() for header in headers]))
        and columns.prev_hash[0] == previous
        and columns.prev_hash[1:] == hashes[:-1]
        and _sections_agree(columns.before_digest, columns.before_salt, columns.before)
        and _sections_agree(columns.after_digest, columns.after_salt, columns.after)
        and _sections_agree(columns.context_digest, columns.context_salt, columns.context)
    )


def related_of(columns: Columns) -> list[tuple[tuple[str, str], ...]]:
    """What each row relates to. Raises ValueError where that can't be read."""
    return [() if text == NOTHING_RELATED else parse_related(text) for text in columns.related]


def judge_block(
    organization_id: str, rows: Sequence[Any], first: int, previous: bytes | None, earlier: str, links: Links
) -> Sound | None:
    """Judge rows (see `Streams.records`) that should be those of the positions from `first` on; None unless all of them
    are in order.

    `previous` is the hash of the record before, `earlier` its recorded_at. Where the block is not sound, `links` are as
    they were.
    """
    if previous is None:
        return None
    columns = columns_of(rows)
    recorded = columns.recorded_at
    try:
        related = related_of(columns)
        in_order = (
            give_hashes(organization_id, columns, related, first, previous)
            and earlier <= recorded[0]
            and all(map(le, recorded, recorded[1:]))
        )
        if not in_order:
            return None
        taken_down = zip(
            map(name_key, columns.actor_type, columns.actor_id), map(name_key, columns.entity_type, columns.entity_id),
            columns.seq, columns.actor_seq, columns.entity_seq, _fingerprints(columns.before),
            _fingerprints(columns.after), strict=True,
        )  # fmt: skip
        tape = array("q", chain.from_iterable(taken_down))
    except UNREADABLE:
        return None
    taken = links.take(first + len(rows) - 1)
    expected = [(seq, *item) for seq, items in zip(columns.seq, related, strict=True) if items for item in items]
    if taken != expected and sorted(taken, key=repr) != sorted(expected, key=repr):
        links.give_back(taken)
        return None
    return Sound(list(columns.hash), tape.tobytes(), recorded[-1])


def _sections_agree(digests: Sequence[Any], salts: Sequence[Any], bodies: Sequence[Any]) -> bool:
    """Whether each section is there with its salt and digest, or not at all."""
    computed = [
        None if body is None else sha256(salt + body).digest() for salt, body in zip(salts, bodies, strict=True)
    ]
    there = [salt for salt in salts if salt is not None]  # where a body is, there is one: None + bytes is a TypeError
    return (
        computed == list(digests)
        and len(there) == len(bodies) - bodies.count(None)
        and _SALT.issuperset(map(len, there))  # otherwise bytes could move between salt and body unnoticed
    )


def _fingerprints(bodies: Iterable[bytes | None]) -> Iterator[int]:
    return (ABSENT if body is None else fingerprint(body) for body in bodies)
