"""One database of each kind for a whole module: each test has an organization of its own in it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import URL, Engine

from flasktrack.core.record import MAX_POSITION
from flasktrack.store.engine import initialize, open_engine
from flasktrack.trust.anchors import Anchors
from flasktrack.trust.keyring import Keyring
from flasktrack.verify import compiled
from flasktrack.verify.compiled import machine
from tests.verify.sealed import Sealed


@pytest.fixture(scope="module", params=["shared_sqlite_engine", "postgresql_engine"], ids=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """An engine over a database with the schema; once on SQLite, once on PostgreSQL."""
    shared: Engine = request.getfixturevalue(request.param)
    return shared


@pytest.fixture(scope="module")
def shared_sqlite_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The module's SQLite database."""
    yield from _initialized(f"sqlite:///{tmp_path_factory.mktemp('verify') / 'flasktrack.db'}")


@pytest.fixture(scope="module")
def postgresql_engine(postgres_server: URL) -> Iterator[Engine]:
    """The module's PostgreSQL database."""
    name = f"verify_{uuid.uuid4().hex}"
    uri = postgres_server.set(drivername="postgresql").render_as_string(hide_password=False)
    with closing(psycopg.connect(uri, autocommit=True)) as console:
        console.execute(f"CREATE DATABASE {name}")
        yield from _initialized(postgres_server.set(database=name).render_as_string(hide_password=False))
        console.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def lab() -> str:
    """The id of an organization that no other test has."""
    return f"lab-{uuid.uuid4().hex}"


@pytest.fixture(scope="session")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    """A key directory that no test alters."""
    keys = Keyring(tmp_path_factory.mktemp("keys") / "keys", "lab.example")
    keys.create()
    return keys


@pytest.fixture
def sealed(engine: Engine, lab: str, keyring: Keyring, tmp_path: Path) -> Sealed:
    """An organization that is yet to be made, with keys and with anchors of its own."""
    return Sealed(engine, lab, keyring, Anchors(tmp_path / "anchors"))


def _initialized(url: str) -> Iterator[Engine]:
    engine = open_engine(url)
    initialize(engine)
    yield engine
    engine.dispose()


@pytest.fixture(autouse=True)
def _compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled code takes what is sound of the smallest chain; what is not goes through the rules row by row."""
    monkeypatch.setattr(compiled, "WORTH_LOADING", -MAX_POSITION)
    machine.allow_compiling()
