"""Novelty: what somebody long known here did for the first time ever, asked of the copy's first uses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Select, Text, and_, bindparam, func, select

from flasktrack.insight import copy_tables
from flasktrack.insight.attention.look import (
    FIRST,
    LAST,
    MOST_HITS,
    ORGANIZATION,
    Found,
    Hit,
    Look,
    aware,
    can_be_chosen,
    gravest,
    how_many,
    looked_at,
)
from flasktrack.insight.attention.rule import LOOKING
from flasktrack.insight.attention.said import counted, shortened
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.first_uses import used_value

_record, _use = copy_tables.record.c, copy_tables.first_use.c
_person = _use.actor_type == "user"
_FIELDS = {"action": "actions", "credential_id": "credentials", "ip": "ips"}
"""The filter's field, by kind; it has none for roles."""
_DONE = {"action": "used", "actor_role": "acted as", "credential_id": "acted through", "ip": "acted from"}


class FirstUse(NamedTuple):
    """An actor's first use of a value: its position, as which of the actor's acts (`ordinal`), and when it occurred.

    `total` is how many first uses there are, also those that are not given.
    """

    kind: str
    actor_type: str
    actor_id: str
    actor_name: str | None
    value: str
    seq: int
    ordinal: int
    occurred_at: datetime | None
    total: int

    @property
    def actor(self) -> str:
        """As a filter names the actor."""
        return f"{self.actor_type}:{self.actor_id}"

    @property
    def said(self) -> str:
        """In a sentence."""
        who = shortened(self.actor_name or self.actor_id)
        known = counted(self.ordinal - 1, "earlier act")
        return f"{who} {_DONE[self.kind]} {shortened(self.value)} for the first time on record, after {known}."

    @property
    def can_be_chosen(self) -> bool:
        """Whether a filter can ask for all that the actor did with the value; it may hold what none can ask for."""
        return can_be_chosen("actors", (self.actor,)) and can_be_chosen(_FIELDS[self.kind], (self.value,))

    def hit(self, rule: str, severity: str) -> Hit:
        """The hit on this act alone."""
        return Hit(rule, severity, self.said, 1, 1, RecordFilter(positions=(self.seq,)), aware(self.occurred_at))


_MEANT = {
    "first_action": and_(_person, _use.kind == "action", _use.value.not_in(LOOKING)),
    "first_address": and_(_person, _use.kind == "ip"),
    "first_role": and_(_person, _use.kind == "actor_role"),
    "first_of_machine": and_(~_person, _use.kind.in_(_FIELDS)),
}
"""Conditions on the first uses, by the name under which they are asked for."""


# Not by its position alone: whoever got round the primary key may have put another record there.
_is_it = and_(
    *(_use[name] == _record[name] for name in ("organization_id", "seq", "actor_type", "actor_id")),
    _use.value == used_value(_use.kind),
)


def _first_uses(meant: ColumnElement[bool]) -> Select[Any]:
    """SELECT the newest first uses that are meant, among the records that are looked at; of actors who had done `known`
    acts before: for whoever is new, everything is a first use."""
    return (
        looked_at(
            _use.kind, _use.actor_type, _use.actor_id, _record.actor_name, _use.value, _use.seq, _record.actor_seq,
            _record.occurred_at, func.count().over(),
        )
        .join(copy_tables.first_use, _is_it)
        .where(_record.actor_seq > bindparam("known", type_=BigInteger), meant)
        .order_by(_use.seq.desc(), _use.kind)
        .limit(MOST_HITS)
    )  # fmt: skip


_FIRST_USES = {name: _first_uses(meant) for name, meant in _MEANT.items()}
COUNT_USES = how_many(_MEANT).where(_use.organization_id == ORGANIZATION, _use.seq.between(FIRST, LAST))
"""SELECT how many of them there are at all: mostly none of some."""


def find_first_uses(look: Look, meant: str, known: int) -> list[FirstUse]:
    """The newest first uses that are meant (`first_action`, `first_address`, `first_role` or `first_of_machine`), by
    actors with at least `known` acts before."""
    if look.has_none(meant):
        return []
    return [FirstUse._make(row) for row in look.rows(_FIRST_USES[meant], known=known)]


def hits_on_uses(look: Look, rule: str, severity: str, uses: Sequence[FirstUse]) -> Found:
    """Hits whose records are all that the actor did with the value."""
    hits, by_kind = list[Hit](), defaultdict[str, list[FirstUse]](list)
    for use in uses:
        if use.can_be_chosen:
            by_kind[use.kind].append(use)
        else:
            hits.append(use.hit(rule, severity))
    for kind, found in by_kind.items():
        hits += _hits(look, rule, severity, kind, found)
    return gravest(hits, uses[0].total - len(uses) + len(hits) if uses else 0)


def _hits(look: Look, rule: str, severity: str, kind: str, uses: Sequence[FirstUse]) -> Iterator[Hit]:
    actors = {"types": [use.actor_type for use in uses], "ids": [use.actor_id for use in uses]}
    first = min(use.seq for use in uses)
    rows = look.rows(_ACTS[kind], **actors, values=[use.value for use in uses], first=first)
    acts = {tuple(row)[:3]: row for row in rows}
    for use in uses:
        row = acts.get((use.actor_type, use.actor_id, use.value))
        if row is not None:  # or else an erasure came between the questions
            chosen = {"actors": (use.actor,), _FIELDS[kind]: (use.value,)}
            yield from look.hit(rule, severity, use.said, row.acts, row.last, **chosen)


def _acts_with(kind: str) -> Select[Any]:
    """SELECT how often, and when last, the actors that are bound did something with the values that are."""
    names = ("types", "ids", "values")
    uses = (func.unnest(bindparam(name, type_=ARRAY(Text))).label(name) for name in names)
    use, key = select(*uses).distinct().subquery("use").c, (_record.actor_type, _record.actor_id, _record[kind])
    return (
        looked_at(*key, func.count().label("acts"), func.max(_record.occurred_at).label("last"))
        .join(use.types.table, and_(*(column == use[name] for column, name in zip(key, names, strict=True))))
        .group_by(*key)
    )


_ACTS = {kind: _acts_with(kind) for kind in _FIELDS}
