"""RFC 3161 time stamps of checkpoints: a third party's word for when a checkpoint was there already.

A time stamp is kept in the checkpoint's note, as a line of its own beside the signatures:

    — timestamp/rfc3161 <base64 of the key id and the DER of the TimeStampResp>

The authority stamped SHA-256 of the note's text (or SHA-384, SHA-512). The line's name is the same for every
authority, and the key id is SHA-256(name || 0x0A || 0xFF || "RFC 3161 TimeStampResp")[:4] (0xFF: a type without a
byte of its own in C2SP signed-note). So whoever knows nothing of time stamps ignores the line; where an authority is
trusted, a time stamp by any other is a bad signature. With the response and the text in files,
`openssl ts -verify -in stamp.tsr -data text -CAfile tsa.pem` decides the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from cryptography.x509 import Certificate, load_pem_x509_certificates

from flasktrack.core.note import Signature
from flasktrack.errors import InvalidNote, SettingsError

NAME = "timestamp/rfc3161"
KEY_ID = sha256(f"{NAME}\n".encode() + b"\xffRFC 3161 TimeStampResp").digest()[:4]
MAX_RESPONSE_BYTES = 64 * 1024  # 2 to 8 KB, with the authority's certificates


class TimestampAuthority:
    """The certificates under which time stamps are believed: roots, and what lies between them and the signer."""

    name = NAME
    key_id = KEY_ID

    def __init__(self, certificates: Sequence[Certificate]) -> None:
        self._certificates = list(certificates)

    @classmethod
    def from_file(cls, path: Path) -> TimestampAuthority:
        """From certificates in PEM. Raises SettingsError where the file can't be read or holds none."""
        advice = "FLASKTRACK_TSA_CERT names the certificates of the time stamp authority's CA, in PEM."
        try:
            return cls(load_pem_x509_certificates(path.read_bytes()))
        except OSError as problem:
            raise SettingsError(f"{path} can't be read ({problem.strerror or problem}).", advice) from None
        except ValueError:
            raise SettingsError(f"{path} holds no certificate.", advice) from None

    def verifies(self, text: str, signature: bytes) -> bool:
        """Whether a TimeStampResp is a trusted authority's, over a note's text."""
        from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response

        if len(signature) > MAX_RESPONSE_BYTES:
            return False
        try:
            # The certificates had to be valid when the time stamp was made, not today.
            verifier = VerifierBuilder(roots=self._certificates).build()
            return verifier.verify_message(decode_timestamp_response(signature), text.encode())
        except (VerificationError, ValueError):
            return False


def stamped_at(signature: bytes) -> datetime:
    """When a TimeStampResp was made, in UTC, as its authority says. Raises InvalidNote where it can't be read."""
    from rfc3161_client import decode_timestamp_response

    try:
        return decode_timestamp_response(signature).tst_info.gen_time.astimezone(UTC)
    except ValueError as problem:
        raise InvalidNote(f"The time stamp can't be read ({problem}).") from None


def signature_of(response: bytes) -> Signature:
    """A TimeStampResp as a line of a note."""
    return Signature(NAME, KEY_ID, response)
