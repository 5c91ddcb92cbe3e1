"""What follows from a scan of the whole: erasures, the head, ordinals and states (spec section 5)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, and_, func, select

from flasktrack.core.erasure import ENTITY_TYPE
from flasktrack.core.record import MAX_POSITION
from flasktrack.store.reader import Head, list_erasures
from flasktrack.store.schema import audit_payload, audit_record
from flasktrack.store.scope import machine_scoped
from flasktrack.verify.chain import Problem
from flasktrack.verify.continuity import Tape
from flasktrack.verify.keeping import ACTS_ON_HISTORY
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


def out_of_place(connection: Connection, organization_id: str, found: Scan, covered: int) -> Iterator[Problem]:
    """Rows where no record can stand: positions that are no whole numbers, contents that belong to nothing.

    A record that was moved to such a position is missing at its own, and told there. `covered` is up to where other
    findings explain contents without a record.
    """
    last = max(found.last, 1)
    odd = found.odd
    if connection.dialect.name == "sqlite":  # sorts text and bytes after every number
        odd += connection.execute(
            machine_scoped(organization_id, func.count()).where(audit_record.c.seq > MAX_POSITION)
        ).scalar_one()
    if odd > sum(end - first + 1 for first, end in found.gaps):
        note = f"{odd:,} {'row stands' if odd == 1 else 'rows stand'} at positions that are no whole numbers: put in."
        yield Problem("chain_broken", last, last, note=note)
    payload = audit_payload.c
    mine = payload.organization_id == organization_id, payload.seq > max(found.last, covered)
    count = connection.execute(select(func.count()).select_from(audit_payload).where(*mine)).scalar_one()
    if count:
        note = f"After the last record, {found.last:,}, contents are stored that belong to none: {count:,} rows."
        yield Problem("payload_modified", last, last, note=note)


def head_size(head: Head | None) -> int:
    return head.size if head is not None and type(head.size) is int else 0


def cut_off(problem: Problem, last: int, size: int) -> bool:
    """Links left over from records that were cut off: head or checkpoint, which count `size`, tell of those."""
    return problem.code == "link_mismatch" and last < problem.seq <= size


def untrusted(gaps: list[Range], modified: list[int]) -> npt.NDArray[np.int64]:
    ranges = sorted([*gaps, *((seq, seq) for seq in modified)])
    return np.array(ranges, dtype=np.int64).reshape(-1, 2)


def continuity_problems(
    connection: Connection, organization_id: str, tape: Tape, untrusted_ranges: npt.NDArray[np.int64], since: int
) -> Iterator[Problem]:
    """Ordinals and states of the records from `since` on."""
    gaps = iter(tape.gaps(untrusted_ranges, since))
    record = audit_record.c
    columns = (record.seq, record.actor_type, record.actor_id, record.entity_type, record.entity_id)
    while part := list(islice(gaps, _NAMED_AT_ONCE)):
        chosen = record.seq.in_({position for _, position in part})
        found = connection.execute(machine_scoped(organization_id, *columns).where(chosen))
        names = {row.seq: ((row.actor_type, row.actor_id), (row.entity_type, row.entity_id)) for row in found}
        for kind, position in part:
            actor, entity = names[position]
            if kind == "state":
                own = entity == (ENTITY_TYPE, organization_id)
                if own and _state_kept(connection, organization_id, position, untrusted_ranges):
                    continue
                yield Problem("state_gap", position, position, note=" ".join(entity))
            else:
                who = actor if kind == "actor_seq" else entity
                yield Problem("ordinal_gap", position, position, note=" ".join(who))


def _state_kept(
    connection: Connection, organization_id: str, seq: int, untrusted_ranges: npt.NDArray[np.int64]
) -> bool:
    """Whether the organization's state before record `seq` is its last one, acts upon its history left aside.

    What an erasure or a verification has in `after` is what was done, and no state.
    """
    columns, bodies = audit_record.c, audit_payload.c
    same = and_(bodies.organization_id == columns.organization_id, bodies.seq == columns.seq)
    mine = and_(columns.entity_type == ENTITY_TYPE, columns.entity_id == organization_id)
    statement = machine_scoped(organization_id, columns.seq, bodies.after).outerjoin_from(
        audit_record, audit_payload, same
    )
    earlier = statement.where(mine, columns.seq < seq, columns.after_digest.is_not(None))
    last = earlier.where(columns.action.not_in(ACTS_ON_HISTORY)).order_by(columns.seq.desc()).limit(1)
    state = connection.execute(last).one_or_none()
    if state is None or state.after is None:
        return True
    if np.any((untrusted_ranges[:, 1] > state.seq) & (untrusted_ranges[:, 0] < seq)):
        return True
    before = select(bodies.before).where(bodies.organization_id == organization_id, bodies.seq == seq)
    return bool(connection.execute(before).scalar_one() == state.after)
