"""Every question is answered as counting by hand answers it, for one organization only, in both databases alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from sqlalchemy import Engine, text

from flasktrack.core.record import Event
from flasktrack.errors import InvalidFilter, UnknownOrganization
from flasktrack.insight.copy import Copy, CopyState
from flasktrack.insight.copy_place import open_copy
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.questions import By, Questions, Totals
from flasktrack.insight.steps import Step
from flasktrack.store.engine import initialize, open_engine, writing
from flasktrack.store.organizations import create_organization
from flasktrack.store.scope import machine_scope
from flasktrack.store.writer import append
from tests.insight.lab import HERE, ROWS, THERE, ZONES, Row, selected

QUARTER = timedelta(minutes=15)
BERLIN = ZoneInfo("Europe/Berlin")
STEPS: tuple[Step, ...] = ("hour", "day", "week", "month")
ALL = RecordFilter()
NONE = RecordFilter(text="nowhere")
FILTERS = (
    ALL,
    NONE,
    RecordFilter(actor_types=("user",), outcomes=("denied", "failure")),
    RecordFilter(entities=("sample:S-1",), with_related=True),
    RecordFilter(occurred_from=datetime(2026, 3, 28, tzinfo=UTC), occurred_to=datetime(2026, 3, 30, tzinfo=UTC)),
    RecordFilter(text="müller"),
)
FILTER_NAMES = ("all", "none", "failed", "related", "weekend", "text")
ORGANIZATIONS = (HERE, THERE)


def table(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    """The rows of a frame; its counts are integers and its times are aware."""
    for name in frame.columns:
        if name in ("records", "denied", "failed", "weekday", "hour"):
            assert frame[name].dtype == "int64"
        elif name in ("first_occurred", "last_occurred"):
            assert str(frame[name].dt.tz) == "UTC"
    if "start" in frame.columns:  # Python takes a time that a clock shows twice for unequal to any other zone's
        frame = frame.assign(start=frame["start"].dt.tz_convert("UTC"))
    return [tuple(row) for row in frame.astype(object).itertuples(index=False)]


# Totals


@pytest.mark.parametrize("organization_id", ORGANIZATIONS)
@pytest.mark.parametrize("chosen", FILTERS, ids=FILTER_NAMES)
def test_totals(copy: Copy, organization_id: str, chosen: RecordFilter) -> None:
    rows = selected(organization_id, chosen)
    actors = {(row.event.actor_type, row.event.actor_id) for row in rows}
    moments = [row.moment for row in rows]
    totals = Questions(copy, machine_scope(organization_id)).totals(chosen)
    assert totals == Totals(
        records=len(rows),
        people=sum(kind == "user" for kind, _ in actors),
        machines=sum(kind != "user" for kind, _ in actors),
        entities=len({(row.event.entity_type, row.event.entity_id) for row in rows}),
        not_successful=sum(row.event.outcome != "success" for row in rows),
        marked=0,
        first_occurred=min(moments, default=None),
        last_occurred=max(moments, default=None),
    )
    assert totals.actors == len(actors)


# On the clock


def start_of(moment: datetime, zone: ZoneInfo, step: Step) -> datetime:
    """When the step around a moment begins by the zone's clock, as Python's own zones have it."""
    local = clock(moment, zone)
    if step == "hour":  # back to where clocks showed another hour, or were put back: an hour that comes twice is two
        start = moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0)
        while local.replace(minute=0, second=0, microsecond=0) <= clock(start - QUARTER, zone) < clock(start, zone):
            start -= QUARTER
        return start
    back = {"day": 0, "week": local.weekday(), "month": local.day - 1}[step]
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=back)
    return midnight.replace(tzinfo=zone).astimezone(UTC)


def clock(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def value_of(event: Event, by: By) -> str:
    if by == "kind":
        return "person" if event.actor_type == "user" else "machine"
    return str(getattr(event, by))


def over_time(rows: list[Row], zone: ZoneInfo, by: By, step: Step) -> list[tuple[Any, ...]]:
    counted = Counter((start_of(row.moment, zone, step), value_of(row.event, by)) for row in rows)
    return [(*key, number) for key, number in sorted(counted.items())]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("zone_name", ZONES)
def test_over_time_in_every_zone_and_across_changes_of_clocks(copy: Copy, zone_name: str, step: Step) -> None:
    zone = ZoneInfo(zone_name)
    frame = Questions(copy, machine_scope(HERE)).over_time(ALL, zone, "outcome", step)
    assert list(frame.columns) == ["start", "outcome", "records"]
    assert str(frame["start"].dt.tz) == zone_name
    assert table(frame) == over_time(ROWS[HERE], zone, "outcome", step)


@pytest.mark.parametrize("by", ["kind", "actor_type", "action", "entity_type", "outcome"])
@pytest.mark.parametrize("chosen", FILTERS[1:4], ids=FILTER_NAMES[1:4])
def test_over_time_by_each_column(copy: Copy, chosen: RecordFilter, by: By) -> None:
    for organization_id in ORGANIZATIONS:
        frame = Questions(copy, machine_scope(organization_id)).over_time(chosen, BERLIN, by, "week")
        assert list(frame.columns) == ["start", by, "records"]
        assert table(frame) == over_time(selected(organization_id, chosen), BERLIN, by, "week")


# Lists


@pytest.mark.parametrize("chosen", FILTERS, ids=FILTER_NAMES)
def test_positions_from_either_end(copy: Copy, chosen: RecordFilter) -> None:
    for organization_id in ORGANIZATIONS:
        ask = Questions(copy, machine_scope(organization_id))
        everything = ask.positions(chosen, first=1, limit=10_000)
        assert len(everything) == len(selected(organization_id, chosen))
        assert everything == sorted(everything)
        assert ask.positions(chosen, limit=10_000) == everything[::-1]
        if len(everything) > 3:
            assert ask.positions(chosen, last=everything[-2], limit=2) == everything[-2:-4:-1]
            assert ask.positions(chosen, first=everything[1], limit=2) == everything[1:3]


def counts(rows: list[Row], *columns: str) -> list[tuple[Any, ...]]:
    """The most frequent first, and of the same number in the values' order, null before any text."""
    counted = Counter(tuple(getattr(row.event, column) for column in columns) for row in rows)
    order = sorted(counted.items(), key=lambda item: (-item[1], [(value is not None, value) for value in item[0]]))
    return [(*key, number) for key, number in order]


@pytest.mark.parametrize(
    "columns", [("action",), ("actor_type", "actor_id"), ("entity_name",), ("credential_id", "actor_role", "outcome")]
)
@pytest.mark.parametrize("chosen", FILTERS, ids=FILTER_NAMES)
def test_counts(copy: Copy, chosen: RecordFilter, columns: tuple[str, ...]) -> None:
    for organization_id in ORGANIZATIONS:
        frame = Questions(copy, machine_scope(organization_id)).counts(chosen, *columns)
        assert list(frame.columns) == [*columns, "records"]
        assert table(frame) == counts(selected(organization_id, chosen), *columns)


def test_counts_are_cut_after_the_most_frequent(copy: Copy) -> None:
    assert (
        table(Questions(copy, machine_scope(HERE)).counts(ALL, "action", limit=2)) == counts(ROWS[HERE], "action")[:2]
    )


def test_distinct_values_are_those_recorded_without_null(copy: Copy) -> None:
    for column in ("action", "entity_name", "actor_role"):
        values = [value for value, _ in counts(ROWS[HERE], column) if value is not None]
        assert Questions(copy, machine_scope(HERE)).distinct(column) == values


def groups(rows: list[Row], *key: str) -> dict[tuple[Any, ...], list[Row]]:
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(attrgetter(*key)(row.event), []).append(row)
    return found


@pytest.mark.parametrize("organization_id", ORGANIZATIONS)
@pytest.mark.parametrize("chosen", FILTERS, ids=FILTER_NAMES)
def test_actors_the_busiest_first_with_their_newest_name_and_role(
    copy: Copy, organization_id: str, chosen: RecordFilter
) -> None:
    found = groups(selected(organization_id, chosen), "actor_type", "actor_id")
    expected = [
        (
            *key,
            rows[-1].event.actor_name,
            rows[-1].event.actor_role,
            len(rows),
            sum(row.event.outcome == "denied" for row in rows),
            sum(row.event.outcome == "failure" for row in rows),
            min(row.moment for row in rows),
            max(row.moment for row in rows),
        )
        for key, rows in sorted(found.items(), key=lambda item: (-len(item[1]), -item[1][-1].seq))
    ]
    assert table(Questions(copy, machine_scope(organization_id)).actors(chosen)) == expected


def entities(rows: list[Row], words: str = "") -> list[tuple[Any, ...]]:
    def named(row: Row) -> bool:
        event = row.event
        texts = [name.lower() for name in (event.entity_type, event.entity_id, event.entity_name) if name]
        return all(any(word.lower() in name for name in texts) for word in words.split())

    found = groups(rows, "entity_type", "entity_id")
    return [
        (*key, of[-1].event.entity_name, len(of), min(row.moment for row in of), max(row.moment for row in of))
        for key, of in sorted(found.items(), key=lambda item: -item[1][-1].seq)
        if any(named(row) for row in of)
    ]


@pytest.mark.parametrize("organization_id", ORGANIZATIONS)
@pytest.mark.parametrize("chosen", FILTERS, ids=FILTER_NAMES)
def test_entities_the_last_touched_first_with_their_newest_name(
    copy: Copy, organization_id: str, chosen: RecordFilter
) -> None:
    assert table(Questions(copy, machine_scope(organization_id)).entities(chosen)) == entities(
        selected(organization_id, chosen)
    )


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("s-1", 3),
        ("BUFFER", 1),
        ("sample ångström", 1),
        ("50%", 1),
        ("_", 2),
        ("\\data", 1),
        ("名前", 1),
        ("batch buffer", 0),
    ],
)
def test_entities_are_found_by_words_in_any_of_their_records(copy: Copy, words: str, number: int) -> None:
    frame = Questions(copy, machine_scope(HERE)).entities(ALL, words)
    assert table(frame) == entities(ROWS[HERE], words)
    assert len(frame) == number


def test_an_entity_is_found_by_a_name_that_it_had_once(copy: Copy) -> None:
    of = [row for row in ROWS[HERE] if (row.event.entity_type, row.event.entity_id) == ("sample", "S-1")]
    former = next(row.event.entity_name for row in of if row.event.entity_name != of[-1].event.entity_name)
    assert former == "Buffer_A"
    assert [row[:3] for row in table(Questions(copy, machine_scope(HERE)).entities(ALL, former))] == [
        ("sample", "S-1", "Buffer A, diluted")
    ]


def test_the_last_touched_entities_are_kept_where_there_is_a_limit(copy: Copy) -> None:
    assert table(Questions(copy, machine_scope(HERE)).entities(ALL, limit=2)) == entities(ROWS[HERE])[:2]


def test_words_that_cannot_be_searched_for_are_refused(copy: Copy) -> None:
    for words in ("a" * 500, "a\x00"):
        with pytest.raises(InvalidFilter, match=r"^Filter text: "):
            Questions(copy, machine_scope(HERE)).entities(ALL, words)
    assert len(Questions(copy, machine_scope(HERE)).entities(ALL, " ")) == 5


def test_an_organization_without_a_record(engine: Engine, tmp_path: Path) -> None:
    with writing(engine) as connection:
        create_organization(connection, "empty")
    copy = open_copy(engine, f"duckdb:///{tmp_path / 'copy.duckdb'}")
    assert copy.take_in("empty") == CopyState()
    assert Questions(copy, machine_scope("empty")).totals(ALL) == Totals(0, 0, 0, 0, 0, 0, None, None)


# Across organizations and databases


def test_an_organization_that_is_not_there_is_refused(copy: Copy) -> None:
    with pytest.raises(UnknownOrganization, match="'nowhere'"):
        Questions(copy, machine_scope("nowhere"))


ASKED: dict[str, Callable[[Questions], Any]] = {
    "totals": lambda questions: questions.totals(ALL),
    "hourly": lambda questions: questions.over_time(ALL, BERLIN, "action", "hour"),
    "monthly": lambda questions: questions.over_time(ALL, BERLIN, "kind", "month"),
    "no time": lambda questions: questions.over_time(NONE, BERLIN, "kind", "month"),
    "counts": lambda questions: questions.counts(ALL, "actor_role", "reason"),
    "actors": lambda questions: questions.actors(ALL),
    "no actors": lambda questions: questions.actors(NONE),
    "entities": lambda questions: questions.entities(ALL, "s-1"),
}


@pytest.mark.parametrize("name", ASKED)
def test_every_engine_gives_the_same_answer(duckdb_copy: Copy, postgresql_copy: Copy, name: str) -> None:
    one, other = (ASKED[name](Questions(copy, machine_scope(HERE))) for copy in (duckdb_copy, postgresql_copy))
    if isinstance(one, pd.DataFrame):
        assert_frame_equal(one, other)
    else:
        assert one == other


def recorded(engine: Engine, *moments: datetime) -> None:
    """An organization that has a record of each moment."""
    fields: dict[str, Any] = {"actor_id": "u", "action": "read", "entity_type": "sample", "entity_id": "s"}
    with writing(engine) as connection:
        create_organization(connection, HERE)
        append(connection, HERE, [Event(occurred_at=moment, actor_type="user", **fields) for moment in moments])


def asked(engine: Engine, folder: Path) -> Questions:
    """Questions about that organization."""
    copy = open_copy(engine, f"duckdb:///{folder / 'copy.duckdb'}")
    copy.take_in(HERE)
    return Questions(copy, machine_scope(HERE))


def test_the_ends_of_the_calendar_are_counted_everywhere_but_on_the_clock(engine: Engine, tmp_path: Path) -> None:
    first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    nearly = (datetime(1, 2, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC))
    recorded(engine, last, *nearly, first)
    questions = asked(engine, tmp_path)
    totals = questions.totals(ALL)
    assert (totals.records, totals.first_occurred, totals.last_occurred) == (4, first, last)
    (actor,) = table(questions.actors(ALL))
    assert actor[-2:] == (first, last)
    for zone in map(ZoneInfo, ZONES):
        for step in STEPS:
            starts = list(questions.over_time(ALL, zone, "outcome", step)["start"])
            assert [start.year for start in starts] == [1, 9999]


# Altered times


def alter(engine: Engine, seq: int, value: str) -> None:
    """Store a text as a record's time, as somebody who owns the database could."""
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("DROP TRIGGER IF EXISTS audit_record_no_update")
        else:
            connection.exec_driver_sql("ALTER TABLE audit_record DISABLE TRIGGER ALL")
        connection.execute(
            text("UPDATE audit_record SET occurred_at = :value WHERE seq = :seq"), {"value": value, "seq": seq}
        )


def check_that_only_the_clock_skips(questions: Questions, records: int, on_the_clock: int) -> None:
    assert questions.totals(ALL).records == records
    assert table(questions.counts(ALL, "action")) == [("read", records)]
    assert list(questions.actors(ALL)["records"]) == [records]
    assert list(questions.entities(ALL)["records"]) == [records]
    for zone in (BERLIN, ZoneInfo("America/Los_Angeles")):
        for step in STEPS:
            assert questions.over_time(ALL, zone, "kind", step)["records"].sum() == on_the_clock


NO_TIMES = (
    "", "yesterday", "now", "5", "2461000.5", "12:00", "2026-11-24", "2026-13-45T00:00:00.000000Z",
    "2026-11-24T05:61:00.000000Z", "-4000-01-01T00:00:00Z",
)  # fmt: skip


@pytest.mark.parametrize("altered", NO_TIMES)
def test_a_time_that_was_altered_into_none_is_counted_everywhere_but_on_the_clock(
    sqlite_engine: Engine, tmp_path: Path, altered: str
) -> None:
    moment = datetime(2026, 11, 24, 5, tzinfo=UTC)
    recorded(sqlite_engine, moment, moment)
    alter(sqlite_engine, 1, altered)
    questions = asked(sqlite_engine, tmp_path)
    check_that_only_the_clock_skips(questions, 2, 1)
    totals = questions.totals(ALL)
    assert totals.marked == 1
    assert moment in (totals.first_occurred, totals.last_occurred)


def test_a_time_that_no_datetime_holds_is_counted_everywhere_but_on_the_clock(
    postgresql_url: str, tmp_path: Path
) -> None:
    moment = datetime(2026, 11, 24, 5, tzinfo=UTC)
    engine = open_engine(postgresql_url)
    initialize(engine)
    recorded(engine, *[moment] * 5)
    for seq, altered in enumerate(("infinity", "-infinity", "4713-01-01 00:00:00+00 BC", "294276-12-31"), 1):
        alter(engine, seq, altered)
    questions = asked(engine, tmp_path)
    check_that_only_the_clock_skips(questions, 5, 1)
    engine.dispose()
