"""Questions about an organization's records, answered from the columnar copy in one GROUP BY each, as DataFrames.

    questions = Questions(copy, scope)
    questions.over_time(RecordFilter(outcomes=("denied",)), zone, "actor_type", "day")

They count what the copy holds: `Copy.state` says how far it has come. Each record was checked when it was taken in;
those that failed are counted like any other, and `marked` says how many they are. A stored time that is none (somebody
altered it), or lies at the very ends of the calendar, is counted everywhere but on the clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, cast
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd
from sqlalchemy import ColumnElement, CompoundSelect, Row, Select, Subquery, and_, case, func, or_, select

from flasktrack.insight import copy_tables
from flasktrack.insight.copy import Copy
from flasktrack.insight.copy_tables import copied
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.steps import Step, local_times, on_a_calendar, step_starts
from flasktrack.insight.sums import grouped
from flasktrack.insight.words import contains, split_words
from flasktrack.store.organizations import get_organization
from flasktrack.store.scope import Permission, Scope

By = Literal["kind", "actor_type", "action", "entity_type", "outcome"]
_COUNTS = ("records", "denied", "failed", "marked")
_TIMES = ("first_occurred", "last_occurred")
_record = copy_tables.record.c
_records = func.count().label("records")
_newest = func.max(_record.seq).label("newest")
_span = (func.min(_record.occurred_at).label("first_occurred"), func.max(_record.occurred_at).label("last_occurred"))


def _number_of(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))


@dataclass(frozen=True, slots=True)
class Totals:
    """What a filter selects, in figures. `people` and `machines` are how many different ones acted.

    `marked` of the records failed their check when they were taken in.
    """

    records: int
    people: int
    machines: int
    entities: int
    not_successful: int
    marked: int
    first_occurred: datetime | None
    last_occurred: datetime | None

    @property
    def actors(self) -> int:
        return self.people + self.machines


class Questions:
    """What pages ask about one organization. Raises NotPermitted; UnknownOrganization where there is no such one.

    Frames hold counts as int64, times as UTC timestamps (`start` in the zone that was asked for), and text as Python
    objects, so that a name that was not recorded is None.
    """

    def __init__(self, copy: Copy, scope: Scope) -> None:
        scope.check(Permission.SEE_ACTIVITY)
        self.copy = copy
        self.organization = get_organization(copy.source, scope.organization_id)

    def select(self, chosen: RecordFilter, *columns: ColumnElement[Any]) -> Select[Any]:
        """SELECT columns of the copy's `record`: of this organization, and where the filter is met."""
        if chosen.text:
            self.copy.look_up(self.organization.id, chosen)
        return copied(self.organization.id, *columns).where(*chosen.copied_conditions())

    def frame(self, statement: Select[Any]) -> pd.DataFrame:
        """The answer to a SELECT; its columns are called as there, and typed by that."""
        names = [str(column.name) for column in statement.selected_columns]
        frame = pd.DataFrame([tuple(row) for row in self.rows(statement)], columns=names, dtype=object)
        for name in names:
            if name in _COUNTS:
                frame[name] = frame[name].astype("int64")
            elif name in _TIMES:
                frame[name] = pd.to_datetime(frame[name], utc=True)
        return frame

    def rows(self, statement: Select[Any] | CompoundSelect[Any]) -> Sequence[Row[Any]]:
        """The rows of the answer to a SELECT."""
        with self.copy.engine.connect() as connection:
            return connection.execute(statement).all()

    def arrays(self, statement: Select[Any]) -> dict[str, npt.NDArray[np.integer]]:
        """The answer to a SELECT of whole numbers, none of them null, column by column and as wide as there.

        DuckDB fills the arrays itself: half a million rows take it a hundredth of the time that Python's objects do.
        """
        names = [str(column.name) for column in statement.selected_columns]
        with self.copy.engine.connect() as connection:
            result = connection.execute(statement)
            if connection.dialect.name == "duckdb":
                found = cast(Any, result.cursor).fetchnumpy()
                return {name: np.asarray(found[name]) for name in names}
            rows = np.array([[int(value) for value in row] for row in result], dtype=np.int64).reshape(-1, len(names))
            return dict(zip(names, rows.T, strict=True))

    def totals(self, chosen: RecordFilter) -> Totals:
        """The figures of a filter; all zero, and times None, where no record meets it."""
        numbers = ("records", "not_successful", "marked", "first_occurred", "last_occurred")
        actors = self.grouped(chosen, ("actor_type", "actor_id"), *numbers).subquery()
        entities = self.grouped(chosen, ("entity_type", "entity_id")).subquery()
        figures = select(
            func.coalesce(func.sum(actors.c.records), 0),
            func.count().filter(actors.c.actor_type == "user"),
            func.count().filter(actors.c.actor_type != "user"),
            select(func.count()).select_from(entities).scalar_subquery(),
            func.coalesce(func.sum(actors.c.not_successful), 0),
            func.coalesce(func.sum(actors.c.marked), 0),
            func.min(actors.c.first_occurred),
            func.max(actors.c.last_occurred),
        )
        *counted, first, last = tuple(self.rows(figures)[0])
        records, people, machines, touched, not_successful, marked = (int(number) for number in counted)
        return Totals(records, people, machines, touched, not_successful, marked, _aware(first), _aware(last))

    def over_time(self, chosen: RecordFilter, zone: ZoneInfo, by: By, step: Step) -> pd.DataFrame:
        """Records by local hour, day, week or month, and by `by`: [start, <by>, records]; empty steps are left out.

        `kind` is `person` for a user and `machine` for every other actor.
        """
        column = "actor_type" if by == "kind" else by
        counted = self._on_the_clock(chosen, column)
        if by == "kind":
            counted["kind"] = counted["actor_type"].map(lambda actor: "person" if actor == "user" else "machine")
        counted["start"] = step_starts(local_times(counted["quarter"], zone), step)
        return counted.groupby(["start", by], as_index=False)[["records"]].sum()

    def counts(self, chosen: RecordFilter, *columns: str, limit: int | None = None) -> pd.DataFrame:
        """Records by the values of columns of audit_record: [*columns, records], the most frequent first."""
        found = self.grouped(chosen, columns, "records").subquery()
        order = (found.c[name].nulls_first() for name in columns)  # databases differ where it is not said
        return self.frame(select(found).order_by(found.c.records.desc(), *order).limit(limit))

    def distinct(self, column: str, limit: int = 1000) -> list[str]:
        """The values of a text column, the most frequent first: what a filter bar offers."""
        return [value for value in self.counts(RecordFilter(), column, limit=limit)[column] if isinstance(value, str)]

    def actors(self, chosen: RecordFilter) -> pd.DataFrame:
        """Who acted, the busiest first, with the name and role in the newest of their records that meet the filter.

        [actor_type, actor_id, actor_name, actor_role, records, denied, failed, first_occurred, last_occurred]
        """
        numbers = ("newest", "records", "denied", "failed", "first_occurred", "last_occurred")
        busiest = self.grouped(chosen, ("actor_type", "actor_id"), *numbers).subquery()
        named = self._named(busiest, ("actor_type", "actor_id"), ("actor_name", "actor_role"))
        return self.frame(named.order_by(busiest.c.records.desc(), busiest.c.newest.desc()))

    def positions(
        self, chosen: RecordFilter, *, last: int | None = None, first: int | None = None, limit: int
    ) -> list[int]:
        """Where the records that meet the filter are: the newest up to `last`, or the oldest from `first` on."""
        statement = self.select(chosen, _record.seq).limit(limit)
        if last is not None:
            statement = statement.where(_record.seq <= last)
        if first is not None:
            statement = statement.where(_record.seq >= first)
        found = self.rows(statement.order_by(_record.seq.desc() if first is None else _record.seq))
        return [int(row[0]) for row in found]

    def entities(self, chosen: RecordFilter, words: str = "", limit: int = 200) -> pd.DataFrame:
        """What was touched, the last touched first, with the name in the newest of its records that meet the filter.

        `words` finds entities of which one record holds every word in the entity's type, id or name; the numbers
        are of all their records that meet the filter. Raises InvalidFilter for words that can't be searched for.
        [entity_type, entity_id, entity_name, records, first_occurred, last_occurred]
        """
        RecordFilter(text=words or None)
        key, numbers = ("entity_type", "entity_id"), ("newest", "records", "first_occurred", "last_occurred")
        if searched := split_words(words):
            columns = [_record[name] for name in key]
            found = self.select(chosen, *columns, _newest, _records, *_span).group_by(*columns)
            found = found.having(_number_of(and_(*(_names_entity(word) for word in searched))) > 0)
        else:
            found = self.grouped(chosen, key, *numbers)
        entities = found.subquery()
        touched = select(entities).order_by(entities.c.newest.desc()).limit(limit).subquery()
        named = self._named(touched, key, ("entity_name",))
        return self.frame(named.order_by(touched.c.newest.desc()))

    def of_entities(self, chosen: RecordFilter, entities: Sequence[Sequence[str | None]], *numbers: str) -> Select[Any]:
        """As `grouped` by entity type and id, of some entities (types and ids) alone."""
        return self.grouped(chosen, ("entity_type", "entity_id"), *numbers, among=entities)

    def grouped(
        self,
        chosen: RecordFilter,
        key: Sequence[str],
        *numbers: str,
        among: Sequence[Sequence[str | None]] | None = None,
    ) -> Select[Any]:
        """As `sums.grouped`: from the copy's sums where they can tell, which is far quicker than `select`."""
        if chosen.text:
            self.copy.look_up(self.organization.id, chosen)
        return grouped(self.organization.id, chosen, key, *numbers, among=among)

    def _named(self, grouped: Subquery, key: Sequence[str], names: Sequence[str]) -> Select[Any]:
        """What was grouped, with the names (which may have changed over time) in each group's newest record."""
        numbers = [column for column in grouped.c if column.name not in (*key, "newest")]
        columns = (*(grouped.c[name] for name in key), *(_record[name] for name in names), *numbers)
        return copied(self.organization.id, *columns).join(grouped, grouped.c.newest == _record.seq)

    def _on_the_clock(self, chosen: RecordFilter, *columns: str) -> pd.DataFrame:
        """Records by quarter hour in UTC, and by columns: [*columns, quarter, records]."""
        counted = self.frame(self.grouped(chosen, (*columns, "quarter"), "records"))
        counted = counted.dropna(subset="quarter")
        return counted[on_a_calendar(counted["quarter"])]


def _names_entity(word: str) -> ColumnElement[bool]:
    return or_(*(contains(column, word) for column in (_record.entity_type, _record.entity_id, _record.entity_name)))


def _aware(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)
