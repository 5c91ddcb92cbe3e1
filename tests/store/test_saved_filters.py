"""Filters by name: one's own, and what the organization shares; nobody sees another's."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, update

from flasktrack.errors import InvalidFilter
from flasktrack.store.engine import writing
from flasktrack.store.saved_filters import MAX_NAME, SHARED, delete_filter, find_filter, list_filters, save_filter
from flasktrack.store.schema import saved_filter
from tests.store.samples import NORTHWIND, SOUTHPORT

ANN, BOB = "user:ann", "user:bob"
DELETIONS = {"action": ["delete"]}


def names(engine: Engine, by: str, organization: str = NORTHWIND) -> list[str]:
    return [found.name for found in list_filters(engine, organization, by)]


def test_what_is_shared_is_everybodys_and_what_is_ones_own_is_not(engine: Engine) -> None:
    save_filter(engine, NORTHWIND, "Deletions", DELETIONS, ANN, shared=True)
    save_filter(engine, NORTHWIND, " Mine ", {"outcome": ["denied"]}, ANN, shared=False)
    save_filter(engine, SOUTHPORT, "Theirs", DELETIONS, ANN, shared=True)
    assert names(engine, ANN) == ["Deletions", "Mine"]
    assert names(engine, BOB) == ["Deletions"]
    assert names(engine, ANN, SOUTHPORT) == ["Theirs"]
    found = find_filter(engine, NORTHWIND, "Deletions", BOB)
    assert (dict(found.params), found.saved_by, found.is_shared) == (DELETIONS, ANN, True)
    with pytest.raises(InvalidFilter, match=r"no saved filter 'Mine'.* Saved are: Deletions"):
        find_filter(engine, NORTHWIND, "Mine", BOB)


def test_ones_own_comes_before_what_is_shared_and_a_name_is_given_once(engine: Engine) -> None:
    save_filter(engine, NORTHWIND, "Mine", DELETIONS, ANN, shared=True)
    save_filter(engine, NORTHWIND, "Mine", {"text": ["old"]}, ANN, shared=False)
    save_filter(engine, NORTHWIND, "Mine", {"text": ["new"]}, ANN, shared=False)
    assert dict(find_filter(engine, NORTHWIND, "Mine", ANN).params) == {"text": ["new"]}
    assert names(engine, ANN) == ["Mine", "Mine"]
    delete_filter(engine, NORTHWIND, ANN, "Mine")
    assert dict(find_filter(engine, NORTHWIND, "Mine", ANN).params) == DELETIONS
    delete_filter(engine, NORTHWIND, SHARED, "Mine")
    assert names(engine, ANN) == []


@pytest.mark.parametrize("name", ["", "  ", "x" * (MAX_NAME + 1), "a\x00b", "\ud800"])
def test_a_name_that_is_none_is_refused(sqlite_engine: Engine, name: str) -> None:
    with pytest.raises(InvalidFilter, match="another name"):
        save_filter(sqlite_engine, NORTHWIND, name, DELETIONS, ANN, shared=True)
    assert names(sqlite_engine, ANN) == []


@pytest.mark.parametrize("altered", ["no JSON", "[]", "7", '{"seq": 5}', '{"actor": [5]}'])
def test_a_row_that_is_no_filter_any_more_is_none(sqlite_engine: Engine, altered: str) -> None:
    save_filter(sqlite_engine, NORTHWIND, "Deletions", DELETIONS, ANN, shared=True)
    with writing(sqlite_engine) as connection:
        connection.execute(update(saved_filter).values(filter=altered))
    assert names(sqlite_engine, ANN) == []
