"""Rules on who gets in and may do what: failed attempts, first uses, machines off their pattern, changed rights."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from heapq import nlargest
from itertools import groupby
from statistics import median
from typing import Any

from sqlalchemy import Select, and_, func, or_

from flasktrack.insight import copy_tables
from flasktrack.insight.attention.first_uses import FirstUse, find_first_uses
from flasktrack.insight.attention.look import (
    MOST_HITS,
    MOST_ROWS,
    Found,
    Hit,
    Look,
    aware,
    built_once,
    can_be_chosen,
    gravest,
    looked_at,
    naive,
    newest_of,
    together,
    utc,
)
from flasktrack.insight.attention.rule import HIGH, LOOKING, LOW, MEDIUM
from flasktrack.insight.attention.said import counted, grouped, lasting, listed, named
from flasktrack.insight.attention.series import Series, dense_ends, find_series
from flasktrack.insight.attention.thresholds import Values
from flasktrack.insight.filter import RecordFilter

_NO_TIME = datetime(1970, 1, 1)  # noqa: DTZ001 (as the copy holds times)
_INSTANT, _DAY = timedelta(microseconds=1), timedelta(days=1)
_FAILED = ("denied", "failure")
_record = copy_tables.record.c
_person = _record.actor_type == "user"


def failed_series(look: Look, set_: Values) -> Found:
    """Rule failed_series. A success of the same actor right after makes it grave."""
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
    return dense_ends(_record.outcome.in_(_FAILED), set_["acts"], timedelta(minutes=set_["minutes"]))


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
    uses = [use for use in _first_uses(look, "action", set_["known"]) if use.is_person and use.value not in LOOKING]
    return _on_uses(look, "first_action", LOW, uses, "used", "actions")


def first_addresses(look: Look, set_: Values) -> Found:
    """Rule first_address."""
    uses = [use for use in _first_uses(look, "ip", set_["known"]) if use.is_person]
    return _on_uses(look, "first_address", MEDIUM, uses, "acted from", "ips")


def machines_off_pattern(look: Look, set_: Values) -> Found:
    """Rule machine_pattern."""
    actions, credentials, addresses = (
        [use for use in _first_uses(look, kind, set_["known"]) if not use.is_person]
        for kind in ("action", "credential_id", "ip")
    )
    return together(
        _on_uses(look, "machine_pattern", MEDIUM, actions, "used", "actions"),
        _on_uses(look, "machine_pattern", MEDIUM, credentials, "acted through", "credentials"),
        _on_uses(look, "machine_pattern", MEDIUM, addresses, "acted from", "ips"),
        gravest(_busy_days(look, set_)),
    )


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
    rows, note = look.newest("role_change", _of_access(set_))
    groups = [(LOW, acts) for acts in grouped(rows, "actor_type", "actor_id", "action", "entity_type")]
    hits = []
    for use in (use for use in _first_uses(look, "actor_role", known=1) if use.is_person):
        positions = RecordFilter(positions=(use.first,))
        hits.append(Hit("role_change", LOW, use.said(look, "acted as"), 1, 1, positions, aware(use.last)))
    return together(look.hits_on("role_change", groups, _access_changed, note), gravest(hits))


@built_once
def _of_access(set_: Values) -> Select[Any]:
    before, after = _record.before_print, _record.after_print
    changed = and_(or_(before.is_not(None), after.is_not(None)), before.is_distinct_from(after))
    return newest_of(_record.outcome == "success", _record.entity_type.in_(set_["types"]), changed)


def _access_changed(acts: Sequence[Any]) -> str:
    one = acts[0]
    entities = listed(act.entity_id for act in acts)
    return f"{named(one)} used {one.action} {counted(len(acts), 'time')} on {one.entity_type} {entities}."


def _first_uses(look: Look, kind: str, known: int) -> list[FirstUse]:
    return [use for use in look.once(_uses_by_kind).get(kind, ()) if use.known >= known]


def _uses_by_kind(look: Look) -> dict[str, list[FirstUse]]:
    found: defaultdict[str, list[FirstUse]] = defaultdict(list)
    for use in find_first_uses(look):
        found[use.kind].append(use)
    return found


def _on_uses(look: Look, rule: str, severity: str, uses: Iterable[FirstUse], used: str, field: str) -> Found:
    """Hits whose records are what the actor did with the value; `field` is the filter's for it."""
    found = [use for use in uses if can_be_chosen("actors", (use.actor,)) and can_be_chosen(field, (use.value,))]
    hits: list[Hit] = []
    for use in nlargest(MOST_HITS, found, key=lambda use: use.last or _NO_TIME):  # there may be a thousand
        chosen = {"actors": (use.actor,), field: (use.value,)}
        hits += look.hit(rule, severity, use.said(look, used), use.acts, use.last, **chosen)
    return gravest(hits, len(found))
