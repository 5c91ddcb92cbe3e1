"""Rules on who gets in and may do what: failed attempts, first uses, machines off their pattern, changed rights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import groupby
from statistics import median
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_

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
    naive,
    newest_of,
    together,
    utc,
)
from flasktrack.insight.attention.novelty import find_first_uses, hits_on_uses
from flasktrack.insight.attention.rule import HIGH, LOOKING, LOW, MEDIUM
from flasktrack.insight.attention.said import counted, grouped, lasting, listed, named
from flasktrack.insight.attention.series import Series, dense_ends, find_series
from flasktrack.insight.attention.thresholds import Values

_INSTANT, _DAY = timedelta(microseconds=1), timedelta(days=1)
_FAILED = ("denied", "failure")
_record = copy_tables.record.c
_person = _record.actor_type == "user"


def is_failed(_: Values, act: Any = _record) -> ColumnElement[bool]:
    """Whether an act did not succeed; `act` are columns of the copy's `record` or `by_actor`."""
    outcome: ColumnElement[str] = act.outcome
    return outcome.in_(_FAILED)


def failed_series(look: Look, set_: Values) -> Found:
    """Rule failed_series. A success of the same actor right after makes it grave."""
    if look.has_none("failed_series"):
        return Found()
    within = timedelta(minutes=set_["minutes"])
    found, note = find_series(look, _ends_of_failures(set_), set_["acts"])
    entered = _successes_after(look, sorted(found, key=lambda one: one.last)[-MOST_HITS:], within)
    hits: list[Hit] = []
    for one in found:
        time = lasting(one.last - one.first)
        why = f"{counted(one.acts, 'attempt')} of {named(one)} were denied or failed within {time}"
        success = entered.get(one)
        if success is not None:
            why += f", and then {success.action} succeeded (record {success.seq:,})"
        hits += look.hit(
            "failed_series", MEDIUM if success is None else HIGH, f"{why}.", one.acts, one.last,
            actors=(f"{one.actor_type}:{one.actor_id}",), outcomes=_FAILED,
            occurred_from=one.first, occurred_to=one.last + _INSTANT,
        )  # fmt: skip
    return gravest(hits, note=note)


@built_once
def _ends_of_failures(set_: Values) -> Select[Any]:
    return dense_ends(is_failed(set_), set_["acts"], timedelta(minutes=set_["minutes"]))


def _successes_after(look: Look, found: Sequence[Series], within: timedelta) -> dict[Series, Any]:
    """By series, the first act after it, soon, by which the same actor succeeded in what had failed at its end."""
    if not found:
        return {}
    ends = or_(*(
        and_(_record.actor_type == one.actor_type, _record.actor_id == one.actor_id,
             _record.occurred_at.between(naive(one.last), naive(one.last + within)))
        for one in found
    ))  # fmt: skip
    columns = ("seq", "actor_type", "actor_id", "occurred_at", "action", "outcome")
    acts = look.rows(looked_at(*(_record[name] for name in columns)).where(ends).order_by(_record.seq).limit(MOST_ROWS))
    entered = {}
    for one in found:
        mine = [
            act
            for act in acts
            if (act.actor_type, act.actor_id) == (one.actor_type, one.actor_id)
            and one.last <= utc(act.occurred_at) <= one.last + within
        ]
        failed = [act for act in mine if utc(act.occurred_at) == one.last and act.outcome in _FAILED]
        tried = {act.action for act in failed} - {*LOOKING}  # who was denied one page may well open another
        success = next((act for act in mine if act.outcome == "success" and act.action in tried), None)
        if success is not None:
            entered[one] = success
    return entered


def first_actions(look: Look, set_: Values) -> Found:
    """Rule first_action."""
    return hits_on_uses(look, "first_action", LOW, find_first_uses(look, "first_action", set_["known"]))


def first_addresses(look: Look, set_: Values) -> Found:
    """Rule first_address."""
    return hits_on_uses(look, "first_address", MEDIUM, find_first_uses(look, "first_address", set_["known"]))


def machines_off_pattern(look: Look, set_: Values) -> Found:
    """Rule machine_pattern."""
    uses = hits_on_uses(look, "machine_pattern", MEDIUM, find_first_uses(look, "first_of_machine", set_["known"]))
    return together(uses, gravest(_busy_days(look, set_)))


def _busy_days(look: Look, set_: Values) -> Iterator[Hit]:
    """Days (UTC) on which a machine acted far more often than on its median day."""
    for _, of_machine in groupby(look.rows(_MACHINES_BY_DAY), key=lambda row: row[:2]):
        days = list(of_machine)
        usual = median(row.acts for row in days)
        for row in days:
            if row.acts >= set_["acts"] and row.acts > usual * set_["times"]:
                start = utc(row.day)
                why = (
                    f"{named(row)} acted {counted(row.acts, 'time')} on {start:%Y-%m-%d} (UTC); on a usual day of the "
                    f"period, {usual:,.0f}."
                )
                yield from look.hit(
                    "machine_pattern", MEDIUM, why, row.acts, row.last,
                    actors=(f"{row.actor_type}:{row.actor_id}",), occurred_from=start, occurred_to=start + _DAY,
                )  # fmt: skip


def _machines_by_day() -> Select[Any]:
    day = func.date_trunc("day", _record.occurred_at).label("day")
    return (
        looked_at(_record.actor_type, _record.actor_id, day, func.count().label("acts"),
                  func.max(_record.actor_name).label("actor_name"), func.max(_record.occurred_at).label("last"))
        .where(~_person, _record.occurred_at.is_not(None))
        .group_by(_record.actor_type, _record.actor_id, day)
        .order_by(_record.actor_type, _record.actor_id)
    )  # fmt: skip


_MACHINES_BY_DAY = _machines_by_day()


def role_changes(look: Look, set_: Values) -> Found:
    """Rule role_change."""
    return together(_acts_on_access(look, set_), _first_roles(look))


def _acts_on_access(look: Look, set_: Values) -> Found:
    if look.has_none("role_change"):
        return Found()
    rows, note = look.newest(_of_access(set_))
    groups = [(LOW, acts) for acts in grouped(rows, "actor_type", "actor_id", "action", "entity_type")]
    return look.hits_on("role_change", groups, _access_changed, note)


def _first_roles(look: Look) -> Found:
    uses = find_first_uses(look, "first_role", known=1)
    return gravest((use.hit("role_change", LOW) for use in uses), uses[0].total if uses else 0)


def gives_access(set_: Values, act: Any = _record) -> ColumnElement[bool]:
    """Whether an act succeeded on what gives access; `act` as for `is_failed`."""
    return and_(act.outcome == "success", act.entity_type.in_(set_["types"]))


@built_once
def _of_access(set_: Values) -> Select[Any]:
    before, after = _record.before_print, _record.after_print
    changed = and_(or_(before.is_not(None), after.is_not(None)), before.is_distinct_from(after))
    return newest_of(gives_access(set_), changed)


def _access_changed(acts: Sequence[Any]) -> str:
    one = acts[0]
    entities = listed(act.entity_id for act in acts)
    return f"{named(one)} used {one.action} {counted(len(acts), 'time')} on {one.entity_type} {entities}."
