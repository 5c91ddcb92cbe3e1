"""Verifications are kept as rows, and read back as they were, the newest first."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import DBAPIError

from flasktrack.core.finding import Finding
from flasktrack.core.times import format_time, parse_time, utc_now
from flasktrack.store.engine import writing
from flasktrack.store.schema import verification
from flasktrack.store.scope import machine_scope
from flasktrack.store.triggers import REFUSAL
from flasktrack.store.verifications import (
    BROKEN,
    FULL,
    INCREMENTAL,
    NOT_CHECKED,
    RANGE,
    VERIFIED,
    Verification,
    latest_verification,
    list_verifications,
    store_verification,
    verified_through,
)
from tests.store.samples import NORTHWIND, SOUTHPORT, everything

SOUND = Verification(
    id="6f2c3a52-8a4c-4f5e-9e6b-000000000001",
    organization_id=NORTHWIND,
    started_at="2024-11-24T05:06:07.123456Z",
    seconds=0.1250001,
    started_by="user:qa",
    first_seq=1,
    last_seq=2**40,
    records=2**40,
    sealed=12,
    findings=(),
)
ERROR = Finding("payload_modified", NORTHWIND, 3, 7, "The section of records 3\u20137 was altered.", "after")
WARNING = Finding("clock_regression", NORTHWIND, 9, 9, "Record 9 bears an earlier recording time.")


def store(engine: Engine, *done: Verification) -> None:
    with writing(engine) as connection:
        for one in done:
            store_verification(connection, one)


def test_verifications_come_back_as_they_were_the_newest_first(engine: Engine) -> None:
    """In the order in which they were stored, whatever time they bear."""
    oldest = replace(SOUND, id="z", started_at="2025-12-31T23:59:59.999999Z", anchored=2**40)
    broken = replace(SOUND, id="b", findings=(ERROR, WARNING), mode=INCREMENTAL, remarks=("A view.", "A rule."))
    theirs = replace(SOUND, id="c", organization_id=SOUTHPORT, started_at="2025-01-01T00:00:00.000000Z")
    store(engine, oldest, SOUND, theirs, broken)
    assert list_verifications(engine, machine_scope(NORTHWIND)) == [broken, SOUND, oldest]
    assert list_verifications(engine, machine_scope(NORTHWIND), limit=2) == [broken, SOUND]
    assert latest_verification(engine, NORTHWIND) == broken
    assert latest_verification(engine, SOUTHPORT) == theirs
    assert latest_verification(engine, "nobody") is None
    with engine.connect() as connection:
        statuses = {row.id: row.status for row in connection.execute(select(verification))}
    assert statuses == {"b": BROKEN, "c": VERIFIED, "z": VERIFIED, SOUND.id: VERIFIED}


def test_a_verification_is_kept_in_the_callers_transaction(engine: Engine) -> None:
    with engine.connect() as connection:
        store_verification(connection, SOUND)
        connection.rollback()
    assert list_verifications(engine, machine_scope(NORTHWIND)) == []


@pytest.mark.parametrize(
    ("records", "findings", "status"),
    [
        (5, (), VERIFIED),
        (5, (WARNING,), VERIFIED),
        (5, (WARNING, ERROR), BROKEN),
        (0, (), NOT_CHECKED),
        (0, (ERROR,), BROKEN),
    ],
)
def test_the_status_follows_from_the_findings_and_the_count(
    records: int, findings: tuple[Finding, ...], status: str
) -> None:
    done = replace(SOUND, records=records, findings=findings)
    assert (done.status, done.as_json()["status"]) == (status, status)


def test_a_remark_on_the_database_makes_the_verdict_broken() -> None:
    done = replace(SOUND, remarks=("In place of the table record_link there is a view.",))
    assert (done.status, done.worst) == (BROKEN, done.remarks[0])
    assert done.as_json()["remarks"] == [done.remarks[0]]
    assert replace(done, findings=(WARNING, ERROR)).worst == ERROR.detail
    assert SOUND.worst == ""


def test_the_json_is_what_the_spec_names() -> None:
    assert (SOUND.as_json()["mode"], SOUND.as_json()["anchored"]) == (FULL, 0)
    document = replace(SOUND, findings=(ERROR,), mode=RANGE, anchored=12).as_json()
    assert (document["mode"], document["anchored"]) == ("range", 12)
    assert document.keys() >= {"organization_id", "status", "records", "sealed", "findings"}
    assert document["findings"] == [
        {
            "code": "payload_modified", "severity": "error", "organization_id": NORTHWIND, "seq": 3, "seq_end": 7,
            "section": "after", "detail": ERROR.detail,
        }
    ]  # fmt: skip


# What a row may hold that nobody has stored


def raw(engine: Engine, id_: str, **columns: object) -> None:
    """Put in a row by hand, as somebody who has the database can: it looks like a sound verification, but for these."""
    row = {
        "id": id_, "organization_id": NORTHWIND, "started_at": SOUND.started_at, "seconds": 1.0, "started_by": "user:x",
        "first_seq": 1, "last_seq": 9, "records": 9, "sealed": 0, "status": VERIFIED, "findings": "[]", "mode": FULL,
        "anchored": 0, "number": 1, "remarks": "[]",
    } | columns  # fmt: skip
    with writing(engine) as connection:
        connection.execute(text(f"INSERT INTO verification ({', '.join(row)}) VALUES (:{', :'.join(row)})"), row)


FINDING = ERROR.as_json()
MALFORMED: dict[str, dict[str, object]] = {
    "no JSON": {"findings": "no JSON"},
    "too deep": {"findings": "[" * 100_000},
    "a number": {"findings": "5"},
    "an object": {"findings": '{"code": 1}'},
    "no code": {"findings": "[{}]"},
    "an unknown code": {"findings": json.dumps([FINDING | {"code": "all_is_well"}])},
    "a code that is a list": {"findings": json.dumps([FINDING | {"code": []}])},
    "no position": {"findings": json.dumps([FINDING | {"seq": "3"}])},
    "no sentence": {"findings": json.dumps([FINDING | {"detail": None}])},
    "findings that the status belies": {"findings": json.dumps([FINDING])},
    "a status that the findings belie": {"status": BROKEN},
    "an unknown status": {"status": "perfect"},
    "an unknown mode": {"mode": "complete"},
    "remarks that are none": {"remarks": "[1]"},
    "a negative count": {"records": -1},
    "a negative size": {"sealed": -1},
    "a negative duration": {"seconds": -1.0},
    "an endless duration": {"seconds": float("inf")},
    "a time long ago": {"started_at": "0001-01-01T00:00:00.000000Z"},
    "a time to come": {"started_at": "9998-12-31T23:59:59.999999Z"},
    "two days ahead": {"started_at": format_time(utc_now() + timedelta(days=2))},
    "a number below 0": {"number": -5},
    "a number that nobody counted to": {"number": 2**62},
}
OF_ANOTHER_TYPE: dict[str, dict[str, object]] = {
    "no time": {"started_at": "yesterday"},
    "a time without a zone": {"started_at": "2024-11-24T05:06:07.123456"},
    "a time in bytes": {"started_at": b"2024"},
    "a time that is a number": {"started_at": 5},
    "a count in words": {"records": "many"},
    "a fraction": {"last_seq": 1.5},
    "a duration in words": {"seconds": "long"},
    "bytes": {"started_by": b"\xff"},
    "broken findings": {"findings": b"\xff\xfe"},
    "a number in words": {"number": "zzz"},
}


def believed_after(engine: Engine, forged: str) -> None:
    """The forged row is given back as one that is not believed, and does not outlive the next verification."""
    (done,) = list_verifications(engine, machine_scope(NORTHWIND))
    assert (done.id, done.status, done.believed, done.records) == (forged, NOT_CHECKED, False, 0)
    assert len(done.remarks) == 1
    assert done.remarks[0].startswith("This verification can't be read, so it proves nothing: ")
    assert parse_time(done.started_at) < utc_now()
    with engine.connect() as connection:
        assert verified_through(connection, NORTHWIND) == 0
    store(engine, SOUND)
    assert latest_verification(engine, NORTHWIND) == SOUND
    with engine.connect() as connection:
        assert verified_through(connection, NORTHWIND) == SOUND.last_seq


@pytest.mark.parametrize("case", MALFORMED)
def test_a_row_that_nobody_has_stored_is_never_believed_and_never_raises(engine: Engine, case: str) -> None:
    raw(engine, "forged", **MALFORMED[case])
    believed_after(engine, "forged")


@pytest.mark.parametrize("case", OF_ANOTHER_TYPE)
def test_a_row_with_values_of_other_types_is_never_believed_and_never_raises(sqlite_engine: Engine, case: str) -> None:
    raw(sqlite_engine, "forged", **OF_ANOTHER_TYPE[case])
    believed_after(sqlite_engine, "forged")


@pytest.mark.parametrize("time", ["infinity", "-infinity", "0044-03-15 12:00:00+00 BC"])
def test_a_time_that_only_postgresql_can_hold_is_never_believed(postgresql_engine: Engine, time: str) -> None:
    raw(postgresql_engine, "forged", started_at=time)
    believed_after(postgresql_engine, "forged")


def test_a_row_by_hand_that_is_well_made_is_believed_until_the_next_one(engine: Engine) -> None:
    """What can't be told from a row that was stored: see the README's table of who can cheat."""
    raw(engine, "forged", number=40)
    store(engine, SOUND)
    assert [done.id for done in list_verifications(engine, machine_scope(NORTHWIND))] == [SOUND.id, "forged"]


def test_verified_through_goes_by_the_newest_sound_one_that_is_not_of_a_range(engine: Engine) -> None:
    full = replace(SOUND, id="1", last_seq=10)
    store(engine, full, replace(SOUND, id="2", last_seq=30, mode=RANGE), replace(full, id="3", findings=(ERROR,)))
    with engine.connect() as connection:
        assert verified_through(connection, NORTHWIND) == 10
    raw(engine, "forged", number=9, last_seq=99, started_at="9998-12-31T23:59:59.999999Z")
    store(engine, replace(SOUND, id="4", last_seq=20, mode=INCREMENTAL))
    with engine.connect() as connection:
        assert verified_through(connection, NORTHWIND) == 20


CHANGES = [
    "DELETE FROM verification",
    "UPDATE verification SET status = 'verified'",
    "UPDATE verification SET findings = '[]', status = status",
    "UPDATE verification SET number = number + 1",
    "INSERT INTO verification SELECT * FROM verification WHERE true ON CONFLICT (id) DO UPDATE SET findings = '[]'",
]
REPLACEMENTS = [
    "INSERT OR REPLACE INTO verification SELECT * FROM verification",
    "REPLACE INTO verification (id, organization_id, started_at, seconds, started_by, first_seq, last_seq, records, "
    "sealed, status, findings, number) SELECT 'other', organization_id, started_at, 1, 'x', 1, 1, 1, 1, 'verified', "
    "'[]', number FROM verification",
    "REPLACE INTO verification (rowid, id, organization_id, started_at, seconds, started_by, first_seq, last_seq, "
    "records, sealed, status, findings, number) SELECT rowid, 'other', organization_id, started_at, 1, 'x', 1, 1, 1, "
    "1, 'verified', '[]', 77 FROM verification",
]


def test_the_database_refuses_to_change_or_remove_a_verification(engine: Engine) -> None:
    store(engine, replace(SOUND, findings=(ERROR,)))
    before = everything(engine)
    sqlite = engine.dialect.name == "sqlite"
    first = "PRAGMA recursive_triggers = OFF" if sqlite else "SET session_replication_role = replica"
    for statement in CHANGES + (REPLACEMENTS if sqlite else ["TRUNCATE verification"]):
        with engine.connect() as connection:
            connection.exec_driver_sql(first)
            with pytest.raises(DBAPIError, match=REFUSAL):
                connection.exec_driver_sql(statement)
    assert everything(engine) == before


def test_verifications_that_end_at_once_are_all_kept_each_with_its_number(engine: Engine) -> None:
    done = [replace(SOUND, id=f"v-{number}") for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: store(engine, one), done))
    assert {kept.id for kept in list_verifications(engine, machine_scope(NORTHWIND))} == {one.id for one in done}
    with engine.connect() as connection:
        numbers = connection.scalars(select(verification.c.number).order_by(verification.c.number)).all()
    assert numbers == list(range(1, 25))
