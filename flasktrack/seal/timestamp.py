"""Having checkpoints stamped by a time stamp authority (RFC 3161): the request, the way to it, and its answer."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256, sha384, sha512
from http.client import HTTPException
from typing import NamedTuple

from sqlalchemy import Engine

from flasktrack.core.note import parse_note
from flasktrack.errors import InvalidNote, TimestampError
from flasktrack.store.engine import writing
from flasktrack.store.organizations import get_organization
from flasktrack.store.row_security import of_organization
from flasktrack.store.scope import machine_scope
from flasktrack.trust.checkpoints import (
    StoredCheckpoint,
    add_cosignatures,
    latest_checkpoint,
    list_checkpoints,
    open_note,
)
from flasktrack.trust.keyring import Keyring
from flasktrack.trust.timestamps import MAX_RESPONSE_BYTES, TimestampAuthority, signature_of, stamped_at

_HASHES = (sha256, sha384, sha512)  # which an authority may answer with; the request names SHA-256
_SECONDS = 30
_GRANTED = 0


class Request(NamedTuple):
    """A TimeStampReq in DER for a checkpoint; `stamped_at` where it has a time stamp already."""

    organization_id: str
    size: int
    query: bytes
    stamped_at: datetime | None


class Stamped(NamedTuple):
    """A checkpoint that a time stamp was found to fit; `added`: whether it had none yet."""

    organization_id: str
    size: int
    stamped_at: datetime
    added: bool


def make_stamp_request(engine: Engine, organization_id: str, keyring: Keyring) -> Request | None:
    """What asks an authority to stamp an organization's newest checkpoint; None where there is none.

    Raises InvalidNote where the checkpoint can't be believed; UnknownOrganization, KeyringError, SettingsError.
    """
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    get_organization(engine, organization_id)
    with of_organization(engine, organization_id).connect() as connection:
        row = latest_checkpoint(connection, machine_scope(organization_id))
    if row is None:
        return None
    origin, trusted = keyring.origin(organization_id), keyring.trusted(organization_id)
    opened = open_note(row.note, origin, trusted, keyring.third_parties())
    # No nonce: it guards against an old answer, and an older stamp of the same checkpoint would prove more.
    data = parse_note(row.note).text.encode()
    query = TimestampRequestBuilder(data, HashAlgorithm.SHA256, nonce=False).build().as_bytes()
    return Request(organization_id, row.size, query, opened.stamped_at)


def ask_authority(url: str, query: bytes) -> bytes:
    """Send a request to an authority over HTTP (RFC 3161 section 3.4), and return its TimeStampResp.

    Raises TimestampError where it can't be reached, or answers something else.
    """
    if not url.startswith(("http://", "https://")):
        raise TimestampError(f"{url[:80]!r} is not the address of a time stamp authority.", "Give http:// or https://.")
    try:
        request = urllib.request.Request(url, query, {"Content-Type": "application/timestamp-query"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 (checked above)
            response: bytes = answer.read(MAX_RESPONSE_BYTES + 1)
    except (OSError, ValueError, HTTPException) as problem:
        raise TimestampError(
            f"The time stamp authority did not answer ({problem}).", "Try again later; the checkpoint stays as it is."
        ) from None
    return response


def take_in_stamp(engine: Engine, keyring: Keyring, response: bytes, organization_ids: Iterable[str]) -> Stamped:
    """Add a TimeStampResp to the note of the checkpoint that it is about, whichever it is of these organizations.

    A checkpoint keeps its first time stamp. Raises TimestampError where no authority is trusted, or the answer is a
    refusal, can't be read, fits no checkpoint here, or is by another authority. Then nothing is added.
    """
    authority = keyring.authority()
    if authority is None:
        raise TimestampError(
            "No time stamp authority is trusted.", "Set FLASKTRACK_TSA_CERT to the certificates of its CA, in PEM."
        )
    digest = _imprint(response)
    for organization_id in organization_ids:
        get_organization(engine, organization_id)
        mine = of_organization(engine, organization_id)
        with mine.connect() as connection:
            stored = list_checkpoints(connection, machine_scope(organization_id))
        for row in reversed(stored):
            if _fits(row, digest):
                _check(authority, row, response)
                with writing(mine) as connection:
                    added = add_cosignatures(connection, organization_id, row.size, [signature_of(response)])
                return Stamped(organization_id, row.size, stamped_at(response), bool(added))
    raise TimestampError("The time stamp fits no checkpoint here.", "Nothing was added. Is it of another database?")


def _imprint(response: bytes) -> bytes:
    """The hash that was stamped."""
    from rfc3161_client import decode_timestamp_response

    if len(response) > MAX_RESPONSE_BYTES:
        raise TimestampError("That is too long for a time stamp.", "Give the authority's answer, in DER.")
    try:
        decoded = decode_timestamp_response(response)
        if decoded.status != _GRANTED:
            why = "; ".join(decoded.status_string) or f"status {decoded.status}"
            raise TimestampError(f"The time stamp authority refused ({why}).", "Nothing was added.")
        return decoded.tst_info.message_imprint.message
    except ValueError as problem:
        raise TimestampError(
            f"That is no time stamp that can be read ({problem}).",
            "Give the authority's answer (TimeStampResp), in DER.",
        ) from None


def _fits(row: StoredCheckpoint, digest: bytes) -> bool:
    try:
        text = parse_note(row.note).text.encode()
    except InvalidNote:
        return False
    return digest in [hash_(text).digest() for hash_ in _HASHES]


def _check(authority: TimestampAuthority, row: StoredCheckpoint, response: bytes) -> None:
    if not authority.verifies(parse_note(row.note).text, response):
        raise TimestampError(
            f"The time stamp of the checkpoint over {row.size:,} records of {row.organization_id} is not one by the "
            "authority that is trusted.",
            "Nothing was added. FLASKTRACK_TSA_CERT names the root certificate of the authority, and those between.",
        )
