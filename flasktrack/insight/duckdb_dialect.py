"""duckdb-engine's dialect, with statements compiled once: it compiles each anew, which takes longer than many answers.

SQLAlchemy keeps what it compiled where the dialect says that this is sound (`supports_statement_cache`). duckdb-engine
leaves it off untested; its statements are PostgreSQL's, whose dialect keeps them.
"""

from __future__ import annotations

from duckdb_engine import Dialect
from sqlalchemy.dialects import registry

DRIVER = "duckdb+cached"


class CachedDialect(Dialect):
    """What a URL of DRIVER is opened with."""

    supports_statement_cache = True


registry.register(DRIVER.replace("+", "."), __name__, CachedDialect.__name__)
