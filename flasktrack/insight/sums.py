"""Sums over the copy's records: what is asked of all of them, without a look at each.

There is one table for each set of columns that questions group by. The records of a batch are summed when they are
taken in, and put together with the sums that there are: those of the same `found_by`, a number that stands for the key
(one more key of that number is put back as it was). A question names what it groups by and which numbers it wants;
it is answered from the smallest table that has those columns, or else from the records.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Text,
    case,
    delete,
    func,
    select,
    tuple_,
)

from flasktrack.core.clocks import QUARTER
from flasktrack.insight.copy_tables import SUMS, Sums, copied, record
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.inserting import arrow_schema, each, fetch_rows, insert_rows, late_materialized
from flasktrack.insight.quarter_hours import quarter_hour

_TOGETHER = {
    "records": "sum", "marked": "sum", "oldest": "min", "newest": "max",
    "first_occurred": "min", "last_occurred": "max",
}  # fmt: skip
"""How sums of the same key are put together."""
_STORED = tuple(_TOGETHER)
_OF_ROWS: list[tuple[Any, str]] = [
    ([], "count_all"), ("failed", "count"), ("seq", "min"), ("seq", "max"), ("occurred_at", "min"),
    ("occurred_at", "max"),
]  # fmt: skip
_COUNTED = ["count_all", "failed_count", "seq_min", "seq_max", "occurred_at_min", "occurred_at_max"]
"""How they are counted in the copy's rows, and what Arrow calls that."""
_QUARTER = 1_000_000 * QUARTER
_KEYS_AT_ONCE = 20_000
_BETWEEN = "\0"  # stands between the parts of a key
_AT_ONCE = 200_000  # positions whose sums are made at once, where all are made anew
_OUTCOMES = {"denied": ("denied",), "failed": ("failure",), "not_successful": ("denied", "failure")}


def grouped(
    organization_id: str,
    chosen: RecordFilter,
    key: Sequence[str],
    *numbers: str,
    among: Sequence[Sequence[str | None]] | None = None,
) -> Select[Any]:
    """SELECT the columns of `key`, and numbers, of the records that meet a filter, grouped by `key`.

    Numbers are `records`, `marked` (so many failed their check), `oldest` and `newest` (positions), `first_occurred`,
    `last_occurred`, and how many were `denied`, `failed` or `not_successful`. `quarter` in a key is the quarter hour.
    `among`: only these keys are given, and rarely another one that `found_by` can't tell from them.
    """
    sums = _fitting(chosen, {*key, *(["outcome"] if any(number in _OUTCOMES for number in numbers) else [])})
    if sums is None:
        columns = [_of_record(name) for name in key]
        counted = [_counted(number).label(number) for number in numbers]
        found = copied(organization_id, *columns, *counted).where(*chosen.copied_conditions()).group_by(*columns)
        return found if among is None else found.where(_is_among(columns, among))
    table = sums.table
    columns = [table.c[name] for name in key]
    alone = set(key) == set(sums.key)  # nothing to be put together
    added = [_added(table, number, alone=alone).label(number) for number in numbers]
    found = select(*columns, *added).where(table.c.organization_id == organization_id, *chosen.sum_conditions(table))
    if among is not None and tuple(key) == sums.key:
        prints = [key_print(organization_id, *one) for one in among]
        found = found.where(table.c.found_by.in_(select(each(prints, BigInteger))))
    elif among is not None:
        found = found.where(_is_among(columns, among))
    return found if alone else found.group_by(*columns)


def _is_among(columns: Sequence[ColumnElement[Any]], keys: Sequence[Sequence[str | None]]) -> ColumnElement[bool]:
    return tuple_(*columns).in_(select(*(each(values, Text) for values in zip(*keys, strict=True))))


def count(rows: pa.Table) -> list[pa.Table]:
    """The sums of some of the copy's rows, for each of SUMS."""
    moments = rows["occurred_at"].cast(pa.int64())
    quarters = pa.array(moments.fill_null(0).to_numpy() // _QUARTER, mask=moments.is_null().to_numpy())
    rows = rows.append_column("quarter", quarters)
    counted = []
    for sums in SUMS:
        key = ["organization_id", *sums.key]
        of_rows = rows.group_by(key).aggregate(_OF_ROWS).select([*key, *_COUNTED])
        counted.append(of_rows.rename_columns([*key, *_STORED]))
    return counted


def add(connection: Connection, organization_id: str, counted: Sequence[Sequence[pa.Table]]) -> None:
    """Add what `count` gave of records that were just taken in, several times, to the sums."""
    for sums, fresh in zip(SUMS, zip(*counted, strict=True), strict=True):
        summed = fresh[0] if len(fresh) == 1 else _put_together(sums.key, fresh)
        _put(connection, organization_id, sums, summed)


def renew(connection: Connection, organization_id: str) -> None:
    """Make the sums anew: records that they counted were read again."""
    for _, table in SUMS:
        connection.execute(delete(table).where(table.c.organization_id == organization_id))
    seq = record.c.seq
    first = copied(organization_id, func.min(seq))
    start = connection.execute(first).scalar()
    while start is not None:
        end = start + _AT_ONCE
        for sums in SUMS:
            schema = arrow_schema(sums.table)
            schema = schema.remove(schema.get_field_index("found_by"))
            summed = _summed(organization_id, sums.key, seq >= start, seq < end)
            _put(connection, organization_id, sums, fetch_rows(connection, schema, summed))
        start = connection.execute(first.where(seq >= end)).scalar()  # an altered record may stand far off


def _put(connection: Connection, organization_id: str, sums: Sums, fresh: pa.Table) -> None:
    """Put sums together with those that there are, so many at a time as may be held as Python's objects."""
    table, schema = sums.table, arrow_schema(sums.table)
    for start in range(0, fresh.num_rows, _KEYS_AT_ONCE):
        some = fresh.slice(start, _KEYS_AT_ONCE)
        some = some.add_column(len(sums.key) + 1, "found_by", _prints(sums, some)).cast(schema)
        given = select(each(some["found_by"].unique().to_pylist(), BigInteger))
        of_them = table.c.organization_id == organization_id, table.c.found_by.in_(given)
        known = late_materialized(connection, table, *of_them)
        taken = fetch_rows(connection, schema, delete(table).where(known).returning(*table.c))
        insert_rows(connection, table, _put_together([*sums.key, "found_by"], [some, taken]))


def _put_together(key: Sequence[str], counted: Sequence[pa.Table]) -> pa.Table:
    """One row for each key of the tables."""
    named = ["organization_id", *key]
    together = pa.concat_tables(counted).group_by(named).aggregate(list(_TOGETHER.items()))
    columns = together.select([*named, *(f"{number}_{how}" for number, how in _TOGETHER.items())])
    return columns.rename_columns([*named, *_STORED])


def _prints(sums: Sums, rows: pa.Table) -> pa.Array:
    """`found_by` of each row."""
    if "quarter" in sums.key:  # in their order, so that most of their sums need not even be looked through
        return rows["quarter"].fill_null(0)
    parts = [rows[name].fill_null("") for name in ("organization_id", *sums.key)]
    keys = pc.binary_join_element_wise(*parts, _BETWEEN).cast(pa.binary()).to_pylist()
    return pa.array([_print(key) for key in keys], pa.int64())


def key_print(*key: str | None) -> int:
    """64 bits that tell a key from almost every other: a column of them is far quicker to look through than names."""
    return _print(_BETWEEN.join(part or "" for part in key).encode(errors="replace"))


def _print(joined: bytes) -> int:
    return int.from_bytes(blake2b(joined, digest_size=8).digest(), "big", signed=True)


def _fitting(chosen: RecordFilter, wanted: set[str]) -> Sums | None:
    if chosen.summed is None:
        return None
    return next((sums for sums in SUMS if wanted | chosen.summed <= set(sums.key)), None)


def _summed(organization_id: str, key: Sequence[str], *conditions: ColumnElement[bool]) -> Select[Any]:
    """The sums of records by a key, in the order of a table of sums, but for `found_by`."""
    columns = [record.c.organization_id, *map(_of_record, key)]
    numbers = (_counted(number).label(number) for number in _STORED)
    return copied(organization_id, *columns, *numbers).where(*conditions).group_by(*columns)


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
        return counted if alone else func.sum(counted)
    put_together: ColumnElement[Any] = getattr(func, _TOGETHER[number])(column[number])
    return column[number] if alone else put_together
