"""The writer builds on nothing that was altered, and takes no event that would explain what is gone."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from flasktrack.errors import ChainBroken, InvalidRecord
from flasktrack.store.writer import append
from tests import adversary
from tests.store.samples import NORTHWIND, SOUTHPORT, codes, event, everything, organizations, record, stored, tamper


@pytest.fixture
def three(lab: Engine) -> Engine:
    """Three acts of one actor on one entity."""
    record(lab, *(event(n, related=[("batch", "B-9")]) for n in (1, 2, 3)))
    return lab


def refused(engine: Engine, match: str, **changes: Any) -> None:
    before = everything(engine)
    with pytest.raises(ChainBroken, match=rf"{match}.*nothing can be appended.*verification"):
        record(engine, event(4, **changes))
    assert everything(engine) == before


@pytest.mark.parametrize(
    "setting",
    [
        "recorded_at = '9999-12-31T23:59:59.999999Z'",
        "actor_seq = 9223372036854775807",
        "reason = 'made up'",
        """related = '[{"id":"B-9","type":"batch"}]'""",
    ],
)
def test_nothing_is_appended_to_an_altered_record(three: Engine, setting: str) -> None:
    tamper(three, f"UPDATE audit_record SET {setting} WHERE seq = 3")
    refused(three, "newest record.*does not give its hash", actor_id="u-new", entity_id="S-new")


def test_an_older_record_that_was_altered_stops_no_one(three: Engine) -> None:
    tamper(three, "UPDATE audit_record SET reason = 'made up' WHERE seq = 2")
    assert record(three, event(4))[0].seq == 4, "recording must go on: a verification reports the rest"


@pytest.mark.parametrize("kind", ["actor", "entity"])
@pytest.mark.parametrize("ordinal", [2**63 - 1, 4, -1])
def test_a_count_that_can_not_be_is_not_continued(three: Engine, kind: str, ordinal: int) -> None:
    if ordinal < 0:  # the largest one counts
        tamper(three, f"UPDATE audit_record SET {kind}_seq = {ordinal}")
        adversary.rewrite_history(three, NORTHWIND, 1)
    else:
        tamper(three, f"UPDATE audit_record SET {kind}_seq = {ordinal} WHERE seq = 2")
    refused(three, f"{kind} (user:u-17|sample:S-100)")
    assert record(three, event(4, **{f"{kind}_id": "another"}))[0].seq == 4


@pytest.mark.parametrize("value", ["'many'", "x'33'", "1.5"])
def test_a_count_that_is_no_number_is_not_continued(sqlite_engine: Engine, value: str) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, *(event(n) for n in (1, 2, 3)))
    tamper(sqlite_engine, f"UPDATE audit_record SET actor_seq = {value} WHERE seq < 3")
    if value == "1.5":  # below the newest one's, which is right
        assert record(sqlite_engine, event(4))[0].actor_seq == 4
    else:
        refused(sqlite_engine, "actor user:u-17")


def test_two_heads_are_none(sqlite_engine: Engine) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, event(1))
    with sqlite_engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE chain_head RENAME TO kept")
        connection.exec_driver_sql("CREATE TABLE chain_head AS SELECT * FROM kept UNION ALL SELECT * FROM kept")
    refused(sqlite_engine, "more than one head")


def test_an_ordinary_event_can_not_pass_for_an_erasure(three: Engine) -> None:
    forged = event(
        4, action="erase", entity_type="organization", entity_id=NORTHWIND, before=None,
        after={"seq": 2, "seq_end": 2, "sections": ["after"]},
    )  # fmt: skip
    with three.begin() as connection:  # the trigger lets anybody set a section to null; only an erasure explains it
        connection.exec_driver_sql("UPDATE audit_payload SET after = NULL, after_salt = NULL WHERE seq = 2")
    before = everything(three)
    with three.connect() as connection, pytest.raises(InvalidRecord, match=r"action.*reserved") as refusal:
        append(connection, NORTHWIND, [event(5), forged])
    assert (refusal.value.field, refusal.value.index) == ("action", 1)
    assert everything(three) == before
    assert [codes(item) for item in stored(three)] == [[], [("payload_missing", "after")], []]


def test_what_explains_nothing_here_may_be_said(three: Engine) -> None:
    organizations(three, SOUTHPORT)
    act = {"action": "erase", "entity_type": "organization"}
    assert len(record(three, event(4, **act, entity_id=SOUTHPORT), event(5, action="erase"))) == 2
    assert len(record(three, event(6, entity_type="organization", entity_id=NORTHWIND))) == 1


@pytest.mark.parametrize(
    "put_in",
    [
        f"INSERT INTO audit_payload (organization_id, seq) VALUES ('{NORTHWIND}', 4)",
        "UPDATE audit_record SET prev_hash = (SELECT hash FROM audit_record WHERE seq = 3) WHERE seq = 1",
    ],
    ids=["sections of no record", "a link to the newest record"],
)
def test_what_stands_in_the_next_records_place_is_named(three: Engine, put_in: str) -> None:
    tamper(three, put_in)
    refused(three, "Something stands already where the next record of northwind-labs belongs")
