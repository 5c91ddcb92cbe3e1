"""Having checkpoints cosigned: what a log sends to a witness, and what it takes in from it (C2SP tlog-witness)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from sqlalchemy import Connection, Engine

from flasktrack.core.add_checkpoint import AddCheckpoint
from flasktrack.core.checkpoint import Checkpoint
from flasktrack.core.keys import TIMED, VerifierKey, signature_time
from flasktrack.core.merkle import verify_consistency
from flasktrack.core.note import Signature, parse_note, parse_signatures
from flasktrack.errors import InvalidNote, NotIntact, TreeIncomplete, WitnessError
from flasktrack.store.engine import writing
from flasktrack.store.organizations import get_organization
from flasktrack.store.row_security import of_organization
from flasktrack.store.scope import machine_scope
from flasktrack.trust.checkpoints import StoredCheckpoint, add_cosignatures, list_checkpoints, open_note
from flasktrack.trust.keyring import Keyring
from flasktrack.trust.tree import StoredTree

_TRUST = "Take the witness's public keys in with: python -m flasktrack keys trust FILE"


class Cosigned(NamedTuple):
    """A checkpoint that a witness's signatures were found to fit, and how many of them it had not yet."""

    organization_id: str
    size: int
    added: int


def make_request(
    engine: Engine, organization_id: str, keyring: Keyring, witness: str | None = None, old: int | None = None
) -> AddCheckpoint:
    """What asks a witness to cosign the newest checkpoint of an organization.

    `witness` is its name, which may be left out where only one is trusted; `old` is the size of the last checkpoint
    that it cosigned, by default what its cosignatures here say.
    Raises WitnessError where there is no such witness, or nothing to cosign; NotIntact where the stored tree does not
    prove that the checkpoint extends the old one; InvalidNote, KeyringError, UnknownOrganization.
    """
    get_organization(engine, organization_id)
    name = _witness(keyring, witness)
    with of_organization(engine, organization_id).connect() as connection:
        stored = list_checkpoints(connection, machine_scope(organization_id))
        if not stored:
            raise WitnessError(
                f"{organization_id} has no checkpoint to cosign.", "Seal it first: python -m flasktrack checkpoint"
            )
        newest = _open(keyring, stored[-1])
        known = next(_cosigned(keyring, stored, name), None) if old is None else _at(keyring, stored, old)
        if old is None:
            old = known.size if known is not None else 0
        if not 0 <= old <= newest.size:
            raise WitnessError(
                f"The newest checkpoint of {organization_id} covers {newest.size:,} records, not {old:,}.",
                "A witness that has seen more has seen records that are gone: run a full verification.",
            )
        proof = _proof(connection, organization_id, old, newest.size) if old else []
    if known is not None and not verify_consistency(old, newest.size, proof, known.root, newest.root):
        raise NotIntact(
            f"The stored tree of {organization_id} does not prove that its {newest.size:,} records extend the {old:,} "
            "that the witness saw.",
            "Somebody rewrote records, or altered the stored tree. Run a full verification.",
        )
    return AddCheckpoint(old, tuple(proof), stored[-1].note)


def take_in(engine: Engine, keyring: Keyring, answer: str, organization_ids: Iterable[str]) -> Cosigned:
    """Add a witness's answer to the note of the checkpoint that it is about, whichever it is of these organizations.

    Lines of witnesses that are not trusted are left out. Raises InvalidNote where the answer is malformed, or fits no
    checkpoint here; WitnessError where no witness in it is trusted. Then nothing is added.
    """
    witnesses = {(key.name, key.key_id): key for key in keyring.witnesses() if key.type in TIMED}
    lines = parse_signatures(answer)
    signed = [(witnesses[line[:2]], line) for line in lines if line[:2] in witnesses]
    if not signed:
        names = ", ".join(sorted({line.name[:80] for line in lines}))
        raise WitnessError(f"Nobody in this answer is a witness that is trusted here: {names}.", _TRUST)
    for organization_id in organization_ids:
        mine = of_organization(engine, organization_id)
        with mine.connect() as connection:
            stored = list_checkpoints(connection, machine_scope(organization_id))
        for row in reversed(stored):
            if _fits(row, signed):
                with writing(mine) as connection:
                    added = add_cosignatures(connection, organization_id, row.size, (line for _, line in signed))
                return Cosigned(organization_id, row.size, added)
    raise InvalidNote(
        f"The cosignature of {signed[0][0].name} fits no checkpoint here.",
        "Nothing was added. Was it made for another database, or altered on its way?",
    )


def _witness(keyring: Keyring, wanted: str | None) -> str:
    """The name of the witness that is meant."""
    names = sorted({key.name for key in keyring.witnesses() if key.type in TIMED})
    if wanted is None and len(names) == 1:
        return names[0]
    if not names:
        raise WitnessError("No witness is trusted here.", _TRUST)
    if wanted is None:
        raise WitnessError(f"Several witnesses are trusted here: {', '.join(names)}.", "Name one with: --witness NAME")
    if wanted not in names:
        raise WitnessError(f"There is no trusted witness {wanted[:80]!r}, only: {', '.join(names)}.", _TRUST)
    return wanted


def _open(keyring: Keyring, row: StoredCheckpoint, *, by: str | None = None) -> Checkpoint:
    """What a checkpoint says. Raises InvalidNote where it can't be believed, or the witness `by` did not cosign it."""
    name = row.organization_id
    opened = open_note(row.note, keyring.origin(name), keyring.trusted(name), keyring.third_parties())
    if by is not None and by not in (cosigner.key.name for cosigner in opened.cosigners):
        raise InvalidNote(f"{by} did not cosign it.")
    return opened.checkpoint


def _cosigned(keyring: Keyring, stored: Sequence[StoredCheckpoint], name: str) -> Iterator[Checkpoint]:
    """The checkpoints that a witness cosigned, the newest first. One that can't be believed is a verification's."""
    for row in reversed(stored):
        if f"\u2014 {name} " in row.note:  # before signatures are verified, which takes longer
            with suppress(InvalidNote):
                yield _open(keyring, row, by=name)


def _at(keyring: Keyring, stored: Sequence[StoredCheckpoint], size: int) -> Checkpoint | None:
    return next((_open(keyring, row) for row in stored if row.size == size), None)


def _proof(connection: Connection, organization_id: str, old: int, size: int) -> list[bytes]:
    try:
        return StoredTree(connection, organization_id).consistency_proof(old, size)
    except TreeIncomplete as problem:
        raise NotIntact(f"The proof for the witness can't be made: {problem.what}", problem.advice) from None


def _fits(row: StoredCheckpoint, signed: list[tuple[VerifierKey, Signature]]) -> bool:
    """Whether every one of these signatures is over this checkpoint's text, at a time."""
    try:
        text = parse_note(row.note).text
    except InvalidNote:
        return False
    return all(key.verifies(text, line.signature) and signature_time(line.signature) > 0 for key, line in signed)
