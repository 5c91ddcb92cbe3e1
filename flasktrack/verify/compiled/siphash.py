"""SipHash-2-4 with 128 bits (Aumasson and Bernstein, 2012), over whole words: a pseudorandom function made for short
inputs, whose values nobody foresees who does not know the key.

It needs no instructions of the processor's own, as SHA-256 does to be as quick, and takes words wherever they stand.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from flasktrack.verify.compiled.machine import compiled

Word = np.uint64
Words = npt.NDArray[np.uint64]
State = tuple[Word, Word, Word, Word]

KEY_BYTES = 16

_V0, _V1, _V2, _V3 = (Word(int.from_bytes(part)) for part in (b"somepseu", b"dorandom", b"lygenera", b"tedbytes"))
_WIDE, _FIRST_END, _SECOND_END = Word(0xEE), Word(0xEE), Word(0xDD)
_13, _16, _17, _21, _32 = Word(13), Word(16), Word(17), Word(21), Word(32)
_43, _47, _48, _51 = Word(43), Word(47), Word(48), Word(51)


@compiled
def begin(key: Words) -> State:
    """The state before the first word; the key has two."""
    return _V0 ^ key[0], _V1 ^ key[1] ^ _WIDE, _V2 ^ key[0], _V3 ^ key[1]


@compiled
def absorb(state: State, word: Word) -> State:
    """The state after a word."""
    a, b, c, d = _round(_round((state[0], state[1], state[2], state[3] ^ word)))
    return a ^ word, b, c, d


@compiled
def finish(state: State, count: int) -> tuple[Word, Word]:
    """The hash of the words, of which there were so many."""
    a, b, c, d = absorb(state, Word((count & 31) << 59))  # the number of bytes, in the last one of a word
    state = _four_rounds((a, b, c ^ _FIRST_END, d))
    a, b, c, d = _four_rounds((state[0], state[1] ^ _SECOND_END, state[2], state[3]))
    return state[0] ^ state[1] ^ state[2] ^ state[3], a ^ b ^ c ^ d


@compiled
def _four_rounds(state: State) -> State:
    return _round(_round(_round(_round(state))))


@compiled
def _round(state: State) -> State:
    a, b, c, d = state
    a += b
    b = ((b << _13) | (b >> _51)) ^ a
    a = (a << _32) | (a >> _32)
    c += d
    d = ((d << _16) | (d >> _48)) ^ c
    a += d
    d = ((d << _21) | (d >> _43)) ^ a
    c += b
    b = ((b << _17) | (b >> _47)) ^ c
    c = (c << _32) | (c >> _32)
    return a, b, c, d
