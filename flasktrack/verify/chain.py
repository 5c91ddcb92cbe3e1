"""The rules that read every record once, in order: hash, link, sections, related entities, clock (spec section 5).

Rows go in, problems come out. Where compiled code can read the rows (see `verify.compiled`), blocks that are sound
throughout are taken as a whole; in any other one, each row is judged by itself. Invariants while row r is read:

1. a record is *trusted* where the header built from its row gives the row's hash;
2. only trusted records are judged further (one cause is one finding), and a link only against a trusted neighbour;
3. every position that is absent or untrusted stands in `untrusted`, so that later rules know what it may explain.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from flasktrack.core.check import fields_hash
from flasktrack.core.header import SALT_BYTES, ZERO_HASH
from flasktrack.core.merkle import HASH_BYTES
from flasktrack.core.record import MAX_POSITION
from flasktrack.core.related import parse_related
from flasktrack.verify.compiled import open_blocks
from flasktrack.verify.compiled.cells import Unreadable
from flasktrack.verify.continuity import ABSENT, UNKNOWN, Tape, fingerprint, name_key
from flasktrack.verify.roots import LeafTrail, as_leaf
from flasktrack.verify.rows import Streams

if TYPE_CHECKING:
    from flasktrack.verify.compiled.blocks import Blocks

PROGRESS_EVERY = 2000
BLOCK = 512
"""Rows that are judged one by one before a sound block is looked for anew."""
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


Link = tuple[Any, ...]
"""(seq, entity_type, entity_id) of `record_link`."""


class Links:
    """A stream of links in order of seq, from which those of one position or of many are taken."""

    def __init__(self, links: Iterator[Link]) -> None:
        self._links = links
        self._next: Link | None = next(links, None)

    def take(self, last: int) -> list[Link]:
        """The links of positions up to `last`."""
        taken = []
        link = self._next
        while link is not None and link[0] <= last:
            taken.append(link)
            link = next(self._links, None)
        self._next = link
        return taken

    def rest(self) -> Iterator[Link]:
        """All links that were not taken."""
        if self._next is not None:
            yield self._next
        yield from self._links


class Suspect(NamedTuple):
    """A row that does not give its hash: its fields in the order of a header, and its stored hash."""

    fields: tuple[Any, ...]
    hash: Any


class ChainCheck:
    """The state of one pass over an organization's records."""

    def __init__(self, organization_id: str, tape: Tape, trail: LeafTrail) -> None:
        self.organization_id = organization_id
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
        self._expected = 1

    def read(
        self,
        streams: Streams,
        progress: Callable[[int], None] | None = None,
        *,
        compiled: bool,
        neighbour: tuple[Any, Any] | None = None,
    ) -> None:
        """Judge the rows of `streams`; where there are many, `compiled` code may take what is sound of them.

        `neighbour` is the hash and the recorded_at of the record before them, where there is one.
        """
        first = self._expected = streams.first
        self.last_hash, self.last_time = (ZERO_HASH if first == 1 else None, "") if neighbour is None else neighbour
        self._report, self._told = progress, 0
        if compiled:
            self._read_by_turns(streams)
        else:
            self._judge_rows(streams)
        self.last_seq = self._expected - 1
        self.trail.end(self.last_seq)
        if progress is not None:
            progress(self.records)

    def _read_by_turns(self, streams: Streams) -> None:
        """Take sound blocks as far as they go, then judge rows, and so on. The fewer blocks there were, the more rows
        are judged before any are looked for anew."""
        at_least = 1  # the hash of the record before may be all that is not known
        while True:
            if type(self.last_hash) is bytes and type(self.last_time) is str:  # a neighbour may hold anything
                blocks = open_blocks(streams.rest(self._expected), self.tape.seed)
                if blocks is None:
                    at_least = MAX_POSITION
                else:
                    before = self.records
                    self._take_sound(blocks)
                    at_least = BLOCK if self.records - before > at_least else max(BLOCK, 2 * at_least)
                    if self.records > before and streams.rows_at(self._expected - 1) > 1:  # rows are read behind it
                        self._doubled(self._expected - 1)
            if self._judge_rows(streams.rest(self._expected), at_least):
                return

    def _take_sound(self, blocks: Blocks) -> None:
        """Take blocks as a whole as long as all of them is in order."""
        try:
            while self.last_hash is not None and (
                sound := blocks.next_sound(self._expected, self.last_hash, self.last_time)
            ):
                self.tape.add(sound.continuity)
                self.trail.add(sound.hashes)
                self._expected += sound.records
                self.last_hash, self.last_time = sound.hashes[-HASH_BYTES:], sound.last_time
                self._go_on(sound.records)
        except Unreadable:
            pass  # the driver reads it, and says what is wrong if it can't either
        finally:
            blocks.close()

    def _judge_rows(self, streams: Streams, at_least: int = MAX_POSITION) -> bool:
        """Judge rows one by one: `at_least` so many and until a block could follow, or all. Whether it was all."""
        linked = Links(streams.links())
        judged, newest = 0, None
        for block in streams.records():
            # Blocks begin behind the last position, so what was read last stands there, and nothing else does.
            through = newest == self._expected - 1 and block[0][0] == self._expected
            if judged >= at_least and through and self.last_hash is not None:
                return False
            for row in block:
                self._judge(row, linked)
            newest = block[-1][0]
            judged += len(block)
            self._go_on(len(block))
        if self._expected <= streams.last:
            self._absent(streams.last)
            linked.take(streams.last)
        self.problems += [unrecorded_link(link[0]) for link in linked.rest()]  # beyond the last record
        return True

    def _go_on(self, records: int) -> None:
        """So many more records were read."""
        self.records += records
        self.trail.hand_on()
        if self._report is not None and self.records - self._told >= PROGRESS_EVERY:
            self._told = self.records
            self._report(self.records)

    def _judge(self, row: tuple[Any, ...], links: Links) -> None:
        (
            seq, _, _, recorded_at, actor_type, actor_id, _, _, actor_seq, _, _, _, _, entity_type, entity_id, _,
            entity_seq, related_text, _, _, before_digest, after_digest, context_digest, prev_hash, stored_hash,
            before, before_salt, after, after_salt, context, context_salt,
        ) = row  # fmt: skip
        if seq != self._expected:
            if type(seq) is not int:  # SQLite keeps any value in any column
                self.odd += 1
                return
            if 1 <= seq < self._expected:
                self._doubled(seq)
                return
            if seq > self._expected:
                self._absent(seq - 1)
            self.last_hash = None
            links.take(seq - 1)
        self._expected = max(seq + 1, 1)
        trail, previous = self.trail, self.last_hash
        if seq >= 1:  # there is no leaf at any other
            trail.add(as_leaf(stored_hash))
        related: tuple[tuple[str, str], ...] = ()
        computed, earlier = None, False
        with suppress(TypeError, ValueError, AttributeError):  # a tampered row may hold anything
            earlier = recorded_at < self.last_time
            related = parse_related(related_text)
            computed = fields_hash((self.organization_id, *row[:17], related, *row[18:24]))
        if computed is None or computed != stored_hash or seq < 1:
            self._suspect(row)
            if seq >= 1:
                trail.doubt(seq)
            links.take(seq)
            self.last_hash = None
            return
        if prev_hash != (previous if seq > 1 else ZERO_HASH) and (previous is not None or seq == 1):
            self.problems.append(Problem("chain_broken", seq, seq))
        if prev_hash != previous:
            trail.settle(seq, prev_hash)
            if self.first_unlinked is None:
                self.first_unlinked = (seq, prev_hash, recorded_at)
        self.last_hash = stored_hash
        if earlier:
            self.problems.append(Problem("clock_regression", seq, seq))
        self.last_time = recorded_at
        before_print = self._section(seq, "before", before_digest, before, before_salt)
        after_print = self._section(seq, "after", after_digest, after, after_salt)
        self._section(seq, "context", context_digest, context, context_salt)
        self._links(seq, related, links)
        seed = self.tape.seed
        try:
            self.tape.write(
                name_key(seed, actor_type, actor_id), name_key(seed, entity_type, entity_id), seq,
                actor_seq, entity_seq, before_print, after_print,
            )  # fmt: skip
        except struct.error:  # an ordinal that is no 64-bit integer
            self.problems.append(Problem("ordinal_gap", seq, seq))

    def _doubled(self, seq: int) -> None:
        note = f"At position {seq:,} stands more than one record: one of them was put in."
        self.problems.append(Problem("chain_broken", seq, seq, note=note))

    def _absent(self, last: int) -> None:
        """No rows stand at the positions from the next one to `last`."""
        self.gaps.append((self._expected, last))
        self.trail.absent(self._expected, last)
        self.last_hash, self._expected = None, last + 1

    def _section(self, seq: int, name: str, digest: Any, body: Any, salt: Any) -> int:
        """Judge a section, and return its fingerprint."""
        if digest is None and body is None and salt is None:
            return ABSENT
        sound = type(body) is type(salt) is bytes and len(salt) == SALT_BYTES
        if sound and sha256(salt + body).digest() == digest:
            return fingerprint(self.tape.seed, body)
        gone = digest is not None and body is None and salt is None
        self.problems.append(Problem("payload_missing" if gone else "payload_modified", seq, seq, name))
        return UNKNOWN

    def _links(self, seq: int, related: tuple[tuple[str, str], ...], links: Links) -> None:
        """Hold the links of a record, and those that stand before it and belong to none, against what it relates to."""
        taken = links.take(seq)
        self.problems += [unrecorded_link(int(at)) for at, *_ in taken if at < seq]
        linked = [item for at, *item in taken if at == seq]
        expected = [list(item) for item in related]
        if linked != expected and sorted(linked, key=repr) != sorted(expected, key=repr):
            self.problems.append(Problem("link_mismatch", seq, seq))

    def _suspect(self, row: tuple[Any, ...]) -> None:
        self.modified.append(row[0])
        if len(self.suspects) < MAX_SUSPECTS:
            self.suspects.append(Suspect((self.organization_id, *row[:24]), row[24]))
