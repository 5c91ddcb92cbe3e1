"""What follows from a scan of the whole: erasures, the head, ordinals and states (spec section 5)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection

from flasktrack.store.reader import Head, list_erasures
from flasktrack.store.schema import audit_record
from flasktrack.store.scope import scoped
from flasktrack.verify.chain import Problem
from flasktrack.verify.continuity import Tape
from flasktrack.verify.order import Range
from flasktrack.verify.span import Scan

_NAMED_AT_ONCE = 500


def erased(connection: Connection, organization_id: str, problems: list[Problem]) -> list[Problem]:
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


def head_problems(head: Head | None, found: Scan, moved: bool) -> Iterator[Problem]:
    last = found.last
    if head is None:
        if found.records:
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
    elif found.last_hash is not None and head.hash != found.last_hash:
        yield Problem("head_mismatch", last, last, note=f"The chain's head does not name the last record, {last:,}.")


def cut_with_head(problem: Problem, head: Head | None, found: Scan) -> bool:
    """Links left over from records that were cut off: the head tells of those already."""
    size = head.size if head is not None and type(head.size) is int else 0
    return problem.code == "link_mismatch" and found.last < problem.seq <= size


def untrusted(gaps: list[Range], modified: list[int]) -> npt.NDArray[np.int64]:
    ranges = sorted([*gaps, *((seq, seq) for seq in modified)])
    return np.array(ranges, dtype=np.int64).reshape(-1, 2)


def continuity_problems(
    connection: Connection, organization_id: str, tape: Tape, untrusted_ranges: npt.NDArray[np.int64]
) -> Iterator[Problem]:
    gaps = iter(tape.gaps(untrusted_ranges))
    record = audit_record.c
    while part := list(islice(gaps, _NAMED_AT_ONCE)):
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
