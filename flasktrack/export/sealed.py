"""What a proof that leaves rests on: the last checkpoint, believed, and records that it covers."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement

from flasktrack.core.finding import ERROR, Finding
from flasktrack.core.header import record_header
from flasktrack.core.merkle import verify_inclusion
from flasktrack.core.tlog_proof import format_tlog_proof
from flasktrack.errors import ExportFailed, InvalidNote, TreeIncomplete, Unsealed
from flasktrack.export.verify_package import Finding as PackageFinding
from flasktrack.store.reader import Ledger
from flasktrack.store.schema import audit_record
from flasktrack.trust.checkpoints import StoredCheckpoint, latest_checkpoint, open_note
from flasktrack.trust.keyring import Keyring
from flasktrack.trust.tree import StoredTree

VERIFY = "Nothing was left behind. Run a full verification: it says what happened to the records."
"""The advice where something is not as it was recorded or signed."""


def checkpoint_over(ledger: Ledger, keyring: Keyring, *conditions: ColumnElement[bool]) -> StoredCheckpoint:
    """The last checkpoint, once it is known that it may be believed and covers all records that meet the conditions.

    Raises Unsealed where it does not cover them, ExportFailed where it can't be believed, KeyringError.
    """
    organization_id = ledger.organization.id
    seal = f"Seal them first: python -m flasktrack checkpoint --organization {organization_id}"
    with ledger.engine.connect() as connection:
        last = latest_checkpoint(connection, ledger.scope)
    if last is None:
        raise Unsealed(f"No record of {organization_id} is sealed yet, so none can be proved.", seal)
    above = ledger.count(*conditions, audit_record.c.seq > last.size)
    if above:
        said = "1 record lies" if above == 1 else f"{above:,} records lie"
        raise Unsealed(
            f"{said} above the last checkpoint, which covers positions 1 to {last.size:,}: nothing proves them yet.",
            f"{seal} (or ask for records up to there alone)",
        )
    try:
        keys = keyring.trusted(organization_id)
        opened = open_note(last.note, keyring.origin(organization_id), keys, keyring.third_parties())
    except InvalidNote as problem:
        raise ExportFailed(f"The last checkpoint can't be believed: {problem.what}", VERIFY) from None
    if (opened.checkpoint.size, opened.checkpoint.root) != (last.size, last.root):
        raise ExportFailed("The last checkpoint is not stored as it was signed.", VERIFY)
    return last


def refuse_unsound(findings: Iterable[Finding | PackageFinding]) -> None:
    """Raise ExportFailed where there is an error: no inspector could verify such a record."""
    for finding in findings:
        if finding.severity == ERROR:
            raise ExportFailed(f"There is no proof of what is not sound. {finding.detail}", VERIFY)


def record_proof(ledger: Ledger, keyring: Keyring, seq: int) -> str:
    """The record's own proof, as C2SP tlog-proof writes it. Raises Unsealed, ExportFailed, KeyringError."""
    organization_id = ledger.organization.id
    checked = ledger.get(seq)
    if checked is None:
        raise ExportFailed(f"There is no record at position {seq:,}.", "Give a position that there is.")
    refuse_unsound(checked.findings)
    sealed = checkpoint_over(ledger, keyring, audit_record.c.seq == seq)
    record = checked.record
    try:
        with ledger.engine.connect() as connection:
            proof = StoredTree(connection, organization_id).inclusion_proof(seq, sealed.size)
    except TreeIncomplete as problem:
        raise ExportFailed(f"A proof can't be made: {problem.what}", VERIFY) from None
    if not verify_inclusion(record.hash, seq - 1, sealed.size, proof, sealed.root):
        raise ExportFailed(f"Record {seq:,} has no proof: the records before or after it were altered.", VERIFY)
    return format_tlog_proof(seq - 1, record_header(record), proof, sealed.note)
