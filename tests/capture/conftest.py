"""One database of each kind for a module: each test has it empty, and an organization of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from sqlalchemy import URL

from tests.capture.lab import Lab


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The module's database; once on SQLite, once on PostgreSQL."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('capture') / 'lab.db'}"
    else:
        server: URL = request.getfixturevalue("postgres_server")
        name = f"capture_{uuid.uuid4().hex}"
        uri = server.set(drivername="postgresql").render_as_string(hide_password=False)
        with closing(psycopg.connect(uri, autocommit=True)) as console:
            console.execute(f"CREATE DATABASE {name}")
        url = server.set(database=name).render_as_string(hide_password=False)
    lab = Lab(url)
    yield lab
    lab.dispose()


@pytest.fixture
def lab(shared_lab: Lab) -> Iterator[Lab]:
    """An empty laboratory whose changes are recorded. Of what a test leaves, states must follow from each other."""
    shared_lab.begin()
    yield shared_lab
    shared_lab.check_states()
