"""The rules for sound records, compiled: machine code that reads rows from the database's own library, builds their
headers and hashes them, without making a Python object of any value.

    machine     functions as machine code, kept in files
    making      such files, made by numba
    symbols     the functions of SQLite, libpq and OpenSSL that Python's own modules are linked with
    cells       where the values of a block of rows stand
    sqlite, postgresql      fill a block from a cursor
    header      the canonical header of a row
    sound       is every record of a block in order, by every rule that `verify.chain` has?
    blocks      all of it as one: the next block that is sound

    snapshot    an SQLite database at one moment
    siphash     a hash that nobody foresees
    entries     which rows a table or an index has, in order
    indexes     does every index hold what its table holds?

A block that is not sound throughout, down to a byte, is left to the rules in `verify.chain`, which read it anew and
know what to call it. So nothing here accuses anybody: what it must never do is pass a block that the rules would not.
Where a library can't be reached, those rules read everything.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from flasktrack.core.merkle import HASH_BYTES
from flasktrack.errors import FlaskTrackError
from flasktrack.store.engine import sqlite_file
from flasktrack.store.organizations import chain_sizes
from flasktrack.trust import tree
from flasktrack.verify.compiled.cells import Unreadable

if TYPE_CHECKING:
    from flasktrack.verify.compiled.blocks import Blocks
    from flasktrack.verify.compiled.columns import ColumnBlocks
    from flasktrack.verify.compiled.indexes import Indexes
    from flasktrack.verify.rows import Streams

WORTH_LOADING, WORTH_COMPILING = 10_000, 25_000
"""Records below which loading what was compiled, or compiling it, takes longer than it would save."""

_ready = False
"""What compiled code needs is loaded in this process."""


def load() -> None:
    """Load it, for a process that will need it often. Where llvmlite is not there, or can't be loaded, the rules in
    `verify.chain` read everything."""
    global _ready
    with suppress(ImportError, OSError):
        from flasktrack.verify.compiled import blocks  # noqa: F401

        _ready = True


def open_blocks(streams: Streams, seed: bytes) -> Blocks | None:
    """The rows of `streams` in blocks, for a tape of this seed; None where there are few of them, or compiled code
    can't read them."""
    if not _is_worth_it(streams.last - streams.first + 1):
        return None
    from flasktrack.verify.compiled.blocks import Blocks

    try:
        return Blocks(streams, seed)
    except Unreadable:
        return None


def open_columns(streams: Streams) -> ColumnBlocks | None:
    """As `open_blocks`, in columns."""
    if not _is_worth_it(streams.last - streams.first + 1):
        return None
    from flasktrack.verify.compiled.columns import ColumnBlocks

    try:
        return ColumnBlocks(streams)
    except Unreadable:
        return None


def open_indexes(engine: Engine) -> Indexes | None:
    """A quick check for `IndexCheck`; None where there are few records, or compiled code can't read the database."""
    file = sqlite_file(engine)
    records = None if file is None else _records(engine)
    if file is None or records is None or not _is_worth_it(records):
        return None
    from flasktrack.verify.compiled.indexes import Indexes

    try:
        return Indexes(file)
    except Unreadable:
        return None


def _records(engine: Engine) -> int | None:
    # Either check finds the same: whoever altered the sizes gains nothing by it.
    try:
        return sum(chain_sizes(engine).values())
    except (FlaskTrackError, SQLAlchemyError):  # the other check says what is wrong
        return None


def fold(leaves: bytes) -> bytes:
    """`trust.tree.fold` of hashes that stand one behind the other, by the quickest means at hand."""
    if _ready:
        from flasktrack.verify.compiled import hashing

        with suppress(Unreadable):
            return hashing.fold(leaves)
    return tree.fold([leaves[place : place + HASH_BYTES] for place in range(0, len(leaves), HASH_BYTES)])


def _is_worth_it(records: int) -> bool:
    """Whether compiled code is ready for so many records."""
    if records >= WORTH_LOADING and not _ready:
        load()
    if _ready and records >= WORTH_COMPILING:
        from flasktrack.verify.compiled.machine import allow_compiling

        allow_compiling()
    return _ready
