"""What is random in a record: its sections' salts, and its record_id where the event brings none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from time import time_ns

from flasktrack.core.header import SALT_BYTES

_PART = 3 * SALT_BYTES + 10


def random_parts() -> Iterator[bytes]:
    """Random bytes for one record each: three salts, and ten for its record_id. Asking for each would cost more."""
    while True:
        several = os.urandom(_PART * 32)
        for start in range(0, len(several), _PART):
            yield several[start : start + _PART]


def new_record_id(random: bytes) -> str:
    """A UUID of version 7 (RFC 9562 section 5.7): it begins with the time, so that the index grows at its end."""
    digits = f"{time_ns() // 1_000_000:012x}{random.hex()}"
    variant = "89ab"[random[2] >> 6]  # a digit's place: the bits that it leaves over are not used elsewhere
    return f"{digits[:8]}-{digits[8:12]}-7{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
