"""Copied records as a test wants them, and a look at them by one rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, create_engine, func, insert

from flasktrack.insight import copy_tables, first_uses, sums
from flasktrack.insight.attention.attention import ASK, BY_ACTS, BY_TIMES, count_acts, count_records
from flasktrack.insight.attention.look import Found, Hit, Look, find_span
from flasktrack.insight.attention.novelty import COUNT_USES
from flasktrack.insight.attention.thresholds import DEFAULTS
from flasktrack.insight.copy_tables import copied

HERE = "north-lab"
BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)  # a Tuesday; noon in Berlin


def act(moment: datetime = NOON, **changes: Any) -> dict[str, Any]:
    """A person's update of a sample, recorded as it happened; `recorded_at` may be another time."""
    values: dict[str, Any] = {
        "occurred_at": moment,
        "recorded_at": moment,
        "actor_type": "user",
        "actor_id": "u-1",
        "action": "update",
        "outcome": "success",
        "entity_type": "sample",
        "entity_id": "S-1",
        "reason": "re-measured",
    }
    return values | changes


def series(number: int, apart: timedelta, **changes: Any) -> list[dict[str, Any]]:
    """As many acts, each so much later than the one before."""
    return [act(NOON + place * apart, **changes) for place in range(number)]


def in_memory() -> Engine:
    """DuckDB, with the tables of a copy and no record."""
    engine = create_engine("duckdb:///:memory:")
    copy_tables.metadata.create_all(engine)
    return engine


@contextmanager
def holding(engine: Engine, acts: Iterable[dict[str, Any]]) -> Iterator[Connection]:
    """The copy of an organization with these acts, in their order, until the connection is given back."""
    rows: list[dict[str, Any]] = []
    ordinals: dict[tuple[Any, Any], int] = {}
    for seq, given in enumerate(acts, 1):
        actor = given["actor_type"], given["actor_id"]
        ordinals[actor] = ordinals.get(actor, 0) + 1
        times = {name: given[name].astimezone(UTC).replace(tzinfo=None) for name in ("occurred_at", "recorded_at")}
        rows.append({"organization_id": HERE, "seq": seq, "actor_seq": ordinals[actor], **given, **times})
    names = {name: None for row in rows for name in row}
    with engine.connect() as connection:
        if rows:
            connection.execute(insert(copy_tables.record), [names | row for row in rows])
            reached = {"last_seq": len(rows), "last_hash": b"", "records": len(rows), "failed": 0}
            connection.execute(insert(copy_tables.progress).values(organization_id=HERE, **reached))
            sums.renew(connection, HERE)
            first_uses.renew(connection, HERE)
        yield connection
        connection.rollback()


def look(connection: Connection, zone: ZoneInfo = BERLIN, **span: Any) -> Look:
    """A look at all of it, or at the part that `span` says (`first`, `back`)."""
    found = find_span(connection, HERE, days=36_500)
    return Look(connection, HERE, zone, replace(found, **span))


def ask(
    engine: Engine,
    rule: str,
    given: Iterable[dict[str, Any]],
    zone: ZoneInfo = BERLIN,
    *,
    first: int = 1,
    back: int = 1,
    **set_: Any,
) -> Found:
    """What a rule finds in a look from position `first`, which knows the records from `back`. To know beforehand what
    there is none of changes nothing, and every hit's filter selects as many records as it says."""
    with holding(engine, given) as connection:
        seen = look(connection, zone, first=first, back=back)
        values = {**DEFAULTS[rule], **set_}
        found = ASK[rule](seen, values)
        knowing = seen.knowing(COUNT_USES)
        for rules, numbers in ((BY_ACTS, count_acts), (BY_TIMES, count_records)):
            if rule in rules:
                knowing = knowing.knowing(numbers({rule: tuple(values.items())}))
        assert ASK[rule](knowing, values) == found
        assert sum(found.severities.values()) == found.total
        for hit in found.hits:
            assert selected(connection, hit) == hit.linked <= hit.records
        return found


def selected(connection: Connection, hit: Hit) -> int:
    """How many records a hit's filter selects."""
    counted = copied(HERE, func.count()).where(*hit.chosen.copied_conditions())
    return int(connection.execute(counted).scalar_one())
