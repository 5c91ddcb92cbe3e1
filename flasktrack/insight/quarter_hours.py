"""Counting by quarters of an hour in UTC, in each database's SQL; a zone names them afterwards (see steps.py).

Every offset in use today is a multiple of 15 minutes (Kathmandu is UTC+05:45), so a quarter of an hour never belongs
to two hours of a zone.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from flasktrack.core.clocks import QUARTER

_SHIFT = 62_135_596_800  # seconds from the year 1 to 1970: SQLite's integer division rounds towards zero, not down


class quarter_hour(GenericFunction[int]):  # noqa: N801 (a function in SQL)
    """The quarter hour since 1970 that holds a time; null where the stored text is no time."""

    type = BigInteger()
    inherit_cache = True

    def __init__(self, time: ColumnElement[str]) -> None:
        super().__init__(time)


@compiles(quarter_hour, "sqlite")
def _in_sqlite(element: quarter_hour, compiler: SQLCompiler, **kw: Any) -> str:
    # Without its seconds, since strftime rounds 59.9996 up to the next minute.
    minute = f"substr({compiler.process(element.clauses, **kw)}, 1, 16)"
    quarter = f"(CAST(strftime('%s', {minute}) AS INTEGER) + {_SHIFT}) / {QUARTER} - {_SHIFT // QUARTER}"
    return f"CASE WHEN {minute} LIKE '____-__-__T__:__' THEN {quarter} END"  # strftime takes `now` and 2461000.5, too


@compiles(quarter_hour, "postgresql")
def _in_postgresql(element: quarter_hour, compiler: SQLCompiler, **kw: Any) -> str:
    time = compiler.process(element.clauses, **kw)
    return f"CASE WHEN isfinite({time}) THEN CAST(floor(extract(epoch FROM {time}) / {QUARTER}) AS bigint) END"


@compiles(quarter_hour, "duckdb")
def _in_duckdb(element: quarter_hour, compiler: SQLCompiler, **kw: Any) -> str:
    shifted = f"epoch_us({compiler.process(element.clauses, **kw)}) + {_SHIFT * 1_000_000}"  # rounds towards zero, too
    return f"(({shifted}) // {QUARTER * 1_000_000} - {_SHIFT // QUARTER})"
