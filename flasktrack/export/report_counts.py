"""What a report counts, asked of the database itself: a report rests on no copy, and reads what it prints."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, func

from flasktrack.core.display import display
from flasktrack.core.record import MAX_POSITION
from flasktrack.core.times import in_zone, parse_time
from flasktrack.export.selection import Selection
from flasktrack.store.schema import audit_record
from flasktrack.store.scope import scoped

Step = Literal["hour", "day", "week", "month"]
MOST_LINES: Final = 10
_ROWS_AT_ONCE: Final = 5_000
_LONGEST: Final[dict[Step, timedelta]] = {  # how long a time is told in such steps
    "hour": timedelta(days=3),
    "day": timedelta(days=120),
    "week": timedelta(days=1200),
    "month": timedelta.max,
}


@dataclass(frozen=True, slots=True)
class Counts:
    """How many records have each value of something: the most frequent, and all others together."""

    title: str
    lines: tuple[tuple[str, int], ...]

    @property
    def largest(self) -> int:
        return max(number for _, number in self.lines)


@dataclass(frozen=True, slots=True)
class OverTime:
    """Records by local steps of time, by people and by machines. Steps without a record are left out."""

    step: Step
    people: Counter[datetime]
    machines: Counter[datetime]

    @property
    def starts(self) -> list[datetime]:
        return sorted(self.people | self.machines)


def counts(selection: Selection, title: str, *columns: str) -> Counts:
    """The records of a selection, which must not be empty, by the values of columns."""
    wanted = [audit_record.c[name] for name in columns]
    number = func.count().label("records")
    statement = _selected(selection, *wanted, number).group_by(*wanted).order_by(number.desc(), *wanted)
    with selection.ledger.engine.connect() as connection:
        rows = connection.execute(statement.limit(MOST_LINES)).all()
    lines = [(":".join(map(display, row[:-1])), int(row[-1])) for row in rows]
    if (others := selection.total - sum(number for _, number in lines)) > 0:
        lines.append(("all others", others))
    return Counts(title, tuple(lines))


def over_time(selection: Selection, zone: ZoneInfo) -> OverTime | None:
    """The records of a selection over time; None where none has a time. Stored text that is no time is left out."""
    columns = audit_record.c
    with selection.ledger.engine.connect() as connection:
        hours: dict[str, Counter[datetime]] = {"people": Counter(), "machines": Counter()}
        streaming = connection.execution_options(stream_results=True, yield_per=_ROWS_AT_ONCE)
        for actor_type, text in streaming.execute(_selected(selection, columns.actor_type, columns.occurred_at)):
            if (moment := _moment(text)) is not None:
                hours["people" if actor_type == "user" else "machines"][moment.replace(minute=0, second=0)] += 1
    known = hours["people"] | hours["machines"]
    if not known:
        return None
    span = max(known) - min(known)
    step = next(step for step, longest in _LONGEST.items() if span <= longest)
    return OverTime(step, *(_by(step, counted, zone) for counted in hours.values()))


def _by(step: Step, hours: Counter[datetime], zone: ZoneInfo) -> Counter[datetime]:
    found: Counter[datetime] = Counter()
    for hour, number in hours.items():
        local = in_zone(hour, zone)
        if step != "hour":
            local = local.replace(hour=0, minute=0, tzinfo=None)
        if step == "week" and local.toordinal() > local.weekday():
            local -= timedelta(days=local.weekday())
        elif step == "month":
            local = local.replace(day=1)
        found[local] += number
    return found


def _selected(selection: Selection, *columns: ColumnElement[Any]) -> Any:
    return scoped(selection.ledger.scope, *columns).where(
        audit_record.c.seq <= MAX_POSITION, *selection.counted.conditions()
    )


def _moment(text: Any) -> datetime | None:
    try:
        return parse_time(text).replace(microsecond=0)
    except (TypeError, ValueError):
        return None
