"""How many acts of each actor, and on each entity, an organization's chain holds: actor_seq and entity_seq."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import Connection, Select, String, column, func, select, text

from flasktrack.store.schema import audit_record
from flasktrack.store.scope import machine_scoped

Key = tuple[str, str]
"""A type and an id."""

# Pairs of type and id, handed over as one JSON text: a thousand of them cost one parameter and no compilation.
_PAIRS = {
    "sqlite": "SELECT json_extract(value, '$[0]') AS type, json_extract(value, '$[1]') AS id FROM json_each(:pairs)",
    "postgresql": "SELECT value ->> 0 AS type, value ->> 1 AS id FROM json_array_elements(CAST(:pairs AS json))",
}


def last_ordinals(connection: Connection, organization_id: str, kind: str, keys: Iterable[Key]) -> dict[Key, Any]:
    """The last ordinal of each key, 0 where there is none; `kind` is `actor` or `entity`.

    It is what is stored: in SQLite an altered row may hold anything.
    """
    statement = _statement(organization_id, kind, connection.dialect.name)
    found = connection.execute(statement, {"pairs": orjson.dumps(list(keys)).decode()})
    return {(type_, id_): ordinal for type_, id_, ordinal in found}


@lru_cache  # building it takes longer than a database takes to answer it
def _statement(organization_id: str, kind: str, dialect: str) -> Select[Any]:
    columns = audit_record.c
    wanted = text(_PAIRS[dialect]).columns(column("type", String), column("id", String)).cte()
    last = (
        machine_scoped(organization_id, func.max(columns[f"{kind}_seq"]))
        .where(columns[f"{kind}_type"] == wanted.c.type, columns[f"{kind}_id"] == wanted.c.id)
        .correlate(wanted)
        .scalar_subquery()
    )
    return select(wanted.c.type, wanted.c.id, func.coalesce(last, 0))
