"""Filters by name: one's own, and what the organization shares; nobody sees another's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import Engine, update

from flasktrack.access.permissions import require
from flasktrack.access.principal import Principal
from flasktrack.access.roles import Role
from flasktrack.core.record import Section
from flasktrack.errors import InvalidFilter, NotPermitted
from flasktrack.store.engine import writing
from flasktrack.store.reader import Ledger
from flasktrack.store.saved_filters import MAX_NAME, delete_filter, find_filter, list_filters, save_filter
from flasktrack.store.schema import saved_filter
from flasktrack.store.scope import Permission, Scope, machine_scope
from tests.store.samples import NORTHWIND, SOUTHPORT, organizations

ANN, BOB, LEAD = "user:ann", "user:bob", "user:lead"
DELETIONS = {"action": ["delete"]}


@pytest.fixture(autouse=True)
def chains(request: pytest.FixtureRequest) -> None:
    name = "sqlite_engine" if "sqlite_engine" in request.fixturenames else "engine"
    organizations(request.getfixturevalue(name), NORTHWIND, SOUTHPORT)


def scope(who: str, organization: str = NORTHWIND) -> Scope:
    role = Role.QA_LEAD if who == LEAD else Role.COMPLIANCE_REVIEWER
    return require(Principal(who, None, {organization: frozenset({role})}, "test"), organization, Permission.EXPORT)


def names(engine: Engine, by: str, organization: str = NORTHWIND) -> list[str]:
    return [found.name for found in list_filters(engine, scope(by, organization))]


def test_what_is_shared_is_everybodys_and_what_is_ones_own_is_not(engine: Engine) -> None:
    save_filter(engine, scope(ANN), "Deletions", DELETIONS, shared=True)
    save_filter(engine, scope(ANN), " Mine ", {"outcome": ["denied"]}, shared=False)
    save_filter(engine, scope(ANN, SOUTHPORT), "Theirs", DELETIONS, shared=True)
    assert names(engine, ANN) == ["Deletions", "Mine"]
    assert names(engine, BOB) == ["Deletions"]
    assert names(engine, ANN, SOUTHPORT) == ["Theirs"]
    found = find_filter(engine, scope(BOB), "Deletions")
    assert (dict(found.params), found.saved_by, found.is_shared) == (DELETIONS, ANN, True)
    with pytest.raises(InvalidFilter, match=r"no saved filter 'Mine'.* Saved are: Deletions"):
        find_filter(engine, scope(BOB), "Mine")


def test_ones_own_comes_before_what_is_shared_and_a_name_is_given_once(engine: Engine) -> None:
    save_filter(engine, scope(ANN), "Mine", DELETIONS, shared=True)
    save_filter(engine, scope(ANN), "Mine", {"text": ["old"]}, shared=False)
    save_filter(engine, scope(ANN), "Mine", {"text": ["new"]}, shared=False)
    assert dict(find_filter(engine, scope(ANN), "Mine").params) == {"text": ["new"]}
    assert names(engine, ANN) == ["Mine", "Mine"]
    delete_filter(engine, scope(ANN), "Mine", shared=False)
    assert dict(find_filter(engine, scope(ANN), "Mine").params) == DELETIONS
    delete_filter(engine, scope(ANN), "Mine", shared=True)
    assert names(engine, ANN) == []


def test_what_is_shared_is_changed_by_its_owner_or_a_qa_lead_alone_and_each_change_is_a_record(engine: Engine) -> None:
    save_filter(engine, scope(ANN), "Deletions", DELETIONS, shared=True)
    with pytest.raises(NotPermitted, match="shared by user:ann"):
        delete_filter(engine, scope(BOB), "Deletions", shared=True)
    with pytest.raises(NotPermitted, match="under another name"):
        save_filter(engine, scope(BOB), "Deletions", {"text": ["harmless"]}, shared=True)
    save_filter(engine, scope(BOB), "Deletions", {"text": ["mine"]}, shared=False)
    delete_filter(engine, scope(BOB), "Deletions", shared=False)
    assert dict(find_filter(engine, scope(BOB), "Deletions").params) == DELETIONS
    save_filter(engine, scope(ANN), "Deletions", {"action": ["erase"]}, shared=True)
    delete_filter(engine, scope(LEAD), "Deletions", shared=True)
    delete_filter(engine, scope(LEAD), "Deletions", shared=True)  # it is gone: nothing to record
    first, second, third = (
        {"filter": DELETIONS, "shared_by": ANN},
        {"filter": {"action": ["erase"]}, "shared_by": ANN},
        None,
    )
    told = [
        (found.record.action, found.record.entity_id, found.record.actor_id, _body(found.before), _body(found.after))
        for found in Ledger(engine, machine_scope(NORTHWIND)).stream()
    ]
    assert told == [
        ("create", "Deletions", "ann", None, first),
        ("update", "Deletions", "ann", first, second),
        ("delete", "Deletions", "lead", second, third),
    ]


def _body(section: Section | None) -> Any:
    return None if section is None else json.loads(section.body)


@pytest.mark.parametrize("name", ["", "  ", "x" * (MAX_NAME + 1), "a\x00b", "\ud800"])
def test_a_name_that_is_none_is_refused(sqlite_engine: Engine, name: str) -> None:
    with pytest.raises(InvalidFilter, match="another name"):
        save_filter(sqlite_engine, scope(ANN), name, DELETIONS, shared=True)
    assert names(sqlite_engine, ANN) == []


@pytest.mark.parametrize("altered", ["no JSON", "[]", "7", '{"seq": 5}', '{"actor": [5]}'])
def test_a_row_that_is_no_filter_any_more_is_none(sqlite_engine: Engine, altered: str) -> None:
    save_filter(sqlite_engine, scope(ANN), "Deletions", DELETIONS, shared=True)
    with writing(sqlite_engine) as connection:
        connection.execute(update(saved_filter).values(filter=altered))
    assert names(sqlite_engine, ANN) == []
