"""Running a verification: fix its upper end, feed the rules, say what they found, keep it as a row."""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, NamedTuple

import psycopg
from sqlalchemy import Connection, Engine, func
from sqlalchemy.exc import SQLAlchemyError

from flasktrack.core.record import MAX_POSITION
from flasktrack.core.times import format_time, utc_now
from flasktrack.errors import DatabaseReadOnly, InvalidFilter
from flasktrack.store.inspection import IndexCheck, inspect_tables
from flasktrack.store.organizations import get_organization, list_chains
from flasktrack.store.reader import read_head
from flasktrack.store.row_security import of_organization
from flasktrack.store.schema import audit_record
from flasktrack.store.scope import machine_scope, machine_scoped
from flasktrack.store.verifications import FULL, INCREMENTAL, RANGE, Verification
from flasktrack.trust.anchors import Anchor, Anchors
from flasktrack.trust.checkpoints import list_checkpoints
from flasktrack.trust.keyring import Keyring
from flasktrack.verify.chain import Problem
from flasktrack.verify.compiled import open_indexes
from flasktrack.verify.continuity import Tape
from flasktrack.verify.keeping import keep_verification
from flasktrack.verify.order import restore_order
from flasktrack.verify.parallel import Shared
from flasktrack.verify.report import findings
from flasktrack.verify.roots import roots
from flasktrack.verify.rows import Streams
from flasktrack.verify.rules import (
    continuity_problems,
    cut_off,
    erased,
    head_problems,
    head_size,
    out_of_place,
    untrusted,
)
from flasktrack.verify.seals import Notes, judge, read_claims, truncated
from flasktrack.verify.seeds import Known, known_checkpoint, seed_tape
from flasktrack.verify.span import Scan, scan

_UNREADABLE = (SQLAlchemyError, sqlite3.Error, psycopg.Error)  # rows come from the drivers' own cursors, too

Progress = Callable[[int, int], None]
"""Called with the number of records checked so far, and of how many; may raise to cancel."""

SPAN = 32_768
"""Records that a worker reads at a time."""


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
    indexes: IndexCheck | None = None,
    keep: bool = True,
    context: Mapping[str, Any] | None = None,
) -> Verification:
    """Check the records of an organization up to where it stands now, and keep the result as a row where the database
    user may write one.

    All of them; or with `incremental` those since the last verified checkpoint (all, where there is none that can be
    built on); or those from one position to another. `started_by` is an actor as type:id, or "command line".
    `workers` read spans of records side by side; they need a database that other processes reach. `indexes` is a check
    that has begun already, for all organizations at once; without it, one that reads everything begins its own.
    `context` is the request in which it was asked for, as the record of it has it.

    Raises UnknownOrganization, DatabaseError, KeyringError, AnchorError, InvalidFilter for positions that can't be.
    """
    return verify_with_root(
        engine, organization_id, started_by=started_by, trust=trust, incremental=incremental, between=between,
        workers=workers, progress=progress, indexes=indexes, keep=keep, context=context,
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
    indexes: IndexCheck | None = None,
    keep: bool = True,
    context: Mapping[str, Any] | None = None,
) -> Verified:
    """`verify_organization`, and the root over what was verified: what a seal may sign."""
    # Before the snapshot: a checkpoint that is sealed meanwhile is anchored after it is stored.
    anchors = trust.anchors.read(organization_id) if trust is not None and trust.anchors is not None else []
    engine = of_organization(engine, organization_id)
    if not anchors and organization_id not in list_chains(engine):
        get_organization(engine, organization_id)  # raises, and says which ones there are
    started_at, start = utc_now(), time.monotonic()
    own = indexes is None and between is None and not incremental
    with IndexCheck(engine, open_indexes) if own else nullcontext(indexes) as check, engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        remarks = inspect_tables(connection)
        # In one snapshot: the upper end, the head that belongs to it, the checkpoints and the records.
        try:
            run = _Run(connection, organization_id, trust, anchors, workers, progress, altered=bool(remarks))
            outcome = run.between(*between) if between else run.since_checkpoint() if incremental else run.everything()
        except _UNREADABLE:
            if not remarks:
                raise
            # Whoever takes a table away must not get rid of the verdict, too.
            remarks.append("The records could not be read from such tables, so none was checked.")
            outcome = _Outcome(RANGE if between else INCREMENTAL if incremental else FULL, 0, 0, 0, 0, 0, [])
        remarks += check.sentences() if check is not None else []
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
        remarks=tuple(remarks),
    )
    if keep:
        try:
            keep_verification(engine, done, context)
        except DatabaseReadOnly:  # an auditor's user: what was found must not be lost for that
            done = replace(done, kept=False)
    return Verified(done, outcome.root)


class _Run:
    """One verification, in one snapshot of the database."""

    def __init__(
        self,
        connection: Connection,
        organization_id: str,
        trust: Trust | None,
        anchors: Sequence[Anchor],
        workers: Executor | None,
        progress: Progress | None,
        *,
        altered: bool,
    ) -> None:
        self.altered = altered
        self.connection = connection
        self.organization_id = organization_id
        self.workers = workers
        self.progress = progress
        seq = audit_record.c.seq
        extent = machine_scoped(organization_id, func.coalesce(func.max(seq), 0)).where(seq <= MAX_POSITION)
        self.last = max(0, int(connection.execute(extent).scalar_one()))
        self.head = read_head(connection, organization_id)
        self.notes = self._read_notes(trust, anchors)

    def everything(self) -> _Outcome:
        """Every record, and every checkpoint and anchor."""
        return self._check(FULL, Known(0, 1, []))

    def since_checkpoint(self) -> _Outcome:
        """The records since the last checkpoint that a verification found in order, and the checkpoints since then.

        The checkpoint's root is computed from the stored nodes of the tree, so they and the hashes of what is built
        on are what was signed; what the older records hold is not looked at.
        """
        known = known_checkpoint(self.connection, self.organization_id, self.notes.claims, self.last)
        return self.everything() if known is None else self._check(INCREMENTAL, known)

    def between(self, first: int, last: int) -> _Outcome:
        """The records of a range, with the links and counts that lead into it."""
        if not 1 <= first <= last <= MAX_POSITION:
            raise InvalidFilter(f"There are no positions {first:,} to {last:,}.", "Give the lower one first: 10-20.")
        end = min(last, self.last)
        tape = Tape()
        try:
            if first > 1:
                seed_tape(self.connection, self.organization_id, first, end, tape)
            report = self._reporting(end - first + 1)
            found = scan(
                self.connection, self.organization_id, first, end, (), tape, altered=self.altered, progress=report
            )
            problems, reach = self._problems(found, tape)
        finally:
            tape.close()
        if last > self.last:
            problems = self._with_end(problems, list(truncated(self.notes, reach)), found, reach)
            problems = [problem for problem in problems if problem.seq <= last]
        return _Outcome(RANGE, first, found.last, found.records, 0, 0, problems)

    def _check(self, mode: str, known: Known) -> _Outcome:
        """Everything from where `known` leads on, held against the checkpoints from its size on."""
        tape = Tape()
        try:
            if known.first > 1:
                seed_tape(self.connection, self.organization_id, known.first, self.last, tape)
            sizes = {claim.size for claim in self.notes.claims if known.size <= claim.size}
            found = self._scan(known.first, frozenset({self.last, *sizes}), tape)
            problems, reach = self._problems(found, tape)
        finally:
            tape.close()
        computed = self._roots(found, known.subtrees)
        root = computed.get(found.last)
        seals = judge(
            self.notes, reach, computed, found.doubtful_from, since=known.size, proven=max(0, known.first - 1)
        )
        problems = [*self._with_end(problems, seals.problems, found, reach), *self.notes.problems]
        first = known.first if found.records else 0
        return _Outcome(mode, first, found.last, found.records, seals.sealed, seals.anchored, problems, root)

    def _read_notes(self, trust: Trust | None, anchors: Sequence[Anchor]) -> Notes:
        """All checkpoints; none of them where nothing is trusted. The keys are read after the snapshot was taken:
        one that signed before is known then, whatever was rotated meanwhile."""
        if trust is None:
            return read_claims("", (), (), ())
        stored = list_checkpoints(self.connection, machine_scope(self.organization_id))
        if not stored and not anchors:
            return read_claims("", (), (), ())
        keyring, name = trust.keyring, self.organization_id
        return read_claims(keyring.origin(name), keyring.trusted(name), stored, anchors, keyring.third_parties())

    def _scan(self, first: int, wanted: frozenset[int], tape: Tape) -> Scan:
        """All positions from `first` on, by the workers if there are any."""
        report = self._reporting(self.last - first + 1)
        if self.workers is None or self.last - first < SPAN:
            return scan(
                self.connection, self.organization_id, first, self.last, wanted, tape,
                open_end=True, altered=self.altered, progress=report,
            )  # fmt: skip
        shared = Shared(self.connection, self.organization_id, first, self.last, wanted, SPAN, self.altered)
        return shared.scan(self.workers, tape, report)

    def _reporting(self, total: int) -> Callable[[int], None] | None:
        progress = self.progress
        return None if progress is None else lambda count: progress(count, max(total, count))

    def _roots(self, found: Scan, subtrees: Sequence[bytes]) -> dict[int, bytes]:
        """The roots at all sizes that were asked for.

        Where the head does not name the last record, either may be the one that was altered: a root that a checkpoint
        vouches for tells.
        """
        computed = dict(roots(found.leaves, subtrees))
        head, last = self.head, found.last
        signed = {claim.root for claim in self.notes.claims if claim.size == last}
        if head is None or head.size != last or head.hash == found.last_hash or type(head.hash) is not bytes:
            return computed
        if last in computed and signed and computed[last] not in signed:
            found.leaves[-1].mend_last(head.hash)
            told = dict(roots(found.leaves, subtrees))[last]
            computed[last] = told if told in signed else computed[last]
        return computed

    def _problems(self, found: Scan, tape: Tape) -> tuple[list[Problem], int]:
        """What is wrong with the records that were read, and the highest position at which one was recorded."""
        hashes = Streams(self.connection, self.organization_id, found.first, found.last).hashes()
        order = restore_order(found.suspects, found.gaps, found.last, hashes)
        problems = self._erased(found.problems)
        problems += [Problem("record_missing", first, end) for first, end in order.missing]
        problems += [
            Problem("record_reordered", position, position, note=f"{order.moved[position]:,}")
            if position in order.moved
            else Problem("record_modified", position, position)
            for position in found.modified
        ]
        # What stands before was not read: it explains what begins there, as far as `seed_tape` knows of nothing.
        before = [(0, found.first - 1)] if found.first > 1 else []
        ranges = untrusted([*before, *found.gaps], found.modified)
        problems += continuity_problems(self.connection, self.organization_id, tape, ranges, found.first)
        return problems, max([found.last, *order.moved.values()])

    def _erased(self, problems: list[Problem]) -> list[Problem]:
        if self.workers is None:
            return erased(self.connection, self.organization_id, problems)
        with self.connection.engine.connect() as now:  # workers see what was erased meanwhile; so must this
            return erased(now, self.organization_id, problems)

    def _with_end(self, problems: list[Problem], seals: list[Problem], found: Scan, reach: int) -> list[Problem]:
        """The problems, those of the chain's end, and those of its checkpoints: a tail that was cut is told once."""
        size = head_size(self.head)
        ends = list(head_problems(self.head, found, moved=reach > found.last))
        cut = next((problem for problem in seals if problem.code == "chain_truncated"), None)
        if cut is not None and size > found.last:
            ends = []
            note = f"{cut.note}; the chain's head still counts {size:,}"
            seals = [problem._replace(note=note) if problem is cut else problem for problem in seals]
        covered = max([size, reach, *(problem.seq_end for problem in seals if problem is cut)])
        ends += out_of_place(self.connection, self.organization_id, found, covered)
        kept = [problem for problem in problems if not cut_off(problem, found.last, covered)]
        return [*kept, *ends, *seals]
