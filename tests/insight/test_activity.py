"""What changed against the period before, and trends, are what a naive count of the records gives."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from flasktrack.insight.activity import TREND_POINTS, Periods, changes, periods, trends
from flasktrack.insight.copy import Copy
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.questions import Questions
from flasktrack.store.scope import machine_scope
from tests.insight.lab import ACTORS, HERE, ROWS, selected

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def local(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=BERLIN)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("chosen", "last", "expected"),
    [
        # Nobody chose: the last seven whole days up to that of the last act, and the seven before.
        (RecordFilter(), local(2026, 11, 24, 9), (local(2026, 11, 11), local(2026, 11, 18), local(2026, 11, 25), 7)),
        # Across the change of clocks, days still begin at midnight.
        (RecordFilter(), local(2026, 10, 28, 9), (local(2026, 10, 15), local(2026, 10, 22), local(2026, 10, 29), 7)),
        # An act that says it happened in the future doesn't move the week there.
        (RecordFilter(), local(2031, 1, 1), (local(2026, 11, 12), local(2026, 11, 19), local(2026, 11, 26), 7)),
        (
            RecordFilter(occurred_from=local(2026, 10, 20), occurred_to=local(2026, 10, 30)),
            NOW,
            (local(2026, 10, 10), local(2026, 10, 20), local(2026, 10, 30), None),
        ),
        (
            RecordFilter(occurred_from=NOW - timedelta(days=1)),
            NOW,
            (NOW - timedelta(2), NOW - timedelta(1), NOW, None),
        ),
    ],
)
def test_the_period_before_is_as_long(
    chosen: RecordFilter, last: datetime, expected: tuple[datetime, datetime, datetime, int | None]
) -> None:
    assert periods(chosen, last, NOW, BERLIN) == Periods(*expected)


@pytest.mark.parametrize(
    "chosen",
    [
        RecordFilter(occurred_from=NOW + timedelta(days=1)),  # not begun
        RecordFilter(occurred_from=datetime(1, 1, 5, tzinfo=UTC), occurred_to=NOW),  # nothing before
    ],
)
def test_where_there_is_no_period_before_nothing_is_compared(chosen: RecordFilter) -> None:
    assert periods(chosen, NOW, NOW, BERLIN) is None


def test_changes_count_both_periods(copy: Copy) -> None:
    compared = Periods(local(2026, 3, 1), local(2026, 5, 1), local(2026, 7, 1))
    chosen = RecordFilter(outcomes=("success", "failure"))
    found = changes(Questions(copy, machine_scope(HERE)), chosen, compared)
    expected = Counter(
        (
            "now" if row.moment >= compared.start else "before",
            "person" if row.event.actor_type == "user" else "machine",
            row.event.action,
            row.event.outcome,
        )
        for row in selected(HERE, chosen)
        if compared.before <= row.moment < compared.end
    )
    assert {tuple(key): number for *key, number in found.itertuples(index=False)} == expected


def test_a_trend_line_holds_all_of_an_actors_records_in_their_time(copy: Copy) -> None:
    actors = [f"{kind}:{name}" for kind, name, _ in ACTORS]
    first, last = (bound(row.moment for row in ROWS[HERE]) for bound in (min, max))
    found = trends(Questions(copy, machine_scope(HERE)), RecordFilter(), [*actors, "user:nobody"], first, last)
    assert found.pop("user:nobody") == [0] * TREND_POINTS
    acts = Counter(f"{row.event.actor_type}:{row.event.actor_id}" for row in ROWS[HERE])
    assert {actor: sum(trend) for actor, trend in found.items()} == acts
    half = first + (last - first) / 2
    early = Counter(f"{r.event.actor_type}:{r.event.actor_id}" for r in ROWS[HERE] if r.moment < half)
    for actor, trend in found.items():
        assert abs(sum(trend[: TREND_POINTS // 2]) - early[actor]) <= max(trend)
