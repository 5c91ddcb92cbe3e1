"""Hours of the week by a zone's clocks, as a filter names them: `mon-fri:8-18@Europe/Berlin`.

Days are `mon` to `sun`, one or a span of them; hours are one (`mon:14` is 14:00 to 14:59) or a span from the first up
to but not including the last (`mon-fri:8-18`); without hours, whole days. They are numbered from 0, the hour after
Monday's midnight, to 167. Where clocks go back, the hour that comes twice is one hour of the week; where they go
forward, the one that is left out has no records.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet
from datetime import tzinfo
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, ColumnElement, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.visitors import InternalTraversal

from flasktrack.core.clocks import FIRST_SECOND, HOURS, HOURS_TO_1970, LAST_SECOND, QUARTER, WEEK, Offset, zone_offsets
from flasktrack.insight.quarter_hours import quarter_hour

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FORM = re.compile(r"([a-z]{3})(?:-([a-z]{3}))?(?::(\d{1,2})(?:-(\d{1,2}))?)?(?:@(.+))?", re.ASCII)


class WeekHours(NamedTuple):
    """Days (0 is Monday; inclusive) and hours (from <= hour < to) on clocks in a zone."""

    first_day: int
    last_day: int
    from_hour: int
    to_hour: int
    zone: ZoneInfo

    def __str__(self) -> str:
        days = DAYS[self.first_day] + (f"-{DAYS[self.last_day]}" if self.last_day != self.first_day else "")
        return f"{days}{self._hours}@{self.zone.key}"

    @property
    def _hours(self) -> str:
        if (self.from_hour, self.to_hour) == (0, HOURS):
            return ""
        last = f"-{self.to_hour}" if self.to_hour != self.from_hour + 1 else ""
        return f":{self.from_hour}{last}"

    @property
    def words(self) -> str:
        """`Mon to Fri 08:00 to 17:59`, without the zone."""
        first, last = DAYS[self.first_day].title(), DAYS[self.last_day].title()
        said = first if first == last else f"{first} to {last}"
        return said + (f" {self.from_hour:02}:00 to {self.to_hour - 1:02}:59" if self._hours else "")

    @property
    def numbers(self) -> frozenset[int]:
        """The hours of the week that are meant. A span of days may pass Sunday: `sat-mon`."""
        days = (
            day % 7 for day in range(self.first_day, self.last_day + (7 if self.last_day < self.first_day else 0) + 1)
        )
        return frozenset(HOURS * day + hour for day in days for hour in range(self.from_hour, self.to_hour))


def read_week_hours(text: str, zone: tzinfo | None = None) -> WeekHours:
    """Read `mon:14`, `mon-fri:8-18@Europe/Berlin` and the like; `zone` is meant where the text names none.

    Raises ValueError, which says why, for anything else.
    """
    match = _FORM.fullmatch(text.strip())
    first, last, from_, to, name = match.groups() if match else ("", None, None, None, None)
    if first not in DAYS or (last or first) not in DAYS:
        raise ValueError("is no day and hours")
    start = int(from_) if from_ else 0
    end = int(to) if to else start + 1 if from_ else HOURS
    if not start < end <= HOURS:
        raise ValueError("has hours that are none: they go from 0 to 24, the earlier first")
    known = str(zone) if name is None and zone is not None else name
    if known is None:
        raise ValueError("names no time zone")
    try:
        return WeekHours(DAYS.index(first), DAYS.index(last or first), start, end, ZoneInfo(known))
    except (KeyError, ValueError, OSError):  # as in store.organizations.check_time_zone
        raise ValueError(f"names the time zone {known[:40]!r}, which there is not") from None


class local_hour(FunctionElement[int]):  # noqa: N801 (a function in SQL)
    """The hour on a zone's clocks at a time, numbered as by `core.clocks.local_hour`; null where there is none.

    `quarter` is a quarter hour in UTC, as `quarter_hour` gives it.
    """

    name = "local_hour"
    type = BigInteger()
    inherit_cache = True
    _traverse_internals = [  # noqa: RUF012 (as in SQLAlchemy)
        *FunctionElement._traverse_internals,
        ("zone", InternalTraversal.dp_string),
    ]

    def __init__(self, quarter: ColumnElement[int], zone: str) -> None:
        super().__init__(quarter * QUARTER)
        self.zone = zone


@compiles(local_hour, "sqlite")
def _in_sqlite(element: local_hour, compiler: SQLCompiler, **kw: Any) -> str:
    zone = compiler.render_literal_value(element.zone, Text())
    return f"local_hour({compiler.process(element.clauses, **kw)}, {zone})"  # see store.engine


@compiles(local_hour)
def _elsewhere(element: local_hour, compiler: SQLCompiler, **kw: Any) -> str:
    seconds = compiler.process(element.clauses, **kw)
    offset = _choice(seconds, zone_offsets(element.zone))
    number = f"CAST(floor(({seconds} + {offset}) / 3600.0) AS bigint) + {HOURS_TO_1970}"
    return f"(CASE WHEN {seconds} BETWEEN {FIRST_SECOND} AND {LAST_SECOND} THEN {number} END)"


def _choice(seconds: str, offsets: Sequence[Offset]) -> str:
    """The offset at a time, found by halves: a search through all of them would ask a hundred times as much."""
    if len(offsets) == 1:
        return str(offsets[0].seconds)
    earlier, later = offsets[: len(offsets) // 2], offsets[len(offsets) // 2 :]
    return f"CASE WHEN {seconds} < {later[0].since} THEN {_choice(seconds, earlier)} ELSE {_choice(seconds, later)} END"


def week_hour(time: ColumnElement[Any], zone: str) -> ColumnElement[int]:
    """The hour of the week (0 to 167) that clocks in a zone show at a time; null where there is none."""
    return local_hour(quarter_hour(time), zone) % WEEK


def hours_between(begins: str, ends: str, days: Collection[str], zone: ZoneInfo) -> tuple[WeekHours, ...]:
    """The hours of the week from `begins` to `ends` (`06:30`) on days (`mon`), those that are begun counted whole.

    Where `ends` is no later time of day, it is that of the next day.
    """
    first, last = int(begins[:2]), int(ends[:2]) + (ends[3:] != "00")
    over_night = HOURS if ends <= begins else 0
    return _name(
        {(HOURS * DAYS.index(day) + hour) % WEEK for day in days for hour in range(first, last + over_night)}, zone
    )


def other_hours(hours: Iterable[WeekHours], zone: ZoneInfo) -> tuple[WeekHours, ...]:
    """All hours of the week but these: what is off-hours beside working hours."""
    return _name(frozenset(range(WEEK)).difference(*(span.numbers for span in hours)), zone)


def _name(numbers: AbstractSet[int], zone: ZoneInfo) -> tuple[WeekHours, ...]:
    """Hours of the week in few spans: the same hours on days that follow each other are one."""
    by_span: dict[tuple[int, int], list[int]] = {}
    for day in range(len(DAYS)):
        for span in _spans([number % HOURS for number in sorted(numbers) if number // HOURS == day]):
            by_span.setdefault(span, []).append(day)
    return tuple(
        WeekHours(first, last - 1, from_, to, zone)
        for (from_, to), days in by_span.items()
        for first, last in _spans(days)
    )


def _spans(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending numbers as spans, from the first up to but not including the last."""
    spans: list[tuple[int, int]] = []
    for number in numbers:
        if spans and spans[-1][1] == number:
            spans[-1] = (spans[-1][0], number + 1)
        else:
            spans.append((number, number + 1))
    return spans
