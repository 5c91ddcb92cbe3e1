"""What is inserted in bulk is what is read back, however many rows, nulls and odd characters there are."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy import event as listening

from flasktrack.store import inserting
from flasktrack.store.engine import writing
from flasktrack.store.inserting import insert_columns
from flasktrack.store.schema import audit_payload, record_link

ODD = ["", "0", "null", '{"a":"\\\\\\u0001"}', "a\tb\r\n\x7f", "Zoë \U00010348 \u2028", "'%s' :x ?1 \\x00", "NaN"]
COLUMNS: list[list[Any]] = [
    [f"lab-{place % 2}" for place in range(40)],
    list(range(2**53, 2**53 + 40)),
    [ODD[place % 8] if place % 3 else None for place in range(40)],
    [bytes(range(place)) if place % 4 else None for place in range(40)],
    [None] * 40,
    [None] * 40,
    [f"{place}" * 200 for place in range(40)],
    [b"\x00", b"\xff\\x5c"] * 20,
]


@pytest.fixture
def statements(engine: Engine) -> list[str]:
    """What the database is told, from now on."""
    told: list[str] = []
    listening.listen(engine, "before_cursor_execute", lambda _, __, statement, *___: told.append(statement))
    return told


@pytest.mark.parametrize(("rows", "most"), [(1, None), (4, None), (40, None), (40, 5000)])
def test_rows_come_back_as_they_were_given(
    lab: Engine, monkeypatch: pytest.MonkeyPatch, statements: list[str], rows: int, most: int | None
) -> None:
    if most is not None:
        monkeypatch.setattr(inserting, "_JSON_CHARACTERS", most)
    given = [column[:rows] for column in COLUMNS]
    with writing(lab) as connection:
        statements.clear()
        insert_columns(connection, audit_payload, given)
        found = connection.execute(select(audit_payload).order_by(audit_payload.c.seq)).all()
    assert [tuple(row) for row in found] == list(zip(*given, strict=True))
    inserts = [statement for statement in statements if statement.startswith("INSERT")]
    assert (len(inserts) > 1) is (most is not None and lab.dialect.name == "postgresql")


def test_no_rows_are_no_statement(lab: Engine, statements: list[str]) -> None:
    with writing(lab) as connection:
        statements.clear()
        insert_columns(connection, record_link, [])
        assert statements == []
