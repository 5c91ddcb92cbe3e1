"""Checkpoints as they are stored, and when a note may be believed (spec section 4).

A stored checkpoint proves nothing by its columns: whoever has the database can write them. What it says is what
`open_note` finds in its note, under a trusted key's signature.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, LargeBinary, Row, Select, Text, cast, select, update
from sqlalchemy.dialects import postgresql, sqlite

from flasktrack.core.checkpoint import Checkpoint, parse_checkpoint
from flasktrack.core.keys import TIMED, VerifierKey, signature_time
from flasktrack.core.note import Signature, format_signatures, parse_note, verified_signatures
from flasktrack.core.record import MAX_POSITION
from flasktrack.errors import CheckpointConflict, InvalidNote
from flasktrack.store.schema import Position, Time, checkpoint
from flasktrack.store.scope import Scope
from flasktrack.trust.keyring import ThirdParty, TrustedKey
from flasktrack.trust.timestamps import TimestampAuthority, stamped_at


class StoredCheckpoint(NamedTuple):
    """A row: `size` in records, `root` as 32 bytes, the signed note, and when it was made in the spec's time text."""

    organization_id: str
    size: int
    root: bytes
    note: str
    created_at: str


class Cosigner(NamedTuple):
    """A witness's key, and when it cosigned (POSIX time, in seconds, by the witness's clock)."""

    key: VerifierKey
    time: int


class Opened(NamedTuple):
    """What a note says, and the trusted keys that say it.

    `cosigners` are the witnesses that saw it extend all that was before; `stamped_at` is when a trusted time stamp
    authority saw it.
    """

    checkpoint: Checkpoint
    signers: tuple[VerifierKey, ...]
    cosigners: tuple[Cosigner, ...] = ()
    stamped_at: datetime | None = None


def list_checkpoints(connection: Connection, scope: Scope) -> list[StoredCheckpoint]:
    """An organization's checkpoints by size, none of them believed yet."""
    organization_id = scope.organization_id
    found = [_stored(organization_id, row) for row in connection.execute(_select(organization_id))]
    return sorted(found, key=lambda stored: stored.size)


def checkpoints_above(connection: Connection, scope: Scope, size: int, limit: int) -> list[StoredCheckpoint]:
    """The next `limit` checkpoints over more than `size` records, by size, none of them believed yet."""
    organization_id = scope.organization_id
    following = _select(organization_id).where(checkpoint.c.size > size, checkpoint.c.size <= MAX_POSITION)
    rows = connection.execute(following.order_by(checkpoint.c.size).limit(limit))
    return [_stored(organization_id, row) for row in rows]


def latest_checkpoint(connection: Connection, scope: Scope) -> StoredCheckpoint | None:
    """The one over the most records, or None where nothing is sealed."""
    organization_id = scope.organization_id
    newest = _select(organization_id).order_by(checkpoint.c.size.desc()).limit(1)
    row = connection.execute(newest).one_or_none()
    return None if row is None else _stored(organization_id, row)


def store_checkpoint(connection: Connection, stored: StoredCheckpoint) -> None:
    """Keep a checkpoint, in the caller's write transaction.

    Where the same one is kept already, lines that its note has gained (cosignatures) are added to the kept note.
    Raises CheckpointConflict where one of that size has another root, or a note that this one doesn't begin with.
    """
    kept = _find(connection, stored.organization_id, stored.size)
    if kept is None:
        new = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(checkpoint)
        connection.execute(new.on_conflict_do_nothing(), stored._asdict())  # PostgreSQL: another may be faster
        kept = _find(connection, stored.organization_id, stored.size)
    if kept is None or kept.root != stored.root or not stored.note.startswith(kept.note):
        raise CheckpointConflict(
            f"Another checkpoint over {stored.size:,} records of {stored.organization_id} is stored already.",
            "Run a verification: it says which of the two the records agree with.",
        )
    if kept.note != stored.note:
        connection.execute(
            update(checkpoint)
            .where(checkpoint.c.organization_id == stored.organization_id, checkpoint.c.size == stored.size)
            .values(note=stored.note)
        )


def add_cosignatures(connection: Connection, organization_id: str, size: int, lines: Iterable[Signature]) -> int:
    """Add verified signatures to a stored checkpoint's note, in the caller's write transaction; how many were new.

    A key that has signed the note already signs it no second time. Raises InvalidNote where the note can't take more,
    CheckpointConflict where there is no such checkpoint.
    """
    kept = _find(connection, organization_id, size)
    if kept is None:
        raise CheckpointConflict(f"{organization_id} has no checkpoint over {size:,} records.", "Nothing was added.")
    signed = {(line.name, line.key_id) for line in parse_note(kept.note).signatures}
    new = {(line.name, line.key_id): line for line in lines if (line.name, line.key_id) not in signed}
    if new:
        note = kept.note + format_signatures(new.values())
        parse_note(note)
        store_checkpoint(connection, kept._replace(note=note))
    return len(new)


def open_note(stored: str, origin: str, trusted: Iterable[TrustedKey], others: Iterable[ThirdParty] = ()) -> Opened:
    """Read a checkpoint's note, and check who signed it.

    A key that was retired is trusted for sizes up to the one at which it was. Unknown keys' signatures are ignored.
    `others` are witnesses and a time stamp authority: alone they vouch for nothing.
    Raises InvalidNote where the note is malformed, of another origin, signed by no key that is trusted at its size,
    or wrongly by one that is known.
    """
    note = parse_note(stored)
    found = parse_checkpoint(note.text)
    if found.origin != origin:
        raise InvalidNote(f"The note is of {found.origin}, not of {origin}.")
    keys = list(trusted)
    known: list[ThirdParty] = [*(trusted_key.key for trusted_key in keys), *others]
    verified = verified_signatures(note, known)
    own = {trusted_key.key for trusted_key in keys}
    signed = dict.fromkeys(key for key, _ in verified if isinstance(key, VerifierKey) and key in own)
    if not signed:
        raise InvalidNote("No trusted key has signed the note.")
    valid = {trusted_key.key for trusted_key in keys if trusted_key.until is None or found.size <= trusted_key.until}
    signers = tuple(key for key in signed if key in valid)
    if not signers:
        raise InvalidNote(f"Only keys that were retired before record {found.size:,} have signed the note.")
    times = {
        key: signature_time(line.signature)
        for key, line in verified
        if isinstance(key, VerifierKey) and key not in own and key.type in TIMED
    }
    stamps = [stamped_at(line.signature) for key, line in verified if isinstance(key, TimestampAuthority)]
    cosigners = tuple(Cosigner(key, time) for key, time in times.items())
    return Opened(found, signers, cosigners, min(stamps, default=None))


def _find(connection: Connection, organization_id: str, size: int) -> StoredCheckpoint | None:
    """The checkpoint over so many records, which nobody else may change meanwhile."""
    statement = _select(organization_id).where(checkpoint.c.size == size).with_for_update()
    row = connection.execute(statement).one_or_none()
    return None if row is None else _stored(organization_id, row)


def _select(organization_id: str) -> Select[Any]:
    """SQLite keeps any value in any column: the casts give each column its own type whatever an insider put there."""
    columns: list[ColumnElement[Any]] = [
        cast(checkpoint.c.size, Position).label("size"),
        cast(checkpoint.c.root, LargeBinary).label("root"),
        cast(checkpoint.c.note, Text).label("note"),
        cast(checkpoint.c.created_at, Time).label("created_at"),
    ]
    return select(*columns).where(checkpoint.c.organization_id == organization_id)


def _stored(organization_id: str, row: Row[Any]) -> StoredCheckpoint:
    """Null, where somebody has taken the constraint away, becomes what no signature fits."""
    return StoredCheckpoint(organization_id, row.size or 0, row.root or b"", row.note or "", row.created_at or "")
