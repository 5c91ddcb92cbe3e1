"""Passwords of local accounts: kept as Argon2id (RFC 9106), and long enough not to be guessed.

The cost is RFC 9106's second recommended option (section 4): 3 passes over 64 MiB in 4 lanes, a salt of 128 bits, a tag
of 256. It is above the least that OWASP's Password Storage Cheat Sheet asks for (19 MiB, 2 passes). A password that was
kept at another cost is kept anew when its owner signs in.

What a password must be follows NIST SP 800-63B-4, section 3.1.1: 15 characters where it is the only factor, no rules on
their kinds, no change without a cause, and none that anybody would try first.
"""

from __future__ import annotations

import os
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from flasktrack.errors import PasswordRefused, SignInBusy

SHORTEST, LONGEST = 15, 256
_FEWEST_CHARACTERS = 5  # different ones: "aaaaaaaaaaaaaaa" is long, too
_SALT, _TAG = 16, 32
_AT_ONCE = threading.BoundedSemaphore(4)  # each takes 64 MiB
_PATIENCE = 15.0  # seconds


class Cost(NamedTuple):
    """Argon2's parameters: KiB of memory, passes over it, lanes."""

    memory: int
    passes: int
    lanes: int

    @property
    def prefix(self) -> str:
        """How a password that is kept at this cost begins (the PHC string format)."""
        return f"$argon2id$v=19$m={self.memory},t={self.passes},p={self.lanes}$"


COST = Cost(64 * 1024, 3, 4)


def hash_password(password: str) -> str:
    """The password as it is kept: Argon2id in the PHC string format. Raises SignInBusy."""
    with _slot():
        kept = Argon2id(
            salt=os.urandom(_SALT), length=_TAG, iterations=COST.passes, lanes=COST.lanes, memory_cost=COST.memory
        )
        return kept.derive_phc_encoded(_bytes(password))


def check_password(password: str, kept: str | None) -> bool:
    """Whether the password is the one that is kept. Raises SignInBusy.

    Where none is kept, the answer is no, after as much work: time must not tell who has an account.
    """
    with _slot():
        try:
            Argon2id.verify_phc_encoded(_bytes(password), kept or _decoy(COST))
        except (InvalidKey, ValueError):  # ValueError: what somebody wrote in its place
            return False
    return kept is not None


def is_outdated(kept: str) -> bool:
    """Whether a password was kept at another cost than today's."""
    return not kept.startswith(COST.prefix)


def check_new_password(password: str, *known: str) -> None:
    """Raise PasswordRefused for a password that is too short or too plain; `known` are the account's id and name."""
    text = unicodedata.normalize("NFKC", password)
    if len(text) < SHORTEST:
        raise PasswordRefused(
            f"The new password has {len(text)} characters; it needs {SHORTEST}.", "A few words in a row will do."
        )
    if len(text) > LONGEST:
        raise PasswordRefused(f"The new password has more than {LONGEST} characters.", "Choose a shorter one.")
    plain = text.casefold()
    for word in sorted((word.casefold() for word in ("flasktrack", *known) if len(word) >= 3), key=len, reverse=True):
        plain = plain.replace(word, "")
    if len(set(plain)) < _FEWEST_CHARACTERS or _is_sequence(plain):
        raise PasswordRefused("The new password is one of the first to be guessed.", "Choose a few words in a row.")


def _is_sequence(text: str) -> bool:
    """Whether each character follows the one before by the same step, as in abcdefgh and 97531."""
    steps = {ord(after) - ord(before) for before, after in pairwise(text)}
    return len(steps) < 2


def _bytes(password: str) -> bytes:
    """The same bytes however a keyboard composed the characters (NIST SP 800-63B-4, section 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


@lru_cache(maxsize=2)
def _decoy(cost: Cost) -> str:
    tag = Argon2id(
        salt=os.urandom(_SALT), length=_TAG, iterations=cost.passes, lanes=cost.lanes, memory_cost=cost.memory
    )
    return tag.derive_phc_encoded(os.urandom(_TAG))


@contextmanager
def _slot() -> Iterator[None]:
    if not _AT_ONCE.acquire(timeout=_PATIENCE):
        raise SignInBusy("Too many people are signing in at this moment.", "Try again in a minute.")
    try:
        yield
    finally:
        _AT_ONCE.release()
