"""Looking is on record: gathered, under the page and beside what was looked at, or not at all where that is set so."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from sqlalchemy import Engine

from flasktrack.access.demo import demo_principal
from flasktrack.access.looking import MAX_FILTER, SEARCH, VIEW, Look, Looks
from flasktrack.access.members import add_member, principal_for
from flasktrack.access.permissions import scope_for
from flasktrack.access.roles import Role
from flasktrack.core.record import Reference
from flasktrack.store.profile import change_profile, read_profile
from flasktrack.store.scope import Scope, machine_scope
from flasktrack.verify.runner import verify_organization
from tests.adversary import delete_records
from tests.store.samples import NORTHWIND, event, record, stored

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SAMPLE = Look(VIEW, ("entities", "Entities"), Reference("sample", "S-100"))
SEARCHED = Look(SEARCH, ("records", "Records"), filter='{"action": ["delete"]}')
DENIED = Look(VIEW, ("integrity", "Integrity"), outcome="denied")


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def anna(lab: Engine) -> Scope:
    record(lab, event(1))
    add_member(lab, machine_scope(NORTHWIND), "user:anna", "Anna Berg", {Role.QA_LEAD}, reason="SOP-3")
    found = principal_for(lab, "user:anna", "a test", {"ip": "192.0.2.7", "user_agent": "a browser"})
    assert found is not None
    return scope_for(found, NORTHWIND)


def told(lab: Engine) -> list[tuple[str, str, str, tuple[Reference, ...]]]:
    records = [one.record for one in stored(lab) if one.record.entity_type == "page"]
    return [(one.action, one.outcome, one.entity_id, one.related) for one in records]


def test_looks_are_one_record_for_a_person_and_what_they_looked_at(lab: Engine, anna: Scope) -> None:
    clock = Clock()
    looks = Looks(clock)
    for minute in range(14):
        clock.now = NOON + timedelta(minutes=minute)
        for look in (SAMPLE, SEARCHED, DENIED):
            looks.note(lab, anna, look)
    assert looks.flush() == 0  # they are gathered still
    clock.now = NOON + timedelta(minutes=15)
    assert looks.flush() == 3
    assert looks.flush(everything=True) == 0
    assert sorted(told(lab), key=str) == sorted(
        [
            ("view", "success", "entities", (Reference("sample", "S-100"),)),
            ("search", "success", "records", ()),
            ("view", "denied", "integrity", ()),
        ],
        key=str,
    )
    (viewed,) = (one for one in stored(lab) if one.record.related)
    assert viewed.context is not None
    assert orjson.loads(viewed.context.body) == {
        "ip": "192.0.2.7",
        "user_agent": "a browser",
        "first_at": "2026-11-24T12:00:00.000000Z",
        "last_at": "2026-11-24T12:13:00.000000Z",
    }
    assert (viewed.record.actor_id, viewed.record.actor_name, viewed.record.actor_role) == (
        "anna",
        "Anna Berg",
        "qa-lead",
    )
    done = verify_organization(lab, NORTHWIND, started_by="system:test")
    assert (done.status, done.findings) == ("verified", ())  # and no history has a gap by it


def test_an_organization_says_whether_and_how_long(lab: Engine, anna: Scope) -> None:
    clock, operator = Clock(), machine_scope(NORTHWIND)
    looks = Looks(clock)
    found = read_profile(lab, operator)
    change_profile(lab, operator, found, replace(found.profile, views_gathered_minutes=1), reason="SOP-4")
    looks.note(lab, anna, SAMPLE)
    clock.now += timedelta(minutes=1)
    assert looks.flush() == 1
    found = read_profile(lab, operator)
    change_profile(lab, operator, found, replace(found.profile, record_views=False), reason="works council")
    looks.note(lab, anna, SAMPLE)
    looks.flush(everything=True)
    assert len(told(lab)) == 1


def test_the_demos_people_and_what_no_record_can_name_leave_none(lab: Engine, anna: Scope) -> None:
    looks = Looks()
    looks.note(lab, scope_for(demo_principal(Role.QA_LEAD, [NORTHWIND]), NORTHWIND), SAMPLE)
    for id_ in ("", "x" * 256, "a\x00", "\ud800"):
        looks.note(lab, anna, replace_about(id_))
    assert looks.flush(everything=True) == 0
    assert told(lab) == []


def replace_about(id_: str) -> Look:
    return SAMPLE._replace(about=Reference("sample", id_))


def test_whatever_a_record_can_name_is_told_where_it_is_looked_at(lab: Engine, anna: Scope) -> None:
    named = [Reference("sample", id_) for id_ in ("S\u00a01", "S\n1", "S\u200b1")]  # none of which a terminal prints
    looks = Looks(Clock())
    for about in named:
        looks.note(lab, anna, SAMPLE._replace(about=about))
    assert looks.flush(everything=True) == 3
    assert [related for _, _, _, (related,) in told(lab)] == named


def test_where_nothing_can_be_appended_looks_are_given_up_and_nothing_fails(lab: Engine, anna: Scope) -> None:
    looks = Looks()
    looks.note(lab, anna, SAMPLE)
    delete_records(lab, NORTHWIND, 2)
    looks.flush(everything=True)
    assert looks.flush(everything=True) == 0


def test_one_look_that_no_record_can_tell_of_takes_no_other_with_it(
    lab: Engine, anna: Scope, caplog: pytest.LogCaptureFixture
) -> None:
    looks = Looks(Clock())
    looks.note(lab, anna, SAMPLE)
    looks.note(lab, replace(anna, context={"user_agent": "\ud800"}), DENIED)
    looks.note(lab, anna, SEARCHED)
    looks.flush(everything=True)
    assert [action for action, *_ in told(lab)] == ["view", "search"]
    assert "'user:anna' looked at northwind-labs can't be recorded: context" in caplog.text
    assert looks.flush(everything=True) == 0  # and it is not tried for ever


def test_no_search_is_too_long_to_be_on_record(lab: Engine, anna: Scope) -> None:
    looks = Looks(Clock())
    looks.note(lab, anna, SEARCHED._replace(filter="x" * 2_000_000))
    looks.flush(everything=True)
    (found,) = (one for one in stored(lab) if one.record.action == "search")
    assert found.context is not None
    assert orjson.loads(found.context.body)["filter"] == "x" * MAX_FILTER + "…"
