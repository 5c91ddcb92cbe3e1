"""The rules for sound records, compiled: machine code that reads rows from the database's own library, builds their
headers and hashes them, without making a Python object of any value.

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

numba compiles each function when it is first needed, and keeps what it made beside the module.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

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

T = TypeVar("T")

WORTH_LOADING = 25_000
"""Records below which loading what was compiled takes longer than it would save."""

_ready = False
"""Compiled code was opened in this process, so all that it calls is there."""


def open_blocks(streams: Streams, seed: bytes) -> Blocks | None:
    """The rows of `streams` in blocks, for a tape of this seed; None where there are few of them, or compiled code
    can't read them."""
    if not _is_worth_it(streams):
        return None
    from flasktrack.verify.compiled.blocks import Blocks

    try:
        return _opened(Blocks(streams, seed))
    except Unreadable:
        return None


def open_columns(streams: Streams) -> ColumnBlocks | None:
    """As `open_blocks`, in columns."""
    if not _is_worth_it(streams):
        return None
    from flasktrack.verify.compiled.columns import ColumnBlocks

    try:
        return _opened(ColumnBlocks(streams))
    except Unreadable:
        return None


def open_indexes(engine: Engine) -> Indexes | None:
    """A quick check for `IndexCheck`; None where there are few records, or compiled code can't read the database."""
    file = sqlite_file(engine)
    if file is None or not (_ready or _holds_many(engine)):
        return None
    from flasktrack.verify.compiled.indexes import Indexes

    try:
        return Indexes(file)
    except Unreadable:
        return None


def _holds_many(engine: Engine) -> bool:
    # Either check finds the same: whoever altered the sizes gains nothing by it.
    try:
        return sum(chain_sizes(engine).values()) >= WORTH_LOADING
    except (FlaskTrackError, SQLAlchemyError):  # the other check says what is wrong
        return False


def fold(hashes: Sequence[bytes]) -> bytes:
    """`trust.tree.fold` by the quickest means at hand."""
    if not _ready:
        return tree.fold(hashes)
    from flasktrack.verify.compiled import hashing

    return hashing.fold(hashes)


def _is_worth_it(streams: Streams) -> bool:
    return _ready or streams.last - streams.first >= WORTH_LOADING


def _opened(blocks: T) -> T:
    global _ready
    _ready = True
    return blocks
