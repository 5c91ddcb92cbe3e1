"""What tests of the store share beside the databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from flasktrack.store.engine import open_engine
from tests.store.samples import organizations


@pytest.fixture
def lab(engine: Engine) -> Engine:
    """A database with one organization, northwind-labs, and no record yet."""
    organizations(engine)
    return engine


@pytest.fixture
def postgresql_engine(postgresql_url: str) -> Iterator[Engine]:
    """An empty PostgreSQL database with the schema, for what only PostgreSQL does."""
    engine = open_engine(postgresql_url)
    yield engine
    engine.dispose()
