"""An entity's history: its revisions, what each changed, and where the history does not fit together.

    history = EntityHistory(ledger, Reference("sample", "S-17"))
    history.page()                  # the newest revisions
    history.page(before=401)        # those with lower numbers than 401
    history.state(12)               # what the entity was after revision 12

An entity may have a hundred thousand revisions of a megabyte each: a page is found by the index on the entity, in
order of the revisions' numbers (entity_seq), and holds some dozens of megabytes at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

import orjson
from sqlalchemy import ColumnElement, and_, or_

from flasktrack.core.record import MAX_POSITION, Reference, Section
from flasktrack.core.times import format_time
from flasktrack.insight.diff import Change, changes
from flasktrack.store.reader import CheckedRecord, Ledger
from flasktrack.store.schema import audit_record
from flasktrack.store.scope import scoped

PAGE_REVISIONS = 200
_PAGE_CHARACTERS = 32_000_000  # of the bodies of one page; at least one revision is on it, whatever it holds
_AT_ONCE = 20  # records read in one go: 3 MiB each, at worst
_MOST_BETWEEN = 100  # acts without a state that are read to see whether one of them was altered
_columns = audit_record.c
_number = _columns.entity_seq


@dataclass(frozen=True, slots=True)
class Revision:
    """One act on an entity; its number is the record's entity_seq.

    `missing` are the numbers absent right before it. `gap`: its `before` is not the `after` that was recorded last,
    so something changed the entity unrecorded (`state_gap` of spec section 5). Missing and modified revisions, which
    a verification reports as such, may explain a change, so there is no gap across them.
    """

    checked: CheckedRecord
    missing: range
    gap: bool

    @property
    def number(self) -> int:
        return self.checked.record.entity_seq

    @property
    def changes(self) -> list[Change] | None:
        """What the act changed, by its own `before` and `after`; None where one of them is gone or unreadable.

        Worked out anew each time, so that a page costs only what is looked at.
        """
        record = self.checked.record
        sections = ((self.checked.before, record.before_digest), (self.checked.after, record.after_digest))
        if any(section is None and digest is not None for section, digest in sections):
            return None
        try:
            return changes(*(None if section is None else orjson.loads(section.body) for section, _ in sections))
        except (ValueError, orjson.JSONEncodeError, RecursionError):  # only what somebody put in place of a body
            return None


Standing = Literal["recorded", "deleted", "never", "gone", "unreadable"]


@dataclass(frozen=True, slots=True)
class State:
    """What an entity was after one of its revisions.

    `revision` is that one; None where it is missing. `source` is the record that says so: the last one up to there
    that recorded a state, or that left none (`deleted`). `value` is the state where it is `recorded`; it may have
    been altered, and then `source` has findings. `gone`: no longer stored; `unreadable`: altered so that it is no
    JSON; `never`: no revision up to there recorded a state. `missing` are how many revisions are missing after
    `source`: each may have changed it.
    """

    number: int
    revision: CheckedRecord | None
    source: CheckedRecord | None
    standing: Standing
    value: Any = None
    missing: int = 0


class EntityHistory:
    """The history of one entity of a ledger's organization."""

    def __init__(self, ledger: Ledger, entity: Reference) -> None:
        self.ledger = ledger
        self.entity = entity
        self._mine = (_columns.entity_type == entity.type, _columns.entity_id == entity.id)

    def count(self, *conditions: ColumnElement[bool]) -> int:
        """How many revisions meet all conditions."""
        return self.ledger.count(*self._mine, *conditions)

    @cached_property
    def newest(self) -> int:
        """The number of the newest revision; 0 where there is none.

        The ones that were modified don't count where there are others: whoever did it may have put any number there.
        """
        for position in self._newest_first(limit=PAGE_REVISIONS):
            if not any(map(_modified, self._read([position]))):
                return position[0]
        return self.count()

    def page(
        self, *conditions: ColumnElement[bool], before: int | None = None, limit: int = PAGE_REVISIONS
    ) -> list[Revision]:
        """Revisions that meet all conditions, in order of their numbers: the newest, or those right below `before`.

        There are fewer than `limit` where they are the first ones, or very large.
        """
        below = () if before is None else (_number < before,)
        found = self._newest_first(*conditions, *below, limit=limit)
        page = self._read(found)
        numbers = [checked.record.entity_seq for checked in page]
        shown = {checked.record.seq for checked in page}
        # What stands right before each is read for its state.
        preceding = self._positions({n - 1 for n in numbers if isinstance(n, int) and n > 1} - {*numbers})
        around = [checked for checked in self._read(preceding) if checked.record.seq not in shown]
        everything = sorted([*page, *around], key=_order)
        return [revision for revision in self._judged(everything) if revision.checked.record.seq in shown]

    def newer(self, *conditions: ColumnElement[bool], than: int) -> int | None:
        """What `before` is on the page with higher numbers than `than`; None where that is the newest page."""
        above = scoped(self.ledger.scope, _number).where(*self._mine, *conditions, _number > than)
        above = above.where(_number <= MAX_POSITION).order_by(_number).offset(PAGE_REVISIONS).limit(1)
        with self.ledger.engine.connect() as connection:
            return connection.execute(above).scalar()

    def number_at(self, moment: datetime) -> int:
        """The highest number of a revision that had occurred by then; 0 where none had."""
        by_then = self._newest_first(_columns.occurred_at <= format_time(moment), limit=1)
        return next((number for number, _ in by_then), 0)

    def state(self, number: int) -> State:
        """What the entity was after the revision with a number."""
        revision = next(iter(self._read(self._positions([number]))), None)
        source = self._last(_columns.before_digest.is_not(None) | _columns.after_digest.is_not(None), number)
        if source is None:
            return State(number, revision, None, "never", missing=self._missing(1, number))
        missing = self._missing(source.record.entity_seq + 1, number)
        if source.record.after_digest is None:
            return State(number, revision, source, "deleted", missing=missing)
        if source.after is None:
            return State(number, revision, source, "gone", missing=missing)
        try:
            return State(number, revision, source, "recorded", parse_body(source.after.body), missing)
        except ValueError:
            return State(number, revision, source, "unreadable", missing=missing)

    def unrecorded_change(self, checked: CheckedRecord) -> list[Change]:
        """What changed between the state that was last recorded and the `before` of a record of this entity.

        Nothing where either can't be relied on, or there is none; see `Revision` for what a difference means.
        """
        before = _reliable(checked, "before")
        after = None if before is None or _modified(checked) else self._state_before(checked.record.entity_seq)
        if before is None or after is None or after == before:
            return []
        try:
            return changes(orjson.loads(after), orjson.loads(before))
        except (ValueError, RecursionError, TypeError):
            return []

    def _judged(self, ascending: Sequence[CheckedRecord]) -> Iterator[Revision]:
        """Each with what is missing before it, and whether its state is the last recorded one."""
        last: CheckedRecord | None = None
        state: str | None = None  # the last recorded `after`; None where it can't be relied on, or is not known yet
        for checked in ascending:
            record = checked.record
            if _modified(checked):
                yield Revision(checked, range(0), gap=False)
                continue
            follows = last is not None and last.record.entity_seq >= record.entity_seq - 1
            missing = range(0) if follows else self._absent_before(record.entity_seq)
            before = _reliable(checked, "before")
            if not follows or (state is None and before is not None):
                state = None if before is None else self._state_before(record.entity_seq)
            yield Revision(checked, missing, gap=None not in (state, before) and state != before)
            last = checked
            if record.after_digest is not None:
                state = _reliable(checked, "after")

    def _absent_before(self, number: int) -> range:
        """The numbers that are absent right before one."""
        preceding = self._newest_first(_number < number, limit=1)
        return range(next((before for before, _ in preceding), 0) + 1, number)

    def _state_before(self, number: int) -> str | None:
        """The `after` that was recorded last before a number; None where there is none to rely on."""
        last = self._last(_columns.after_digest.is_not(None), number - 1)
        if last is None or _modified(last):
            return None
        first = last.record.entity_seq + 1
        if self._missing(first, number - 1):  # what is missing may explain a change
            return None
        if number - first <= _MOST_BETWEEN and any(map(_modified, self._read(self._positions(range(first, number))))):
            return None
        return _reliable(last, "after")

    def _last(self, condition: ColumnElement[bool], number: int) -> CheckedRecord | None:
        """The newest revision up to a number that meets a condition."""
        return next(iter(self._read(self._newest_first(condition, _number <= number, limit=1))), None)

    def _missing(self, first: int, last: int) -> int:
        """How many of the numbers from `first` to `last` are absent."""
        return max(0, last - first + 1 - self.count(_number >= first, _number <= last))

    def _newest_first(self, *conditions: ColumnElement[bool], limit: int) -> list[tuple[int, int]]:
        """Number and position of the revisions with the highest numbers; in order of the index on the entity."""
        statement = scoped(self.ledger.scope, _number, _columns.seq).where(*self._mine, *conditions)
        ordered = statement.where(_columns.seq <= MAX_POSITION).order_by(_number.desc(), _columns.seq.desc())
        with self.ledger.engine.connect() as connection:
            return [(number, seq) for number, seq in connection.execute(ordered.limit(limit))]

    def _positions(self, numbers: Iterable[int]) -> list[tuple[int, int]]:
        """Number and position of the revisions with these numbers."""
        wanted = list(numbers)
        return self._newest_first(_number.in_(wanted), limit=2 * len(wanted)) if wanted else []

    def _read(self, found: Sequence[tuple[int, int]]) -> list[CheckedRecord]:
        """The records of a page, by number; the newest ones alone where all would be too large to hold."""
        records: list[CheckedRecord] = []
        size = 0
        for place in range(0, len(found), _AT_ONCE):
            here = self.ledger.at([seq for _, seq in found[place : place + _AT_ONCE]])
            for checked in sorted(here, key=_order, reverse=True):
                size += sum(
                    len(section.body) for section in (checked.before, checked.after, checked.context) if section
                )
                if records and size > _PAGE_CHARACTERS:
                    return records[::-1]
                records.append(checked)
        return records[::-1]


def about(entities: Sequence[tuple[str, str]]) -> ColumnElement[bool]:
    """Whether a record is about one of some entities (type and id): an IN for each type, which an index answers."""
    ids: dict[str, list[str]] = {}
    for type_, id_ in entities:
        ids.setdefault(type_, []).append(id_)
    return or_(*(and_(_columns.entity_type == type_, _columns.entity_id.in_(some)) for type_, some in ids.items()))


def recorded_state(checked: CheckedRecord) -> Any:
    """The state in which an act left its entity (parsed JSON); None where it tells of none, or can't be relied on."""
    after = None if _modified(checked) else _reliable(checked, "after")
    try:
        return None if after is None else parse_body(after)
    except ValueError:
        return None


def parse_body(body: str) -> Any:
    """A body's value. Raises ValueError for what is no JSON, or is nested deeper than any body that was recorded."""
    value = orjson.loads(body)
    try:
        orjson.dumps(value)
    except TypeError as problem:
        raise ValueError(str(problem)) from None
    return value


def _order(checked: CheckedRecord) -> tuple[bool, int, int]:
    """By number; one that is no number (in an altered row) after all others."""
    number = checked.record.entity_seq
    placed = isinstance(number, int)
    return not placed, number if placed else 0, checked.record.seq


def _modified(checked: CheckedRecord) -> bool:
    return any(finding.code == "record_modified" for finding in checked.findings)


def _reliable(checked: CheckedRecord, name: str) -> str | None:
    """The body of a section; None where it is null, gone, or not what was recorded."""
    section: Section | None = getattr(checked, name)
    altered = any(finding.section == name for finding in checked.findings)
    return None if section is None or altered else section.body
