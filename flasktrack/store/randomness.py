"""What is random in a record: its sections' salts, and its record_id where the event brings none."""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import sha256
from time import time_ns

from flasktrack.core.header import SALT_BYTES

_ID_DIGITS = 20  # random ones for each record_id; 19 are used
_VARIANTS = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}


def salted(bodies: Sequence[str | None]) -> tuple[list[bytes | None], list[bytes | None]]:
    """A salt for each body, and its digest; None for both where there is no body."""
    random = os.urandom(SALT_BYTES * len(bodies))  # asking for each would cost more
    starts = range(0, len(random), SALT_BYTES)
    salts = [
        None if body is None else random[start : start + SALT_BYTES] for start, body in zip(starts, bodies, strict=True)
    ]
    digests = [
        None if salt is None or body is None else sha256(salt + body.encode()).digest()
        for salt, body in zip(salts, bodies, strict=True)
    ]
    return salts, digests


def new_record_ids(count: int) -> list[str]:
    """UUIDs of version 7 (RFC 9562 section 5.7), in order: they begin with the time, so that the index grows at its
    end."""
    time = f"{time_ns() // 1_000_000:012x}"
    prefix = f"{time[:8]}-{time[8:]}-7"
    digits = os.urandom(count * _ID_DIGITS // 2).hex()
    return sorted(
        f"{prefix}{digits[at : at + 3]}-{_VARIANTS[digits[at + 3]]}{digits[at + 4 : at + 7]}-{digits[at + 7 : at + 19]}"
        for at in range(0, len(digits), _ID_DIGITS)
    )
