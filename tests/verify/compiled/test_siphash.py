"""The keyed hash is SipHash-2-4 with 128 bits, as its authors and OpenSSL have it."""

from __future__ import annotations

import numpy as np
import pytest

from flasktrack.verify.compiled.machine import compiled
from flasktrack.verify.compiled.siphash import Words, absorb, begin, finish


@compiled
def hash_words(key: Words, words: Words, hashed: Words) -> None:
    state = begin(key)
    for word in words:
        state = absorb(state, word)
    hashed[0], hashed[1] = finish(state, len(words))


@pytest.mark.parametrize(
    ("count", "expected"),
    [  # of the authors' vectors those of whole words; the last by `openssl mac -macopt size:16 ... SipHash`
        (0, "a3817f04ba25a8e66df67214c7550293"),
        (1, "3b62a9ba6258f5610f83e264f31497b4"),
        (2, "6ee2a4ca67b054bbfd3315bf85230577"),
        (7, "1938f2cf72d54ee97e94166fa91d2a36"),
        (32, "67a00304d3834c4612eaee7b5f579acb"),
    ],
)
def test_the_vectors(count: int, expected: str) -> None:
    key = np.frombuffer(bytes(range(16)), dtype=np.uint64)
    hashed = np.zeros(2, dtype="<u8")
    hash_words(key, np.frombuffer(bytes(range(8 * count)), dtype=np.uint64), hashed)
    assert hashed.tobytes().hex() == expected
