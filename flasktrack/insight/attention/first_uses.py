"""What an actor did, or was, for the first time: an action, a role, a credential, a network address."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple

from sqlalchemy import func

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

    An actor whose very first act is among them is new: everything would be a first use.
    """
    found = [use for kind in KINDS for use in _of_kind(look, kind)]
    return sorted(found, key=attrgetter("first"), reverse=True)[:MOST_ROWS]


def _of_kind(look: Look, kind: str) -> Iterator[FirstUse]:
    key = (_record.actor_type, _record.actor_id, _record[kind])
    first, ordinal = func.min(_record.seq), func.min(_record.actor_seq)
    statement = (
        look.select(_record.actor_type, _record.actor_id, func.max(_record.actor_name), _record[kind], first, ordinal,
                    func.count(), func.max(_record.occurred_at), back=True)
        .where(_record[kind].is_not(None))
        .group_by(*key)
        .having(first >= look.span.first, ordinal > 1)
        .order_by(first.desc())
        .limit(MOST_ROWS)
    )  # fmt: skip
    for row in look.rows(statement):
        yield FirstUse._make((kind, *row))
