"""What a verification that does not begin at the first record builds on."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, event

from flasktrack.verify.continuity import Tape
from flasktrack.verify.seeds import seed_tape
from tests.store.samples import NORTHWIND, organizations, record
from tests.store.samples import event as act


def test_what_stood_before_is_looked_up_by_who_acted_and_not_by_reading_all_that_stood_before(
    sqlite_engine: Engine,
) -> None:
    """SQLite's plans, since a million records that are read for each entity take minutes, and a few go unnoticed."""
    organizations(sqlite_engine, NORTHWIND)
    record(sqlite_engine, *(act(number, after={"step": number}) for number in range(1, 30)))
    asked: list[tuple[str, Any]] = []

    @event.listens_for(sqlite_engine, "before_cursor_execute")
    def _note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if "LIMIT" in statement:
            asked.append((statement, parameters))

    tape = Tape()
    with sqlite_engine.connect() as connection:
        seed_tape(connection, NORTHWIND, 20, 29, tape)
        tape.close()
        looked_up = list(asked)
        assert len(looked_up) >= 3  # an actor's and an entity's last act, and what the entity was left as
        for statement, parameters in looked_up:
            steps = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            plan = " / ".join(str(step[-1]) for step in steps)
            assert "INDEX ix_audit_record_" in plan, plan
            assert "USE TEMP B-TREE" not in plan, plan
