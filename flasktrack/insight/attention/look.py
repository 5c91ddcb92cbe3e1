"""What a look at a period is made of: which records it covers, what a rule found, and how a rule asks.

A period is one of recording, not of occurring: what was entered yesterday for last year belongs to yesterday's review.
Records stand in the order in which they were recorded, so a period is a range of positions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Connection,
    Row,
    Select,
    Text,
    and_,
    bindparam,
    func,
    select,
)

from flasktrack.errors import InvalidFilter
from flasktrack.insight import copy_tables
from flasktrack.insight.attention.rule import LOOKING, SEVERITIES
from flasktrack.insight.attention.said import only_newest
from flasktrack.insight.attention.thresholds import Values
from flasktrack.insight.copy_tables import copied, progress
from flasktrack.insight.filter import RecordFilter

DEFAULT_DAYS = 30
"""Up to the newest record, where no other period is asked for."""
MOST_RECORDS = 100_000
"""Records that a look covers, the newest of the period: rules are to be answered while somebody waits."""
LOOK_BACK = 50_000
"""Records before the period that tell in which state an entity was left, and who had changed it."""
MOST_HITS = 50
"""Hits of one rule that are given."""
MOST_ROWS = 1_000
"""Records that one rule puts together to hits, the newest ones."""
_VERY_NEWEST = 10_000
"""Records among which the newest ones that a rule puts together are looked for first."""
MOST_LINKED = 200
"""Records that the link of one hit names one by one."""

TOLD = (
    "seq", "occurred_at", "recorded_at", "actor_type", "actor_id", "actor_name", "action", "entity_type", "entity_id",
)  # fmt: skip
"""Columns of a record of which a hit says something."""
_record = copy_tables.record.c
looks = _record.action.in_(LOOKING)
"""Whether an act only looks."""
ORGANIZATION = bindparam("organization_id", type_=Text)
FIRST, LAST, BACK = (bindparam(name, type_=BigInteger) for name in ("first", "last", "back"))
"""Of the look that a statement is asked through: `Look.rows` gives them, and the organization."""
Statement = TypeVar("Statement", Select[Any], CompoundSelect[Any])


def seen(record: Any = _record, *, back: bool = False) -> ColumnElement[bool]:
    """Whether a record (columns of the copy's `record`) is looked at; with `back`, or is one of those before."""
    return and_(record.organization_id == ORGANIZATION, record.seq.between(BACK if back else FIRST, LAST))


def looked_at(*columns: ColumnElement[Any], back: bool = False) -> Select[Any]:
    """SELECT columns of the records that are looked at; with `back`, of those before them, too."""
    return select(*columns).select_from(copy_tables.record).where(seen(back=back))


def how_many(meant: Mapping[str, ColumnElement[bool]]) -> Select[Any]:
    """SELECT, by name, how many rows meet each condition: what `Look.knowing` asks."""
    numbers: list[ColumnElement[Any]] = [
        func.count().filter(condition).label(name) for name, condition in meant.items()
    ]
    return select(*numbers)


def newest_of(*conditions: ColumnElement[bool]) -> Select[Any]:
    """SELECT the newest records that meet conditions, with what is put together to hits and said of them."""
    columns = (_record[name] for name in TOLD)
    return looked_at(*columns).where(*conditions).order_by(_record.seq.desc()).limit(MOST_ROWS)


def built_once(build: Callable[[Values], Statement]) -> Callable[[Values], Statement]:
    """A statement that depends on thresholds alone is built once for them: that takes as long as a quick answer."""

    @lru_cache(maxsize=32)
    def built(values: tuple[tuple[str, Any], ...]) -> Statement:
        return build(dict(values))

    return lambda set_: built(tuple(set_.items()))


@dataclass(frozen=True, slots=True)
class Span:
    """The records that a look covers, inclusive, and when they were recorded (UTC); `cut` where the period has more.

    `back` is the first of those before them that are looked at for the states they left. All 0 without a record.
    """

    first: int = 0
    last: int = 0
    records: int = 0
    begins: datetime | None = None
    ends: datetime | None = None
    back: int = 0
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that a rule found: `why` says it in a sentence, `chosen` selects its records.

    `linked` is how many of its `records` that filter selects: all, but where they are too many to be named one by one.
    """

    rule: str
    severity: str
    why: str
    records: int
    linked: int
    chosen: RecordFilter
    last_occurred: datetime | None


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule found: the gravest and newest hits, how many there are, and a sentence where it did not see all.

    `severities` are how many there are of each severity, also of those that are not given.
    """

    hits: tuple[Hit, ...] = ()
    total: int = 0
    note: str | None = None
    severities: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Look:
    """One look at an organization's records: what rules ask through.

    `without` are the rules, and kinds of first uses, that are known to have nothing to find.
    """

    connection: Connection
    organization_id: str
    zone: ZoneInfo
    span: Span
    without: frozenset[str] = frozenset()

    def has_none(self, name: str) -> bool:
        """Whether it was counted that nothing meets the condition of that name: then there is nothing to ask."""
        return name in self.without

    def knowing(self, numbers: Select[Any]) -> Look:
        """The same look, after it counted by name what can meet each condition: most have nothing."""
        (counted,) = self.rows(numbers)
        none = (name for name, number in counted._mapping.items() if not number)
        return replace(self, without=self.without.union(none))

    def rows(self, statement: Select[Any] | CompoundSelect[Any], **bound: Any) -> Sequence[Row[Any]]:
        """The answer to a statement on what is `seen`, and on what else it has bound names for."""
        first, last, back = self.span.first, self.span.last, self.span.back
        mine = {"organization_id": self.organization_id, "first": first, "last": last, "back": back}
        return self.connection.execute(statement, mine | bound).all()

    def newest(self, statement: Select[Any]) -> tuple[Sequence[Row[Any]], str | None]:
        """The answer to `newest_of`, and a sentence where there are more such records."""
        rows: Sequence[Row[Any]] = ()
        very_newest = self.span.last - _VERY_NEWEST + 1
        if very_newest > self.span.first:  # to put all in order takes far longer than to count them
            rows = self.rows(statement, first=very_newest)
        if len(rows) < MOST_ROWS:
            rows = self.rows(statement)
        if len(rows) < MOST_ROWS:
            return rows, None
        ((number,),) = self.rows(statement.with_only_columns(func.count()).order_by(None).limit(None))
        return rows, only_newest(len(rows), number)

    def hit(
        self, rule: str, severity: str, why: str, records: int, last_occurred: datetime | None, **chosen: Any
    ) -> Iterator[Hit]:
        """The hit on the records of the look that a filter selects.

        None at all for what an altered record holds and no filter can ask for: a verification reports that record.
        """
        try:
            within = RecordFilter(seq_first=self.span.first, seq_last=self.span.last, **chosen)
        except InvalidFilter:
            return
        yield Hit(rule, severity, why, records, records, within, aware(last_occurred))

    def hits_on(
        self,
        rule: str,
        groups: Iterable[tuple[str, Sequence[Row[Any]]]],
        why: Callable[[Sequence[Row[Any]]], str],
        note: str | None = None,
    ) -> Found:
        """The hits on single records: groups of rows with `seq` and `occurred_at`, the newest first, and how grave each
        is. `why` says it of a group; only those that are given are put into words."""
        found = [(severity, _latest(rows), rows) for severity, rows in groups]
        found.sort(key=lambda one: (SEVERITIES.index(one[0]), newest_first(one[1])))
        hits = []
        for severity, latest, rows in found[:MOST_HITS]:
            named = RecordFilter(positions=tuple(row.seq for row in rows[:MOST_LINKED]))
            hits.append(Hit(rule, severity, why(rows), len(rows), len(named.positions), named, latest))
        return Found(tuple(hits), len(found), note, dict(Counter(severity for severity, *_ in found)))


def find_span(
    connection: Connection,
    organization_id: str,
    since: datetime | None = None,
    until: datetime | None = None,
    days: int = DEFAULT_DAYS,
) -> Span:
    """The newest records that were recorded from `since` (default: `days` before the newest) up to before `until`."""
    seq, recorded = _record.seq, _record.recorded_at
    before = [] if until is None else [recorded < naive(until)]
    newest_of = copied(organization_id, func.max(seq)).where(*before)
    if not before:  # the copy knows by heart
        newest_of = select(progress.c.last_seq).where(progress.c.organization_id == organization_id)
    last = connection.execute(newest_of).scalar()
    if last is None:
        return Span()
    lowest = max(1, last - MOST_RECORDS + 1)
    looked_at = seq.between(lowest, last)
    newest = connection.execute(copied(organization_id, func.max(recorded)).where(looked_at, *before)).scalar()
    if newest is None:
        return Span()
    start = newest - timedelta(days=days) if since is None else naive(since)
    covered = copied(organization_id, func.min(seq), func.count(), func.min(recorded)).where(looked_at)
    first, records, begins = connection.execute(covered.where(recorded >= start)).one()
    if first is None:
        return Span()
    back, cut = max(1, first - LOOK_BACK), first == lowest > 1
    return Span(first, last, records, aware(begins), aware(newest), back, cut)


def gravest(
    hits: Iterable[Hit], total: int | None = None, note: str | None = None, most: int | None = MOST_HITS
) -> Found:
    """Hits in their order, the gravest and then the newest first, and no more than are given.

    With a `total`, there are more than these, which are all of one severity.
    """
    ordered = sorted(hits, key=lambda hit: newest_first(hit.last_occurred))
    ordered.sort(key=lambda hit: SEVERITIES.index(hit.severity))
    total = len(ordered) if total is None else total
    numbers = Counter(hit.severity for hit in ordered)
    if ordered:
        numbers[ordered[-1].severity] += total - len(ordered)
    return Found(tuple(ordered[:most]), total, note, dict(numbers))


def together(*found: Found) -> Found:
    """What several questions of one rule found."""
    numbers = Counter[str]()
    for one in found:
        numbers.update(one.severities)
    notes = dict.fromkeys(one.note for one in found if one.note is not None)
    hits = gravest(hit for one in found for hit in one.hits).hits
    return Found(hits, sum(one.total for one in found), " ".join(notes) or None, dict(numbers))


def _latest(rows: Iterable[Row[Any]]) -> datetime | None:
    return aware(max((moment for row in rows if (moment := row.occurred_at) is not None), default=None))


def newest_first(moment: datetime | None) -> float:
    """What brings times into their order, the latest first."""
    return 0.0 if moment is None else -moment.timestamp()


@lru_cache(maxsize=10_000)
def can_be_chosen(field: str, values: tuple[str, ...]) -> bool:
    """Whether a filter can ask for these values of a field; not for some that an altered record may hold."""
    chosen: dict[str, Any] = {field: values}
    try:
        RecordFilter(**chosen)
    except InvalidFilter:
        return False
    return True


def naive(moment: datetime) -> datetime:
    """A time as the copy holds it: UTC, without saying so."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def utc(moment: datetime) -> datetime:
    """A time of the copy, saying that it is UTC."""
    return moment.replace(tzinfo=UTC)


def aware(moment: datetime | None) -> datetime | None:
    return None if moment is None else utc(moment)
