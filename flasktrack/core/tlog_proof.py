"""A record's proof as one text that stands alone (C2SP tlog-proof).

    c2sp.org/tlog-proof@v1
    extra eyJhY3Rpb24iOiJ1cGRhdGUi...                 base64 of the record's canonical header
    index 3                                           of the leaf: the record's position, less one
    gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=      the inclusion proof, from the leaf's sibling up

    flasktrack.example.org/northwind-labs             the checkpoint, as it was signed
    4
    lQYDX4lyNjhE8kVx1fqSFTwKs/LCHguh5BWF2esP340=

    \u2014 flasktrack.example.org/northwind-labs ga7xUuvHVnVM...

The extra line makes it whole: SHA-256(0x00 || header) is the leaf, so that a header that was altered has no proof.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

HEADER = "c2sp.org/tlog-proof@v1"


def format_tlog_proof(index: int, header: bytes, proof: Sequence[bytes], checkpoint: str) -> str:
    """The text; `checkpoint` is a signed note, and the proof one in its tree."""
    lines = [HEADER, f"extra {_base64(header)}", f"index {index}", *map(_base64, proof), "", checkpoint]
    return "\n".join(lines)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
