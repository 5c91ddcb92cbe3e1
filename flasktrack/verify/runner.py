"""Running a verification: fix its upper end, feed the rules, say what they found, keep it as a row."""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from typing import NamedTuple

from sqlalchemy import Connection, Engine, func

from flasktrack.core.times import format_time, utc_now
from flasktrack.errors import InvalidFilter
from flasktrack.store.engine import writing
from flasktrack.store.organizations import get_organization, list_chains
from flasktrack.store.reader import read_head
from flasktrack.store.schema import audit_record
from flasktrack.store.scope import scoped
from flasktrack.store.verifications import FULL, INCREMENTAL, RANGE, Verification, store_verification
from flasktrack.trust.anchors import Anchors
from flasktrack.trust.checkpoints import list_checkpoints
from flasktrack.trust.keyring import Keyring
from flasktrack.verify.chain import Problem
from flasktrack.verify.continuity import Tape, current_seed
from flasktrack.verify.order import restore_order
from flasktrack.verify.report import findings
from flasktrack.verify.roots import roots
from flasktrack.verify.rows import MAX_POSITION, Streams
from flasktrack.verify.rules import continuity_problems, cut_with_head, erased, head_problems, untrusted
from flasktrack.verify.seals import Claim, Seals, judge, read_claims
from flasktrack.verify.seeds import known_checkpoint, seed_tape
from flasktrack.verify.span import Scan, scan, scan_elsewhere, spans

Progress = Callable[[int, int], None]
"""Called with the number of records checked so far, and of how many; may raise to cancel."""

SPAN = 32_768
"""Records that a worker reads at a time."""
_AHEAD = 16  # spans in work or waiting to be put together: what they hold is what memory they take


class Trust(NamedTuple):
    """What a verification trusts beside the database: keys, and anchors where they are kept."""

    keyring: Keyring
    anchors: Anchors | None = None


class Verified(NamedTuple):
    """A verification, and the root of the tree over the records that it read; None where those give none."""

    verification: Verification
    root: bytes | None


class _Outcome(NamedTuple):
    mode: str
    first: int
    last: int
    records: int
    sealed: int
    anchored: int
    problems: list[Problem]
    root: bytes | None = None


def verify_organization(
    engine: Engine,
    organization_id: str,
    *,
    started_by: str,
    trust: Trust | None = None,
    incremental: bool = False,
    between: tuple[int, int] | None = None,
    workers: Executor | None = None,
    progress: Progress | None = None,
    keep: bool = True,
) -> Verification:
    """Check the records of an organization up to where it stands now, and keep the result as a row.

    All of them; or with `incremental` those since the last verified checkpoint (all, where there is none that can be
    built on); or those from one position to another. `started_by` is an actor as type:id, or "command line".
    `workers` read spans of records side by side; they need a database that other processes reach.

    Raises UnknownOrganization, DatabaseError, KeyringError, AnchorError, InvalidFilter for positions that can't be.
    """
    return verify_with_root(
        engine, organization_id, started_by=started_by, trust=trust, incremental=incremental, between=between,
        workers=workers, progress=progress, keep=keep,
    ).verification  # fmt: skip


def verify_with_root(
    engine: Engine,
    organization_id: str,
    *,
    started_by: str,
    trust: Trust | None = None,
    incremental: bool = False,
    between: tuple[int, int] | None = None,
    workers: Executor | None = None,
    progress: Progress | None = None,
    keep: bool = True,
) -> Verified:
    """`verify_organization`, and the root over what was verified: what a seal may sign."""
    if organization_id not in list_chains(engine) and not _anchored(trust, organization_id):
        get_organization(engine, organization_id)  # raises, and says which ones there are
    started_at, start = utc_now(), time.monotonic()
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        # In one snapshot: the upper end, the head that belongs to it, the checkpoints and the records.
        run = _Run(connection, organization_id, trust, workers, progress)
        outcome = run.between(*between) if between else run.since_checkpoint() if incremental else run.everything()
    done = Verification(
        id=str(uuid.uuid4()),
        organization_id=organization_id,
        started_at=format_time(started_at),
        seconds=time.monotonic() - start,
        started_by=started_by,
        first_seq=outcome.first,
        last_seq=outcome.last,
        records=outcome.records,
        sealed=outcome.sealed,
        findings=findings(organization_id, outcome.problems),
        mode=outcome.mode,
        anchored=outcome.anchored,
    )
    if keep:
        with writing(engine) as connection:
            store_verification(connection, done)
    return Verified(done, outcome.root)


def _anchored(trust: Trust | None, organization_id: str) -> bool:
    return bool(trust is not None and trust.anchors is not None and trust.anchors.read(organization_id))


class _Run:
    """One verification, in one snapshot of the database."""

    def __init__(
        self,
        connection: Connection,
        organization_id: str,
        trust: Trust | None,
        workers: Executor | None,
        progress: Progress | None,
    ) -> None:
        self.connection = connection
        self.organization_id = organization_id
        self.workers = workers
        self.progress = progress
        seq = audit_record.c.seq
        extent = scoped(organization_id, func.coalesce(func.max(seq), 0)).where(seq <= MAX_POSITION)
        self.last = int(connection.execute(extent).scalar_one())
        self.head = read_head(connection, organization_id)
        self.claims, self.note_problems = self._read_claims(trust)

    def everything(self) -> _Outcome:
        """Every record, and every checkpoint and anchor."""
        tape = Tape()
        try:
            found = self._scan(1, {self.last, *(claim.size for claim in self.claims)}, tape)
            problems = self._problems(found, tape, [])
        finally:
            tape.close()
        known = dict(roots(found.leaves))
        seals = judge(self.claims, found.last, known, found.doubtful_from)
        problems += self._sealing_problems(seals, problems)
        first = 1 if found.records else 0
        root = known.get(found.last)
        return _Outcome(FULL, first, found.last, found.records, seals.sealed, seals.anchored, problems, root)

    def since_checkpoint(self) -> _Outcome:
        """The records since the last checkpoint that a verification found in order, and the checkpoints since then.

        The checkpoint's root is computed from the stored nodes of the tree, so they and the hashes of what is built
        on are what was signed; what the older records hold is not looked at.
        """
        known = known_checkpoint(self.connection, self.organization_id, self.claims, self.last)
        if known is None:
            return self.everything()
        tape = Tape()
        try:
            seed_tape(self.connection, self.organization_id, known.first, self.last, tape)
            newer = [claim for claim in self.claims if claim.size >= known.size]
            found = self._scan(known.first, {self.last, *(claim.size for claim in newer)}, tape)
            problems = self._problems(found, tape, [(1, known.first - 1)])
        finally:
            tape.close()
        computed = dict(roots(found.leaves, known.subtrees))
        seals = judge(newer, found.last, computed, found.doubtful_from)
        problems += self._sealing_problems(seals, problems)
        root = computed.get(found.last)
        return _Outcome(
            INCREMENTAL, known.first, found.last, found.records, seals.sealed, seals.anchored, problems, root
        )  # fmt: skip

    def between(self, first: int, last: int) -> _Outcome:
        """The records of a range, with the links and counts that lead into it."""
        if not 1 <= first <= last:
            raise InvalidFilter(f"There are no positions {first:,} to {last:,}.", "Give the lower one first: 10-20.")
        end = min(last, self.last)
        tape = Tape()
        try:
            if first > 1:
                seed_tape(self.connection, self.organization_id, first, end, tape)
            found = scan(self.connection, self.organization_id, first, end, (), tape, open_end=False)
            problems = self._problems(found, tape, [(1, first - 1)] if first > 1 else [], with_head=False)
        finally:
            tape.close()
        return _Outcome(RANGE, first, found.last, found.records, 0, 0, problems)

    def _read_claims(self, trust: Trust | None) -> tuple[list[Claim], list[Problem]]:
        stored = list_checkpoints(self.connection, self.organization_id)
        if trust is None:
            return read_claims("", (), stored, ())
        anchors = trust.anchors.read(self.organization_id) if trust.anchors is not None else ()
        if not stored and not anchors:
            return [], []
        keyring, name = trust.keyring, self.organization_id
        return read_claims(keyring.origin(name), keyring.trusted(name), stored, anchors, keyring.witnesses())

    def _scan(self, first: int, wanted: set[int], tape: Tape) -> Scan:
        """All positions from `first` on, by the workers if there are any."""
        parts = spans(first, self.last, SPAN)
        total = max(0, self.last - first + 1)
        if self.workers is None or len(parts) < 2:
            progress = self.progress
            report = None if progress is None else lambda count: progress(count, max(total, count))
            return scan(
                self.connection, self.organization_id, first, self.last, wanted, tape, open_end=True, progress=report
            )
        found: Scan | None = None
        for part in self._in_parallel(self.workers, parts, wanted):
            tape.add(part.tape)
            part.tape = b""
            if found is None:
                found = part
            else:
                found.extend(part)
            if self.progress is not None:
                self.progress(found.records, total)
        assert found is not None  # noqa: S101 (there are two parts at least)
        return found

    def _in_parallel(self, workers: Executor, parts: list[tuple[int, int]], wanted: set[int]) -> Iterator[Scan]:
        """What the workers found, in order; not many spans ahead of what was taken."""
        url = self.connection.engine.url.render_as_string(hide_password=False)
        running: deque[Future[Scan]] = deque()
        waiting = iter(parts)
        try:
            while True:
                for first, last in waiting:
                    sizes = tuple(size for size in wanted if first <= size <= last)
                    arguments = (url, self.organization_id, first, last, sizes, last == self.last, current_seed())
                    running.append(workers.submit(scan_elsewhere, *arguments))
                    if len(running) == _AHEAD:
                        break
                if not running:
                    return
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()

    def _problems(
        self, found: Scan, tape: Tape, before: list[tuple[int, int]], *, with_head: bool = True
    ) -> list[Problem]:
        """What is wrong with what was read; `before` are the positions that were not."""
        hashes = Streams(self.connection, self.organization_id, found.first, found.last).hashes()
        order = restore_order(found.suspects, found.gaps, found.last, hashes)
        problems = [problem for problem in found.problems if not cut_with_head(problem, self.head, found)]
        problems = erased(self.connection, self.organization_id, problems)
        problems += [Problem("record_missing", first, end) for first, end in order.missing]
        problems += [
            Problem("record_reordered", position, position, note=f"{order.moved[position]:,}")
            if position in order.moved
            else Problem("record_modified", position, position)
            for position in found.modified
        ]
        if with_head:
            problems += head_problems(self.head, found, bool(order.moved))
        ranges = untrusted([*before, *found.gaps], found.modified)
        problems += [
            problem
            for problem in continuity_problems(self.connection, self.organization_id, tape, ranges)
            if problem.seq >= found.first
        ]
        return problems

    def _sealing_problems(self, seals: Seals, problems: list[Problem]) -> list[Problem]:
        """What notes, roots and sizes say; a tail that was cut needs no second finding from the head."""
        if any(problem.code == "chain_truncated" for problem in seals.problems):
            problems[:] = [p for p in problems if p.code != "head_mismatch" or p.seq <= self.last]
        return [*self.note_problems, *seals.problems]
