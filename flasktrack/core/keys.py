"""Keys that sign notes: Ed25519 and ML-DSA-44, and their public halves as C2SP vkeys (spec section 4).

    vkey   = <name>+<key id in hex>+<base64(type || public key)>
    key id = SHA-256(name || 0x0A || type || public key)[:4]

An Ed25519 key (type 0x01) signs a note's text. An ML-DSA-44 key (type 0x06) signs what a checkpoint's text says: the
`cosigned_message` of C2SP tlog-cosignature; its signature is a time (8 bytes) and the FIPS 204 signature. Ed25519
every verifier can check; ML-DSA-44 still holds when a quantum computer breaks Ed25519. A witness's Ed25519 key (type
0x04) signs a time and the text, so its signature has a time too; such a key is used for nothing else.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from flasktrack.core.checkpoint import parse_checkpoint
from flasktrack.errors import InvalidKey, InvalidNote

ED25519 = 0x01
ED25519_COSIGNER = 0x04
ML_DSA_44 = 0x06
TIMED = (ED25519_COSIGNER, ML_DSA_44)
"""Types whose signatures say when they were made."""
KEY_ID_BYTES = 4
MAX_TIME = 2**63 - 1

_PUBLIC_BYTES = {ED25519: 32, ED25519_COSIGNER: 32, ML_DSA_44: 1312}
_TIME_BYTES = 8
_LABEL = b"subtree/v1\n\x00"
_NAME = re.compile(r"[^\s+]{1,255}")

PrivateKey = Ed25519PrivateKey | MLDSA44PrivateKey


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with the name under which it signs. Raises InvalidKey for a name or key that can't be one."""

    name: str
    type: int
    public: bytes

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidKey(f"{self.name[:80]!r} can't be a key's name.", "It has no spaces and no +.")
        if len(self.public) != _PUBLIC_BYTES.get(self.type):
            raise InvalidKey(f"The key {self.name} is neither Ed25519 nor ML-DSA-44.")

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart; an identifier, not a proof."""
        return sha256(self.name.encode() + b"\n" + bytes([self.type]) + self.public).digest()[:KEY_ID_BYTES]

    @property
    def vkey(self) -> str:
        """The key as text, to hand out."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(bytes([self.type]) + self.public).decode()}"

    def verifies(self, text: str, signature: bytes) -> bool:
        """Whether `signature` is this key's over a note's text."""
        try:
            if self.type == ED25519:
                Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
                return True
            time, own = signature_time(signature), signature[_TIME_BYTES:]
            if self.type == ED25519_COSIGNER:
                Ed25519PublicKey.from_public_bytes(self.public).verify(own, _timed_text(time, text))
            else:
                MLDSA44PublicKey.from_public_bytes(self.public).verify(own, cosigned_message(self.name, time, text))
        except (InvalidSignature, InvalidNote, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key with the name under which it signs; `cosigns`: as a witness's, which says when it signed."""

    name: str
    private: PrivateKey
    cosigns: bool = False

    @property
    def verifier(self) -> VerifierKey:
        """Its public half."""
        kind = ML_DSA_44
        if isinstance(self.private, Ed25519PrivateKey):
            kind = ED25519_COSIGNER if self.cosigns else ED25519
        return VerifierKey(self.name, kind, self.private.public_key().public_bytes_raw())

    def sign(self, text: str, time: int) -> bytes:
        """Sign a note's text at a POSIX time in seconds (which an Ed25519 signature holds only as a witness's).

        Raises InvalidNote where an ML-DSA-44 key is to sign a text that is not a checkpoint.
        """
        if isinstance(self.private, Ed25519PrivateKey):
            if self.cosigns:
                return time.to_bytes(_TIME_BYTES) + self.private.sign(_timed_text(time, text))
            return self.private.sign(text.encode())
        return time.to_bytes(_TIME_BYTES) + self.private.sign(cosigned_message(self.name, time, text))


def parse_vkey(text: str) -> VerifierKey:
    """Read a vkey. Raises InvalidKey for anything that `VerifierKey.vkey` would not have written so."""
    name, _, rest = text.partition("+")
    _, _, encoded = rest.partition("+")
    try:
        material = base64.b64decode(encoded, validate=True)
        key = VerifierKey(name, material[0], material[1:])
    except (ValueError, IndexError):
        key = None
    if key is None or key.vkey != text:
        raise InvalidKey(f"{text[:60]!r} is not a vkey.", "A vkey is name+id+base64, as `keys show` prints it.")
    return key


def signature_time(signature: bytes) -> int:
    """When a signature of a type in `TIMED` was made, as a POSIX time. Raises ValueError where it can't be one."""
    time = int.from_bytes(signature[:_TIME_BYTES])
    if len(signature) < _TIME_BYTES or time > MAX_TIME:
        raise ValueError("the signature has no time")
    return time


def cosigned_message(cosigner: str, time: int, text: str) -> bytes:
    """What an ML-DSA-44 key signs of a checkpoint: `cosigned_message` of C2SP tlog-cosignature, for the whole tree.

    Raises InvalidNote where the text is not a checkpoint.
    """
    checkpoint = parse_checkpoint(text)
    return b"".join(
        (
            _LABEL,
            _short(cosigner.encode()),
            time.to_bytes(8),
            _short(checkpoint.origin.encode()),
            (0).to_bytes(8),
            checkpoint.size.to_bytes(8),
            checkpoint.root,
        )
    )


def _timed_text(time: int, text: str) -> bytes:
    """What a witness's Ed25519 key signs: the Ed25519 message of C2SP tlog-cosignature."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def _short(value: bytes) -> bytes:
    """opaque value<1..2^8-1> of RFC 8446 section 3.4."""
    if not 1 <= len(value) <= 255:
        raise InvalidNote("A name or origin has 1 to 255 bytes.")
    return bytes([len(value)]) + value
