"""Filters that were saved by name: one's own, or shared by all of an organization.

What is kept are the parameters of an address (`insight.filter.RecordFilter.to_params`). A name stands for one filter in
what the organization shares, and for one among each person's own.

What is shared stands for something to others: a schedule exports by it. So each change of it is a record in the chain,
and it is replaced or deleted only by whoever shared it, or who may manage filters. One's own are nobody's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, Row, delete, insert, select

from flasktrack.core.body import name_problem
from flasktrack.core.times import format_time, utc_now
from flasktrack.errors import InvalidFilter, NotPermitted
from flasktrack.store.acts import append_act
from flasktrack.store.engine import writing
from flasktrack.store.row_security import of_organization
from flasktrack.store.schema import saved_filter
from flasktrack.store.scope import Permission, Scope

SHARED = ""
"""The owner of what an organization shares."""
MAX_NAME = 80
ENTITY_TYPE = "saved_filter"

_row = saved_filter.c


@dataclass(frozen=True, slots=True)
class SavedFilter:
    """A filter's parameters under a name; `owner` is whose it is as type:id, or SHARED. Times are the spec's text."""

    organization_id: str
    owner: str
    name: str
    params: Mapping[str, list[str]]
    saved_at: str
    saved_by: str

    @property
    def is_shared(self) -> bool:
        return self.owner == SHARED


def save_filter(engine: Engine, scope: Scope, name: str, params: Mapping[str, list[str]], *, shared: bool) -> None:
    """Keep a filter under a name, in the place of one that had it.

    Raises NotPermitted, InvalidFilter for a name that is none, and what `append` raises where it is shared.
    """
    scope.check(Permission.EXPORT)
    name = name.strip()
    if (problem := name_problem(name, MAX_NAME)) is not None:
        raise InvalidFilter(problem, "Give another name.")
    owner, by = SHARED if shared else scope.actor.subject, scope.actor.subject
    mine = _is(scope, owner, name)
    values = {"filter": orjson.dumps(dict(params)).decode(), "saved_at": format_time(utc_now()), "saved_by": by}
    with writing(of_organization(engine, scope.organization_id)) as connection:
        if shared:
            _record(connection, scope, name, {"filter": dict(params), "shared_by": by})
        connection.execute(delete(saved_filter).where(mine))
        named = {"organization_id": scope.organization_id, "owner": owner, "name": name}
        connection.execute(insert(saved_filter).values(**named, **values))


def delete_filter(engine: Engine, scope: Scope, name: str, *, shared: bool) -> None:
    """Forget a filter of one's own, or one that is shared. Raises NotPermitted, and what `append` raises."""
    scope.check(Permission.EXPORT)
    owner = SHARED if shared else scope.actor.subject
    with writing(of_organization(engine, scope.organization_id)) as connection:
        if shared:
            _record(connection, scope, name, None)
        connection.execute(delete(saved_filter).where(_is(scope, owner, name)))


def may_change(scope: Scope, saved: SavedFilter) -> bool:
    """Whether somebody may replace or delete a filter."""
    return (
        not saved.is_shared or saved.saved_by == scope.actor.subject or Permission.MANAGE_FILTERS in scope.permissions
    )


def list_filters(engine: Engine, scope: Scope) -> list[SavedFilter]:
    """Those that the organization shares, and a person's own, each by name. Raises NotPermitted."""
    scope.check(Permission.EXPORT)
    owners = (SHARED, scope.actor.subject)
    mine = select(saved_filter).where(_row.organization_id == scope.organization_id, _row.owner.in_(owners))
    with of_organization(engine, scope.organization_id).connect() as connection:
        rows = connection.execute(mine.order_by(_row.owner, _row.name)).all()
    return [found for row in rows if (found := _saved(row)) is not None]


def find_filter(engine: Engine, scope: Scope, name: str) -> SavedFilter:
    """The one of that name: a person's own before what is shared. Raises InvalidFilter where there is none."""
    saved = list_filters(engine, scope)
    named = [found for found in saved if found.name == name]
    if not named:
        known = ", ".join(dict.fromkeys(found.name for found in saved)) or "none"
        raise InvalidFilter(
            f"{scope.organization_id} has no saved filter {name[:MAX_NAME]!r}.",
            f"Save it on the page Exports, shared with the organization. Saved are: {known[:300]}.",
        )
    return named[-1]


def read_params(stored: Any) -> dict[str, list[str]] | None:
    """A filter's parameters from the text that a row holds; None for one that somebody altered to what is none."""
    try:
        params = orjson.loads(stored)
    except (orjson.JSONDecodeError, TypeError):
        return None
    sound = isinstance(params, dict) and all(
        isinstance(values, list) and all(isinstance(value, str) for value in values) for values in params.values()
    )
    return params if sound else None


def _record(connection: Connection, scope: Scope, name: str, after: dict[str, Any] | None) -> None:
    """Append the record of a change of what is shared, which must be permitted."""
    former = _shared(connection, scope, name)
    if former is None and after is None:
        return
    before = None if former is None else {"filter": read_params(former.filter), "shared_by": former.saved_by}
    if (
        former is not None
        and former.saved_by != scope.actor.subject
        and Permission.MANAGE_FILTERS not in scope.permissions
    ):
        raise NotPermitted(
            f"{name!r} was shared by {former.saved_by}, and only they or a QA lead may replace or delete it.",
            "Save yours under another name.",
        )
    action = "delete" if after is None else "create" if before is None else "update"
    append_act(connection, scope, action, (ENTITY_TYPE, name, None), before=before, after=after)
    if _shared(connection, scope, name) != former:  # the record's lock keeps others out from here on
        raise InvalidFilter("Somebody else changed this filter meanwhile; nothing was written.", "Look at it again.")


def _shared(connection: Connection, scope: Scope, name: str) -> Any:
    return connection.execute(select(_row.filter, _row.saved_by).where(_is(scope, SHARED, name))).first()


def _is(scope: Scope, owner: str, name: str) -> Any:
    return (_row.organization_id == scope.organization_id) & (_row.owner == owner) & (_row.name == name)


def _saved(row: Row[Any]) -> SavedFilter | None:
    """A row; None for one that somebody altered to what is no filter."""
    params = read_params(row.filter)
    if params is None:
        return None
    return SavedFilter(row.organization_id, row.owner, row.name, params, row.saved_at, row.saved_by)
