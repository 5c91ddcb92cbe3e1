"""What needs attention in an organization: every rule asked, about the records of a period.

    attention = find_attention(Questions(copy, scope), thresholds)
    attention.answers["bulk_deletion"].hits

Rules are questions to the columnar copy. Each answer is bounded, and says so where it did not see all.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import repeat
from queue import SimpleQueue
from typing import Any

from sqlalchemy import ColumnElement, Select

from flasktrack.insight import copy_tables
from flasktrack.insight.attention import access, changes, novelty, times
from flasktrack.insight.attention.look import (
    DEFAULT_DAYS,
    FIRST,
    LAST,
    MOST_RECORDS,
    ORGANIZATION,
    Found,
    Hit,
    Look,
    Span,
    built_once,
    find_span,
    gravest,
    how_many,
    seen,
)
from flasktrack.insight.attention.rules import RULES
from flasktrack.insight.attention.thresholds import Thresholds, Values
from flasktrack.insight.questions import Questions
from flasktrack.store.organizations import check_time_zone

ASK: dict[str, Callable[[Look, Values], Found]] = {
    "no_reason": changes.changes_without_reason,
    "off_hours": times.acts_off_hours,
    "state_gap": changes.state_gaps,
    "failed_series": access.failed_series,
    "machine_pattern": access.machines_off_pattern,
    "same_instant": times.acts_at_one_instant,
    "first_address": access.first_addresses,
    "first_action": access.first_actions,
    "role_change": access.role_changes,
    "self_approval": changes.self_approvals,
    "bulk_deletion": changes.bulk_deletions,
    "future_time": times.future_times,
    "late_entry": times.late_entries,
}
"""What answers for each rule, given a look and the rule's thresholds: those first that mostly take longest."""
BY_ACTS: dict[str, Callable[[Values, Any], ColumnElement[bool]]] = {
    "self_approval": changes.is_approval,
    "bulk_deletion": changes.is_deletion,
    "no_reason": changes.needs_reason,
    "failed_series": access.is_failed,
    "role_change": access.gives_access,
}
"""Which acts a rule looks at, where the copy's sums tell whether there can be one at all."""
BY_TIMES: dict[str, Callable[[Values], ColumnElement[bool]]] = {
    "future_time": times.is_ahead,
    "late_entry": times.is_late,
}
"""Which records a rule looks at, where mostly there are none, and one statement tells."""
_AT_ONCE = 3
"""Connections through which rules are asked at once: while Python reads one answer, the database finds another."""


@dataclass(frozen=True, slots=True)
class Attention:
    """What the rules found among the records of `span`; a rule that is switched off has no answer."""

    span: Span
    answers: Mapping[str, Found]

    @property
    def hits(self) -> tuple[Hit, ...]:
        """All hits that are given, the gravest and then the newest first."""
        return gravest((hit for found in self.answers.values() for hit in found.hits), most=None).hits

    @property
    def total(self) -> int:
        """How many hits there are, also those that are not given."""
        return sum(found.total for found in self.answers.values())

    def of_severity(self, severity: str) -> int:
        """How many hits there are of a severity, also those that are not given."""
        return sum(found.severities.get(severity, 0) for found in self.answers.values())

    @property
    def note(self) -> str | None:
        """A sentence, where the period has more records than are looked at."""
        return f"Of the period, the newest {MOST_RECORDS:,} records are looked at." if self.span.cut else None


def find_attention(
    questions: Questions,
    thresholds: Thresholds,
    since: datetime | None = None,
    until: datetime | None = None,
    days: int = DEFAULT_DAYS,
) -> Attention:
    """Ask every rule that is switched on.

    The period is one of recording, from `since` (default: `days` before the newest record) up to before `until`.
    """
    organization = questions.organization
    zone = check_time_zone(organization.time_zone)
    asked = [name for name in RULES if thresholds[name]["on"]]
    with questions.copy.engine.connect() as connection:
        span = find_span(connection, organization.id, since, until, days)
        if not span.last:
            return Attention(span, {name: Found() for name in asked})
        look = Look(connection, organization.id, zone, span).knowing(novelty.COUNT_USES)
        if by_acts := _hashable(thresholds, asked, BY_ACTS):
            look = look.knowing(count_acts(by_acts))

    # One statement tells whether there is anything for these, but it reads every record: so a worker asks it.
    counted_together = [name for name in ASK if name in asked and name in BY_TIMES]
    alone = [[name] for name in ASK if name in asked and name not in BY_TIMES]
    jobs = SimpleQueue[Sequence[str] | None]()
    for names in (*alone, counted_together, *repeat(None, _AT_ONCE)):
        jobs.put(names)

    def work() -> dict[str, Found]:
        """Answer for rules until none is left, through one connection: nobody who holds one waits for another."""
        found: dict[str, Found] = {}
        names = jobs.get()
        if names is None:
            return found
        with questions.copy.engine.connect() as connection:
            mine = replace(look, connection=connection)
            while names is not None:
                by_times = _hashable(thresholds, names, BY_TIMES)
                knowing = mine.knowing(count_records(by_times)) if by_times else mine
                found |= {name: ASK[name](knowing, thresholds[name]) for name in names}
                names = jobs.get()
        return found

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        working = [pool.submit(work) for _ in range(_AT_ONCE)]
        answers = ChainMap(*(one.result() for one in working))
    return Attention(span, {name: answers[name] for name in asked})


def _hashable(thresholds: Thresholds, asked: Sequence[str], rules: Container[str]) -> dict[str, tuple[Any, ...]]:
    """The thresholds of those rules that are asked, as `built_once` can remember them."""
    return {name: tuple(thresholds[name].items()) for name in asked if name in rules}


@built_once
def count_acts(by_rule: Values) -> Select[Any]:
    """SELECT, by rule, how many of the copy's sums may hold an act that is looked at and meets the rule's condition."""
    acts = copy_tables.by_actor.table.c
    meant = {name: BY_ACTS[name](dict(values), acts) for name, values in by_rule.items()}
    return how_many(meant).where(acts.organization_id == ORGANIZATION, acts.newest >= FIRST, acts.oldest <= LAST)


@built_once
def count_records(by_rule: Values) -> Select[Any]:
    """SELECT, by rule, how many of the records that are looked at meet its condition."""
    return how_many({name: BY_TIMES[name](dict(values)) for name, values in by_rule.items()}).where(seen())
