"""A verification as it runs: its upper end, its progress, its row, its memory."""

from __future__ import annotations

import gc
import tracemalloc
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine, func, select

from flasktrack.core.times import format_time, utc_now
from flasktrack.errors import UnknownOrganization
from flasktrack.store.schema import verification
from flasktrack.store.scope import machine_scope
from flasktrack.store.verifications import latest_verification, list_verifications
from flasktrack.verify.runner import verify_organization
from tests import adversary
from tests.verify.chains import error, event, findings, grow, make_chain, new_organization, said, verify

MANY = 4500  # records: more than any stream fetches, or counts, at once


class Cancelled(Exception):
    """The user changed their mind."""


def stored(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(verification)) or 0


def test_a_verification_is_kept_with_who_started_it_what_it_covered_and_what_it_found(engine: Engine, lab: str) -> None:
    make_chain(engine, lab, 12)
    adversary.delete_records(engine, lab, 5, 6)
    adversary.alter_section(engine, lab, 9, "context", "{}")
    earliest = format_time(utc_now() - timedelta(seconds=1))
    done = verify_organization(engine, lab, started_by="user:u-17")
    assert latest_verification(engine, lab) == done
    assert (done.organization_id, done.started_by, done.status) == (lab, "user:u-17", "broken")
    assert (done.first_seq, done.last_seq, done.records, done.sealed) == (1, 12, 10, 0)
    assert said(done) == [error("record_missing", 5, 6), error("payload_modified", 9, section="context")]
    assert earliest < done.started_at <= format_time(utc_now())
    assert 0 < done.seconds < 60
    with engine.connect() as connection:
        row = connection.execute(select(verification).where(verification.c.id == done.id)).one()
    assert (row.status, row.started_by, row.records) == ("broken", "user:u-17", 10)


def test_every_verification_is_kept_the_newest_first(engine: Engine, lab: str) -> None:
    make_chain(engine, lab, 3)
    first = verify_organization(engine, lab, started_by="command line")
    adversary.alter_record(engine, lab, 2, reason="x")
    second = verify_organization(engine, lab, started_by="user:u-1")
    assert list_verifications(engine, machine_scope(lab)) == [second, first]
    assert [kept.status for kept in (first, second)] == ["verified", "broken"]


def test_a_verification_of_nothing_is_kept_as_not_checked(engine: Engine, lab: str) -> None:
    done = verify_organization(engine, new_organization(engine, lab), started_by="user:u-1")
    assert latest_verification(engine, lab) == done
    assert (done.status, done.first_seq, done.last_seq, done.records) == ("not_checked", 0, 0, 0)


def test_a_verification_that_is_not_to_be_kept_leaves_no_row(engine: Engine, lab: str) -> None:
    make_chain(engine, lab, 3)
    before = stored(engine)
    kept = verify_organization(engine, lab, started_by="user:u-1", keep=False)
    assert (kept.status, kept.records) == ("verified", 3)
    assert stored(engine) == before


def test_an_unknown_organization_is_refused_and_nothing_kept(engine: Engine, lab: str) -> None:
    before = stored(engine)
    with pytest.raises(UnknownOrganization, match=lab):
        verify_organization(engine, lab, started_by="user:u-1")
    assert stored(engine) == before


@pytest.fixture(scope="module")
def long_chain(engine: Engine) -> str:
    """A chain that no test alters."""
    make_chain(engine, "long-chain", MANY)
    return "long-chain"


def test_progress_counts_up_to_the_number_of_records(engine: Engine, long_chain: str) -> None:
    calls: list[tuple[int, int]] = []
    verify_organization(
        engine, long_chain, started_by="user:u-1", progress=lambda *call: calls.append(call), keep=False
    )
    counts = [count for count, _ in calls]
    assert len(counts) > 1
    assert counts == sorted(counts)
    assert {total for _, total in calls} == {MANY}
    assert counts[-1] == MANY


@pytest.mark.parametrize("call", [1, 2, -1])
def test_an_error_in_progress_cancels_and_nothing_is_kept(engine: Engine, long_chain: str, call: int) -> None:
    before = stored(engine)
    calls = 0

    def cancel(count: int, total: int) -> None:
        nonlocal calls
        calls += 1
        if calls == call or (call == -1 and count == total):
            raise Cancelled

    with pytest.raises(Cancelled):
        verify_organization(engine, long_chain, started_by="user:u-1", progress=cancel)
    assert stored(engine) == before
    assert findings(engine, long_chain) == [], "the next one is not disturbed"


def test_records_appended_meanwhile_are_neither_skipped_nor_accused(engine: Engine, lab: str) -> None:
    make_chain(engine, lab, MANY)
    appended = 0

    def append_some(*_: int) -> None:
        nonlocal appended
        grow(engine, lab, *(event(MANY + appended + number) for number in (1, 2, 3)))
        appended += 3

    done = verify_organization(engine, lab, started_by="system:schedule", progress=append_some)
    assert appended > 3
    assert (said(done), done.status) == ([], "verified")
    assert (done.records, done.last_seq) == (MANY, MANY)
    after = verify(engine, lab)
    assert (said(after), after.records) == ([], MANY + appended)


def test_findings_do_not_depend_on_where_a_batch_ends(engine: Engine, lab: str) -> None:
    """Alterations around every round number of records at which a stream or a count may pause."""
    make_chain(engine, lab, MANY)
    around = [size + step for size in (1000, 2000, 4000, 4096) for step in (-1, 0, 1)]
    for seq in around:
        adversary.rechain_record(engine, lab, seq, reason="x")
    adversary.swap_records(engine, lab, 500, 3500)
    adversary.alter_section(engine, lab, 3000, "after", "{}")
    adversary.delete_link(engine, lab, 3001, "W-1")
    adversary.delete_records(engine, lab, 2999)
    assert findings(engine, lab) == [
        error("record_reordered", 500),
        error("chain_broken", 1000, 1002),
        error("chain_broken", 2000, 2002),
        error("record_missing", 2999),
        error("payload_modified", 3000, section="after"),
        error("link_mismatch", 3001),
        error("record_reordered", 3500),
        error("chain_broken", 4000, 4002),
        error("chain_broken", 4096, 4098),
    ]


def test_a_deletion_with_thousands_of_records_renumbered_is_still_told_as_one(engine: Engine, lab: str) -> None:
    make_chain(engine, lab, MANY)
    adversary.delete_records(engine, lab, 1500)
    shift = "UPDATE {table} SET seq = seq {by} WHERE organization_id = :id AND seq {where}"
    for table in ("audit_record", "audit_payload", "record_link"):  # by way of negative ones: no two may be the same
        adversary.run_sql(engine, shift.format(table=table, by="- 1000000", where="> 1500"), id=lab)
        adversary.run_sql(engine, shift.format(table=table, by="+ 999999", where="< 0"), id=lab)
    adversary.mend_head(engine, lab)
    assert findings(engine, lab) == [error("record_missing", 1500), error("record_reordered", 1500, MANY - 1)]


def test_memory_does_not_grow_with_the_records(engine: Engine, lab: str) -> None:
    """Four times as many records: what is kept of each is a few numbers, not its two thousand bytes and more."""
    few, many, size = 2000, 8000, 1000
    note = {"note": "x" * size}
    peaks = []
    for count in (few, many):
        make_chain(engine, f"{lab}-{count}", count, before=None, after=note)
        gc.collect()
        tracemalloc.start()
        verify(engine, f"{lab}-{count}")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (peaks[1] - peaks[0]) / (many - few) < 400


def test_two_verifications_of_the_same_chain_say_the_same(engine: Engine, lab: str) -> None:
    make_chain(engine, lab, 30)
    for seq in (3, 4, 9):
        adversary.rechain_record(engine, lab, seq, actor_seq=7)
    adversary.delete_and_renumber(engine, lab, 20)
    first, second = verify(engine, lab), verify(engine, lab)
    assert first.findings
    assert replace(second, id=first.id, started_at=first.started_at, seconds=first.seconds) == first
