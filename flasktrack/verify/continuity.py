"""Ordinals and states: is each actor's and entity's history whole (`ordinal_gap`, `state_gap`)?

Both need the record before of the same actor or entity, however far back. While records stream by, a row of seven
integers each goes onto a tape in a temporary file; afterwards the tape is sorted by actor and by entity, one share
of the keys at a time. So memory stays flat, and ranges that were read by several workers can be put together.
"""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256

import numpy as np
import numpy.typing as npt

ABSENT, UNKNOWN = 0, 1
"""Fingerprints of a section that is null, and of one whose content can't be relied on."""

_SHARE = 400_000  # rows sorted at a time: 22 MB
_ROW = struct.Struct("7q")
_FLUSH = 20_000 * _ROW.size
_READ = 100_000 * _ROW.size

_ACTOR, _ENTITY, _SEQ, _ACTOR_SEQ, _ENTITY_SEQ, _BEFORE, _AFTER = range(7)
Rows = npt.NDArray[np.int64]


def fingerprint(seed: bytes, body: bytes) -> int:
    """63 bits that stand for a section's body on a tape of this seed; never ABSENT or UNKNOWN."""
    return _number(seed + body) | 2


@lru_cache(maxsize=100_000)
def name_key(seed: bytes, type_: str, id_: str) -> int:
    """63 bits that stand for an actor or entity on a tape of this seed."""
    name = type_.encode("utf-8", "surrogatepass")
    return _number(seed + len(name).to_bytes(8, "little") + name + id_.encode("utf-8", "surrogatepass"))


def _number(content: bytes) -> int:
    return int.from_bytes(sha256(content).digest()[:8], "little") >> 1


class Tape:
    """One row for each trusted record, in order of seq.

    `seed` is drawn anew for each verification, so that nobody can prepare two states or names that look alike; the
    tapes of its workers have the same one.
    """

    def __init__(self, seed: bytes | None = None) -> None:
        self.seed = seed or os.urandom(32)
        self._buffer = bytearray()
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)

    def write(
        self, actor: int, entity: int, seq: int, actor_seq: int, entity_seq: int, before: int, after: int
    ) -> None:
        """Add a record: `name_key` of its actor and entity, the fingerprints of its sections for its states.

        Raises struct.error where one of them is no 64-bit integer.
        """
        self._buffer += _ROW.pack(actor, entity, seq, actor_seq, entity_seq, before, after)
        if len(self._buffer) >= _FLUSH:
            self._flush()

    def add(self, rows: bytes) -> None:
        """Add what another tape took down: rows of later positions, or of earlier ones."""
        self._buffer += rows
        if len(self._buffer) >= _FLUSH:
            self._flush()

    def taken_down(self) -> bytes:
        """All that was written."""
        self._flush()
        self._file.seek(0)
        return self._file.read()

    def _flush(self) -> None:
        self._file.write(self._buffer)
        self._file.flush()
        self._buffer.clear()

    def close(self) -> None:
        self._file.close()

    def gaps(self, untrusted: npt.NDArray[np.int64], since: int = 1) -> Iterator[tuple[str, int]]:
        """("actor_seq" | "entity_seq" | "state", seq) of each record from `since` on that does not continue its
        actor or entity; what stands before is taken as it is.

        `untrusted` are the starts and ends of the absent and untrusted positions (rows of two, in order): an ordinal
        may skip as many acts as lie between in those, and a state may have changed there. They have findings already.
        """
        self._flush()
        size = os.fstat(self._file.fileno()).st_size
        if not size:
            return
        shares = -(-size // (_SHARE * _ROW.size))
        for key in (_ACTOR, _ENTITY):
            for share in range(shares):
                mine = np.concatenate(list(self._share(size, key, share, shares)))
                mine = mine[np.lexsort((mine[:, _SEQ], mine[:, key]))]
                name = "actor_seq" if key == _ACTOR else "entity_seq"
                ordinal = _ACTOR_SEQ if key == _ACTOR else _ENTITY_SEQ
                for seq in _broken_ordinals(mine, key, ordinal, untrusted, since):
                    yield name, int(seq)
                if key == _ENTITY:
                    changed = _changed_states(mine, untrusted)
                    for seq in changed[changed >= since]:
                        yield "state", int(seq)

    def _share(self, size: int, key: int, share: int, shares: int) -> Iterator[Rows]:
        """The rows whose key falls into a share. (Read, not mapped: memory would hold all of the file.)"""
        for start in range(0, size, _READ):
            block = np.frombuffer(os.pread(self._file.fileno(), _READ, start), dtype=np.int64).reshape(-1, 7)
            yield block if shares == 1 else block[block[:, key] % shares == share]


def _broken_ordinals(rows: Rows, key: int, ordinal: int, untrusted: Rows, since: int) -> Rows:
    """Seqs of rows whose ordinal does not follow that of the row before of the same key."""
    first = _starts(rows, key)
    before_ordinal = np.where(first, 0, np.roll(rows[:, ordinal], 1))
    before_seq = np.where(first, 0, np.roll(rows[:, _SEQ], 1))
    skipped = rows[:, ordinal] - before_ordinal - 1
    odd = (skipped != 0) & (rows[:, _SEQ] >= since)
    explained = _positions_below(untrusted, rows[odd, _SEQ]) - _positions_below(untrusted, before_seq[odd])
    wrong = np.zeros(len(rows), dtype=bool)
    wrong[odd] = (skipped[odd] < 0) | (skipped[odd] > explained)
    # After a single wrong ordinal the count goes on as if that one were right: the next one is no fault of its own.
    ordinal_before_last = np.where(np.roll(first, 1), 0, np.roll(rows[:, ordinal], 2))
    resumed = ~first & np.roll(wrong, 1) & (rows[:, ordinal] == ordinal_before_last + 2)
    broken: Rows = rows[wrong & ~resumed, _SEQ]
    return broken


def _changed_states(rows: Rows, untrusted: Rows) -> Rows:
    """Seqs of rows whose `before` is known and is not the last known `after` of the entity."""
    count = len(rows)
    index = np.arange(count)
    starts = np.maximum.accumulate(np.where(_starts(rows, _ENTITY), index, 0))
    last_with_after = np.maximum.accumulate(np.where(rows[:, _AFTER] != ABSENT, index, -1))
    earlier = np.concatenate(([-1], last_with_after[:-1])) if count else index
    has_earlier = earlier >= starts
    state = rows[np.maximum(earlier, 0), _AFTER]
    differs = has_earlier & (rows[:, _BEFORE] > UNKNOWN) & (state > UNKNOWN) & (rows[:, _BEFORE] != state)
    suspicious = np.flatnonzero(differs)
    since = rows[earlier[suspicious], _SEQ]
    until = rows[suspicious, _SEQ]
    unexplained: Rows = until[_positions_below(untrusted, until) == _positions_below(untrusted, since)]
    return unexplained


def _starts(rows: Rows, key: int) -> npt.NDArray[np.bool_]:
    """Which rows are the first of their key."""
    first = np.ones(len(rows), dtype=bool)
    first[1:] = rows[1:, key] != rows[:-1, key]
    return first


def _positions_below(ranges: Rows, seqs: Rows) -> Rows:
    """How many positions of the ranges lie below each seq; no seq lies inside a range."""
    lengths = np.concatenate(([0], np.cumsum(ranges[:, 1] - ranges[:, 0] + 1)))
    return np.asarray(lengths[np.searchsorted(ranges[:, 0], seqs, side="left")], dtype=np.int64)
