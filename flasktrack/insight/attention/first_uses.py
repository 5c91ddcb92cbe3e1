"""What an actor did, or was, for the first time: an action, a role, a credential, a network address."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, or_, select, tuple_

from flasktrack.insight import copy_tables
from flasktrack.insight.attention.look import LOOK_BACK, MOST_ROWS, Look
from flasktrack.insight.attention.said import counted, shortened

KINDS = ("action", "actor_role", "credential_id", "ip")
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

    All kinds at once: the records are counted by everything together, and what comes of that, which is little, by
    each kind. An actor whose very first act is among them is new: everything would be a first use.
    """
    key = (_record.actor_type, _record.actor_id, *(_record[kind] for kind in KINDS))
    together = (
        look.select(*key, func.min(_record.seq).label("first"), func.min(_record.actor_seq).label("ordinal"),
                    func.count().label("acts"), func.max(_record.actor_name).label("actor_name"),
                    func.max(_record.occurred_at).label("last"), back=True)
        .group_by(*key)
        .cte("together")
    ).c  # fmt: skip
    first, valued = func.min(together.first), or_(*(together[kind].is_not(None) for kind in KINDS))
    sets = [tuple_(together.actor_type, together.actor_id, together[kind]) for kind in KINDS]
    statement = (
        select(together.actor_type, together.actor_id, *(together[kind] for kind in KINDS),
               func.max(together.actor_name).label("actor_name"), first.label("first"),
               func.min(together.ordinal).label("ordinal"), func.sum(together.acts).label("acts"),
               func.max(together.last).label("last"))
        .group_by(func.grouping_sets(*sets))
        .having(first >= look.span.first, func.min(together.ordinal) > 1, valued)
        .order_by(first.desc())
        .limit(MOST_ROWS)
    )  # fmt: skip
    found = []
    for row in look.rows(statement):
        kind = next(kind for kind in KINDS if getattr(row, kind) is not None)
        found.append(
            FirstUse(kind, row.actor_type, row.actor_id, row.actor_name, getattr(row, kind), row.first, row.ordinal,
                     int(row.acts), row.last)
        )  # fmt: skip
    return found
