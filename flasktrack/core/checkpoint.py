"""A checkpoint: what an organization's whole history was at a size (C2SP tlog-checkpoint, spec section 4).

flasktrack.example.org/northwind-labs            origin: <deployment>/<organization_id>
4                                                tree size, in records
lQYDX4lyNjhE8kVx1fqSFTwKs/LCHguh5BWF2esP340=     root of the RFC 6962 tree over the records' hashes
"""

from __future__ import annotations

import base64
import re
from typing import NamedTuple

from flasktrack.core.merkle import HASH_BYTES
from flasktrack.errors import InvalidNote

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


class Checkpoint(NamedTuple):
    """The text of a checkpoint, taken apart."""

    origin: str
    size: int
    root: bytes


def format_checkpoint(checkpoint: Checkpoint) -> str:
    """The note text that is signed."""
    return f"{checkpoint.origin}\n{checkpoint.size}\n{base64.b64encode(checkpoint.root).decode()}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """Read a note text. Raises InvalidNote for anything that `format_checkpoint` would not have written so.

    tlog-checkpoint allows further lines; this format has none, and what nobody reads nobody should sign.
    """
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not lines[0] or not _SIZE.fullmatch(lines[1]):
        raise InvalidNote("The text is not a checkpoint: an origin, a size and a root, each on its line.")
    try:
        root = base64.b64decode(lines[2], validate=True)
    except ValueError:
        root = b""
    checkpoint = Checkpoint(lines[0], int(lines[1]), root)
    if len(root) != HASH_BYTES or format_checkpoint(checkpoint) != text:
        raise InvalidNote("The checkpoint's root is not 32 bytes in base64.")
    return checkpoint
