"""What the numbers of a page rest on: the latest verification, said so that it can't claim more than was checked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine

from flasktrack.access.demo import demo_principal
from flasktrack.access.permissions import scope_for
from flasktrack.access.roles import Role
from flasktrack.core.finding import Finding
from flasktrack.core.times import format_time, utc_now
from flasktrack.insight.copy import CopyState
from flasktrack.insight.copy_place import open_copy
from flasktrack.insight.following import Standing
from flasktrack.store.engine import writing
from flasktrack.store.organizations import get_organization
from flasktrack.store.verifications import Verification, store_verification
from flasktrack.trust.checkpoints import StoredCheckpoint, store_checkpoint
from flasktrack.ui.session import Context
from flasktrack.ui.theme import OUTCOME, SEVERITY, STATUS
from flasktrack.ui.verdict import ago, chain_verdict, describe
from flasktrack.verify.runner import verify_organization
from tests.adversary import alter_record, cut_tail, run_sql
from tests.store.samples import NORTHWIND, event, organizations, record


@pytest.fixture
def context(sqlite_engine: Engine, tmp_path: Path) -> Context:
    organizations(sqlite_engine, NORTHWIND)
    organization = get_organization(sqlite_engine, NORTHWIND)
    zone = ZoneInfo("Europe/Berlin")
    copy = open_copy(sqlite_engine, f"duckdb:///{tmp_path / 'copy.duckdb'}")
    person = demo_principal(Role.QA_LEAD, [NORTHWIND])
    scope = scope_for(person, NORTHWIND)
    return Context(sqlite_engine, copy, Standing(CopyState(), 0), organization, (organization,), zone, person, scope)


def verify(context: Context, started_by: str = "command line") -> Verification:
    return verify_organization(context.engine, NORTHWIND, started_by=started_by)


def keep(context: Context, done: Verification, **changes: Any) -> Verification:
    """Store another verification, as the newest one."""
    made = replace(done, **changes)
    with writing(context.engine) as connection:
        store_verification(connection, made)
    return made


def test_without_a_verification_nothing_is_claimed(context: Context) -> None:
    record(context.engine, event(1), event(2))
    look, said = chain_verdict(context)
    assert look == STATUS["not_checked"]
    assert said == "2 records, never verified"


def test_a_sound_chain_is_verified_with_how_much_and_when(context: Context) -> None:
    record(context.engine, event(1), event(2))
    verify(context)
    look, said = chain_verdict(context)
    assert look == STATUS["verified"]
    assert "2 records checked" in said
    assert "+01:00" in said or "+02:00" in said
    assert "none sealed" in said
    assert "since then" not in said


def test_later_records_are_not_covered(context: Context) -> None:
    record(context.engine, event(1))
    verify(context)
    record(context.engine, event(2), event(3))
    look, said = chain_verdict(context)
    assert look == STATUS["verified"]
    assert "1 record checked" in said
    assert "2 records since then not checked" in said


def test_the_record_that_somebody_verified_is_not_covered_by_what_it_tells_of(context: Context) -> None:
    record(context.engine, event(1))
    verify(context, "user:u-1")
    assert "1 record since then not checked" in chain_verdict(context)[1]


def test_a_verification_of_what_is_new_is_never_said_to_be_one_of_all(context: Context) -> None:
    record(context.engine, *(event(number) for number in range(1, 6)))
    done = keep(context, verify(context), id="new", mode="incremental", first_seq=4, records=2)
    look, said = chain_verdict(context)
    assert look == STATUS["verified"]._replace(word="Verified since 4")
    assert said.startswith("only the 2 records from 4 to 5 checked ")
    broken = Finding("record_modified", NORTHWIND, 5, 5, "Altered.")
    keep(context, done, id="broken", findings=(broken,))
    assert chain_verdict(context)[0] == STATUS["broken"]


def test_a_verification_of_a_range_speaks_for_the_chain_only_where_it_found_an_error(context: Context) -> None:
    record(context.engine, *(event(number) for number in range(1, 6)))
    done = verify(context)
    keep(context, done, id="range", mode="range", first_seq=2, last_seq=3, records=2)
    assert "all 5 records checked" in chain_verdict(context)[1]
    broken = Finding("record_modified", NORTHWIND, 2, 2, "Altered.")
    keep(context, done, id="broken", mode="range", first_seq=2, last_seq=3, records=2, findings=(broken,))
    look, said = chain_verdict(context)
    assert look == STATUS["broken"]
    assert said.startswith("1 error in only the 2 records from 2 to 3")


def test_how_far_the_chain_is_sealed_and_anchored_is_said(context: Context) -> None:
    record(context.engine, *(event(number) for number in range(1, 11)))
    done = verify(context)
    for sealed, anchored, words in (
        (10, 10, "; sealed through 10, anchored through 10"),
        (8, 4, "; sealed through 8, anchored through 4, 2 not yet sealed"),
        (8, 0, "; sealed through 8, not anchored, 2 not yet sealed"),
        (0, 0, "; none sealed"),
    ):
        assert describe(context, replace(done, sealed=sealed, anchored=anchored), 10).endswith(words)


def test_a_seal_that_came_later_is_told_and_not_trusted_yet(context: Context) -> None:
    record(context.engine, *(event(number) for number in range(1, 11)))
    done = replace(verify(context), sealed=4)
    created_at = format_time(utc_now())
    with writing(context.engine) as connection:
        store_checkpoint(connection, StoredCheckpoint(NORTHWIND, 9, bytes(32), "note", created_at))
    since = "; sealed through 9 since then, the seal not yet checked, 1 not yet sealed"
    assert describe(context, done, 10).endswith(since)
    later = format_time(utc_now() + timedelta(hours=1))
    assert describe(context, replace(done, started_at=later), 10).endswith(
        "; sealed through 4, not anchored, 6 not yet sealed"
    )


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(minutes=59), "59 minutes ago"),
        (timedelta(hours=25), "1 day ago"),
        (timedelta(days=400), "400 days ago"),
        (timedelta(seconds=-50), "just now"),  # by a clock that is a little ahead
        (timedelta(hours=-1), "in the future, by this machine's clock"),
    ],
)
def test_how_long_ago_is_said_as_people_say_it(passed: timedelta, said: str) -> None:
    assert ago(utc_now() - passed) == said


def test_faults_in_the_tables_break_the_verdict_without_any_error(context: Context) -> None:
    record(context.engine, event(1), event(2))
    keep(context, verify(context), id="remarks", remarks=("A guard is gone.",))
    look, said = chain_verdict(context)
    assert look == STATUS["broken"]
    assert "1 fault in the tables themselves and 0 errors in 2 records checked" in said


def test_a_verification_that_cant_be_read_proves_nothing(context: Context) -> None:
    record(context.engine, event(1), event(2))
    verify(context)
    run_sql(context.engine, "UPDATE verification SET records = -1")
    look, said = chain_verdict(context)
    assert look == STATUS["not_checked"]
    assert "can't be read, so it proves nothing" in said


def test_an_altered_chain_is_broken(context: Context) -> None:
    record(context.engine, event(1), event(2))
    alter_record(context.engine, NORTHWIND, 1, reason="nothing to see")
    verify(context)
    look, said = chain_verdict(context)
    assert look == STATUS["broken"]
    assert "1 error in 2 records" in said


def test_a_warning_is_told_and_breaks_nothing(context: Context) -> None:
    record(context.engine, event(1), event(5))
    verify(context)
    look, said = chain_verdict(context)
    assert look == STATUS["verified"]
    assert "1 warning" in said


def test_an_empty_chain_proves_nothing(context: Context) -> None:
    verify(context)
    look, said = chain_verdict(context)
    assert look == STATUS["not_checked"]
    assert "nothing to check" in said


def test_what_was_cut_off_later_does_not_hide_behind_the_old_verdict(context: Context) -> None:
    """The verdict is as old as it says: fewer records than were checked are no negative number of new ones."""
    record(context.engine, event(1), event(2), event(3))
    verify(context)
    cut_tail(context.engine, NORTHWIND, 1)
    _, said = chain_verdict(context)
    assert "since then" not in said
    verify(context)
    assert chain_verdict(context)[0] == STATUS["broken"]


def test_each_meaning_has_a_word_and_an_icon_of_its_own() -> None:
    for looks in (STATUS, SEVERITY, OUTCOME):
        assert len({look.word for look in looks.values()}) == len(looks)
        assert len({look.icon for look in looks.values()}) == len(looks)
