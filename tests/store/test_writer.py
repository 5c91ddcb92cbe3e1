"""The one writer: positions, ordinals, links, the caller's transaction, repeated and refused events."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import Engine, text

from flasktrack.core.record import Event
from flasktrack.errors import ChainBroken, InvalidRecord, RecordConflict, UnknownOrganization
from flasktrack.store.engine import sqlite_file, writing
from flasktrack.store.writer import append
from tests.store.chain import sound_records
from tests.store.samples import (
    NORTHWIND,
    SOUTHPORT,
    event,
    everything,
    organizations,
    record,
    record_id,
    stored,
    take_guards_away,
)


def clock(*moments: datetime) -> Callable[[], datetime]:
    """A recorder's clock that shows these times one after the other."""
    return iter(moments).__next__


def test_appends_to_several_organizations_give_each_one_gapless_chain(engine: Engine) -> None:
    organizations(engine, NORTHWIND, SOUTHPORT)
    acts = [
        event(1, related=[("batch", "B-9"), ("protocol", "P-1")]),
        event(2, actor_id="u-18", entity_id="S-101", before=None, context={"ip": "10.0.0.1"}),
        event(3, actor_type="api_key", entity_type="batch", after=None),
        event(4, entity_id="S-101"),
    ]
    for organization in (NORTHWIND, SOUTHPORT, NORTHWIND, SOUTHPORT, NORTHWIND):
        record(engine, *acts, organization=organization)
    ours = sound_records(engine, NORTHWIND)
    assert (len(ours), len(sound_records(engine, SOUTHPORT))) == (12, 8)
    # The same id of another type is another actor, and another entity.
    last = ours[-4:]
    assert [item.actor_seq for item in last] == [5, 3, 3, 6]
    assert [item.entity_seq for item in last] == [3, 5, 3, 6]


def test_returned_records_are_what_the_reader_reads_back(lab: Engine) -> None:
    returned = record(lab, *(event(n, related=[("batch", f"B-{n}")] * n, reason="ü\n\x7f") for n in range(1, 4)))
    returned += record(lab, event(4))
    assert [item.record for item in stored(lab)] == returned
    assert sound_records(lab, NORTHWIND) == returned


def test_every_field_of_the_event_is_recorded(lab: Engine) -> None:
    moment = datetime(2026, 11, 24, 6, 6, 7, 123456, tzinfo=timezone(timedelta(hours=1)))
    given = {
        "actor_type": "automation", "actor_id": "nightly", "actor_name": "Nightly run", "actor_role": "robot",
        "credential_id": "tok_9", "on_behalf_of": "user:u-4", "action": "execute", "outcome": "failure",
        "entity_type": "workflow", "entity_id": "W-1", "entity_name": "Étalonnage", "reason": "",
        "correlation_id": "r-1", "record_id": record_id(7),
    }  # fmt: skip
    sections = {"before": [1.5, None], "after": {"b": "ß", "a": True}, "context": ""}
    returned = record(lab, Event(occurred_at=moment, related=[["batch", "B"]], **given, **sections))[0]  # type: ignore[arg-type, list-item]
    assert {name: getattr(returned, name) for name in given} == given
    assert returned.occurred_at == "2026-11-24T05:06:07.123456Z"
    assert returned.related == (("batch", "B"),)
    read = stored(lab)[0]
    assert [section and section.body for section in (read.before, read.after, read.context)] == [
        "[1.5,null]",
        '{"a":true,"b":"ß"}',
        '""',
    ]


def test_salts_are_never_the_same(lab: Engine) -> None:
    record(lab, *(event(before={}, after={}, context={}) for _ in range(4)))
    salts = {section.salt for item in stored(lab) for section in (item.before, item.after, item.context) if section}
    assert len(salts) == 12


def test_no_events_are_no_records(lab: Engine) -> None:
    before = everything(lab)
    assert record(lab) == []
    assert everything(lab) == before


def test_a_repeated_record_id_with_the_same_content_is_the_same_record(lab: Engine) -> None:
    act = event(1, record_id=record_id(1), related=[("batch", "B")], before={"a": 1, "b": [2.0]}, context=None)
    first, again, other = record(lab, act, act, event(2, record_id=record_id(2)))
    assert again == first
    assert (other.seq, other.actor_seq, other.entity_seq) == (2, 2, 2)
    before = everything(lab)
    # Equal content may look different: another zone, another order of keys.
    moment = act.occurred_at.astimezone(timezone(timedelta(hours=-5)))
    alike: dict[str, Any] = {"occurred_at": moment, "related": (["batch", "B"],), "before": {"b": [2.0], "a": 1}}
    retry = event(1, record_id=record_id(1), **alike)
    assert record(lab, event(2, record_id=record_id(2)), retry) == [other, first]
    assert everything(lab) == before
    assert [item.seq for item in record(lab, act, event(3), event(2, record_id=record_id(2)))] == [1, 3, 2]
    assert len(sound_records(lab, NORTHWIND)) == 3


def test_the_same_record_id_in_another_organization_is_another_record(engine: Engine) -> None:
    organizations(engine, NORTHWIND, SOUTHPORT)
    record(engine, event(1, record_id=record_id(1)))
    record(engine, event(2, record_id=record_id(1)), organization=SOUTHPORT)
    assert len(sound_records(engine, NORTHWIND)) == len(sound_records(engine, SOUTHPORT)) == 1


def test_a_thousand_known_record_ids_are_found_again(lab: Engine) -> None:
    acts = [event(n, record_id=record_id(n), before=None, after=None) for n in range(1, 1001)]
    first = record(lab, *acts)
    assert record(lab, *acts) == first


OTHER_CONTENT: list[dict[str, Any]] = [
    {"occurred_at": datetime(2026, 11, 24, 5, 6, 8, tzinfo=UTC)},
    {"actor_name": "Zoe"},
    {"action": "delete"},
    {"related": [("batch", "B")]},
    {"reason": ""},
    {"before": None},
    {"after": {"volume": "1"}},
    {"context": {}},
]


def test_a_repeated_record_id_with_other_content_is_refused_and_nothing_is_written(lab: Engine) -> None:
    record(lab, event(1, record_id=record_id(1)))
    before = everything(lab)
    for changes in OTHER_CONTENT:
        with pytest.raises(RecordConflict, match=record_id(1)) as conflict:
            record(lab, event(2), event(3), event(1, record_id=record_id(1), **changes))
        assert conflict.value.index == 2
    with pytest.raises(RecordConflict) as conflict:  # inside one batch
        record(lab, event(2, record_id=record_id(2)), event(3, record_id=record_id(2)))
    assert conflict.value.index == 1
    assert everything(lab) == before


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"occurred_at": datetime(2026, 11, 24, tzinfo=UTC).replace(tzinfo=None)}, "occurred_at"),
        ({"actor_type": "robot"}, "actor.type"),
        ({"actor_id": ""}, "actor.id"),
        ({"action": "Update"}, "action"),
        ({"entity_id": "x" * 256}, "entity.id"),
        ({"entity_name": "a\x00b"}, "entity.name"),
        ({"reason": "\ud800"}, "reason"),
        ({"related": [("batch", "B"), ("batch", "")]}, "related[1].id"),
        ({"record_id": "7"}, "record_id"),
        ({"before": {"x": float("nan")}}, "before"),
        ({"after": "x" * 1024 * 1024}, "after"),
        ({"context": {"x": object()}}, "context"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_refused_event_names_its_field_and_place_and_nothing_is_written(
    sqlite_engine: Engine, changes: dict[str, Any], field: str
) -> None:
    organizations(sqlite_engine)
    before = everything(sqlite_engine)
    with pytest.raises(InvalidRecord, match=re.escape(field)) as refusal:
        record(sqlite_engine, event(1), event(2), event(3, **changes))
    assert (refusal.value.field, refusal.value.index) == (field, 2)
    assert everything(sqlite_engine) == before


def test_an_unknown_organization_is_named(lab: Engine) -> None:
    for name in ("nobody", "Northwind Labs", "", "a\x00b", "\ud800"):
        with pytest.raises(UnknownOrganization, match="no organization") as refusal:
            record(lab, event(1), organization=name)
        assert repr(name) in str(refusal.value)
    assert stored(lab) == []


def test_recorded_at_never_goes_back_with_a_clock_that_does(lab: Engine) -> None:
    noon = datetime(2026, 11, 24, 12, tzinfo=UTC)
    hour = timedelta(hours=1)
    cet = noon.astimezone(timezone(hour)) + hour / 2
    with writing(lab) as connection:
        append(connection, NORTHWIND, [event(1), event(2), event(3)], clock=clock(noon, noon - hour, cet))
    with writing(lab) as connection:
        append(connection, NORTHWIND, [event(4), event(5)], clock=clock(noon - hour, noon + hour))
    assert [item.recorded_at for item in sound_records(lab, NORTHWIND)] == [
        "2026-11-24T12:00:00.000000Z",
        "2026-11-24T12:00:00.000000Z",
        "2026-11-24T12:30:00.000000Z",
        "2026-11-24T12:30:00.000000Z",
        "2026-11-24T13:00:00.000000Z",
    ]


def test_recorded_at_is_the_recorders_clock_and_not_the_act(lab: Engine) -> None:
    before = datetime.now(UTC)
    made = record(lab, event(1, occurred_at=datetime(1999, 1, 1, tzinfo=UTC)))[0]
    assert before <= datetime.fromisoformat(made.recorded_at) <= datetime.now(UTC)


def test_times_are_kept_to_the_microsecond_over_the_whole_range(lab: Engine) -> None:
    if lab.dialect.name == "postgresql":  # whatever zone the server is set to
        with lab.begin() as connection:
            connection.execute(text(f"ALTER DATABASE {lab.url.database} SET TimeZone = 'Asia/Tokyo'"))
            connection.execute(text(f"ALTER DATABASE {lab.url.database} SET datestyle = 'German'"))
        lab.dispose()
    last, first = datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)
    moments = [last, first, datetime(1969, 12, 31, 23, 59, 59, 1, UTC)]
    record(lab, *(event(occurred_at=moment) for moment in moments))
    assert [item.occurred_at for item in sound_records(lab, NORTHWIND)] == [
        "9999-12-31T23:59:59.999999Z",
        "0001-01-01T00:00:00.000000Z",
        "1969-12-31T23:59:59.000001Z",
    ]


def test_sqlite_stores_times_as_the_specs_text(sqlite_engine: Engine) -> None:
    organizations(sqlite_engine)
    made = record(sqlite_engine, event(1))[0]
    file = sqlite_file(sqlite_engine)
    assert file is not None
    with closing(sqlite3.connect(file)) as raw:
        row = raw.execute("SELECT occurred_at, recorded_at FROM audit_record").fetchone()
    assert row == ("2026-11-24T05:06:07.000001Z", made.recorded_at)


def test_nothing_is_appended_where_the_newest_record_is_not_what_the_head_names(lab: Engine) -> None:
    record(lab, event(1), event(2), event(3))
    before = everything(lab)
    for statement in (
        "DELETE FROM audit_record WHERE seq = 3",
        "DELETE FROM audit_record",
        "UPDATE audit_record SET hash = prev_hash WHERE seq = 3",
        "UPDATE chain_head SET size = 2",
        "UPDATE chain_head SET hash = (SELECT hash FROM audit_record WHERE seq = 2)",
    ):
        with lab.connect() as connection:
            take_guards_away(connection)
            connection.exec_driver_sql(statement)
            with pytest.raises(ChainBroken, match=r"northwind-labs.*verification"):
                append(connection, NORTHWIND, [event(4)])
            assert connection.exec_driver_sql("SELECT count(*) FROM audit_record WHERE seq > 3").scalar() == 0
            connection.rollback()
    assert everything(lab) == before


def test_made_record_ids_are_uuids_of_version_7_in_order(lab: Engine) -> None:
    ids = [item.record_id for item in record(lab, *(event(n) for n in range(1, 6)))]
    assert len(set(ids)) == 5
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", id_) for id_ in ids)
    milliseconds = [int(id_.replace("-", "")[:12], 16) for id_ in ids]
    assert milliseconds == sorted(milliseconds)
    assert abs(milliseconds[-1] / 1000 - datetime.now(UTC).timestamp()) < 60
