"""What the numbers of a page rest on: the latest verification, said so that it can't claim more than was checked."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine

from flasktrack.access.roles import Role
from flasktrack.store.organizations import get_organization
from flasktrack.ui.session import Context
from flasktrack.ui.theme import OUTCOME, SEVERITY, STATUS
from flasktrack.ui.verdict import chain_verdict
from flasktrack.verify.runner import verify_organization
from tests.adversary import alter_record, cut_tail
from tests.store.samples import NORTHWIND, event, organizations, record


@pytest.fixture
def context(sqlite_engine: Engine) -> Context:
    organizations(sqlite_engine, NORTHWIND)
    organization = get_organization(sqlite_engine, NORTHWIND)
    zone = ZoneInfo("Europe/Berlin")
    return Context(sqlite_engine, organization, (organization,), zone, Role.QA_LEAD, "user:demo")


def verify(context: Context) -> None:
    verify_organization(context.engine, NORTHWIND, started_by="user:u-1")


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
