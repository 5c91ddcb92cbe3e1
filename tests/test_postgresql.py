"""A database that tests use one after another is empty each time, and has the schema as it was made."""

from __future__ import annotations

import pytest
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from flasktrack.store.engine import open_engine, writing
from tests.adversary import alter_record
from tests.postgresql import EmptyDatabases
from tests.store.samples import NORTHWIND, event, everything, organizations, record

LEFT_BEHIND = (
    "ALTER TABLE audit_record DISABLE TRIGGER ALL",
    "CREATE INDEX theirs ON audit_record (action)",
    "CREATE FUNCTION theirs() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "GRANT DELETE ON audit_record TO PUBLIC",
    "GRANT CREATE ON SCHEMA public TO PUBLIC",
    "CREATE RULE quiet AS ON DELETE TO audit_record DO INSTEAD NOTHING",
    "UPDATE flasktrack_schema SET version_num = '0001'",
    "ALTER DATABASE {name} SET TimeZone = 'Asia/Tokyo'",
)


@pytest.fixture
def databases(postgres_server: URL, made_postgresql_name: str) -> EmptyDatabases:
    return EmptyDatabases(postgres_server, made_postgresql_name)


def test_what_a_test_wrote_is_gone(databases: EmptyDatabases, postgres_server: URL) -> None:
    name = databases.take()
    engine = open_engine(postgres_server.set(database=name).render_as_string(hide_password=False))
    made = everything(engine)
    organizations(engine)
    record(engine, event(1), event(2))
    alter_record(engine, NORTHWIND, 1, action="delete")
    databases.give_back(name)  # with a connection that was left open
    assert databases.take() == name
    engine.dispose()
    assert everything(engine) == made
    organizations(engine)
    record(engine, event(1))
    with pytest.raises(DBAPIError, match="append-only"), writing(engine) as connection:
        connection.exec_driver_sql("DELETE FROM audit_record")
    engine.dispose()
    databases.give_back(name)


@pytest.mark.parametrize("statement", LEFT_BEHIND)
def test_what_a_test_altered_ends_with_it(databases: EmptyDatabases, postgres_server: URL, statement: str) -> None:
    name = databases.take()
    engine = open_engine(postgres_server.set(database=name).render_as_string(hide_password=False))
    with writing(engine) as connection:
        connection.exec_driver_sql(statement.format(name=name))
    databases.give_back(name)
    engine.dispose()
    other = databases.take()
    assert other != name
    databases.give_back(other)
