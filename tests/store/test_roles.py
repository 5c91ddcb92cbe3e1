"""PostgreSQL itself keeps each program to what it is for, and to one organization at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, Engine, make_url, text
from sqlalchemy.orm import Session

from flasktrack.cli import main
from flasktrack.errors import DatabaseError, FlaskTrackError
from flasktrack.export.running import ask_for_export, run_export
from flasktrack.export.selection import ExportOptions, count_selected
from flasktrack.insight.attention.thresholds import read_thresholds, set_thresholds
from flasktrack.insight.copy_place import open_copy
from flasktrack.insight.filter import RecordFilter
from flasktrack.seal.sealing import seal
from flasktrack.settings import Settings
from flasktrack.store import roles, row_security
from flasktrack.store.engine import VERSION_TABLE, initialize, open_database, open_engine, writing
from flasktrack.store.erasure import erase
from flasktrack.store.exports import list_exports
from flasktrack.store.inspection import inspect_tables
from flasktrack.store.organizations import chain_sizes, create_organization, list_chains, list_strays
from flasktrack.store.reader import Ledger
from flasktrack.store.roles import APP, OWNER, READER, RECORDER
from flasktrack.store.row_security import of_organization
from flasktrack.store.saved_filters import delete_filter, list_filters, save_filter
from flasktrack.store.schema import metadata
from flasktrack.store.scope import machine_scope
from flasktrack.store.verifications import latest_verdict
from flasktrack.store.writer import append
from flasktrack.trust.keyring import Keyring
from flasktrack.verify.rows import Streams
from flasktrack.verify.runner import Trust, verify_organization
from flasktrack.verify.span import scan_elsewhere
from tests.export.samples import BERLIN
from tests.store.samples import NORTHWIND, SOUTHPORT, event, organizations, record

BY = "user:u-17"
Connect = Callable[[str], Engine]

CHANGES = (
    "UPDATE audit_record SET actor_name = 'N. N.'",
    "UPDATE audit_payload SET after = NULL, after_salt = NULL",  # which an erasure does
    "UPDATE record_link SET entity_id = 'B-8'",
    "DELETE FROM audit_record",
    "DELETE FROM audit_payload",
    "DELETE FROM record_link",
    "DELETE FROM chain_head",
    "DELETE FROM checkpoint",
    "UPDATE checkpoint SET root = note::bytea",
    "DELETE FROM verification",
    "UPDATE verification SET status = 'verified'",
    "UPDATE organization SET created_at = now()",
    "TRUNCATE audit_record",
    "DROP TABLE audit_record",
    "DROP TRIGGER audit_record_append_only ON audit_record",
    "ALTER TABLE audit_record DISABLE TRIGGER ALL",
    "ALTER TABLE audit_record DISABLE ROW LEVEL SECURITY",
    "DROP POLICY flasktrack_organization ON audit_record",
    "CREATE POLICY everything ON audit_record USING (true)",
    "CREATE RULE quiet AS ON INSERT TO audit_record DO INSTEAD NOTHING",
    "CREATE TRIGGER theirs BEFORE INSERT ON audit_record FOR EACH ROW EXECUTE FUNCTION flasktrack_refuse()",
    "CREATE OR REPLACE FUNCTION flasktrack_refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
    "CREATE TABLE public.theirs (x int)",
    "ALTER TABLE audit_record OWNER TO CURRENT_USER",
    "SET session_replication_role = replica",
    "SET ROLE flasktrack_owner",
    "SET SESSION AUTHORIZATION postgres",
    "UPDATE flasktrack_schema SET version_num = '0001'",
)


@pytest.fixture
def owner(postgresql_engine: Engine) -> Engine:
    """Two organizations with three records each, and the roles."""
    initialize(postgresql_engine, with_roles=True)
    organizations(postgresql_engine, NORTHWIND, SOUTHPORT)
    for organization in (NORTHWIND, SOUTHPORT):
        related = [("batch", f"B-{organization}")]
        record(postgresql_engine, *(event(n, related=related) for n in (1, 2, 3)), organization=organization)
        verify_organization(postgresql_engine, organization, started_by=BY)
    return postgresql_engine


@pytest.fixture
def connect(owner: Engine, url_of_role: Callable[[str], str]) -> Iterator[Connect]:
    """`connect(APP)` is the database as a user sees it who is a member of that role."""
    made: list[Engine] = []

    def engine(role: str) -> Engine:
        made.append(open_database(url_of_role(role)))
        return made[-1]

    yield engine
    for one in made:
        one.dispose()


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    keyring = Keyring(tmp_path / "keys", "lab.example")
    keyring.create()
    return Trust(keyring)


def test_none_of_the_roles_can_change_what_was_recorded_or_what_guards_it(connect: Connect) -> None:
    for role in (APP, RECORDER, READER):
        with of_organization(connect(role), NORTHWIND).connect() as connection:
            for statement in CHANGES:
                with pytest.raises(DatabaseError, match="refuses this to the database user"):
                    print(role, "may do this:", connection.exec_driver_sql(statement), statement)
                connection.rollback()


def seen(connection: Connection) -> dict[str, set[str]]:
    """By table, the organizations of which there are rows."""
    return {
        table: set(connection.scalars(text(f"SELECT DISTINCT organization_id FROM {table}")))
        for table in row_security.TABLES
    }


def test_a_role_sees_one_organization_at_a_time_and_none_where_none_is_named(owner: Engine, connect: Connect) -> None:
    save_filter(owner, machine_scope(NORTHWIND), "mine", {}, shared=True)
    save_filter(owner, machine_scope(SOUTHPORT), "mine", {}, shared=True)
    with owner.connect() as connection:
        filled = {table for table, found in seen(connection).items() if found == {NORTHWIND, SOUTHPORT}}
    assert {"audit_record", "audit_payload", "record_link", "chain_head", "verification", "saved_filter"} <= filled
    app = connect(APP)
    for organization in (NORTHWIND, SOUTHPORT, "nobody", "no id\0"):
        with of_organization(app, organization).connect() as connection:
            for table, found in seen(connection).items():
                assert found == ({organization} if table in filled and "-" in organization else set())
    with app.connect() as connection:
        assert not any(seen(connection).values())
        connection.exec_driver_sql("SET row_security = off")
        with pytest.raises(DatabaseError):
            connection.exec_driver_sql("SELECT * FROM audit_record")


def test_what_one_transaction_is_about_does_not_reach_into_the_next(connect: Connect) -> None:
    app = connect(APP)
    with of_organization(app, NORTHWIND).connect() as connection:
        assert seen(connection)["audit_record"] == {NORTHWIND}
        connection.commit()
        assert seen(connection)["audit_record"] == {NORTHWIND}, "each transaction of this connection is about it"
        connection.rollback()
        assert seen(connection)["audit_record"] == {NORTHWIND}
    with app.connect() as connection:  # of the same pool
        assert seen(connection)["audit_record"] == set()


def test_rows_that_the_driver_streams_are_one_organizations_too(connect: Connect) -> None:
    """Workers of a verification read by the driver's own cursors, from a connection that has done nothing yet."""
    app = connect(APP)
    for engine, records in ((of_organization(app, NORTHWIND), 4), (of_organization(app, SOUTHPORT), 0), (app, 0)):
        with engine.connect() as connection:
            assert len(list(Streams(connection, NORTHWIND, 1, 9).hashes())) == records
    assert scan_elsewhere(app.url.render_as_string(False), NORTHWIND, 1, 9, (), False, False, bytes(32)).records == 4


def test_nothing_is_recorded_in_another_organization(connect: Connect) -> None:
    copied = "INSERT INTO audit_record SELECT 'southport-biotech', seq + 9"
    columns = [column.name for column in metadata.tables["audit_record"].columns][2:]
    with of_organization(connect(APP), NORTHWIND).connect() as connection, pytest.raises(DatabaseError):
        connection.exec_driver_sql(f"{copied}, {', '.join(columns)} FROM audit_record")


def test_a_recorded_application_appends_with_a_session_of_its_own(owner: Engine, connect: Connect) -> None:
    recorder = connect(RECORDER)
    with Session(recorder) as session:
        append(session, NORTHWIND, [event(7)])
        append(session, SOUTHPORT, [event(7), event(8)])
        session.commit()
    assert chain_sizes(owner) == {NORTHWIND: 4 + 1, SOUTHPORT: 5 + 1}  # and a record of each verification
    assert verify_organization(owner, NORTHWIND, started_by=BY).status == "verified"
    with pytest.raises(DatabaseError, match="refuses"), writing(recorder) as connection:
        create_organization(connection, "new-lab")
    with pytest.raises(DatabaseError, match="refuses"):
        record(connect(READER), event(9))


def test_the_app_verifies_seals_exports_and_sets_as_its_own_role(
    connect: Connect, trust: Trust, tmp_path: Path
) -> None:
    app, scope = connect(APP), machine_scope(NORTHWIND)
    done = verify_organization(app, NORTHWIND, started_by=BY, trust=trust)
    assert (done.status, done.records, done.remarks) == ("verified", 4, ())
    assert latest_verdict(app, scope) is not None
    for size in (6, 8):  # each run is on record; the second seal extends the first one's tree
        assert (sealed := seal(app, NORTHWIND, trust, started_by=BY)) is not None
        assert sealed.size == size - 1
        record(app, event(size))
    settings = Settings(export_dir=tmp_path / "exports")
    counted, total = count_selected(Ledger(app, scope), RecordFilter())
    asked = ask_for_export(app, scope, counted, total, "jsonl", ExportOptions(BERLIN), settings)
    run_export(app, NORTHWIND, asked.id, settings, trust)
    assert [one.status for one in list_exports(app, scope)] == ["done"]
    save_filter(app, scope, "mine", {"action": ["delete"]}, shared=True)
    save_filter(app, scope, "mine", {"action": ["create"]}, shared=True)
    assert [one.params for one in list_filters(app, scope)] == [{"action": ["create"]}]
    delete_filter(app, scope, "mine", shared=True)
    before = read_thresholds(app, scope)
    wanted = before.thresholds.as_json()
    wanted["late_entry"]["on"] = False
    for value in (False, True):
        wanted["late_entry"]["on"] = value
        before = read_thresholds(app, scope)
        after = type(before.thresholds).read(wanted)
        set_thresholds(app, scope, before, after, reason="a test")
    copy = open_copy(app, f"duckdb:///{tmp_path / 'copy.duckdb'}")
    assert copy.take_in(NORTHWIND).failed == 0
    assert copy.take_in(SOUTHPORT).records == 4
    copy.engine.dispose()
    assert verify_organization(app, NORTHWIND, started_by=BY, trust=trust).status == "verified"


def test_an_auditor_who_may_only_read_verifies_and_is_told_that_nothing_is_kept(
    owner: Engine, connect: Connect, capsys: pytest.CaptureFixture[str]
) -> None:
    before = latest_verdict(owner, machine_scope(NORTHWIND))
    url = connect(READER).url.render_as_string(hide_password=False)
    assert main(["verify", "--organization", NORTHWIND, "--database", url]) == 0
    said = capsys.readouterr()
    assert "verified - 4 records checked" in said.out
    assert "the result is not kept" in said.err
    assert latest_verdict(owner, machine_scope(NORTHWIND)) == before
    assert main(["verify", "--database", url]) == 2
    assert "one organization at a time" in capsys.readouterr().err


def test_what_concerns_all_organizations_is_the_owners(owner: Engine, connect: Connect) -> None:
    for look in (list_chains, list_strays, chain_sizes):
        look(owner)
        with pytest.raises(DatabaseError, match="one organization at a time"):
            look(connect(APP))
    with pytest.raises(FlaskTrackError), writing(connect(APP)) as connection:
        erase(connection, NORTHWIND, 1, 1, ["after"], actor=("user", "u-17"), reason="a test")
    with writing(connect(OWNER)) as connection:
        erase(connection, NORTHWIND, 1, 1, ["after"], actor=("user", "u-17"), reason="a test")
    assert verify_organization(owner, NORTHWIND, started_by=BY).status == "verified"


def test_a_verification_by_the_app_says_so_where_rows_may_be_hidden_from_it(owner: Engine, connect: Connect) -> None:
    with writing(owner) as connection:
        connection.exec_driver_sql("CREATE POLICY all_but_two ON audit_record AS RESTRICTIVE USING (seq <> 2)")
    done = verify_organization(connect(APP), NORTHWIND, started_by=BY)
    assert done.status == "broken"
    assert "some users don't see all rows" in done.remarks[0]


def test_init_makes_the_roles_once_and_again_and_a_member_of_the_owner_can_upgrade(
    owner: Engine, connect: Connect, capsys: pytest.CaptureFixture[str]
) -> None:
    upgrading = connect(OWNER)
    with writing(owner) as connection:  # as if they came with the next version
        connection.exec_driver_sql("GRANT DELETE ON audit_record TO flasktrack_app, PUBLIC")
        connection.exec_driver_sql("REVOKE SELECT ON export FROM flasktrack_app")
    initialize(upgrading)
    with connect(APP).connect() as connection:
        assert inspect_tables(connection) == []
        held = "SELECT has_table_privilege('audit_record', 'DELETE'), has_table_privilege('export', 'SELECT')"
        assert tuple(connection.exec_driver_sql(held).one()) == (False, True)
    url = upgrading.url.render_as_string(hide_password=False)
    assert main(["init", "--roles", "--database", url]) == 0
    said = capsys.readouterr().out
    assert all(role in said for role in roles.ROLES)
    assert "secret" not in said
    owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
    with owner.connect() as connection:
        assert connection.exec_driver_sql(owners).scalars().all() == [OWNER]


def test_whoever_may_create_roles_and_owns_the_database_can_make_them(postgresql_url: str) -> None:
    """As most hosted databases have it: nobody is a superuser there."""
    console = make_url(postgresql_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(console, autocommit=True) as server:
        for role in roles.ROLES:
            server.execute(f"DROP ROLE IF EXISTS {role}")
        server.execute("CREATE ROLE lab_admin LOGIN CREATEROLE PASSWORD 'secret'")
        name = make_url(postgresql_url).database
        server.execute(f"ALTER DATABASE {name} OWNER TO lab_admin")
    engine = open_engine(make_url(postgresql_url).set(username="lab_admin", password="secret").render_as_string(False))
    initialize(engine, with_roles=True)
    initialize(engine)
    organizations(engine)
    with engine.connect() as connection:
        assert inspect_tables(connection) == []
        assert roles.is_owner(connection)
    engine.dispose()


def test_sqlite_has_no_roles_and_init_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--roles", "--database", f"sqlite:///{tmp_path / 'lab.db'}"]) == 2
    assert "SQLite has no roles" in capsys.readouterr().err


def test_every_table_says_who_may_do_what_and_hides_other_organizations_rows() -> None:
    """A table that comes is not to be forgotten."""
    assert set(roles.GRANTS) == set(metadata.tables)
    assert VERSION_TABLE not in metadata.tables
    with_organization = {name for name, table in metadata.tables.items() if "organization_id" in table.columns}
    assert set(row_security.TABLES) == with_organization - set(row_security.DIRECTORY)
