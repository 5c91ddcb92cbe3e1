"""Readers: one organization's records alone, in constant memory, each with what is wrong with it."""

from __future__ import annotations

import tracemalloc
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine
from sqlalchemy import event as listening

from flasktrack.core.header import header_hash, record_header
from flasktrack.core.record import Reference
from flasktrack.core.related import related_text
from flasktrack.errors import UnknownOrganization
from flasktrack.store.reader import CheckedRecord, Ledger, find_recorded
from flasktrack.store.schema import audit_payload, audit_record
from flasktrack.store.scope import machine_scope
from tests.adversary import past_the_triggers
from tests.store.samples import (
    NORTHWIND,
    SOUTHPORT,
    codes,
    event,
    organizations,
    record,
    record_id,
    stored,
    tamper,
)

MIDDLE = 2  # the altered record, of three


@pytest.fixture
def chain(lab: Engine) -> Engine:
    """Three records with all sections and a related entity."""
    record(lab, *(event(n, context={"ip": "10.0.0.1"}, related=[("batch", "B-9")]) for n in (1, 2, 3)))
    return lab


def seqs(engine: Engine, **where: Any) -> list[int]:
    return [item.record.seq for item in Ledger(engine, machine_scope(NORTHWIND)).stream(**where)]


def middle(engine: Engine) -> CheckedRecord:
    """The altered record; its neighbours must have been returned without a finding."""
    before, altered, after = stored(engine)
    assert (before.findings, after.findings) == ((), ())
    return altered


def test_records_come_in_the_order_and_range_that_was_asked_for(lab: Engine) -> None:
    record(lab, *(event(n, actor_id=f"u-{n % 2}") for n in range(1, 11)))
    odd = audit_record.c.actor_id == "u-1"
    update = audit_record.c.action == "update"
    assert seqs(lab) == list(range(1, 11))
    assert seqs(lab, descending=True) == list(range(10, 0, -1))
    assert seqs(lab, first=3, last=5) == [3, 4, 5]
    assert seqs(lab, first=9) == [9, 10]
    assert seqs(lab, last=2, descending=True) == [2, 1]
    assert seqs(lab, first=4, limit=3) == [4, 5, 6]
    assert seqs(lab, first=11) == seqs(lab, first=5, last=4) == seqs(lab, limit=0) == []
    ledger = Ledger(lab, machine_scope(NORTHWIND))
    assert [item.record.seq for item in ledger.stream(odd, update, first=2, descending=True, limit=2)] == [9, 7]
    assert [item.record.seq for item in ledger.stream(odd, audit_record.c.action == "delete")] == []
    assert [item.record.seq for item in ledger.stream(audit_payload.c.after == '{"volume":4}')] == [4]
    assert (ledger.count(), ledger.count(odd), ledger.count(odd, audit_record.c.seq > 5)) == (10, 5, 2)


def test_the_link_is_checked_whatever_selection_is_read(lab: Engine) -> None:
    record(lab, *(event(n) for n in range(1, 5)))
    assert all(not item.findings for item in Ledger(lab, machine_scope(NORTHWIND)).stream(first=3, descending=True))
    third = Ledger(lab, machine_scope(NORTHWIND)).get(3)
    assert third is not None
    assert third.findings == ()
    tamper(lab, "DELETE FROM audit_record WHERE seq = 2")
    assert [codes(item) for item in stored(lab)] == [[], [], []]  # its neighbour isn't at hand: a verification's task
    tamper(lab, "UPDATE audit_record SET hash = prev_hash WHERE seq = 3")
    assert [codes(item) for item in stored(lab)] == [[], [("record_modified", None)], [("chain_broken", None)]]


def test_one_record_and_the_head_can_be_read(chain: Engine) -> None:
    ledger = Ledger(chain, machine_scope(NORTHWIND))
    second, head = ledger.get(2), ledger.head()
    assert second is not None
    assert (second.record.seq, second.record.related) == (2, (Reference("batch", "B-9"),))
    assert head == (3, stored(chain)[-1].record.hash)
    assert [ledger.get(seq) for seq in (0, -1, 4, 2**63 - 1, 2**63, 10**30, -(10**30))] == [None] * 7
    tamper(chain, "DELETE FROM chain_head")
    assert ledger.head() is None


def test_a_reader_never_returns_another_organizations_records(engine: Engine) -> None:
    organizations(engine, NORTHWIND, SOUTHPORT)
    record(engine, event(1, record_id=record_id(1), entity_name="ours"), event(2))
    record(engine, event(1, record_id=record_id(2), entity_name="theirs"), organization=SOUTHPORT)
    ours, theirs = Ledger(engine, machine_scope(NORTHWIND)), Ledger(engine, machine_scope(SOUTHPORT))
    everybody = audit_record.c.organization_id.in_([NORTHWIND, SOUTHPORT]) | (audit_record.c.seq > 0)
    assert [item.record.organization_id for item in ours.stream(everybody)] == [NORTHWIND, NORTHWIND]
    assert [item.record.entity_name for item in theirs.stream()] == ["theirs"]
    assert list(ours.stream(audit_record.c.organization_id == SOUTHPORT)) == []
    assert (ours.count(everybody), theirs.count(everybody)) == (2, 1)
    assert ours.head() != theirs.head()
    assert theirs.get(2) is None
    with engine.connect() as connection:
        found = find_recorded(connection, NORTHWIND, [record_id(1), record_id(2)])
    assert [item.record.record_id for item in found] == [record_id(1)]


def test_an_unknown_organization_has_no_ledger(lab: Engine) -> None:
    for name in ("nobody", "", "a\x00b", "\ud800", "x' OR '1'='1", "NORTHWIND-LABS", "x" * 10_000):
        with pytest.raises(UnknownOrganization, match=NORTHWIND) as refusal:
            Ledger(lab, machine_scope(name))
        assert len(str(refusal.value)) < 250


ALTERED_TEXT = [
    "record_id", "actor_type", "actor_id", "actor_name", "actor_role", "credential_id", "on_behalf_of", "action",
    "outcome", "entity_type", "entity_id", "entity_name", "reason", "correlation_id",
]  # fmt: skip


def test_every_altered_column_is_a_finding(chain: Engine) -> None:
    values = dict.fromkeys(ALTERED_TEXT, "'altered'")
    values |= {name: f"'2026-01-01T00:00:00.{n:06}Z'" for n, name in enumerate(("occurred_at", "recorded_at"))}
    values |= dict.fromkeys(("actor_seq", "entity_seq"), "77")
    values |= {"related": """'[{"type":"batch","id":"B-8"}]'"""}
    values |= dict.fromkeys(("before_digest", "after_digest", "context_digest"), "hash")
    values |= {"prev_hash": "before_digest"}
    assert values.keys() | {"organization_id", "seq", "hash"} == {column.name for column in audit_record.columns}
    original = middle(chain).record._asdict()
    for name, value in values.items():
        tamper(chain, f"UPDATE audit_record SET {name} = {value} WHERE seq = {MIDDLE}")
        assert ("record_modified", None) in codes(middle(chain)), name
        _put_back(chain, name, original[name])
        assert codes(middle(chain)) == [], name


def _put_back(engine: Engine, name: str, value: Any) -> None:
    if name == "related":
        value = '[{"type":"batch","id":"B-9"}]'
    with past_the_triggers(engine) as connection:
        connection.execute(audit_record.update().where(audit_record.c.seq == MIDDLE).values({name: value}))


def test_a_record_with_a_hash_made_anew_no_longer_fits_its_neighbour(chain: Engine) -> None:
    tamper(chain, f"UPDATE audit_record SET hash = prev_hash WHERE seq = {MIDDLE}")
    assert [codes(item) for item in stored(chain)] == [[], [("record_modified", None)], [("chain_broken", None)]]


def test_an_altered_or_missing_section_is_a_finding_that_names_it(chain: Engine) -> None:
    def finding(setting: str) -> list[tuple[str, str | None]]:
        tamper(chain, f"UPDATE audit_payload SET {setting} WHERE seq = {MIDDLE}")
        return codes(middle(chain))

    for section in ("context", "after", "before"):  # each stays altered, and the next finding comes before it
        others = finding(f"{section} = {section}")
        assert finding(f"{section} = ' ' || {section}") == [("payload_modified", section), *others]
        assert finding(f"{section} = ltrim({section})") == others
        assert finding(f"{section}_salt = NULL") == [("payload_modified", section), *others]
        assert finding(f"{section} = NULL") == [("payload_missing", section), *others]
        assert finding(f"{section} = '1'") == [("payload_modified", section), *others]


def test_a_missing_payload_row_is_a_finding_for_each_section(chain: Engine) -> None:
    tamper(chain, f"DELETE FROM audit_payload WHERE seq = {MIDDLE}")
    found = middle(chain)
    assert codes(found) == [("payload_missing", section) for section in ("before", "after", "context")]
    assert (found.before, found.after, found.context) == (None, None, None)
    assert all("Record 2" in finding.detail for finding in found.findings)


def test_a_section_that_was_never_recorded_is_a_finding(lab: Engine) -> None:
    record(lab, *(event(n, context=None) for n in (1, 2, 3)))
    tamper(lab, f"UPDATE audit_payload SET context = '1', context_salt = after_salt WHERE seq = {MIDDLE}")
    assert codes(middle(lab)) == [("payload_modified", "context")]


def test_what_no_reader_expects_in_sqlite_is_returned_with_its_finding(sqlite_engine: Engine) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, *(event(n, before={}, context={}) for n in (1, 2, 3)))
    strange = ("CAST(x'ff41' AS TEXT)", "x'ff41'", "17", "1e999", "''", "'\ufffd'")
    for value in strange:
        for name in ("actor_name", "occurred_at", "recorded_at", "entity_id", "related", "hash", "after_digest"):
            with sqlite_engine.connect() as connection:
                kept = connection.exec_driver_sql(f"SELECT {name} FROM audit_record WHERE seq = {MIDDLE}").scalar()
            tamper(sqlite_engine, f"UPDATE audit_record SET {name} = {value} WHERE seq = {MIDDLE}")
            assert ("record_modified", None) in codes(stored(sqlite_engine)[1]), (name, value)
            with past_the_triggers(sqlite_engine) as connection:
                connection.exec_driver_sql(f"UPDATE audit_record SET {name} = ? WHERE seq = {MIDDLE}", (kept,))
            assert codes(stored(sqlite_engine)[1]) == []
    for value in strange:
        for name in ("after", "after_salt"):  # stays altered from the first one on
            tamper(sqlite_engine, f"UPDATE audit_payload SET {name} = {value} WHERE seq = {MIDDLE}")
            assert codes(middle(sqlite_engine)) == [("payload_modified", "after")], (name, value)


OTHER_RELATED = [
    "", "no JSON", "5", "null", "[1]", "{}", "[]", '[{"type":"batch"}]', '[{"type":{},"id":[]}]',
    '[{"type": "batch","id":"B-9"}]', '[{"type":"batch","id":"B-9","name":"x"}]',
    '[{"id":"B-9","type":"batch"}]', '[{"type":"batch","id":"B\\u002d9"}]',
    '[{"type":"batch","type":"batch","id":"B-9"}]', '[["batch","B-9"]]', '[{"type":1,"id":2}]',
]  # fmt: skip


@pytest.mark.parametrize("related", OTHER_RELATED)
def test_related_entities_that_are_not_what_was_written_are_a_finding(sqlite_engine: Engine, related: str) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, *(event(n, related=[("batch", "B-9")]) for n in (1, 2, 3)))
    tamper(sqlite_engine, f"UPDATE audit_record SET related = '{related}' WHERE seq = {MIDDLE}")
    assert codes(middle(sqlite_engine)) == [("record_modified", None)]


def test_no_related_entities_are_written_in_one_way(sqlite_engine: Engine) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, *(event(n) for n in (1, 2, 3)))
    for related in ("{}", "[ ]", "", "null"):
        tamper(sqlite_engine, f"UPDATE audit_record SET related = '{related}' WHERE seq = {MIDDLE}")
        assert codes(middle(sqlite_engine)) == [("record_modified", None)], related


def test_times_that_no_datetime_holds_are_returned_with_their_finding(postgresql_engine: Engine) -> None:
    organizations(postgresql_engine)
    record(postgresql_engine, *(event(n) for n in (1, 2, 3)))
    for moment in ("infinity", "-infinity", "0044-03-15 00:00:00+00 BC", "20000-01-01 00:00:00+00"):
        tamper(postgresql_engine, f"UPDATE audit_record SET occurred_at = '{moment}' WHERE seq = {MIDDLE}")
        assert codes(middle(postgresql_engine)) == [("record_modified", None)], moment


def test_reading_streams_in_constant_memory(lab: Engine) -> None:
    count, size = 5_000, 2_000
    for part in range(5):
        record(lab, *(event(part * 1000 + n, after="x" * size) for n in range(count // 5)))
    cursors = []
    listening.listen(lab, "before_cursor_execute", lambda _, cursor, *__: cursors.append(cursor))
    ledger = Ledger(lab, machine_scope(NORTHWIND))
    tracemalloc.start()
    try:
        read = sum(len(item.after.body) for item in ledger.stream() if item.after is not None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read == count * (size + 2)
    assert peak < read / 4
    if lab.dialect.name == "postgresql":  # libpq's own memory isn't seen here, so the cursor must be the server's
        assert isinstance(cursors[-1], psycopg.ServerCursor)


def test_a_stream_that_is_left_early_gives_its_connection_back(chain: Engine) -> None:
    for _ in range(20):  # more than the pool has
        stream = Ledger(chain, machine_scope(NORTHWIND)).stream()
        assert next(stream).record.seq == 1
        del stream
    assert record(chain, event(4))[0].seq == 4


@pytest.mark.parametrize("place", [1, 2, 3])
def test_a_second_record_at_a_position_is_returned_and_found(chain: Engine, place: int) -> None:
    genuine = stored(chain)[place - 1].record
    forged = genuine._replace(record_id=record_id(7), actor_id="u-framed", actor_seq=1, reason="forged")
    forged = forged._replace(hash=header_hash(record_header(forged)))
    _let_positions_repeat(chain)
    with chain.begin() as connection:
        columns = forged._asdict() | {"related": related_text(forged.related)}
        connection.execute(audit_record.insert().values(columns))
    found = {(item.record.seq, item.record.actor_id): codes(item) for item in stored(chain)}
    assert found.pop((place, "u-framed")) == [("chain_broken", None)]
    assert found.pop((place, genuine.actor_id)) == [("chain_broken", None)]
    assert list(found.values()) == [[], []], "what links to the genuine record was accused"
    assert len(stored(chain)) == 4
    tamper(chain, "UPDATE audit_record SET reason = 'once more' WHERE actor_id = 'u-framed'")
    assert [("record_modified", None)] in [codes(item) for item in stored(chain)]


def _let_positions_repeat(engine: Engine) -> None:
    """Take the keys of records away, as somebody who owns the database can."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            for constraint in ("audit_record_pkey", "uq_audit_record_prev_hash"):
                connection.exec_driver_sql(f"ALTER TABLE audit_record DROP CONSTRAINT {constraint}")
        else:
            connection.exec_driver_sql("ALTER TABLE audit_record RENAME TO kept")
            connection.exec_driver_sql("CREATE TABLE audit_record AS SELECT * FROM kept")
