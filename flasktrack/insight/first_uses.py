"""Who used what first where: each actor's first act with an action, in a role, through a credential, from an address.

The table is added to when records are taken in, so that "never before" is answered for the whole history at once.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Insert,
    Select,
    Text,
    and_,
    bindparam,
    case,
    column,
    delete,
    func,
    insert,
    select,
    true,
    values,
)

from flasktrack.core.record import MAX_POSITION
from flasktrack.insight.copy_tables import first_use, record

KINDS = ("action", "actor_role", "credential_id", "ip")
"""Columns of the copy's `record` whose values are used."""
_ORGANIZATION = bindparam("organization", type_=Text)


def add(connection: Connection, organization_id: str, first: int, last: int) -> None:
    """Add the first uses among the records from position `first` to `last`, which were just taken in.

    Records that failed their check don't count: whoever altered one would make known what is new.
    """
    added = _ADDED_BY_INDEX if connection.dialect.name == "postgresql" else _ADDED
    connection.execute(added, {"organization": organization_id, "first": first, "last": last})


def renew(connection: Connection, organization_id: str) -> None:
    """Find all of them anew: records were read again, and may hold less."""
    connection.execute(delete(first_use).where(first_use.c.organization_id == organization_id))
    add(connection, organization_id, 1, MAX_POSITION)


def used_value(kind: ColumnElement[str]) -> ColumnElement[str]:
    """Of a record, the value of a kind."""
    return case({name: record.c[name] for name in KINDS}, value=kind)


def _used() -> Select[tuple[str, ...]]:
    """SELECT the first use of each value among some records, if they are sound."""
    kind = values(column("kind", Text), name="kinds").data([(kind,) for kind in KINDS]).c.kind
    value = used_value(kind).label("value")
    key = (kind, record.c.actor_type, record.c.actor_id, value)
    return (
        select(*key, func.min(record.c.seq).label("seq"))
        .join_from(record, kind.table, true())  # one scan for all kinds
        .where(
            record.c.organization_id == _ORGANIZATION,
            record.c.seq.between(bindparam("first", type_=BigInteger), bindparam("last", type_=BigInteger)),
            *(one.is_not(None) for one in key[1:]),
            value != "",
            record.c.failed.is_(None),
        )
        .group_by(*key)
    )


def _added(*, by_index: bool = False) -> Insert:
    """INSERT those that are not known: what is known came earlier, since records are taken in by position.

    `by_index`: the index holds a digest in the place of the value, which may be longer than an index takes.
    """
    used, known = _used().subquery("used").c, first_use.c
    names = ("kind", "actor_type", "actor_id", "value")
    same = and_(known.organization_id == _ORGANIZATION, *(known[name] == used[name] for name in names))
    if by_index:
        same = and_(same, func.md5(known.value) == func.md5(used.value))
    new = (
        select(_ORGANIZATION, *(used[name] for name in names), used.seq)
        .join_from(used.seq.table, first_use, same, isouter=True)
        .where(known.seq.is_(None))
    )
    return insert(first_use).from_select(["organization_id", *names, "seq"], new)


_ADDED, _ADDED_BY_INDEX = _added(), _added(by_index=True)
