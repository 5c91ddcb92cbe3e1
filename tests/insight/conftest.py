"""Both databases, filled once with the two organizations of `tests.insight.lab`, and their columnar copies.

No test here writes to them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import URL, Engine

from flasktrack.insight.copy import Copy
from flasktrack.insight.copy_place import open_copy
from flasktrack.store.engine import initialize, open_engine, writing
from flasktrack.store.organizations import create_organization
from flasktrack.store.writer import append
from tests.insight.lab import ROWS


@pytest.fixture(scope="session")
def sqlite_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The two organizations in SQLite."""
    yield from _filled(f"sqlite:///{tmp_path_factory.mktemp('insight') / 'lab.db'}")


@pytest.fixture(scope="session")
def postgresql_lab(postgres_server: URL) -> Iterator[Engine]:
    """The same in PostgreSQL."""
    name = f"insight_{uuid.uuid4().hex}"
    with psycopg.connect(
        postgres_server.set(drivername="postgresql").render_as_string(False), autocommit=True
    ) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        yield from _filled(postgres_server.set(database=name).render_as_string(hide_password=False))
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def lab(request: pytest.FixtureRequest) -> Engine:
    """The two organizations, once in each database."""
    found = request.getfixturevalue(f"{request.param}_lab")
    assert isinstance(found, Engine)
    return found


@pytest.fixture(scope="session")
def duckdb_copy(sqlite_lab: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    """The copy in DuckDB of the organizations in SQLite."""
    yield from _copied(sqlite_lab, f"duckdb:///{tmp_path_factory.mktemp('copy') / 'lab.duckdb'}")


@pytest.fixture(scope="session")
def postgresql_copy(postgresql_lab: Engine) -> Iterator[Copy]:
    """The copy of the organizations in PostgreSQL, in that same database."""
    yield from _copied(postgresql_lab, postgresql_lab.url.render_as_string(hide_password=False))


@pytest.fixture(scope="session", params=["duckdb", "postgresql"])
def copy(request: pytest.FixtureRequest) -> Copy:
    """The two organizations' copies, once in each engine."""
    found = request.getfixturevalue(f"{request.param}_copy")
    assert isinstance(found, Copy)
    return found


def _copied(engine: Engine, url: str) -> Iterator[Copy]:
    copy = open_copy(engine, url)
    for organization_id in ROWS:
        copy.take_in(organization_id)
    yield copy
    copy.engine.dispose()


def _filled(url: str) -> Iterator[Engine]:
    engine = open_engine(url)
    initialize(engine)
    with writing(engine) as connection:
        for organization_id, rows in ROWS.items():
            create_organization(connection, organization_id)
            append(connection, organization_id, [row.event for row in rows])
    yield engine
    engine.dispose()
