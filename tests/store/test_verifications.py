"""Verifications are kept as rows, and read back as they were, the newest first."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Engine, select

from flasktrack.core.finding import Finding
from flasktrack.store.engine import writing
from flasktrack.store.schema import verification
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
)
from tests.store.samples import NORTHWIND, SOUTHPORT

SOUND = Verification(
    id="6f2c3a52-8a4c-4f5e-9e6b-000000000001",
    organization_id=NORTHWIND,
    started_at="2026-11-24T05:06:07.123456Z",
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
    broken = replace(
        SOUND, id="b", started_at="2026-11-24T05:06:07.123457Z", findings=(ERROR, WARNING), mode=INCREMENTAL
    )
    oldest = replace(SOUND, id="z", started_at="1999-12-31T23:59:59.999999Z", anchored=2**40)
    theirs = replace(SOUND, id="c", organization_id=SOUTHPORT, started_at="2030-01-01T00:00:00.000000Z")
    store(engine, broken, theirs, SOUND, oldest)
    assert list_verifications(engine, NORTHWIND) == [broken, SOUND, oldest]
    assert list_verifications(engine, NORTHWIND, limit=2) == [broken, SOUND]
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
    assert list_verifications(engine, NORTHWIND) == []


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
