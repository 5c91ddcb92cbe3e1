"""One span of an organization's positions: read, judged by what it holds, and handed back to be put together.

A span knows its records and the hash of the one before it. What needs more (order, ordinals, states, roots) it takes
down, so that spans can be read in any order, by any process on any machine that reaches the database.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import lru_cache

from sqlalchemy import Connection, Engine

from flasktrack.store.engine import open_database
from flasktrack.verify.chain import ChainCheck, Problem, Suspect
from flasktrack.verify.continuity import Tape, use_seed
from flasktrack.verify.roots import CHUNK, LeafRange, LeafTrail
from flasktrack.verify.rows import Streams


@dataclass(slots=True)
class Scan:
    """What one or more spans that follow each other hold, in the order of their positions."""

    first: int
    last: int
    """The last position; not the end of the span where the chain ends before."""
    records: int
    last_hash: bytes | None
    problems: list[Problem]
    gaps: list[tuple[int, int]]
    modified: list[int]
    suspects: list[Suspect]
    leaves: list[LeafRange]
    doubtful_from: int | None
    tape: bytes = field(default=b"", repr=False)

    def extend(self, other: Scan) -> None:
        """Put the next span behind this one; `tape` is the caller's business.

        The next span judged its first record against a neighbour that it could not judge; this one has.
        """
        border = other.first - 1
        unsound = bool(self.modified) and self.modified[-1] == border
        problems = other.problems
        if unsound:
            problems = [
                p for p in problems if p.seq != other.first or p.code not in ("chain_broken", "clock_regression")
            ]
        elif any(p.code == "chain_broken" and p.seq == other.first for p in problems):
            self._doubt(border)
        self.problems += problems
        gaps = list(other.gaps)
        if self.gaps and gaps and self.gaps[-1][1] + 1 == gaps[0][0]:
            gaps[0] = (self.gaps.pop()[0], gaps[0][1])
        self.gaps += gaps
        self.modified += other.modified
        self.suspects += other.suspects
        self.leaves += other.leaves
        if other.doubtful_from is not None:
            self._doubt(other.doubtful_from)
        self.records += other.records
        self.last, self.last_hash = other.last, other.last_hash

    def _doubt(self, seq: int) -> None:
        self.doubtful_from = seq if self.doubtful_from is None else min(seq, self.doubtful_from)


def scan(
    connection: Connection,
    organization_id: str,
    first: int,
    last: int,
    wanted: Collection[int],
    tape: Tape,
    *,
    open_end: bool,
    progress: Callable[[int], None] | None = None,
) -> Scan:
    """Read and judge the positions `first` to `last`; `wanted` are the sizes at which the tree's root is asked for.

    What is known of ordinals and states goes onto `tape`. `open_end`: the chain ends here.
    """
    streams = Streams(connection, organization_id, first, last, open_end)
    # Where no root is asked for, a span may begin anywhere.
    leaves = LeafRange(first - (first - 1) % CHUNK, wanted) if not wanted else LeafRange(first, wanted)
    check = ChainCheck(tape, LeafTrail(leaves))
    with streams.fast_text():
        neighbour = streams.neighbour() if first > 1 else None
        check.read(streams.records(), streams.links(), progress, first=first, last=last, neighbour=neighbour)
    return Scan(
        first, check.last_seq, check.records, check.last_hash, check.problems, check.gaps, check.modified,
        check.suspects, [leaves], check.trail.doubtful_from,
    )  # fmt: skip


def scan_elsewhere(
    url: str, organization_id: str, first: int, last: int, wanted: tuple[int, ...], open_end: bool, seed: int
) -> Scan:
    """`scan` in a worker, which opens the database by itself."""
    use_seed(seed)
    tape = Tape()
    try:
        with _database(url).connect() as connection:
            found = scan(connection, organization_id, first, last, wanted, tape, open_end=open_end)
        found.tape = tape.taken_down()
    finally:
        tape.close()
    return found


@lru_cache(maxsize=4)
def _database(url: str) -> Engine:
    return open_database(url)


def spans(first: int, last: int, records: int) -> list[tuple[int, int]]:
    """The positions cut into spans of about so many records, each of which begins with a chunk of the tree."""
    length = max(CHUNK, records // CHUNK * CHUNK)
    starts = [first, *range((first - 1) // length * length + length + 1, last + 1, length)]
    return [(start, min(last, end - 1)) for start, end in zip(starts, [*starts[1:], last + 1], strict=True)]
