"""First uses are added to in a time that does not grow with the square of what is known."""

from __future__ import annotations

from sqlalchemy import text

from flasktrack.insight import copy_tables, first_uses
from flasktrack.store.engine import open_engine

_KNOWN = text(
    "INSERT INTO copied_first_use (organization_id, kind, actor_type, actor_id, value, seq)"
    " SELECT 'lab', 'ip', 'user', 'u-1', '10.0.0.' || number, number FROM generate_series(1, 30000) AS number"
)


def test_on_postgresql_a_known_use_is_found_by_its_value(postgresql_url: str) -> None:
    """Or, as long as there are no statistics, each address of an account would be held against all that it ever had."""
    engine = open_engine(postgresql_url)
    copy_tables.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(_KNOWN)
        added = first_uses._ADDED_BY_INDEX.compile(engine)
        values = added.construct_params({"organization": "lab", "first": 30_001, "last": 31_000})
        plan = connection.exec_driver_sql(f"EXPLAIN {added}", values).scalars().all()
    engine.dispose()
    lookups = [line for line in plan if "Index Cond" in line and "actor_id = " in line]
    assert lookups
    assert all("md5" in line for line in lookups), plan
