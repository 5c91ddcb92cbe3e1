"""A time limit for what is asked of the database: somebody's search must not keep others waiting for ever.

    limited = within(engine, seconds=30)        # from now on
    with limited.connect() as connection:
        ...                                     # raises TookTooLong where it takes longer

PostgreSQL is told by `statement_timeout`, for the transaction; SQLite asks, each so many steps, whether to go on.
"""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Connection, Engine

from flasktrack.errors import TookTooLong

_DEADLINE = "flasktrack_deadline"  # execution option: the monotonic time at which the database gives up
_STEPS = 5000  # of SQLite's virtual machine between two looks at the clock: well below a millisecond


def within(engine: Engine, seconds: float) -> Engine:
    """The same engine, for what has to be answered within so many seconds from now."""
    return engine.execution_options(**{_DEADLINE: time.monotonic() + seconds})


def check_time(engine: Engine) -> None:
    """Raise TookTooLong where the time of an engine of `within` is over: to be asked between many short questions."""
    left = _left(engine.get_execution_options())
    if left is not None and left <= 0:
        raise too_long()


def too_long() -> TookTooLong:
    """What is raised, too, where the database itself gives up."""
    return TookTooLong(
        "The database took too long over this, and gave up.",
        "Ask for less: a shorter time, a range of positions, or one entity or actor.",
    )


def begin_sqlite(connection: Connection) -> None:
    """At the beginning of each transaction: a connection may have been used with another limit, or none."""
    deadline = connection.get_execution_options().get(_DEADLINE)
    asked = None if deadline is None else lambda: time.monotonic() > deadline
    connection.connection.driver_connection.set_progress_handler(asked, _STEPS)  # type: ignore[union-attr]


def begin_postgresql(connection: Connection) -> None:
    """At the beginning of each transaction, for that transaction alone."""
    left = _left(connection.get_execution_options())
    if left is not None:
        connection.exec_driver_sql(
            "SELECT pg_catalog.set_config('statement_timeout', %s, true)",
            (f"{max(1, int(left * 1000))}ms",),
            execution_options={"stream_results": False},  # which the connection may ask for: one row needs no cursor
        ).close()


def _left(options: Any) -> float | None:
    deadline = options.get(_DEADLINE)
    return None if deadline is None else deadline - time.monotonic()
