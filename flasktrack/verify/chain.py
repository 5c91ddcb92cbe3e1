"""The rules that read every record once, in order: hash, link, sections, related entities, clock (spec section 5).

Pure: rows go in, problems come out. Invariants while row r is read:

1. a record is *trusted* where the header built from its row gives the row's hash;
2. only trusted records are judged further (one cause is one finding), and a link only against a trusted neighbour;
3. every position that is absent or untrusted stands in `untrusted`, so that later rules know what it may explain.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import Any, NamedTuple

from flasktrack.core.header import SALT_BYTES, ZERO_HASH, header_bytes
from flasktrack.core.related import parse_related
from flasktrack.verify.continuity import ABSENT, UNKNOWN, Tape, fingerprint, name_key
from flasktrack.verify.roots import LeafTrail

PROGRESS_EVERY = 2000
MAX_SUSPECTS = 50_000  # rows kept for finding out where they belong; more of them is no accident of order


class Problem(NamedTuple):
    """A finding in the making, at one run of positions."""

    code: str
    seq: int
    seq_end: int
    section: str | None = None
    note: str = ""


def unrecorded_link(seq: int) -> Problem:
    """Of a link of a record that there isn't."""
    return Problem("link_mismatch", seq, seq, note=": nothing is recorded there")


class Suspect(NamedTuple):
    """A row that does not give its hash: its fields in the order of a header, and its stored hash."""

    fields: tuple[Any, ...]
    hash: Any


class ChainCheck:
    """The state of one pass over an organization's records."""

    def __init__(self, tape: Tape, trail: LeafTrail) -> None:
        self.tape = tape
        self.trail = trail
        self.records = 0
        self.last_seq = 0
        self.last_hash: bytes | None = ZERO_HASH
        """The newest record's hash; None where that record is not trusted."""
        self.last_time = ""
        """recorded_at of the newest trusted record; empty where there is none."""
        self.first_unlinked: tuple[int, bytes, str] | None = None
        """seq, prev_hash and recorded_at of the first trusted record that no trusted one stands before."""
        self.problems: list[Problem] = []
        self.gaps: list[tuple[int, int]] = []
        self.modified: list[int] = []
        self.suspects: list[Suspect] = []
        self.odd = 0
        """How many rows stand at positions that are no whole numbers."""

    def read(
        self,
        rows: Iterable[tuple[Any, ...]],
        links: Iterator[tuple[Any, ...]],
        progress: Callable[[int], None] | None = None,
        *,
        first: int = 1,
        last: int = 0,
        neighbour: tuple[Any, Any] | None = None,
    ) -> None:
        """Judge rows (see `Streams.records`) beside links (see `Streams.links`), both in order of seq.

        The rows are those of the positions `first` to `last`; `neighbour` is the hash and the recorded_at of the
        record before them, where there is one.
        """
        related: tuple[tuple[str, str], ...]
        write_tape = self.tape.write
        trail = self.trail
        leaves = trail.leaves
        expected = first
        previous, previous_time = (ZERO_HASH if first == 1 else None, "") if neighbour is None else neighbour
        count = 0
        link = next(links, None)
        for row in rows:
            (
                organization_id, seq, record_id, occurred_at, recorded_at, actor_type, actor_id, actor_name,
                actor_role, actor_seq, credential_id, on_behalf_of, action, outcome, entity_type, entity_id,
                entity_name, entity_seq, related_text, reason, correlation_id, before_digest, after_digest,
                context_digest, prev_hash, stored_hash, before, before_salt, after, after_salt, context, context_salt,
            ) = row  # fmt: skip
            count += 1
            if not count % PROGRESS_EVERY:
                trail.hand_on()
                if progress is not None:
                    progress(count)
            if seq != expected:
                if type(seq) is not int:  # SQLite keeps any value in any column
                    self.odd += 1
                    continue
                if 1 <= seq < expected:
                    note = f"At position {seq:,} stands more than one record: one of them was put in."
                    self.problems.append(Problem("chain_broken", seq, seq, note=note))
                    continue
                if seq > expected:
                    self.gaps.append((expected, seq - 1))
                    trail.absent(expected, seq - 1)
                previous = None
                link = _skip(link, links, seq)
            expected = max(seq + 1, 1)
            leaves.append(stored_hash)
            computed: bytes | None
            try:
                earlier = recorded_at < previous_time
                related = parse_related(related_text) if related_text != "[]" else ()
                header = header_bytes(
                    organization_id, seq, record_id, occurred_at, recorded_at, actor_type, actor_id, actor_name,
                    actor_role, actor_seq, credential_id, on_behalf_of, action, outcome, entity_type, entity_id,
                    entity_name, entity_seq, related, reason, correlation_id, before_digest, after_digest,
                    context_digest, prev_hash,
                )  # fmt: skip
                computed = sha256(b"\x00" + header).digest()
            except (TypeError, ValueError, KeyError, AttributeError):  # a tampered row may hold anything
                computed, related = None, ()
            if computed is None or computed != stored_hash or seq < 1:
                self._suspect(row)
                if seq < 1:  # there is no such position, so no such leaf
                    leaves.pop()
                else:
                    trail.doubt(seq)
                link = _skip(link, links, seq + 1)
                previous = None
                continue
            if prev_hash != (previous if seq > 1 else ZERO_HASH) and (previous is not None or seq == 1):
                self.problems.append(Problem("chain_broken", seq, seq))
            if prev_hash != previous:
                trail.settle(seq, prev_hash)
                if self.first_unlinked is None:
                    self.first_unlinked = (seq, prev_hash, recorded_at)
            previous = stored_hash
            if earlier:
                self.problems.append(Problem("clock_regression", seq, seq))
            previous_time = recorded_at

            before_print = after_print = ABSENT
            if before_digest is None and before is None and before_salt is None:
                pass
            elif (
                before is not None
                and type(before_salt) is bytes
                and len(before_salt) == SALT_BYTES
                and sha256(before_salt + before).digest() == before_digest
            ):
                before_print = fingerprint(before)
            else:
                before_print = UNKNOWN
                self._section(seq, "before", before_digest, before, before_salt)
            if after_digest is None and after is None and after_salt is None:
                pass
            elif (
                after is not None
                and type(after_salt) is bytes
                and len(after_salt) == SALT_BYTES
                and sha256(after_salt + after).digest() == after_digest
            ):
                after_print = fingerprint(after)
            else:
                after_print = UNKNOWN
                self._section(seq, "after", after_digest, after, after_salt)
            if context_digest is None and context is None and context_salt is None:
                pass
            elif not (
                context is not None
                and type(context_salt) is bytes
                and len(context_salt) == SALT_BYTES
                and sha256(context_salt + context).digest() == context_digest
            ):
                self._section(seq, "context", context_digest, context, context_salt)

            if link is not None and link[0] < seq:
                link = self._stray(link, links, seq)
            if related or (link is not None and link[0] == seq):
                linked = []
                while link is not None and link[0] == seq:
                    linked.append((link[1], link[2]))
                    link = next(links, None)
                if linked != [*related] and sorted(linked, key=repr) != sorted(related, key=repr):
                    self.problems.append(Problem("link_mismatch", seq, seq))
            try:
                write_tape(
                    name_key(actor_type, actor_id), name_key(entity_type, entity_id), seq, actor_seq, entity_seq,
                    before_print, after_print,
                )  # fmt: skip
            except struct.error:  # an ordinal that is no 64-bit integer
                self.problems.append(Problem("ordinal_gap", seq, seq))
        if expected <= last:
            self.gaps.append((expected, last))
            trail.absent(expected, last)
            previous, expected = None, last + 1
            link = _skip(link, links, expected)
        self.records = count
        self.last_seq = expected - 1
        trail.end(self.last_seq)
        self.last_hash = previous
        self.last_time = previous_time
        while link is not None:  # links of records beyond the last one
            self.problems.append(unrecorded_link(link[0]))
            link = next(links, None)
        if progress is not None:
            progress(count)

    def _stray(self, link: Any, links: Iterator[tuple[Any, ...]], seq: int) -> Any:
        """The first link at or after `seq`; those before it are at positions that hold no record."""
        while link is not None and link[0] < seq:
            at = int(link[0])
            self.problems.append(Problem("link_mismatch", at, at, note=": nothing is recorded there"))
            link = next(links, None)
        return link

    def _suspect(self, row: tuple[Any, ...]) -> None:
        seq = row[1]
        self.modified.append(seq)
        if len(self.suspects) < MAX_SUSPECTS:
            self.suspects.append(Suspect(row[:25], row[25]))

    def _section(self, seq: int, name: str, digest: Any, body: Any, salt: Any) -> None:
        gone = digest is not None and body is None and salt is None
        self.problems.append(Problem("payload_missing" if gone else "payload_modified", seq, seq, name))


def _skip(link: Any, links: Iterator[tuple[Any, ...]], seq: int) -> Any:
    """The first link at or after `seq`: links of absent and untrusted records are not judged."""
    while link is not None and link[0] < seq:
        link = next(links, None)
    return link
