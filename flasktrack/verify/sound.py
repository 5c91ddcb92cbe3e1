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
from operator import le
from typing import Any, NamedTuple

from flasktrack.core.header import SALT_BYTES, header_bytes
from flasktrack.core.related import NOTHING_RELATED, parse_related
from flasktrack.verify.continuity import ABSENT, fingerprint, name_key

Link = tuple[Any, ...]
"""(seq, entity_type, entity_id) of `record_link`."""

_SALT = frozenset({SALT_BYTES})
_UNREADABLE = (TypeError, ValueError, KeyError, AttributeError, OverflowError)  # what a tampered row may lead to


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


class Sound(NamedTuple):
    """What a sound block leaves for what comes after it."""

    hashes: list[bytes]
    continuity: bytes
    """What `Tape` takes down of it."""
    last_time: str


def judge_block(
    organization_id: str, rows: Sequence[Any], first: int, previous: bytes | None, earlier: str, links: Links
) -> Sound | None:
    """Judge rows (see `Streams.records`) that should be those of the positions from `first` on; None unless all of
    them are in order.

    `previous` is the hash of the record before, `earlier` its recorded_at. Where the block is not sound, `links` are as
    they were.
    """
    (
        seqs, record_ids, occurred, recorded, actor_types, actor_ids, actor_names, actor_roles, actor_seqs, credentials,
        principals, actions, outcomes, entity_types, entity_ids, entity_names, entity_seqs, related_texts, reasons,
        correlations, before_digests, after_digests, context_digests, prev_hashes, hashes, befores, before_salts,
        afters, after_salts, contexts, context_salts,
    ) = zip(*rows, strict=True)  # fmt: skip
    if previous is None or seqs != tuple(range(first, first + len(rows))):
        return None
    try:
        related = [() if text == NOTHING_RELATED else parse_related(text) for text in related_texts]
        headers = map(
            header_bytes, repeat(organization_id), seqs, record_ids, occurred, recorded, actor_types, actor_ids,
            actor_names, actor_roles, actor_seqs, credentials, principals, actions, outcomes, entity_types, entity_ids,
            entity_names, entity_seqs, related, reasons, correlations, before_digests, after_digests, context_digests,
            prev_hashes,
        )  # fmt: skip
        computed = [sha256(b"\x00" + header).digest() for header in headers]
        in_order = (
            computed == list(hashes)
            and prev_hashes[0] == previous
            and prev_hashes[1:] == hashes[:-1]
            and earlier <= recorded[0]
            and all(map(le, recorded, recorded[1:]))
            and _sections_agree(before_digests, before_salts, befores)
            and _sections_agree(after_digests, after_salts, afters)
            and _sections_agree(context_digests, context_salts, contexts)
        )
        if not in_order:
            return None
        taken_down = zip(
            map(name_key, actor_types, actor_ids), map(name_key, entity_types, entity_ids), seqs, actor_seqs,
            entity_seqs, _fingerprints(befores), _fingerprints(afters), strict=True,
        )  # fmt: skip
        tape = array("q", chain.from_iterable(taken_down))
    except _UNREADABLE:
        return None
    taken = links.take(first + len(rows) - 1)
    expected = [(seq, *item) for seq, items in zip(seqs, related, strict=True) if items for item in items]
    if taken != expected and sorted(taken, key=repr) != sorted(expected, key=repr):
        links.give_back(taken)
        return None
    return Sound(computed, tape.tobytes(), recorded[-1])


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
