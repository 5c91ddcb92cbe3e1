"""How many acts of each actor, and on each entity, an organization's chain holds: actor_seq and entity_seq."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import Connection, Integer, Select, String, bindparam, column, func, select, text

from flasktrack.store.schema import audit_record
from flasktrack.store.scope import machine_scoped

Key = tuple[str, str]
"""A type and an id."""

# The ids of one type, handed over as one JSON text: a thousand of them cost one parameter and no compilation. Each is
# named in the answer by its place, since reading text takes the driver longer than the look-up does.
_IDS = {
    "sqlite": "SELECT key AS place, value AS id FROM json_each(:ids)",
    "postgresql": "SELECT place - 1 AS place, id FROM json_array_elements_text(CAST(:ids AS json)) "
    "WITH ORDINALITY AS given(id, place)",
}


def last_ordinals(connection: Connection, organization_id: str, kind: str, keys: Iterable[Key]) -> dict[Key, Any]:
    """The last ordinal of each key, 0 where there is none; `kind` is `actor` or `entity`.

    It is what is stored: in SQLite an altered row may hold anything.
    """
    ids_by_type: dict[str, list[str]] = {}
    for type_, id_ in keys:
        ids_by_type.setdefault(type_, []).append(id_)
    statement = _statement(organization_id, kind, connection.dialect.name)
    ordinals = {}
    for type_, ids in ids_by_type.items():
        for place, ordinal in connection.execute(statement, {"type": type_, "ids": orjson.dumps(ids).decode()}):
            ordinals[type_, ids[place]] = ordinal
    return ordinals


@lru_cache  # building it takes longer than a database takes to answer it
def _statement(organization_id: str, kind: str, dialect: str) -> Select[Any]:
    columns = audit_record.c
    given = text(_IDS[dialect]).columns(column("place", Integer), column("id", String)).cte()
    last = (
        machine_scoped(organization_id, func.max(columns[f"{kind}_seq"]))
        .where(columns[f"{kind}_type"] == bindparam("type"), columns[f"{kind}_id"] == given.c.id)
        .correlate(given)
        .scalar_subquery()
    )
    return select(given.c.place, func.coalesce(last, 0))
