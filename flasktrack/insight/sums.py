"""Sums over the copy's records: what is asked of all of them, without a look at each.

There is one table for each set of columns that questions group by. The records of a batch are summed when they are
taken in, and put together with the sums that there are: those of the same `found_by`, a number that stands for the key
(one more key of that number is put back as it was). A question names what it groups by and which numbers it wants;
it is answered from the smallest table that has those columns, or else from the records.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    case,
    delete,
    func,
    insert,
    literal,
    select,
    tuple_,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from flasktrack.insight.copy_tables import SUMS, Sums, copied, record
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.inserting import each, fetch_rows, insert_rows
from flasktrack.insight.quarter_hours import quarter_hour

_TOGETHER = {
    "records": "sum", "marked": "sum", "oldest": "min", "newest": "max",
    "first_occurred": "min", "last_occurred": "max",
}  # fmt: skip
"""How sums of the same key are put together."""
_STORED = tuple(_TOGETHER)
_OUTCOMES = {"denied": ("denied",), "failed": ("failure",), "not_successful": ("denied", "failure")}


class key_print(GenericFunction[int]):  # noqa: N801 (a function in SQL)
    """64 bits that tell a key from almost every other: a column of them is far quicker to look through than names."""

    type = BigInteger()
    inherit_cache = True


@compiles(key_print, "postgresql")
def _in_postgresql(element: key_print, compiler: SQLCompiler, **kw: Any) -> str:
    return f"('x' || left(md5(concat_ws(chr(1), {compiler.process(element.clauses, **kw)})), 16))::bit(64)::bigint"


@compiles(key_print, "duckdb")
def _in_duckdb(element: key_print, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CAST(md5_number_lower(concat_ws(chr(1), {compiler.process(element.clauses, **kw)})) >> 1 AS BIGINT)"


def grouped(
    organization_id: str, chosen: RecordFilter, key: Sequence[str], *numbers: str, among: FromClause | None = None
) -> Select[Any]:
    """SELECT the columns of `key`, and numbers, of the records that meet a filter, grouped by `key`.

    Numbers are `records`, `marked` (so many failed their check), `oldest` and `newest` (positions), `first_occurred`,
    `last_occurred`, and how many were `denied`, `failed` or `not_successful`. `quarter` in a key is the quarter hour.
    `among` has the columns of `key`: only these keys are given, and rarely another one that `found_by` can't tell from
    them.
    """
    sums = _fitting(chosen, {*key, *(["outcome"] if any(number in _OUTCOMES for number in numbers) else [])})
    if sums is None:
        columns = [_of_record(name) for name in key]
        counted = [_counted(number).label(number) for number in numbers]
        found = copied(organization_id, *columns, *counted).where(*chosen.copied_conditions()).group_by(*columns)
        return found if among is None else found.where(tuple_(*columns).in_(select(*(among.c[name] for name in key))))
    table = sums.table
    added: list[ColumnElement[Any]] = [_added(table, number).label(number) for number in numbers]
    mine = [table.c.organization_id == organization_id]
    if among is not None:
        mine.append(_is_among(organization_id, sums, key, among))
    if set(key) == set(sums.key):  # nothing to be put together
        added = [table.c[number] if number in _STORED else _added(table, number, alone=True) for number in numbers]
        return select(*(table.c[name] for name in key), *added).where(*mine, *chosen.sum_conditions(table))
    columns = [table.c[name] for name in key]
    return select(*columns, *added).where(*mine, *chosen.sum_conditions(table)).group_by(*columns)


def add(connection: Connection, organization_id: str, first: int, last: int) -> None:
    """Add the records from `first` to `last`, which were just taken in, to the sums."""
    for key, table in SUMS:
        fresh = fetch_rows(connection, table, _summed(organization_id, key, record.c.seq.between(first, last)))
        given = each(fresh["found_by"].unique().to_pylist(), BigInteger)
        known = table.c.organization_id == organization_id, table.c.found_by.in_(select(given))
        taken = fetch_rows(connection, table, delete(table).where(*known).returning(*table.c))
        columns = ["organization_id", *key, "found_by"]
        together = pa.concat_tables([fresh, taken]).group_by(columns).aggregate(list(_TOGETHER.items()))
        named = together.select([*columns, *(f"{number}_{how}" for number, how in _TOGETHER.items())])
        insert_rows(connection, table, named.rename_columns(table.columns.keys()))


def renew(connection: Connection, organization_id: str) -> None:
    """Make the sums anew: records that they counted were read again."""
    for key, table in SUMS:
        connection.execute(delete(table).where(table.c.organization_id == organization_id))
        connection.execute(insert(table).from_select(table.columns.keys(), _summed(organization_id, key)))


def _is_among(organization_id: str, sums: Sums, key: Sequence[str], among: FromClause) -> ColumnElement[bool]:
    if set(key) != set(sums.key):
        return tuple_(*(sums.table.c[name] for name in key)).in_(select(*(among.c[name] for name in key)))
    prints = select(key_print(literal(organization_id), *(among.c[name] for name in sums.key)))
    return sums.table.c.found_by.in_(prints)


def _fitting(chosen: RecordFilter, wanted: set[str]) -> Sums | None:
    if chosen.summed is None:
        return None
    return next((sums for sums in SUMS if wanted | chosen.summed <= set(sums.key)), None)


def _summed(organization_id: str, key: Sequence[str], *conditions: ColumnElement[bool]) -> Select[Any]:
    """The sums of records by a key, in the order of a table of sums."""
    columns = [record.c.organization_id, *map(_of_record, key)]
    numbers = (_counted(number).label(number) for number in _STORED)
    summed = copied(organization_id, *columns, *numbers).where(*conditions).group_by(*columns).subquery()
    columns = [summed.c[name] for name in ("organization_id", *key)]
    # Quarter hours come in their order, so that most of their sums need not even be looked through.
    found_by = func.coalesce(summed.c.quarter, 0) if "quarter" in key else key_print(*columns)
    return select(*columns, found_by, *(summed.c[number] for number in _STORED))


def _of_record(name: str) -> ColumnElement[Any]:
    return quarter_hour(record.c.occurred_at).label("quarter") if name == "quarter" else record.c[name]


def _counted(number: str) -> ColumnElement[Any]:
    """A number of records."""
    if number in _OUTCOMES:
        return func.sum(case((record.c.outcome.in_(_OUTCOMES[number]), 1), else_=0))
    if number == "records":
        return func.count()
    if number == "marked":
        return func.count(record.c.failed)
    if number in ("oldest", "newest"):
        return (func.min if number == "oldest" else func.max)(record.c.seq)
    return (func.min if number == "first_occurred" else func.max)(record.c.occurred_at)


def _added(sums: FromClause, number: str, *, alone: bool = False) -> ColumnElement[Any]:
    """The same number of sums put together; of each `alone` where there is nothing to put together."""
    column = sums.c
    if number in _OUTCOMES:
        counted = case((column.outcome.in_(_OUTCOMES[number]), column.records), else_=0)
        return counted.label(number) if alone else func.sum(counted)
    put_together: ColumnElement[Any] = getattr(func, _TOGETHER[number])(column[number])
    return put_together
