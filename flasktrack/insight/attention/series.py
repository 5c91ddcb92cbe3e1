"""Acts of one actor that come in series: many within a short time, however long the series lasts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, func, select

from flasktrack.insight import copy_tables
from flasktrack.insight.attention.look import Look, looked_at, utc
from flasktrack.insight.attention.said import grouped

MOST_ENDS = 20_000
"""Acts that end a dense stretch, of which series are put together: the newest ones."""
_record = copy_tables.record.c


class Series(NamedTuple):
    """A series of an actor's acts, from the first to the last (UTC)."""

    actor_type: str
    actor_id: str
    actor_name: str | None
    acts: int
    first: datetime
    last: datetime


def dense_ends(condition: ColumnElement[bool], acts: int, within: timedelta) -> Select[Any]:
    """SELECT the acts that meet a condition and end a dense stretch: `acts` of one actor, no longer than `within`.

    For each act the database looks `acts - 1` acts of the same actor back, whether that is near enough.
    """
    actor, order = (_record.actor_type, _record.actor_id), (_record.occurred_at, _record.seq)
    began = func.lag(_record.occurred_at, acts - 1).over(partition_by=actor, order_by=order)
    number = func.row_number().over(partition_by=actor, order_by=order)
    numbered = (
        looked_at(*actor, _record.actor_name, _record.occurred_at, began.label("began"), number.label("number"))
        .where(condition, _record.occurred_at.is_not(None))
        .subquery()
    )
    dense = numbered.c.began >= numbered.c.occurred_at - within
    ends = select(numbered).where(dense).order_by(numbered.c.occurred_at.desc(), numbered.c.number.desc())
    return ends.limit(MOST_ENDS)


def find_series(look: Look, ends: Select[Any], acts: int) -> tuple[list[Series], str | None]:
    """The series that are made of stretches of `acts` acts, of which `dense_ends` selects the ends.

    Stretches that share an act are one series. With them comes a sentence where there are more.
    """
    rows = look.rows(ends)
    found = [one for of_actor in grouped(rows, "actor_type", "actor_id") for one in _joined(of_actor, acts)]
    note = f"Series are put together of the newest {MOST_ENDS:,} acts alone." if len(rows) == MOST_ENDS else None
    return found, note


def _joined(ends: list[Row[Any]], acts: int) -> Iterator[Series]:
    """The series of one actor, from the acts that end its dense stretches, the latest first."""
    last = earliest = ends[0]
    for end in ends[1:]:
        if end.number <= earliest.number - acts:  # its stretch has no act in common with the one after it
            yield _series(last, earliest, acts)
            last = end
        earliest = end
    yield _series(last, earliest, acts)


def _series(last: Row[Any], earliest: Row[Any], acts: int) -> Series:
    """From the acts that end its last and its earliest dense stretch."""
    return Series(
        last.actor_type, last.actor_id, last.actor_name,
        last.number - earliest.number + acts, utc(earliest.began), utc(last.occurred_at),
    )  # fmt: skip
