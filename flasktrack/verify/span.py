"""One span of an organization's positions: read, judged by what it holds, and handed back to be put together.

A span knows its records and the hash of the one before it. What needs more (order, ordinals, states, roots) it takes
down, so that spans can be read in any order, by any process on any machine that reaches the database.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine

from flasktrack.core.collector import collector_paused
from flasktrack.store.engine import open_database
from flasktrack.store.row_security import of_organization
from flasktrack.verify.chain import ChainCheck, Problem, Suspect
from flasktrack.verify.continuity import Tape
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
    """The last record's hash; None where there is no record at the last position, or none that is trusted."""
    last_time: str
    first_unlinked: tuple[int, bytes, str] | None
    """See `ChainCheck`: the first record that was not held against the one before it."""
    problems: list[Problem]
    gaps: list[tuple[int, int]]
    modified: list[int]
    suspects: list[Suspect]
    leaves: list[LeafRange]
    _doubtful_from: int | None
    _unsettled: bool
    _first_unconfirmed: bool
    _last_unconfirmed: bool
    odd: int = 0
    """How many rows stand at positions that are no whole numbers."""
    tape: bytes = field(default=b"", repr=False)

    @property
    def doubtful_from(self) -> int | None:
        """The first position whose leaf nothing vouches for, see `LeafTrail`; no root is known from there on."""
        ends = [self._doubtful_from]
        ends.append(self.last if self._unsettled else None)
        ends.append(self.last - 1 if self._last_unconfirmed else None)
        return min((end for end in ends if end is not None), default=None)

    def extend(self, other: Scan) -> None:
        """Put the next span behind this one, which was read as if nothing stood before it; `tape` is the caller's."""
        self._join(other)
        self.problems += other.problems
        gaps = list(other.gaps)
        if self.gaps and gaps and self.gaps[-1][1] + 1 == gaps[0][0]:
            gaps[0] = (self.gaps.pop()[0], gaps[0][1])
        self.gaps += gaps
        self.modified += other.modified
        self.suspects += other.suspects
        self.leaves += other.leaves
        if other._doubtful_from is not None:
            self._doubt(other._doubtful_from)
        self.records += other.records
        self.odd += other.odd
        self.last, self.last_hash, self.last_time = other.last, other.last_hash, other.last_time or self.last_time
        self._unsettled, self._last_unconfirmed = other._unsettled, other._last_unconfirmed

    def _join(self, other: Scan) -> None:
        """Hold the next span's first record against this one's last: link, clock and leaf."""
        told = None
        if other.first_unlinked is not None:
            seq, prev_hash, recorded_at = other.first_unlinked
            if recorded_at < self.last_time:
                self.problems.append(Problem("clock_regression", seq, seq))
            told = prev_hash if seq == other.first else None
        if told is not None and told == self.last_hash:
            return
        if self._last_unconfirmed:
            self._doubt(self.last - 1)
        if told is None:
            if self._unsettled:
                self._doubt(self.last)
            return
        if self.last_hash is not None:
            self.problems.append(Problem("chain_broken", other.first, other.first))
        if other._first_unconfirmed:
            self._doubt(self.last)
        if self.last_hash is not None or self._unsettled:
            self.leaves[-1].mend_last(told)

    def _doubt(self, seq: int) -> None:
        self._doubtful_from = seq if self._doubtful_from is None else min(seq, self._doubtful_from)


def scan(
    connection: Connection,
    organization_id: str,
    first: int,
    last: int,
    wanted: Collection[int],
    tape: Tape,
    *,
    open_end: bool = False,
    joined: bool = False,
    altered: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Scan:
    """Read and judge the positions `first` to `last`; `wanted` are the sizes at which the tree's root is asked for.

    What is known of ordinals and states goes onto `tape`. `open_end`: the chain ends here, so nothing may relate to
    later positions. `joined`: `Scan.extend` will hold the first record against the one before it.
    `altered`: the tables are not as FlaskTrack made them.
    """
    streams = Streams(connection, organization_id, first, last, open_end)
    # Where no root is asked for, a span may begin anywhere.
    leaves = LeafRange(first if wanted else first - (first - 1) % CHUNK, wanted)
    trail = LeafTrail(leaves)
    check = ChainCheck(organization_id, tape, trail)
    with streams.fast_text(), collector_paused():
        neighbour = streams.neighbour() if first > 1 and not joined else None
        # In tables that were altered a column may hold any type: each row is judged by itself.
        check.read(streams, progress, compiled=not altered, neighbour=neighbour)
    return Scan(
        first, check.last_seq, check.records, check.last_hash, check.last_time, check.first_unlinked, check.problems,
        check.gaps, check.modified, check.suspects, [leaves], trail.doubtful_from, trail.unsettled is not None,
        trail.first_unconfirmed, trail.last_unconfirmed, check.odd,
    )  # fmt: skip


def scan_elsewhere(
    url: str,
    organization_id: str,
    first: int,
    last: int,
    wanted: tuple[int, ...],
    joined: bool,
    altered: bool,
    seed: bytes,
) -> Scan:
    """`scan` in a worker, which opens the database by itself."""
    tape = Tape(seed)
    try:
        with of_organization(_database(url), organization_id).connect() as connection:
            found = scan(connection, organization_id, first, last, wanted, tape, joined=joined, altered=altered)
        found.tape = tape.taken_down()
    finally:
        tape.close()
    return found


_opened: dict[str, Engine] = {}
_opening = threading.Lock()


def _database(url: str) -> Engine:
    """The database that this worker read last, which is nearly always the one that it reads next."""
    with _opening:  # a worker may have several threads, as Dask's do: one engine for all of them
        engine = _opened.get(url)
        if engine is None:
            engine = open_database(url)
            former = list(_opened.values())
            _opened.clear()
            _opened[url] = engine
            for other in former:
                other.dispose()
        return engine


def spans(first: int, last: int, records: int, next_row: Callable[[int], int]) -> Iterator[tuple[int, int]]:
    """The positions cut into spans of about so many records, each of which begins with a chunk of the tree.

    `next_row` gives the position of the next row at or after another one. Where none is near, the span goes on until
    shortly before it: somebody may have put a record a billion positions away.
    """
    length = max(CHUNK, records // CHUNK * CHUNK)
    start = first
    while start <= last:
        end = max((start - 1) // length * length + length, (next_row(start) - 1) // CHUNK * CHUNK)
        yield start, min(last, end)
        start = end + 1
