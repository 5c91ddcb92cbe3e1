"""Running a verification: fix its upper end, feed the rules, say what they found, keep it as a row."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Engine, func

from flasktrack.core.times import format_time, utc_now
from flasktrack.store.engine import writing
from flasktrack.store.organizations import get_organization, list_chains
from flasktrack.store.reader import Head, list_erasures, read_head
from flasktrack.store.schema import audit_record
from flasktrack.store.scope import scoped
from flasktrack.store.verifications import Verification, store_verification
from flasktrack.verify.chain import ChainCheck, Problem
from flasktrack.verify.continuity import Tape
from flasktrack.verify.order import Range, restore_order
from flasktrack.verify.report import findings
from flasktrack.verify.roots import LeafRange, LeafTrail
from flasktrack.verify.rows import MAX_POSITION, Streams

Ranges = npt.NDArray[np.int64]
_NAMED_AT_ONCE = 500

Progress = Callable[[int, int], None]
"""Called with the number of records checked so far, and of how many; may raise to cancel."""


def verify_organization(
    engine: Engine, organization_id: str, *, started_by: str, progress: Progress | None = None, keep: bool = True
) -> Verification:
    """Check every record of an organization up to where it stands now, and keep the result as a row.

    `started_by` is an actor as type:id, or "command line". Raises UnknownOrganization, DatabaseError.
    """
    if organization_id not in list_chains(engine):
        get_organization(engine, organization_id)  # raises, and says which ones there are
    started_at, start = utc_now(), time.monotonic()
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        # In one snapshot: the upper end, the head that belongs to it, and the records.
        problems, check = _check(connection, organization_id, progress)
    done = Verification(
        id=str(uuid.uuid4()),
        organization_id=organization_id,
        started_at=format_time(started_at),
        seconds=time.monotonic() - start,
        started_by=started_by,
        first_seq=1 if check.records else 0,
        last_seq=check.last_seq,
        records=check.records,
        sealed=0,
        findings=findings(organization_id, problems),
    )
    if keep:
        with writing(engine) as connection:
            store_verification(connection, done)
    return done


def _check(connection: Connection, organization_id: str, progress: Progress | None) -> tuple[list[Problem], ChainCheck]:
    seq = audit_record.c.seq
    extent = scoped(organization_id, func.coalesce(func.max(seq), 0), func.count()).where(seq <= MAX_POSITION)
    last, total = connection.execute(extent).one()
    head = read_head(connection, organization_id)
    streams = Streams(connection, organization_id, last)
    tape = Tape()
    try:
        check = ChainCheck(tape, LeafTrail(LeafRange(1, ())))
        with streams.fast_text():
            check.read(
                streams.records(), streams.links(), None if progress is None else lambda count: progress(count, total)
            )
            order = restore_order(check.suspects, check.gaps, check.last_seq, streams.hashes())
        problems = [problem for problem in check.problems if not _cut_with_head(problem, head, check)]
        problems = _erased(connection, organization_id, problems)
        problems += [Problem("record_missing", first, end) for first, end in order.missing]
        problems += [
            Problem("record_reordered", position, position, note=f"{order.moved[position]:,}")
            if position in order.moved
            else Problem("record_modified", position, position)
            for position in check.modified
        ]
        problems += _head_problems(head, check, bool(order.moved))
        untrusted = _untrusted(check.gaps, check.modified)
        problems += _continuity_problems(connection, organization_id, tape, untrusted)
    finally:
        tape.close()
    return problems, check


def _erased(connection: Connection, organization_id: str, problems: list[Problem]) -> list[Problem]:
    """Sections that are gone are no fault where a sound record tells of their erasure."""
    if not any(problem.code == "payload_missing" for problem in problems):
        return problems
    erasures = list_erasures(connection, organization_id)

    def judged(problem: Problem) -> Problem:
        section = problem.section
        for erasure in erasures:
            if problem.code == "payload_missing" and section is not None and erasure.covers(problem.seq, section):
                return problem._replace(code="payload_erased", note=f"{erasure.seq:,}")
        return problem

    return [judged(problem) for problem in problems]


def _head_problems(head: Head | None, check: ChainCheck, moved: bool) -> Iterator[Problem]:
    last = check.last_seq
    if head is None:
        if check.records:
            yield Problem("head_mismatch", last, last, note=f"The chain's head is gone; the last record is {last:,}.")
    elif type(head.size) is not int:  # SQLite keeps any value in any column
        yield Problem("head_mismatch", last, last, note="The chain's head does not say how many records there are.")
    elif head.size > last:
        note = f"The chain's head counts {head.size:,} records, but there are records only up to {last:,}"
        if not last:
            note = f"The chain's head counts {head.size:,} records, but none is left"
        elif not moved:
            absent = f"{last + 1:,}\u2013{head.size:,} were" if head.size > last + 1 else f"{head.size:,} was"
            note += f": {absent} cut off"
        yield Problem("head_mismatch", last + 1, head.size, note=f"{note}.")
    elif head.size < last:
        note = f"The chain's head counts {head.size:,} records, but there are records up to {last:,}."
        yield Problem("head_mismatch", head.size + 1, last, note=note)
    elif check.last_hash is not None and head.hash != check.last_hash:
        yield Problem("head_mismatch", last, last, note=f"The chain's head does not name the last record, {last:,}.")


def _cut_with_head(problem: Problem, head: Head | None, check: ChainCheck) -> bool:
    """Links left over from records that were cut off: the head tells of those already."""
    size = head.size if head is not None and type(head.size) is int else 0
    return problem.code == "link_mismatch" and check.last_seq < problem.seq <= size


def _untrusted(gaps: list[Range], modified: list[int]) -> Ranges:
    ranges = sorted([*gaps, *((seq, seq) for seq in modified)])
    return np.array(ranges, dtype=np.int64).reshape(-1, 2)


def _continuity_problems(
    connection: Connection, organization_id: str, tape: Tape, untrusted: Ranges
) -> Iterator[Problem]:
    found = iter(tape.gaps(untrusted))
    record = audit_record.c
    while part := list(islice(found, _NAMED_AT_ONCE)):
        names = {
            row.seq: (f"{row.actor_type} {row.actor_id}", f"{row.entity_type} {row.entity_id}")
            for row in connection.execute(
                scoped(
                    organization_id,
                    record.seq,
                    record.actor_type,
                    record.actor_id,
                    record.entity_type,
                    record.entity_id,
                ).where(record.seq.in_({position for _, position in part}))
            )
        }
        for kind, position in part:
            actor, entity = names[position]
            code = "state_gap" if kind == "state" else "ordinal_gap"
            yield Problem(code, position, position, note=actor if kind == "actor_seq" else entity)
