"""A log in memory, as a witness knows it: its keys, its checkpoints and its proofs."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from flasktrack.core.add_checkpoint import AddCheckpoint, format_request
from flasktrack.core.checkpoint import Checkpoint, format_checkpoint
from flasktrack.core.keys import SigningKey
from flasktrack.core.merkle import consistency_proof, root, subtrees_of
from flasktrack.core.note import format_note, sign_note

ORIGIN = "lab.example.org/acme"
TIME = 1_795_000_000

Leaf = Callable[[int], bytes]


def honest(index: int) -> bytes:
    return sha256(index.to_bytes(8)).digest()


def rewritten_from(first: int) -> Leaf:
    """The same leaves up to an index, and others from there on."""
    return lambda index: honest(index) if index < first else sha256(b"other" + index.to_bytes(8)).digest()


class Log:
    """Somebody who has the keys, and shows whatever history he likes."""

    def __init__(self, origin: str = ORIGIN) -> None:
        self.origin = origin
        self.keys = [SigningKey(origin, Ed25519PrivateKey.generate()), SigningKey(origin, MLDSA44PrivateKey.generate())]

    @property
    def vkeys(self) -> list[str]:
        return [key.verifier.vkey for key in self.keys]

    def text(self, size: int, leaf: Leaf = honest) -> str:
        leaves = [leaf(index) for index in range(size)]
        return format_checkpoint(Checkpoint(self.origin, size, root(size, subtrees_of(leaves))))

    def note(self, size: int, leaf: Leaf = honest) -> str:
        return format_note(sign_note(self.text(size, leaf), self.keys, TIME))

    def proof(self, old: int, size: int, leaf: Leaf = honest) -> tuple[bytes, ...]:
        if not 0 < old <= size:
            return ()
        return tuple(consistency_proof(old, size, subtrees_of([leaf(index) for index in range(size)])))

    def request(self, old: int, size: int, leaf: Leaf = honest) -> str:
        return format_request(AddCheckpoint(old, self.proof(old, size, leaf), self.note(size, leaf)))
