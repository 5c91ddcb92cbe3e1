"""What the database writes by itself is what the writer writes, to the byte: hashes, numbers, JSON, rows."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from flasktrack.capture.database import Captured, install_trigger
from flasktrack.capture.snapshot import entity_id, json_form
from flasktrack.core.body import encode_body
from flasktrack.store.engine import open_engine
from flasktrack.store.organizations import create_organization
from flasktrack.store.scope import Actor
from flasktrack.store.writer import append
from tests.capture.events import EVENTS, JSON

LAB = "northwind-labs"
ANY_SETTINGS = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
COLUMNS = {
    "whole": "bigint", "small": "int2", "real": "float4", "double": "float8", "exact": "numeric(20,4)",
    "free": "numeric", "yes": "boolean", "word": "text", "fixed": "char(5)", "day": "date", "moment": "timestamptz",
    "local": "timestamp", "clock": "time", "zoned": "timetz", "span": "interval", "id_": "uuid", "raw": "bytea",
    "tree": "jsonb", "kept": "json", "many": "int[]", "words": "text[][]", "amounts": "numeric[]", "where": "inet",
    "bits": "bit(3)",
}  # fmt: skip
ROWS: list[dict[str, Any]] = [
    {},
    {
        "whole": 2**62, "small": -1, "real": 0.1, "double": 1e22, "exact": "0.5", "free": "1e-30", "yes": True,
        "word": 'a"b\\c\n\x01é€𝄞', "fixed": "ab", "day": "0044-03-15", "moment": "2026-07-19 23:17:28.1+02",
        "local": "2026-07-19 00:00:00", "clock": "05:06:07", "zoned": "05:06:07.25+05:30",
        "span": "1 mon -3 days 25:00:01", "id_": "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "raw": b"\x00\xff",
        "tree": '{"b": 1.50, "a": {"é": [null, 1e2]}}', "many": "{1,NULL,3}", "words": "{{a,b},{c,NULL}}",
        "kept": '{"b": 1e2, "a": 1, "b": -0.0, "n": 12345678901234567890}', "amounts": "{1.50,NaN}",
        "where": "10.0.0.0/8", "bits": "101",
    },
    {
        "whole": -(2**53) + 1, "real": "NaN", "double": "-Infinity", "exact": "NaN",
        "free": "123456789012345678901234.5", "yes": False, "word": "", "moment": "1999-12-31 23:59:59.999999+00",
        "zoned": "05:06:07-08", "span": "-00:00:00.5", "raw": b"x" * 1025, "tree": "null",
        "kept": '[true, "\\u00e9\\ud834\\udd1e"]', "many": "{}", "where": "2001:db8::7",
    },
]  # fmt: skip


@pytest.fixture
def connection(database: Connection) -> Iterator[Connection]:
    """The same, and nothing of the test before."""
    with database.begin_nested() as savepoint:
        yield database
        savepoint.rollback()


@pytest.fixture(scope="module")
def database(postgres_server: Any, made_postgresql_name: str) -> Iterator[Connection]:
    """One transaction in a database of its own, with the functions; nothing of it is committed."""
    admin = open_engine(postgres_server.render_as_string(hide_password=False))
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as console:
        console.exec_driver_sql(f"CREATE DATABASE forms TEMPLATE {made_postgresql_name}")
    engine = open_engine(postgres_server.set(database="forms").render_as_string(hide_password=False))
    with engine.connect() as connection:
        create_organization(connection, LAB)
        columns = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items())
        connection.exec_driver_sql(f"CREATE TABLE thing (n int PRIMARY KEY, {columns})")
        install_trigger(connection, "thing", Captured(LAB, "thing"), actor=Actor("user", "u-1"))
        yield connection
    engine.dispose()
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as console:
        console.exec_driver_sql("DROP DATABASE forms WITH (FORCE)")
    admin.dispose()


@settings(ANY_SETTINGS, max_examples=10)
@given(st.lists(EVENTS, max_size=8))
def test_a_record_of_the_writer_has_the_hash_that_the_database_computes(
    connection: Connection, events: list[Any]
) -> None:
    for one in events:
        one.record_id = None
    made = append(connection, LAB, events)
    computed = text("SELECT flasktrack_hash(r) FROM audit_record r WHERE seq > :last ORDER BY seq")
    last = made[0].seq - 1 if made else 0
    assert connection.execute(computed, {"last": last}).scalars().all()[: len(made)] == [one.hash for one in made]


@ANY_SETTINGS
@given(st.floats(allow_nan=False))
@example(1e16)
@example(9999999999999998.0)
@example(0.00001)
@example(0.0000099)
@example(-0.0)
@example(5e-324)
@example(4.701925285087858e16)
def test_a_number_is_written_as_in_a_section(connection: Connection, number: float) -> None:
    written = connection.execute(text("SELECT flasktrack_number(CAST(:n AS float8))"), {"n": repr(number)}).scalar_one()
    assert written == (encode_body("after", number) if math.isfinite(number) else f'"{json_form(number)}"')


@ANY_SETTINGS
@given(JSON)
@example({"c": 2**53, "d": -(2**53) + 1, "é": "\x7f\x1f", "\U00010000": 1, "\uffff": 2})
def test_json_is_written_as_in_a_section(connection: Connection, value: Any) -> None:
    for raw in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
        written = connection.execute(text("SELECT flasktrack_json(CAST(:j AS json))"), {"j": raw}).scalar_one()
        assert written == encode_body("after", json_form(json.loads(raw)))


@pytest.mark.parametrize(
    "raw", ["1e400", "-1e400", "1e-400", "-0", "-0.0", "4.9e-324", "1e308", "[ ]", "{ }", " true ", '{"a": 1, "a": 2}']
)
def test_json_that_python_would_not_write_is_taken_as_python_reads_it(connection: Connection, raw: str) -> None:
    written = connection.execute(text("SELECT flasktrack_json(CAST(:j AS json))"), {"j": raw}).scalar_one()
    assert written == encode_body("after", json_form(json.loads(raw)))


@pytest.mark.parametrize("number", range(len(ROWS)))
def test_a_row_is_written_as_capture_writes_it(connection: Connection, number: int) -> None:
    row = {"n": number, **ROWS[number]}
    names = ", ".join(f'"{name}"' for name in row)
    values = ", ".join(f"CAST(:{name} AS {COLUMNS.get(name, 'int')})" for name in row)
    connection.execute(text(f"INSERT INTO thing ({names}) VALUES ({values})"), row)
    read = connection.execute(text("SELECT * FROM thing WHERE n = :n"), {"n": number}).one()._mapping
    for setting in ("timezone = 'Asia/Kolkata'", "datestyle = 'German'", "intervalstyle = 'iso_8601'"):
        connection.exec_driver_sql(f"SET LOCAL {setting}")
    connection.exec_driver_sql("SET LOCAL bytea_output = 'escape'; SET CONSTRAINTS ALL IMMEDIATE; SET timezone = 'UTC'")
    connection.exec_driver_sql("SET CONSTRAINTS ALL DEFERRED; SET datestyle = 'ISO'; SET intervalstyle = 'postgres'")
    written = connection.execute(text("SELECT after FROM audit_payload ORDER BY seq DESC LIMIT 1")).scalar_one()
    expected = {name: json_form(value) for name, value in read.items()}
    assert {name: json.loads(written)[name] for name in expected} == json.loads(encode_body("after", expected))
    assert written == encode_body("after", expected)


@ANY_SETTINGS
@given(st.lists(st.sampled_from(["a", "a,b", "100%", "%2C", "é", '"', "1"]), min_size=1, max_size=3))
def test_an_entity_has_the_id_that_capture_gives_it(connection: Connection, key: list[str]) -> None:
    names = ["word", "fixed", "clock"][: len(key)]
    row = dict(zip(names, key, strict=True))
    # As text whatever the column is: only the joining is looked at.
    made = text("SELECT flasktrack_entity_id('texts'::regclass, CAST(:row AS json), CAST(:names AS text[]))")
    connection.exec_driver_sql("CREATE TEMP TABLE IF NOT EXISTS texts (word text, fixed text, clock text)")
    assert connection.execute(made, {"row": json.dumps(row), "names": names}).scalar_one() == entity_id(key)
