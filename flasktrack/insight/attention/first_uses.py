"""What an actor did, or was, for the first time: an action, a role, a credential, a network address."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, CompoundSelect, Select, and_, cast, func, literal, select, union_all

from flasktrack.insight import copy_tables
from flasktrack.insight.attention.look import FIRST, LOOK_BACK, MOST_ROWS, Look, looked_at
from flasktrack.insight.attention.said import counted, shortened

_FEW = ("action", "actor_role", "credential_id")
_MANY = "ip"
_record = copy_tables.record.c


class FirstUse(NamedTuple):
    """An actor's first use of a value: the position of that act, which was the actor's act number `ordinal`.

    `acts` is how many such acts there are since, and `last` when the last of them occurred.
    """

    kind: str
    actor_type: str
    actor_id: str
    actor_name: str | None
    value: str
    first: int
    ordinal: int
    acts: int
    last: datetime | None

    @property
    def actor(self) -> str:
        """As a filter names the actor."""
        return f"{self.actor_type}:{self.actor_id}"

    @property
    def is_person(self) -> bool:
        return self.actor_type == "user"

    @property
    def known(self) -> int:
        """How many acts the actor had done before."""
        return self.ordinal - 1

    def said(self, look: Look, used: str) -> str:
        """In a sentence, where `used` is what the actor did with the value."""
        # Unless it was looked back to the very beginning, "first" is no more than that.
        since = "" if look.span.back == 1 else f" in {LOOK_BACK:,} records before the period and since"
        who = shortened(self.actor_name or self.actor_id)
        known = counted(self.known, "earlier act")
        return f"{who} {used} {shortened(self.value)} for the first time{since}, after {known}."


def find_first_uses(look: Look) -> Sequence[FirstUse]:
    """The first uses among the records that are looked at, the newest first; not those of actors who are new here.

    An actor whose very first act is among them is new: everything would be a first use.
    """
    uses = (use for question in QUESTIONS for use in look.once(question))
    return sorted(uses, key=attrgetter("first"), reverse=True)[:MOST_ROWS]


def _uses_of_few(look: Look) -> list[FirstUse]:
    return [FirstUse._make(row) for row in look.rows(_FEW_USES)]


def _uses_of_many(look: Look) -> list[FirstUse]:
    return [FirstUse._make(row) for row in look.rows(_MANY_USES)]


QUESTIONS = (_uses_of_few, _uses_of_many)
"""What `find_first_uses` asks once: each takes as long as several rules, so they are best asked side by side."""


def _of_few() -> CompoundSelect[Any]:
    """SELECT the first uses of kinds with few values: put together from sums by all of them, so of one scan."""
    key = (_record.actor_type, _record.actor_id, *(_record[kind] for kind in _FEW))
    sums = looked_at(
        *key, func.max(_record.actor_name).label("actor_name"), func.min(_record.seq).label("first"),
        func.min(_record.actor_seq).label("ordinal"), func.count().label("acts"),
        func.max(_record.occurred_at).label("last"), back=True,
    ).group_by(*key).cte("sums").c  # fmt: skip
    first, ordinal = func.min(sums.first), func.min(sums.ordinal)
    acts = cast(func.sum(sums.acts), BigInteger)
    found = (
        select(literal(kind).label("kind"), sums.actor_type, sums.actor_id, func.max(sums.actor_name), sums[kind],
               first, ordinal, acts, func.max(sums.last))
        .where(sums[kind].is_not(None))
        .group_by(sums.actor_type, sums.actor_id, sums[kind])
        .having(first >= FIRST, ordinal > 1)
        .order_by(first.desc())
        .limit(MOST_ROWS)
        for kind in _FEW
    )  # fmt: skip
    return union_all(*(select(of_kind.subquery()) for of_kind in found))


def _of_many() -> Select[Any]:
    """SELECT the first uses of the kind with many values: the rest is told of those that are found alone."""
    key, value = (_record.actor_type, _record.actor_id), _record[_MANY]
    first, ordinal = func.min(_record.seq), func.min(_record.actor_seq)
    use = (
        looked_at(*key, value, first.label("first"), ordinal.label("ordinal"), back=True)
        .where(value.is_not(None))
        .group_by(*key, value)
        .having(first >= FIRST, ordinal > 1)
        .order_by(first.desc())
        .limit(MOST_ROWS)
        .cte("use")
        .c
    )
    same = and_(value == use[_MANY], *(column.is_not_distinct_from(use[column.name]) for column in key))
    return (
        looked_at(literal(_MANY), *key, func.max(_record.actor_name), value, use.first, use.ordinal, func.count(),
                    func.max(_record.occurred_at))
        .join(use.first.table, same)
        .where(_record.seq >= select(func.min(use.first)).scalar_subquery())
        .group_by(*key, value, use.first, use.ordinal)
    )  # fmt: skip


_FEW_USES, _MANY_USES = _of_few(), _of_many()
