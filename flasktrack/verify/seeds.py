"""What a verification that does not begin at the first record builds on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_

from flasktrack.errors import TreeIncomplete
from flasktrack.store.schema import audit_payload, audit_record
from flasktrack.store.scope import machine_scoped
from flasktrack.store.verifications import verified_through
from flasktrack.trust.tree import StoredTree
from flasktrack.verify.continuity import ABSENT, UNKNOWN, Tape, fingerprint, name_key
from flasktrack.verify.roots import CHUNK
from flasktrack.verify.seals import Claim

_CHUNK_LEVEL = CHUNK.bit_length() - 1


class Known(NamedTuple):
    """A checkpoint to build on: its size, the position to read from, and the tree's full subtrees before that."""

    size: int
    first: int
    subtrees: list[bytes]
    """One for each bit of the number of chunks before `first`, the largest first."""


def known_checkpoint(connection: Connection, organization_id: str, claims: Sequence[Claim], last: int) -> Known | None:
    """The newest checkpoint over records that a verification found in order, such as the one before its sealing.

    None where there is none, where the stored tree does not give its root, and where nothing would be saved.
    """
    verified = verified_through(connection, organization_id)
    size = max((claim.size for claim in claims if claim.size <= min(verified, last)), default=0)
    # One chunk more than need be: so the hash that the first new record links to is among those of the root.
    chunks = max(0, size // CHUNK - 1)
    if not chunks:
        return None
    tree = StoredTree(connection, organization_id)
    try:
        if any(tree.root(size) != claim.root for claim in claims if claim.size == size):
            return None
        subtrees, start = [], 0
        for bit in reversed(range(chunks.bit_length())):
            if chunks & 1 << bit:
                subtrees.append(tree.subtree(_CHUNK_LEVEL + bit, start >> bit))
                start += 1 << bit
    except TreeIncomplete:
        return None
    return Known(size, chunks * CHUNK + 1, subtrees)


def seed_tape(connection: Connection, organization_id: str, first: int, last: int, tape: Tape) -> None:
    """Take down the last ordinals and states before `first` of the actors and entities that act from there on.

    They stand at their own positions; what is found wrong with them is none of this run's business. Whoever did
    nothing before is taken down with 0 acts.
    """
    columns = audit_record.c
    for kind in ("actor", "entity"):
        type_, id_, ordinal = columns[f"{kind}_type"], columns[f"{kind}_id"], columns[f"{kind}_seq"]
        acting = machine_scoped(organization_id, type_, id_).where(columns.seq.between(first, last)).distinct()
        for number, (type_name, id_name) in enumerate(connection.execute(acting).all()):
            # `+ 0`: the ordinals' index is meant. Left to choose, SQLite may read every record before `first` instead.
            mine = and_(type_ == type_name, id_ == id_name, columns.seq + 0 < first)
            statement = (
                machine_scoped(organization_id, columns.seq, ordinal).where(mine).order_by(ordinal.desc()).limit(1)
            )
            seq, acts = connection.execute(statement).one_or_none() or (first - 1, 0)
            whole = type(seq) is type(acts) is int
            if not (whole and type(type_name) is type(id_name) is str):  # SQLite keeps any value anywhere
                continue
            nobody = name_key(tape.seed, "", f"{kind} {number}")  # the row's other half: a name that no record can hold
            key = name_key(tape.seed, type_name, id_name)
            if kind == "actor":
                tape.write(key, nobody, seq, acts, 1, ABSENT, ABSENT)
            else:
                state = _last_state(connection, organization_id, mine, tape.seed)
                tape.write(nobody, key, seq, 1, acts, ABSENT, state)


def _last_state(connection: Connection, organization_id: str, mine: ColumnElement[bool], seed: bytes) -> int:
    """The fingerprint of an entity's last recorded `after`."""
    columns = audit_record.c
    same = and_(audit_payload.c.organization_id == columns.organization_id, audit_payload.c.seq == columns.seq)
    statement = (
        machine_scoped(organization_id, audit_payload.c.after)
        .outerjoin_from(audit_record, audit_payload, same)
        .where(mine, columns.after_digest.is_not(None))
        .order_by(columns.entity_seq.desc())
        .limit(1)
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        return ABSENT
    body = row[0]
    return fingerprint(seed, body.encode("utf-8", "surrogatepass")) if type(body) is str else UNKNOWN
