"""Rules on what was changed: deleted wholesale or without a reason, approved by its author, or changed unrecorded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select

from flasktrack.insight import copy_tables
from flasktrack.insight.attention.look import (
    MOST_ROWS,
    TOLD,
    Found,
    Hit,
    Look,
    built_once,
    gravest,
    looked_at,
    newest_of,
    seen,
)
from flasktrack.insight.attention.rule import HIGH, MEDIUM
from flasktrack.insight.attention.said import counted, grouped, lasting, listed, named, only_newest, shortened
from flasktrack.insight.attention.series import dense_ends, find_series
from flasktrack.insight.attention.thresholds import Values
from flasktrack.insight.copy_tables import UNRELIABLE

_INSTANT = timedelta(microseconds=1)
_record = copy_tables.record.c


def is_deletion(set_: Values, act: Any = _record) -> ColumnElement[bool]:
    """Whether an act deleted; `act` are columns of the copy's `record` or `by_actor`."""
    return and_(act.outcome == "success", act.action.in_(set_["actions"]))


def bulk_deletions(look: Look, set_: Values) -> Found:
    """Rule bulk_deletion."""
    if look.has_none("bulk_deletion"):
        return Found()
    hits: list[Hit] = []
    found, note = find_series(look, _ends_of_deletions(set_), set_["acts"])
    for one in found:
        why = f"{named(one)} deleted {counted(one.acts, 'entity', 'entities')} within {lasting(one.last - one.first)}."
        hits += look.hit(
            "bulk_deletion", HIGH, why, one.acts, one.last,
            actors=(f"{one.actor_type}:{one.actor_id}",), actions=set_["actions"], outcomes=("success",),
            occurred_from=one.first, occurred_to=one.last + _INSTANT,
        )  # fmt: skip
    return gravest(hits, note=note)


@built_once
def _ends_of_deletions(set_: Values) -> Select[Any]:
    return dense_ends(is_deletion(set_), set_["acts"], timedelta(minutes=set_["minutes"]))


def needs_reason(set_: Values, act: Any = _record) -> ColumnElement[bool]:
    """Whether an act succeeded that deletes, or on what is critical; `act` as for `is_deletion`."""
    return and_(act.outcome == "success", or_(act.action.in_(set_["actions"]), act.entity_type.in_(set_["types"])))


def changes_without_reason(look: Look, set_: Values) -> Found:
    """Rule no_reason."""
    if look.has_none("no_reason"):
        return Found()
    rows, note = look.newest(_changed_silently(set_))
    groups = grouped(rows, "actor_type", "actor_id", "action", "entity_type")
    graded = [(HIGH if acts[0].action in set_["actions"] else MEDIUM, acts) for acts in groups]
    return look.hits_on("no_reason", graded, _without_reason, note)


@built_once
def _changed_silently(set_: Values) -> Select[Any]:
    silent = or_(_record.reason.is_(None), func.trim(_record.reason) == "")
    deletes = _record.action.in_(set_["actions"])
    return newest_of(needs_reason(set_), silent, or_(deletes, _changes()))


def _without_reason(acts: Sequence[Any]) -> str:
    one = acts[0]
    entities = listed(act.entity_id for act in acts)
    used = f"used {one.action} {counted(len(acts), 'time')} on {one.entity_type} {entities}"
    return f"{named(one)} {used}, without a reason."


def is_approval(set_: Values, act: Any = _record) -> ColumnElement[bool]:
    """Whether a person approved; `act` as for `is_deletion`."""
    return and_(act.outcome == "success", act.actor_type == "user", act.action.in_(set_["actions"]))


def self_approvals(look: Look, set_: Values) -> Found:
    """Rule self_approval."""
    if look.has_none("self_approval"):
        return Found()
    rows = look.rows(_approvals_of_own(set_))
    return look.hits_on("self_approval", [(HIGH, [row]) for row in rows], _self_approved, _only_newest(rows))


@built_once
def _approvals_of_own(set_: Values) -> Select[Any]:
    """Of each approval, the entity's earlier acts tell who changed it since it was last approved. It is one's own where
    oneself did, and nobody else."""
    approval = looked_at(*(_record[name] for name in TOLD)).where(is_approval(set_)).subquery("approval")
    earlier = copy_tables.record.alias("earlier").c
    same = and_(
        seen(earlier, back=True), earlier.seq < approval.c.seq, earlier.outcome == "success",
        earlier.entity_type == approval.c.entity_type, earlier.entity_id == approval.c.entity_id,
    )  # fmt: skip
    approved, changed = earlier.action.in_(set_["actions"]), _changed(earlier)
    own = and_(earlier.actor_type == approval.c.actor_type, earlier.actor_id == approval.c.actor_id)
    last_approval = func.coalesce(_last(earlier.seq, approved), 0)
    last_own = _last(earlier.seq, and_(changed, ~approved, own))
    last_other = func.coalesce(_last(earlier.seq, and_(changed, ~approved, ~own)), 0)
    return (
        select(*approval.c, last_own.label("own"), func.count().over().label("total"))
        .join_from(approval, earlier.seq.table, same)
        .group_by(*approval.c)
        .having(last_own > last_approval, last_other <= last_approval)
        .order_by(approval.c.seq.desc())
        .limit(MOST_ROWS)
    )


def _self_approved(acts: Sequence[Any]) -> str:
    row = acts[0]
    return (
        f"{named(row)} used {row.action} on {row.entity_type} {shortened(row.entity_id)} (record {row.seq:,}), "
        f"which they alone had changed (record {row.own:,})."
    )


def state_gaps(look: Look, set_: Values) -> Found:
    """Rule state_gap, by the fingerprints of states.

    A `before` that is nowhere recorded as an `after` gives an unrecorded change away, where its entity has a state on
    record at all. One that leads back to a state which was recorded is not seen here: a verification, which follows
    each entity through the whole chain, finds that as well.
    """
    if not look.rows(_ANY_ODD):  # mostly, and far quicker told than what follows
        return Found()
    rows = look.rows(_GAPS)
    return look.hits_on("state_gap", [(HIGH, [row]) for row in rows], _not_recorded, _only_newest(rows))


def _odd(*names: str) -> Select[Any]:
    """SELECT columns of the acts that found a state which is nowhere recorded."""
    known = copy_tables.record.alias("known").c
    recorded = select(known.after_print).where(seen(known, back=True), known.after_print.is_not(None))
    recorded_print = recorded.subquery("recorded").c.after_print
    # Not by EXISTS, for which DuckDB takes twice as long.
    return (
        looked_at(*(_record[name] for name in names))
        .outerjoin(recorded_print.table, recorded_print == _record.before_print)
        .where(_record.before_print != UNRELIABLE, _record.failed.is_(None), recorded_print.is_(None))
    )


def _gaps() -> Select[Any]:
    """SELECT those of them whose entity has a state on record: the last one before, which is reliable."""
    odd, earlier = _odd(*TOLD).subquery("odd"), copy_tables.record.alias("earlier").c
    state = and_(
        seen(earlier, back=True), earlier.seq < odd.c.seq,
        earlier.entity_type == odd.c.entity_type, earlier.entity_id == odd.c.entity_id,
        earlier.after_print.is_not(None),
    )  # fmt: skip
    reliable = and_(earlier.after_print != UNRELIABLE, earlier.failed.is_(None))
    last = func.max(earlier.seq)
    return (
        select(*odd.c, last.label("state_seq"), func.count().over().label("total"))
        .join_from(odd, earlier.seq.table, state)
        .group_by(*odd.c)
        .having(last == _last(earlier.seq, reliable))
        .order_by(odd.c.seq.desc())
        .limit(MOST_ROWS)
    )


def _not_recorded(acts: Sequence[Any]) -> str:
    row = acts[0]
    return (
        f"What {named(row)} found in {row.entity_type} {shortened(row.entity_id)} (record {row.seq:,}) is not what "
        f"was last recorded of it (record {row.state_seq:,})."
    )


def _changes(record: Any = _record) -> ColumnElement[bool]:
    """Whether an act changed what was there: not one that creates, and not one that only reads."""
    before, after = record.before_print, record.after_print
    return and_(before.is_not(None), or_(after.is_(None), before != after))


def _changed(record: Any) -> ColumnElement[bool]:
    """Whether an act left another state than it found, a first one included."""
    before, after = record.before_print, record.after_print
    return and_(after.is_not(None), or_(before.is_(None), before != after))


def _last(seq: ColumnElement[int], condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.max(case((condition, seq)))


def _only_newest(rows: Sequence[Any]) -> str | None:
    return only_newest(len(rows), rows[0].total) if rows else None


_ANY_ODD, _GAPS = _odd("seq").limit(1), _gaps()
