"""Rules on when people acted: at night, many times at once, long before it was recorded, or after."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Case, ColumnElement, and_, case, func, literal_column, select

from flasktrack.insight import copy_tables
from flasktrack.insight.attention.look import (
    MOST_HITS,
    MOST_ROWS,
    Found,
    Hit,
    Look,
    gravest,
    looks,
    naive,
    together,
    utc,
)
from flasktrack.insight.attention.rule import LOW, MEDIUM
from flasktrack.insight.attention.said import counted, grouped, lasting, named, only_newest
from flasktrack.insight.attention.thresholds import Values
from flasktrack.insight.attention.working_hours import Stretch, off_hours
from flasktrack.insight.filter import MAX_VALUES

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
    return together(
        _in_nights(look, nights, "acted", ~looks, set_["acts"], MEDIUM, note),
        _in_nights(look, nights, "viewed or searched", looks, set_["looks"], LOW, note),
    )


def _in_nights(
    look: Look, nights: Sequence[Stretch], did: str, condition: ColumnElement[bool], least: int, severity: str,
    note: str | None,
) -> Found:  # fmt: skip
    """Nights with so many acts of somebody that meet a condition."""
    bounds = [naive(moment) for night in nights for moment in (night.start, night.end)]
    occurred = _record.occurred_at
    acts = (
        look.select(_record.actor_id, _record.actor_name, occurred, _record.action, condition.label("meant"),
                    _reached(occurred, bounds).label("reached"))
        .where(_record.actor_type == "user", occurred >= bounds[0], occurred < bounds[-1])
        .subquery()
    )  # fmt: skip
    meant, when = acts.c.meant, case((acts.c.meant, acts.c.occurred_at))
    found = (
        select(acts.c.actor_id, acts.c.reached, func.max(acts.c.actor_name).label("actor_name"),
               *_numbers(meant, acts.c.action), func.min(when).label("first"), func.max(when).label("last"),
               func.count().over().label("total"))
        .where(acts.c.reached % 2 == 1)
        .group_by(acts.c.actor_id, acts.c.reached)
        .having(_number(meant) >= least)
        .order_by(func.max(when).desc())
        .limit(MOST_HITS)
    )  # fmt: skip
    rows = look.rows(found)
    hits: list[Hit] = []
    for row in rows:
        night = nights[row.reached // 2]
        why = (
            f"{named(row)} {did} {counted(row.acts, 'time')} outside working hours, {_when(look, night, row)} "
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


def _reached(time: ColumnElement[datetime | None], bounds: Sequence[datetime], passed: int = 0) -> ColumnElement[int]:
    """How many of the bounds, which are in order, a time has reached: found by halving, as in a sorted list."""
    if not bounds:
        return literal_column(str(passed))
    middle = len(bounds) // 2
    earlier = _reached(time, bounds[:middle], passed)
    later = _reached(time, bounds[middle + 1 :], passed + middle + 1)
    found: Case[int] = case((time < bounds[middle], earlier), else_=later)
    return found


def acts_at_one_instant(look: Look, set_: Values) -> Found:
    """Rule same_instant."""
    number = func.count()
    crowded = (  # by the time alone first: that is quickly told, and mostly there is none
        look.select(_record.occurred_at)
        .where(_record.actor_type == "user", ~looks, _record.occurred_at.is_not(None))
        .group_by(_record.occurred_at)
        .having(number >= set_["acts"])
        .order_by(number.desc())
        .limit(MOST_ROWS)
    )
    instants = [row.occurred_at for row in look.rows(crowded)]
    if not instants:
        return Found()
    found = (
        look.select(_record.actor_id, _record.occurred_at, func.max(_record.actor_name).label("actor_name"),
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


def late_entries(look: Look, set_: Values) -> Found:
    """Rule late_entry."""
    late = _record.occurred_at < _record.recorded_at - timedelta(hours=set_["hours"])
    rows = _newest(look, and_(~looks, late))
    hits = []
    for acts in grouped(rows, "actor_type", "actor_id"):
        longest = max(acts, key=lambda act: act.recorded_at - act.occurred_at)
        why = (
            f"{named(acts[0])} recorded {counted(len(acts), 'act')} late, "
            f"up to {lasting(longest.recorded_at - longest.occurred_at)} after the act (record {longest.seq:,})."
        )
        hits.append(look.hit_on("late_entry", MEDIUM, why, acts))
    return gravest(hits, note=only_newest(rows))


def future_times(look: Look, set_: Values) -> Found:
    """Rule future_time."""
    ahead = _record.occurred_at > _record.recorded_at + timedelta(minutes=set_["minutes"])
    rows = _newest(look, ahead)
    hits = []
    for acts in grouped(rows, "actor_type", "actor_id"):
        farthest = max(acts, key=lambda act: act.occurred_at - act.recorded_at)
        why = (
            f"{counted(len(acts), 'act')} of {named(acts[0])} bear a time after the one of recording, "
            f"by up to {lasting(farthest.occurred_at - farthest.recorded_at)} (record {farthest.seq:,})."
        )
        hits.append(look.hit_on("future_time", MEDIUM, why, acts))
    return gravest(hits, note=only_newest(rows))


def _newest(look: Look, condition: ColumnElement[bool]) -> Sequence[Any]:
    columns = ("seq", "occurred_at", "recorded_at", "actor_type", "actor_id", "actor_name")
    statement = look.select(*(_record[name] for name in columns), func.count().over().label("total")).where(condition)
    return look.rows(statement.order_by(_record.seq.desc()).limit(MOST_ROWS))
