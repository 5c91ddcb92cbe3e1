"""Rules on when people acted: at night, many times at once, long before it was recorded, or after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Date,
    DateTime,
    Integer,
    Row,
    Select,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    select,
    union_all,
)
from sqlalchemy.types import TypeEngine

from flasktrack.insight import copy_tables
from flasktrack.insight.attention.look import (
    MOST_HITS,
    MOST_ROWS,
    Found,
    Hit,
    Look,
    built_once,
    gravest,
    looked_at,
    looks,
    naive,
    newest_of,
    together,
    utc,
)
from flasktrack.insight.attention.rule import LOW, MEDIUM
from flasktrack.insight.attention.said import counted, grouped, lasting, named
from flasktrack.insight.attention.thresholds import Values
from flasktrack.insight.attention.working_hours import Stretch, off_hours
from flasktrack.insight.filter_values import MAX_VALUES

MOST_DAYS = 366
"""Days for which nights are told from days: beyond, only the last of a period."""
_INSTANT = timedelta(microseconds=1)
_record = copy_tables.record.c


def acts_off_hours(look: Look, set_: Values) -> Found:
    """Rule off_hours."""
    begins, ends = look.span.begins, look.span.ends
    if begins is None or ends is None:
        return Found()
    earliest = max(begins, ends - timedelta(days=MOST_DAYS))
    nights = off_hours(look.zone, set_["begins"], set_["ends"], set_["days"], earliest, ends + _INSTANT)
    if not nights:
        return Found()
    note = f"Nights are told from days for the last {MOST_DAYS} days of the period." if earliest > begins else None
    rows = look.rows(_busy_nights(set_), **bound(nights))
    return together(
        _in_nights(look, nights, [row for row in rows if row.did == "acted"], MEDIUM, note),
        _in_nights(look, nights, [row for row in rows if row.did != "acted"], LOW, note),
    )


@built_once
def _busy_nights(set_: Values) -> CompoundSelect[Any]:
    acts = by_night().cte("acts")
    return union_all(
        _nights_with(acts, "acted", ~acts.c.looks, set_["acts"]),
        _nights_with(acts, "viewed or searched", acts.c.looks, set_["looks"]),
    )


def by_night() -> Select[Any]:
    """SELECT the acts of people in the nights that are `bound`, by actor, number of the night and action."""
    columns: dict[str, TypeEngine[Any]] = {
        "number": Integer(), "day": Date(), "start": DateTime(), "end": DateTime(),
    }  # fmt: skip
    rows = (func.unnest(bindparam(f"{name}s", type_=ARRAY(type_))).label(name) for name, type_ in columns.items())
    night, occurred = select(*rows).subquery("night").c, _record.occurred_at
    within = and_(cast(occurred, Date) == night.day, occurred >= night.start, occurred < night.end)
    key = (_record.actor_id, night.number, _record.action)
    return (
        looked_at(*key, looks.label("looks"), func.max(_record.actor_name).label("actor_name"),
                  func.count().label("number_of_acts"), func.min(occurred).label("first"),
                  func.max(occurred).label("last"))
        .join(night.day.table, within)
        .where(_record.actor_type == "user")
        .where(occurred >= bindparam("begins", type_=DateTime), occurred < bindparam("over", type_=DateTime))
        .group_by(*key)
    )  # fmt: skip


def bound(nights: Sequence[Stretch]) -> dict[str, Any]:
    """The nights as a relation, with a row for each day (UTC) that a night touches: an act's day finds its nights."""
    rows = [
        (number, date.fromordinal(day), naive(night.start), naive(night.end))
        for number, night in enumerate(nights)
        for day in range(night.start.toordinal(), (night.end - _INSTANT).toordinal() + 1)
    ]
    numbers, days, starts, ends = (list(values) for values in zip(*rows, strict=True))
    return {
        "numbers": numbers, "days": days, "starts": starts, "ends": ends,
        "begins": naive(nights[0].start), "over": naive(nights[-1].end),
    }  # fmt: skip


def _nights_with(acts: CTE, did: str, meant: ColumnElement[bool], least: int) -> Select[Any]:
    """SELECT nights with so many acts of somebody that are meant, the latest ones."""
    number = cast(func.sum(case((meant, acts.c.number_of_acts), else_=0)), BigInteger)
    last = func.max(case((meant, acts.c.last)))
    nights = (
        select(literal(did).label("did"), acts.c.actor_id, acts.c.number,
               func.max(acts.c.actor_name).label("actor_name"), number.label("acts"),
               cast(func.sum(acts.c.number_of_acts), BigInteger).label("every"),
               func.array_agg(acts.c.action).filter(meant).label("actions"),
               func.min(case((meant, acts.c.first))).label("first"), last.label("last"),
               func.count().over().label("total"))
        .group_by(acts.c.actor_id, acts.c.number)
        .having(number >= least)
        .order_by(last.desc())
        .limit(MOST_HITS)
    )  # fmt: skip
    return select(nights.subquery())


def _in_nights(
    look: Look, nights: Sequence[Stretch], rows: Sequence[Row[Any]], severity: str, note: str | None
) -> Found:
    hits: list[Hit] = []
    for row in rows:
        night = nights[row.number]
        why = (
            f"{named(row)} {row.did} {counted(row.acts, 'time')} outside working hours, {_when(look, night, row)} "
            f"({look.zone.key})."
        )
        hits += look.hit(
            "off_hours", severity, why, row.acts, row.last, **_actions(row),
            actors=(f"user:{row.actor_id}",), occurred_from=night.start, occurred_to=night.end,
        )  # fmt: skip
    return gravest(hits, rows[0].total if rows else 0, note)


def _number(meant: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count(case((meant, 1)))


def _numbers(meant: ColumnElement[bool], action: ColumnElement[str]) -> tuple[ColumnElement[Any], ...]:
    """Of a group: how many acts are meant, how many there are, and by which actions the meant ones can be chosen."""
    actions = func.array_agg(case((meant, action)).distinct())
    return _number(meant).label("acts"), func.count().label("every"), actions.label("actions")


def _actions(row: Any) -> dict[str, tuple[str, ...]]:
    """What a filter says to select the acts of a group that are meant, where that is not all of them."""
    actions = tuple(sorted(action for action in row.actions if action is not None))
    return {} if row.acts == row.every or len(actions) > MAX_VALUES else {"actions": actions}


def _when(look: Look, night: Stretch, row: Any) -> str:
    first, last = (utc(moment).astimezone(look.zone) for moment in (row.first, row.last))
    if first.date() == last.date():
        return f"from {first:%H:%M} to {last:%H:%M} on {first:%A, %Y-%m-%d}"
    return f"from {first:%A, %Y-%m-%d %H:%M} to {last:%A, %H:%M}"


def acts_at_one_instant(look: Look, set_: Values) -> Found:
    """Rule same_instant."""
    instants = [row.occurred_at for row in look.rows(_crowded(set_))]
    if not instants:
        return Found()
    found = (
        looked_at(_record.actor_id, _record.occurred_at, func.max(_record.actor_name).label("actor_name"),
                  *_numbers(~looks, _record.action), func.count().over().label("total"))
        .where(_record.actor_type == "user", _record.occurred_at.in_(instants))
        .group_by(_record.actor_id, _record.occurred_at)
        .having(_number(~looks) >= set_["acts"])
        .order_by(_number(~looks).desc(), _record.occurred_at.desc())
        .limit(MOST_HITS)
    )  # fmt: skip
    rows = look.rows(found)
    hits: list[Hit] = []
    for row in rows:
        moment = utc(row.occurred_at)
        why = f"{named(row)} acted {counted(row.acts, 'time')} at one instant, {moment.astimezone(look.zone)}."
        hits += look.hit(
            "same_instant", LOW, why, row.acts, row.occurred_at, **_actions(row),
            actors=(f"user:{row.actor_id}",), occurred_from=moment, occurred_to=moment + _INSTANT,
        )  # fmt: skip
    return gravest(hits, rows[0].total if rows else 0)


@built_once
def _crowded(set_: Values) -> Select[Any]:
    """SELECT instants by the time alone: that is quickly told, and mostly there is none."""
    number = func.count()
    return (
        looked_at(_record.occurred_at)
        .where(_record.actor_type == "user", ~looks, _record.occurred_at.is_not(None))
        .group_by(_record.occurred_at)
        .having(number >= set_["acts"])
        .order_by(number.desc())
        .limit(MOST_ROWS)
    )


def is_late(set_: Values) -> ColumnElement[bool]:
    """Whether an act was recorded long after it occurred; views and searches are left aside."""
    return and_(~looks, _record.occurred_at < _record.recorded_at - timedelta(hours=set_["hours"]))


def late_entries(look: Look, set_: Values) -> Found:
    """Rule late_entry."""
    return _by_actor(look, "late_entry", _newest_late(set_), _late)


@built_once
def _newest_late(set_: Values) -> Select[Any]:
    return newest_of(is_late(set_))


def _late(acts: Sequence[Any]) -> str:
    longest = max(acts, key=lambda act: act.recorded_at - act.occurred_at)
    return (
        f"{named(acts[0])} recorded {counted(len(acts), 'act')} late, "
        f"up to {lasting(longest.recorded_at - longest.occurred_at)} after the act (record {longest.seq:,})."
    )


def is_ahead(set_: Values) -> ColumnElement[bool]:
    """Whether an act is said to have occurred after it was recorded."""
    return _record.occurred_at > _record.recorded_at + timedelta(minutes=set_["minutes"])


def future_times(look: Look, set_: Values) -> Found:
    """Rule future_time."""
    return _by_actor(look, "future_time", _newest_ahead(set_), _ahead)


@built_once
def _newest_ahead(set_: Values) -> Select[Any]:
    return newest_of(is_ahead(set_))


def _ahead(acts: Sequence[Any]) -> str:
    farthest = max(acts, key=lambda act: act.occurred_at - act.recorded_at)
    return (
        f"{counted(len(acts), 'act')} of {named(acts[0])} bear a time after the one of recording, "
        f"by up to {lasting(farthest.occurred_at - farthest.recorded_at)} (record {farthest.seq:,})."
    )


def _by_actor(look: Look, rule: str, meant: Select[Any], why: Callable[[Sequence[Any]], str]) -> Found:
    """A hit for each actor on the records that are meant."""
    if look.has_none(rule):
        return Found()
    rows, note = look.newest(meant)
    groups = [(MEDIUM, acts) for acts in grouped(rows, "actor_type", "actor_id")]
    return look.hits_on(rule, groups, why, note)
