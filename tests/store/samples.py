"""Events to record, and the hands of an insider: raw SQL past the append-only triggers."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine

from flasktrack.core.record import Event, Record
from flasktrack.store.engine import writing
from flasktrack.store.organizations import create_organization
from flasktrack.store.reader import CheckedRecord, Ledger
from flasktrack.store.schema import audit_record, metadata
from flasktrack.store.scope import Actor, Scope, machine_scope
from flasktrack.store.writer import append
from tests.adversary import past_the_triggers

NORTHWIND = "northwind-labs"
SOUTHPORT = "southport-biotech"


def somebody(subject: str = "user:u-17", organization: str = NORTHWIND) -> Scope:
    """The scope of a person who may do everything."""
    return machine_scope(organization, Actor(*subject.split(":", 1)))


def event(number: int = 1, **changes: Any) -> Event:
    """An update of a sample by a user; `number` makes it another act of the same actor on the same entity."""
    values: dict[str, Any] = {
        "occurred_at": datetime(2026, 11, 24, 5, 6, 7, number, tzinfo=UTC),
        "actor_type": "user",
        "actor_id": "u-17",
        "actor_name": "Zoë",
        "action": "update",
        "entity_type": "sample",
        "entity_id": "S-100",
        "before": {"volume": number - 1},
        "after": {"volume": number},
    }
    return Event(**(values | changes))


def record_id(number: int) -> str:
    return str(uuid.UUID(int=number))


def organizations(engine: Engine, *names: str) -> None:
    with writing(engine) as connection:
        for name in names or (NORTHWIND,):
            create_organization(connection, name)


def record(engine: Engine, *events: Event, organization: str = NORTHWIND) -> list[Record]:
    """Append in a transaction of its own."""
    with writing(engine) as connection:
        return append(connection, organization, events)


def stored(engine: Engine, organization: str = NORTHWIND) -> list[CheckedRecord]:
    return list(Ledger(engine, machine_scope(organization)).stream())


def codes(checked: CheckedRecord) -> list[tuple[str, str | None]]:
    """The code and section of each finding on a record."""
    return [(finding.code, finding.section) for finding in checked.findings]


def everything(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, to show that nothing was written."""
    with engine.connect() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(table.select())), key=repr)
            for table in metadata.sorted_tables
        }


def take_guards_away(connection: Connection) -> None:
    """What somebody who owns the database can do: drop the append-only triggers."""
    if connection.dialect.name == "sqlite":
        names = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars().all()
        for name in names:
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
    else:
        for table in metadata.tables:
            connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER ALL")


def tamper(engine: Engine, *statements: str) -> None:
    """Run raw SQL as somebody who owns the database, and puts the guards back afterwards."""
    with past_the_triggers(engine) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def second_record(of: int, verb: str = "INSERT", **values: str) -> str:
    """SQL that copies the record at position `of`, but for these columns (SQL expressions)."""
    columns = [column.name for column in audit_record.columns]
    copied = ", ".join(values.get(name, name) for name in columns)
    return f"{verb} INTO audit_record ({', '.join(columns)}) SELECT {copied} FROM audit_record WHERE seq = {of}"
