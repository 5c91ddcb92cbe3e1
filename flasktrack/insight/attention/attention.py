"""What needs attention in an organization: every rule asked, about the records of a period.

    attention = find_attention(Questions(copy, scope), thresholds)
    attention.answers["bulk_deletion"].hits

Rules are questions to the columnar copy. Each answer is bounded, and says so where it did not see all.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Select, func

from flasktrack.insight.attention import access, changes, times
from flasktrack.insight.attention.first_uses import QUESTIONS
from flasktrack.insight.attention.look import (
    DEFAULT_DAYS,
    MOST_RECORDS,
    Answer,
    Found,
    Hit,
    Look,
    Span,
    built_once,
    find_span,
    gravest,
    looked_at,
)
from flasktrack.insight.attention.rules import RULES
from flasktrack.insight.attention.thresholds import Thresholds, Values
from flasktrack.insight.questions import Questions
from flasktrack.store.organizations import check_time_zone

ASK: dict[str, Callable[[Look, Values], Found]] = {
    "state_gap": changes.state_gaps,
    "self_approval": changes.self_approvals,
    "bulk_deletion": changes.bulk_deletions,
    "no_reason": changes.changes_without_reason,
    "failed_series": access.failed_series,
    "future_time": times.future_times,
    "late_entry": times.late_entries,
    "off_hours": times.acts_off_hours,
    "first_address": access.first_addresses,
    "machine_pattern": access.machines_off_pattern,
    "same_instant": times.acts_at_one_instant,
    "first_action": access.first_actions,
    "role_change": access.role_changes,
}
"""What answers for each rule, given a look and the rule's thresholds."""
CONDITIONS: dict[str, Callable[[Values], ColumnElement[bool]]] = {
    "self_approval": changes.is_approval,
    "bulk_deletion": changes.is_deletion,
    "future_time": times.is_ahead,
    "late_entry": times.is_late,
}
"""Which records a rule looks at, where mostly there are none: then it isn't asked."""
_ON_FIRST_USES = frozenset({"first_address", "machine_pattern", "first_action", "role_change"})
"""These ask for first uses, which take nearly as long as all other rules."""
_AT_ONCE = 3
"""Rules that are asked at once, each through a connection, since an answer waits for Python as well."""


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
    asked = [name for name in RULES if thresholds[name]["on"]]
    with questions.copy.engine.connect() as connection:
        span = find_span(connection, organization.id, since, until, days)
    if not span.last:
        return Attention(span, {name: Found() for name in asked})

    on_uses = [name for name in asked if name in _ON_FIRST_USES]
    conditional = [name for name in asked if name in CONDITIONS]
    alone = [[name] for name in asked if name not in _ON_FIRST_USES and name not in CONDITIONS]
    zone, known = check_time_zone(organization.time_zone), dict[Any, Any]()

    def ask(question: Callable[[Look], Answer]) -> Answer:
        with questions.copy.engine.connect() as connection:  # none is held while another one is waited for
            return question(Look(connection, organization.id, zone, span, known))

    def answer(names: Sequence[str]) -> dict[str, Found]:
        return ask(lambda look: _answer(look, thresholds, names))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        uses = [pool.submit(ask, partial(Look.once, question=question)) for question in QUESTIONS if on_uses]
        found = [pool.submit(answer, names) for names in (conditional, *alone)]
        wait(uses)  # or rules that need them would keep threads waiting
        found.append(pool.submit(answer, on_uses))
        answers = ChainMap(*(one.result() for one in found))
    return Attention(span, {name: answers[name] for name in asked})


def _answer(look: Look, thresholds: Thresholds, names: Sequence[str]) -> dict[str, Found]:
    """What rules answer that are asked one after the other."""
    if counted := {name: tuple(thresholds[name].items()) for name in names if name in CONDITIONS}:
        look.count(_numbers(counted))
    return {name: ASK[name](look, thresholds[name]) for name in names}


@built_once
def _numbers(thresholds: Values) -> Select[Any]:
    """SELECT how many records meet the condition of each rule, by the names and values of its thresholds."""
    conditions = ((name, CONDITIONS[name](dict(values))) for name, values in thresholds.items())
    return looked_at(*(func.count().filter(condition).label(name) for name, condition in conditions))
