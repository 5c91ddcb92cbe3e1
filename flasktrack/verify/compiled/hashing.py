"""SHA-256 by OpenSSL, called from compiled code."""

from __future__ import annotations

import numpy as np

from flasktrack.core.merkle import HASH_BYTES
from flasktrack.verify.compiled.cells import Bytes, Unreadable
from flasktrack.verify.compiled.machine import compiled
from flasktrack.verify.compiled.symbols import (
    SHA256_STATE_BYTES,
    hashing,
    sha256_final,
    sha256_init,
    sha256_update,
)


class Hasher:
    """What a computation works in: OpenSSL's state, and the digest that it gives."""

    def __init__(self) -> None:
        """Raises Unreadable where OpenSSL's functions can't be reached: whoever called them would crash."""
        if not hashing():
            raise Unreadable
        self.state: Bytes = np.zeros(SHA256_STATE_BYTES, dtype=np.uint8)
        self.digest: Bytes = np.zeros(HASH_BYTES, dtype=np.uint8)


@compiled
def digest_of_two(state: Bytes, digest: Bytes, first: int, first_bytes: int, second: int, second_bytes: int) -> None:
    """SHA-256 of what stands at two addresses, one after the other, into `digest`."""
    sha256_init(state.ctypes.data)
    sha256_update(state.ctypes.data, first, first_bytes)
    sha256_update(state.ctypes.data, second, second_bytes)
    sha256_final(digest.ctypes.data, state.ctypes.data)


@compiled
def _fold(leaves: Bytes, pair: Bytes, state: Bytes, digest: Bytes) -> None:
    """The root of a full subtree over hashes that follow each other in `leaves`, which is written over."""
    count = len(leaves) // 32
    pair[0] = 1  # RFC 6962 section 2.1
    while count > 1:
        for node in range(count // 2):
            for place in range(64):
                pair[1 + place] = leaves[64 * node + place]
            digest_of_two(state, digest, pair.ctypes.data, 65, pair.ctypes.data, 0)
            for place in range(32):
                leaves[32 * node + place] = digest[place]
        count //= 2


def fold(leaves: bytes) -> bytes:
    """The root of the full subtree over hashes that stand one behind the other. Raises Unreadable."""
    row: Bytes = np.frombuffer(bytearray(leaves), dtype=np.uint8)
    hasher = Hasher()
    _fold(row, np.zeros(65, dtype=np.uint8), hasher.state, hasher.digest)
    return row[:HASH_BYTES].tobytes()
