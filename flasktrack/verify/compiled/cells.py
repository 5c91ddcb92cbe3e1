"""A block of rows as compiled code sees it: an arena of bytes, and for each value where in it it stands.

cells[row, column] = (kind, offset in the arena or the number itself, length in bytes)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from flasktrack.core.record import MAX_RELATED, Record

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]

NULL, NUMBER, TEXT, BINARY, OTHER = range(5)
"""What a value is; OTHER is one that no record can hold."""

COLUMNS = 31
"""A row of `Streams.records`: `Record`'s fields but for the organization, then body and salt of the sections."""
AT = {name: place for place, name in enumerate(Record._fields[1:])}
"""Where each of `Record`'s fields stands."""
SEQ, RECORD_ID, OCCURRED_AT, RECORDED_AT = AT["seq"], AT["record_id"], AT["occurred_at"], AT["recorded_at"]
ACTOR_TYPE, ACTOR_ID, ACTOR_NAME = AT["actor_type"], AT["actor_id"], AT["actor_name"]
ACTOR_SEQ = AT["actor_seq"]
ENTITY_TYPE, ENTITY_ID, ENTITY_SEQ = AT["entity_type"], AT["entity_id"], AT["entity_seq"]
RELATED, PREV_HASH, HASH = AT["related"], AT["prev_hash"], AT["hash"]
BEFORE_DIGEST = AT["before_digest"]
BODIES = HASH + 1
"""Body and salt of `before`, `after` and `context`, in this order."""
BEFORE, AFTER, CONTEXT = BODIES, BODIES + 2, BODIES + 4

LINK_COLUMNS = 3
"""seq, entity_type and entity_id of record_link."""

TIME_FORM: Bytes = np.frombuffer(b"0000-00-00T00:00:00.000000Z", dtype=np.uint8)
"""A time's text (spec section 1): digits, and what stands between them."""
TIME_BYTES = len(TIME_FORM)

ROWS = 2048
LINKS = ROWS * MAX_RELATED
"""How many rows and links a block holds at most."""
ARENA, LINK_ARENA = 8 << 20, 8 << 20
"""Bytes of their values."""


class Unreadable(Exception):
    """Compiled code can't read this. Whoever reads it by the driver learns why, if there is a why."""


class Cells:
    """Room for a block of rows or links."""

    def __init__(self, rows: int, columns: int, arena: int) -> None:
        self.cells: Numbers = np.zeros((rows, columns, 3), dtype=np.int64)
        self.arena: Bytes = np.zeros(arena, dtype=np.uint8)
        self.address = self.arena.ctypes.data
