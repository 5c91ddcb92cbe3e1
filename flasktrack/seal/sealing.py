"""Sealing: sign a checkpoint over everything that there is, once it is known to be sound (spec section 4).

What is new since the last checkpoint is verified first, and the new tree must extend the one that was signed: so
nobody gets a signature for a history that was rewritten. The note is stored with the tree's new nodes, then anchored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine

from flasktrack.core.checkpoint import Checkpoint, format_checkpoint
from flasktrack.core.merkle import verify_consistency
from flasktrack.core.note import format_note, sign_note
from flasktrack.core.times import format_time, utc_now
from flasktrack.errors import CheckpointConflict, InvalidNote, NotIntact, SealRefused, TreeIncomplete
from flasktrack.store.engine import writing
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope
from flasktrack.store.verifications import BROKEN
from flasktrack.trust.checkpoints import (
    StoredCheckpoint,
    latest_checkpoint,
    list_checkpoints,
    open_note,
    store_checkpoint,
)
from flasktrack.trust.tree import StoredTree, extend_tree, forget_nodes
from flasktrack.verify.runner import Progress, Trust, verify_with_root


def seal(
    engine: Engine,
    organization_id: str,
    trust: Trust,
    *,
    started_by: str,
    clock: Callable[[], datetime] = utc_now,
    progress: Progress | None = None,
    context: Mapping[str, Any] | None = None,
) -> StoredCheckpoint | None:
    """Seal all records of an organization and return the checkpoint; the last one where nothing came since.

    `context` is the request in which it was asked for; the record of the verification before it has it.

    None where there is no record. Raises SealRefused where what is new is not sound, does not extend what was signed,
    or was signed by keys that are not trusted here; KeyringError, AnchorError, UnknownOrganization.
    """
    ledger = Ledger(engine, machine_scope(organization_id))
    engine = ledger.engine
    trust.keyring.signing_keys(organization_id)  # raises before any work where they can't be used
    head = ledger.head()
    with engine.connect() as connection:
        last = latest_checkpoint(connection, machine_scope(organization_id))
    _check_last(trust, organization_id, last)
    nothing_new = head is not None and last is not None and head.size == last.size
    done, root = verify_with_root(
        engine,
        organization_id,
        started_by=started_by,
        trust=trust,
        incremental=True,
        progress=progress,
        keep=not nothing_new,
        context=context,
    )
    if done.status == BROKEN:
        raise NotIntact(
            f"{organization_id} was not sealed, since it is not intact: {done.worst}",
            "Nothing was signed. See the findings with: python -m flasktrack verify",
        )
    if not done.records:
        return None
    if last is not None and done.last_seq <= last.size:
        sealed = last
    else:
        sealed = _sign(engine, organization_id, trust, done.last_seq, root, clock())
    _anchor(engine, organization_id, trust)
    return sealed


def _sign(
    engine: Engine, organization_id: str, trust: Trust, size: int, root: bytes | None, now: datetime
) -> StoredCheckpoint:
    """Sign and store a checkpoint over verified records; or give the newest one where somebody was faster."""
    if root is None:
        raise SealRefused(f"{organization_id} was not sealed: its records give no root.", "Run a full verification.")
    try:
        with writing(engine) as connection:
            last = latest_checkpoint(connection, machine_scope(organization_id))
            _check_last(trust, organization_id, last)
            if last is not None and last.size >= size:
                return last
            _extend(connection, organization_id, 0 if last is None else last.size, size, root)
            _check_extension(connection, organization_id, last, size, root)
            keys = trust.keyring.signing_keys(organization_id)  # only now: they may have been rotated meanwhile
            text = format_checkpoint(Checkpoint(trust.keyring.origin(organization_id), size, root))
            note = format_note(sign_note(text, keys, int(now.timestamp())))
            sealed = StoredCheckpoint(organization_id, size, root, note, format_time(now))
            store_checkpoint(connection, sealed)
    except CheckpointConflict:
        with engine.connect() as connection:
            faster = latest_checkpoint(connection, machine_scope(organization_id))
        if faster is None or (faster.size, faster.root) != (size, root):
            raise
        return faster
    return sealed


def _extend(connection: Connection, organization_id: str, signed: int, size: int, root: bytes) -> None:
    """Store the tree's new nodes, and all of them anew where those that were stored don't give the root."""
    try:
        for kept in (signed, 0):
            forget_nodes(connection, organization_id, kept)
            extend_tree(connection, organization_id, size)
            if StoredTree(connection, organization_id).root(size) == root:
                return
    except TreeIncomplete as problem:
        raise SealRefused(f"{organization_id} was not sealed: {problem.what}", problem.advice) from None


def _check_last(trust: Trust, organization_id: str, last: StoredCheckpoint | None) -> None:
    """Refuse to go on from a checkpoint that the keys at hand can't vouch for."""
    if last is None:
        return
    keyring = trust.keyring
    try:
        keys = keyring.trusted(organization_id)
        opened = open_note(last.note, keyring.origin(organization_id), keys, keyring.third_parties())
    except InvalidNote as problem:
        raise SealRefused(
            f"The last checkpoint of {organization_id}, over {last.size:,} records, can't be built on: {problem.what}",
            "Use the key directory that signed it, or take its public keys in with: python -m flasktrack keys trust",
        ) from None
    if (opened.checkpoint.size, opened.checkpoint.root) != (last.size, last.root):
        raise SealRefused(
            f"The last checkpoint of {organization_id} is not stored as it was signed.", "Run a verification."
        )


def _check_extension(
    connection: Connection, organization_id: str, last: StoredCheckpoint | None, size: int, root: bytes
) -> None:
    """Refuse to sign unless the stored tree gives the root of the records that were verified, and extends the last.

    What is signed is the verified root; the stored nodes, which anybody with the database can alter, are compared.
    """
    tree = StoredTree(connection, organization_id)
    proof = [] if last is None else tree.consistency_proof(last.size, size)
    if tree.root(size) != root:
        raise NotIntact(
            f"{organization_id} was not sealed: its stored tree is not that of the records that were verified.",
            "Somebody altered the one or the other. Nothing was signed; run a full verification.",
        )
    if last is not None and not verify_consistency(last.size, size, proof, last.root, root):
        raise NotIntact(
            f"{organization_id} was not sealed: its records do not extend the {last.size:,} that were sealed before.",
            "Somebody rewrote them, or altered the stored tree. Nothing was signed; run a full verification.",
        )


def _anchor(engine: Engine, organization_id: str, trust: Trust) -> None:
    """Write the anchors that are missing: of this checkpoint, and of those when the directory could not be written."""
    if trust.anchors is None:
        return
    there = set(trust.anchors.sizes(organization_id))
    with engine.connect() as connection:
        stored = list_checkpoints(connection, machine_scope(organization_id))
    for checkpoint in stored:
        if checkpoint.size not in there:
            trust.anchors.write(organization_id, checkpoint.size, checkpoint.note)
