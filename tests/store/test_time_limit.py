"""What takes too long is given up by the database itself, and the connection is as good as before."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, Engine, text

from flasktrack.errors import TookTooLong
from flasktrack.store.row_security import of_organization
from flasktrack.store.time_limit import check_time, within
from tests.store.samples import NORTHWIND

COUNTING = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT count(*) FROM n"


def count_to(connection: Connection, number: int) -> int:
    return int(connection.execute(text(COUNTING.format(number))).scalar_one())


def test_a_question_without_end_is_given_up_and_the_next_one_is_not(engine: Engine) -> None:
    limited = of_organization(within(engine, 0.05), NORTHWIND)
    with limited.connect() as connection, pytest.raises(TookTooLong, match="Ask for less"):
        count_to(connection, 10**12)
    with engine.connect() as connection:  # the same one, out of the pool
        assert count_to(connection, 100_000) == 100_000
    with within(engine, 60).connect() as connection:
        assert count_to(connection, 100_000) == 100_000


def test_between_questions_the_time_can_be_asked_for(sqlite_engine: Engine) -> None:
    check_time(sqlite_engine)
    check_time(within(sqlite_engine, 60))
    with pytest.raises(TookTooLong):
        check_time(of_organization(within(sqlite_engine, -1), NORTHWIND))
