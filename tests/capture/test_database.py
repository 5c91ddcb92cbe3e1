"""What is changed past the application stands in its chain: by whom, whole, once, and in the same transaction."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import psycopg
import pytest
from sqlalchemy import URL, Engine, create_engine, delete, insert, text, update
from sqlalchemy.orm import Session

from flasktrack.capture.context import acting
from flasktrack.capture.database import Captured, find_trigger, install_trigger, list_triggers
from flasktrack.capture.recorder import capture
from flasktrack.cli import main
from flasktrack.core.body import encode_body
from flasktrack.errors import CaptureRefused, UnknownOrganization
from flasktrack.store.engine import initialize, open_engine, writing
from flasktrack.store.organizations import create_organization
from flasktrack.store.reader import CheckedRecord, Ledger
from flasktrack.store.scope import Actor, machine_scope
from flasktrack.verify.runner import verify_organization
from tests.capture.lab import ZOE, Batch, Comment, Lab, Protocol, Reading, Sample, Step, Tag, context, sections

ADMIN = Actor("user", "u-1", "Ana")
TABLES = {
    "batches": Captured("", "batch", name="title"),
    "sample": Captured("", "sample", name="code", mask=("token",), exclude=("last_seen",)),
    "tag": Captured("", "tag"),
    "sample_tag": Captured("", "sample_tag"),
    "reading": Captured("", "reading"),
    "comment": Captured("", "comment"),
    "protocol": Captured("", "protocol"),
    "step": Captured("", "step"),
}


@pytest.fixture(scope="module")
def shared_lab(postgres_server: URL) -> Iterator[Lab]:
    name = f"trigger_{uuid.uuid4().hex}"
    uri = postgres_server.set(drivername="postgresql").render_as_string(hide_password=False)
    with closing(psycopg.connect(uri, autocommit=True)) as console:
        console.execute(f"CREATE DATABASE {name}")
    lab = Lab(postgres_server.set(database=name).render_as_string(hide_password=False))
    yield lab
    lab.dispose()


@pytest.fixture
def lab(shared_lab: Lab) -> Iterator[Lab]:
    """An empty laboratory, recorded by the application and by the database. What both write must fit together."""
    shared_lab.begin()
    with writing(shared_lab.outside) as connection:
        for table, how in TABLES.items():
            mine = replace(how, organization_id=shared_lab.organization)
            install_trigger(connection, table, mine, actor=ADMIN)
    yield shared_lab
    shared_lab.check_states()
    found = verify_organization(shared_lab.outside, shared_lab.organization, started_by="test")
    assert [finding for finding in found.findings if finding.severity != "info"] == []


@pytest.fixture
def psql(lab: Lab) -> Iterator[Callable[..., psycopg.Connection]]:
    """A connection of somebody else's, who may change the laboratory's rows and knows nothing of FlaskTrack."""
    user = f"maria_{uuid.uuid4().hex[:8]}"
    with closing(console(lab)) as owner:
        owner.execute(f"CREATE ROLE {user} LOGIN PASSWORD 'secret'")
        owner.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON {', '.join(TABLES)} TO {user}")
        owner.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {user}")
    opened: list[psycopg.Connection] = []

    def connect() -> psycopg.Connection:
        url = lab.outside.url.set(drivername="postgresql", username=user, password="secret")
        opened.append(psycopg.connect(url.render_as_string(hide_password=False), application_name="psql"))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()
    with closing(console(lab)) as owner:
        owner.execute(f"DROP OWNED BY {user}; DROP ROLE {user}")


def console(lab: Lab) -> psycopg.Connection:
    uri = lab.outside.url.set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(uri, autocommit=True)


def new(lab: Lab) -> list[CheckedRecord]:
    """The records but for those of the triggers."""
    return [checked for checked in lab.records() if checked.record.entity_type != "database_trigger"]


def acts(lab: Lab) -> list[tuple[str, str, str, bool]]:
    """Action, type and id of each, and whether the database recorded it."""
    return [
        (one.record.action, one.record.entity_type, one.record.entity_id, one.record.actor_id != ZOE.id)
        for one in new(lab)
    ]


def test_a_change_by_psql_is_a_record_of_the_database_user(lab: Lab, psql: Callable[..., psycopg.Connection]) -> None:
    with acting(ZOE), lab.session() as session:
        session.add(Sample(id=1, code="S-1", volume=0.5, token="secret"))
        session.commit()
    with psql() as connection:
        connection.execute("UPDATE sample SET volume = 0.25, token = 'other', last_seen = 'now' WHERE id = 1")
        connection.execute("UPDATE sample SET last_seen = 'later', volume = volume")  # no change that is recorded
    with psql() as connection:
        connection.execute("DELETE FROM sample")
    assert acts(lab) == [
        ("create", "sample", "1", False), ("update", "sample", "1", True), ("delete", "sample", "1", True),
    ]  # fmt: skip
    changed = new(lab)[1]
    user = changed.record.actor_name
    assert user is not None
    assert user.startswith("maria_")
    assert (changed.record.actor_type, changed.record.actor_id) == ("user", f"postgresql:{user}")
    assert (changed.record.entity_name, changed.record.outcome) == ("S-1", "success")
    before, after = sections(changed)
    assert (before["volume"], after["volume"], after["token"], "last_seen" in after) == (0.5, 0.25, "[masked]", False)
    said = context(changed)
    assert (said["application_name"], said["table"], said["operation"]) == ("psql", "sample", "update")
    assert said["masked_changes"] == ["token"]
    for checked in new(lab):
        for section in (checked.before, checked.after, checked.context):
            assert section is None or section.body == encode_body("", json.loads(section.body))


def test_what_is_undone_is_no_record_and_nothing_of_a_record_is_left(
    lab: Lab, psql: Callable[..., psycopg.Connection]
) -> None:
    connection = psql()
    connection.execute("INSERT INTO tag (id, word) VALUES (1, 'cold')")
    connection.rollback()
    connection.execute("INSERT INTO tag (id, word) VALUES (2, 'dry')")
    connection.execute("SAVEPOINT s")
    connection.execute("UPDATE tag SET word = 'wet'")
    connection.execute("ROLLBACK TO s")
    connection.commit()
    assert acts(lab) == [("create", "tag", "2", True)]


def test_a_change_that_cannot_be_recorded_is_not_made(lab: Lab, psql: Callable[..., psycopg.Connection]) -> None:
    connection = psql()
    connection.execute("INSERT INTO tag (id, word) VALUES (1, repeat('x', 1024 * 1024))")
    with pytest.raises(psycopg.errors.RaiseException, match="too large for a record"):
        connection.commit()
    with closing(console(lab)) as owner:
        assert owner.execute("SELECT count(*) FROM tag").fetchone() == (0,)


def test_what_the_application_records_is_not_recorded_twice(lab: Lab) -> None:
    """Flushes, bulk, cascades, joins, composite and changed keys, version counters, acts of other names."""
    with acting(ZOE), lab.session() as session:
        batch = Batch(id="B,1", title="first")
        sample = Sample(id=1, code="S-1", volume=1e16, batch=batch, token="a", tags=[Tag(id=7, word="cold")])
        sample.readings.append(Reading(number=2, value=0.1))
        session.add_all(
            [sample, Comment(id=3, sample_id=1, text="x"), Protocol(code="P", settings={"b": 1.50, "a": 1})]
        )
        session.flush()
        session.add(Step(id=4, protocol_code="P"))
        sample.readings[0].value = 4.701925285087858e16
        sample.token = "b"
        session.flush()
        lab.recorder.act(session, "approve", "sample", "1")
        session.execute(update(Tag).values(word="warm"))
        session.commit()
        session.get_one(Protocol, "P").code = "Q"
        session.commit()
        session.execute(insert(Tag), [{"id": 8, "word": "dry"}, {"id": 9, "word": "new"}])
        session.execute(delete(Tag).where(Tag.id > 8))
        sample.tags.clear()
        session.flush()
        session.delete(sample)
        session.commit()
    assert [one for one in acts(lab) if one[3]] == []
    assert len(new(lab)) > 15


def test_what_goes_past_the_capture_in_the_applications_own_transaction_is_recorded(lab: Lab) -> None:
    with acting(ZOE), lab.session() as session:
        session.add_all([Tag(id=1, word="cold"), Tag(id=2, word="dry")])
        session.flush()
        raw = session.connection().connection.cursor()
        raw.execute("UPDATE tag SET word = 'wet' WHERE id = 2")
        session.commit()
    with acting(ZOE), lab.session() as session:
        session.get_one(Tag, 1).word = "warm"
        session.flush()
        session.connection().connection.cursor().execute("UPDATE tag SET word = 'hot' WHERE id = 1")
        session.commit()
    assert ("update", "tag", "2", True) in acts(lab)
    assert ("update", "tag", "1", True) in acts(lab)
    with closing(console(lab)) as owner:
        rows = owner.execute("SELECT id::text, word FROM tag").fetchall()
    for key, word in rows:
        last = [sections(one)[1] for one in new(lab) if one.record.entity_id == key][-1]
        assert last["word"] == word


@pytest.fixture(autouse=True)
def states_may_repeat(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one transaction changes a row in both ways, the database can't tell which came first."""
    if "applications_own_transaction" in request.node.name:
        monkeypatch.setattr(Lab, "check_states", lambda _: None)
        monkeypatch.setattr("tests.capture.test_database.verify_organization", lambda *_, **__: Nothing())


class Nothing:
    findings = ()


def test_keys_foreign_keys_and_cascades(lab: Lab, psql: Callable[..., psycopg.Connection]) -> None:
    with psql() as connection:
        connection.execute("INSERT INTO batches VALUES ('B,1', 'first')")
        connection.execute("INSERT INTO sample (id, code, state, batch_id) VALUES (1, 'S-1', 'RECEIVED', 'B,1')")
        connection.execute("INSERT INTO reading (sample_id, number, value, version) VALUES (1, 2, 0.1, 1)")
        connection.execute("INSERT INTO comment (id, sample_id, text) VALUES (3, 1, 'x')")
        connection.execute("INSERT INTO protocol (code) VALUES ('P')")
        connection.execute("INSERT INTO step VALUES (4, 'P')")
    with psql() as connection:
        connection.execute("UPDATE protocol SET code = 'Q'")
        connection.execute("DELETE FROM reading")
        connection.execute("DELETE FROM sample")
    found = {one[:3]: record for one, record in zip(acts(lab), new(lab), strict=True)}
    assert list(found["create", "sample", "1"].record.related) == [("batch", "B,1")]
    assert list(found["create", "reading", "1,2"].record.related) == [("sample", "1")]
    assert list(found["update", "protocol", "P"].record.related) == [("protocol", "Q")]
    assert list(found["update", "step", "4"].record.related) == [("protocol", "P"), ("protocol", "Q")]
    assert ("delete", "comment", "3") in found  # which PostgreSQL deleted along
    assert all(one[3] for one in acts(lab))


def test_a_truncated_tables_rows_are_deletes(lab: Lab, psql: Callable[..., psycopg.Connection]) -> None:
    with psql() as connection:
        connection.execute("INSERT INTO step (id) VALUES (1), (2)")
    with psql() as connection:
        connection.execute("TRUNCATE step")
        connection.execute("INSERT INTO step (id) VALUES (1)")
    assert [one[:3] for one in acts(lab)] == [
        ("create", "step", "1"), ("create", "step", "2"), ("delete", "step", "1"), ("delete", "step", "2"),
        ("create", "step", "1"),
    ]  # fmt: skip


def test_application_and_psql_at_once_make_one_chain(lab: Lab, psql: Callable[..., psycopg.Connection]) -> None:
    with acting(ZOE), lab.session() as session:
        session.add_all(Tag(id=number, word="0") for number in range(1, 5))
        session.commit()

    def by_application() -> None:
        with acting(ZOE):
            for turn in range(10):
                with Session(lab.engine) as session:
                    session.get_one(Tag, 1 + turn % 4, with_for_update=True).word = f"a{turn}"
                    session.commit()

    def by_psql(name: str) -> None:
        with psql() as connection:
            for turn in range(10):
                connection.execute("UPDATE tag SET word = %s WHERE id = %s", (f"{name}{turn}", 1 + turn % 4))
                connection.commit()

    threads = [threading.Thread(target=by_application), *(threading.Thread(target=by_psql, args=one) for one in "pq")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    made = [one for one in acts(lab) if one[0] == "update"]
    assert (len(made), sum(one[3] for one in made)) == (30, 20)


def test_it_is_not_in_anybodys_way_and_nobody_can_use_it_to_write_records(
    lab: Lab, psql: Callable[..., psycopg.Connection]
) -> None:
    connection = psql()
    connection.execute("UPDATE tag SET word = 'x'")
    connection.execute("INSERT INTO tag (id, word) VALUES (1, 'open')")
    with acting(ZOE), lab.session() as session:  # psql's transaction is open, and holds no head
        session.add(Tag(id=2, word="free"))
        session.commit()
    connection.commit()
    for statement in (
        "SELECT flasktrack_append(NULL, NULL, NULL, '{}', '[]')",
        "SELECT * FROM audit_record",
        "ALTER TABLE tag DISABLE TRIGGER flasktrack_capture",
        "CREATE TEMP TABLE t (id int); CREATE TRIGGER t AFTER INSERT ON t EXECUTE FUNCTION flasktrack_capture('{}')",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)
        connection.rollback()
    assert acts(lab) == [("create", "tag", "2", False), ("create", "tag", "1", True)]


def test_settings_of_a_session_switch_nothing_off(lab: Lab) -> None:
    with closing(console(lab)) as owner:  # who may set this
        owner.execute("SET session_replication_role = replica")
        owner.execute("INSERT INTO tag (id, word) VALUES (1, 'quiet')")
    assert acts(lab) == [("create", "tag", "1", True)]


def test_a_chain_that_was_altered_takes_no_change(lab: Lab, psql: Callable[..., psycopg.Connection]) -> None:
    with closing(console(lab)) as owner:
        owner.execute("UPDATE chain_head SET size = size + 1 WHERE organization_id = %s", (lab.organization,))
        connection = psql()
        connection.execute("INSERT INTO tag (id, word) VALUES (1, 'x')")
        with pytest.raises(psycopg.errors.RaiseException, match="not the one that its head names"):
            connection.commit()
        owner.execute("UPDATE chain_head SET size = size - 1 WHERE organization_id = %s", (lab.organization,))


def test_it_is_seen_when_a_trigger_or_function_is_altered(lab: Lab) -> None:
    with closing(console(lab)) as owner, lab.outside.connect() as connection:
        assert all(one.sound for one in list_triggers(connection))
        owner.execute("ALTER TABLE tag DISABLE TRIGGER flasktrack_capture")
        assert [one.table for one in list_triggers(connection) if not one.sound] == ["tag"]
        owner.execute("ALTER TABLE tag ENABLE ALWAYS TRIGGER flasktrack_capture")
        (body,) = owner.execute("SELECT pg_get_functiondef('flasktrack_is_recorded'::regproc)").fetchone() or ("",)
        owner.execute(body.replace("RETURN false", "RETURN true"))
        assert not any(one.sound for one in list_triggers(connection))
        owner.execute(body)
        assert all(one.sound for one in list_triggers(connection))


def test_installing_and_removing_are_on_record_with_who_did_it(lab: Lab) -> None:
    with writing(lab.outside) as connection:
        how = find_trigger(connection, "tag").how
        install_trigger(connection, "public.tag", Captured(how.organization_id, "tag", mask=("word",)), actor=ADMIN)
        install_trigger(connection, "tag", how, actor=ADMIN)
    found = [one for one in lab.records() if one.record.entity_type == "database_trigger"][-2:]
    assert [(one.record.action, one.record.actor_name, one.record.entity_id) for one in found] == [
        ("update", "Ana", "tag")
    ] * 2
    assert [sections(one)[1]["mask"] for one in found] == [["word"], []]


def test_names_are_data_whatever_they_hold(lab: Lab) -> None:
    odd = """it's "odd" \\ %s {x} é"""
    quoted = '"' + odd.replace('"', '""') + '"'
    with closing(console(lab)) as owner, writing(lab.outside) as connection:
        owner.execute(f"CREATE SCHEMA {quoted}".encode())
        owner.execute(f"CREATE TABLE {quoted}.{quoted} ({quoted} text PRIMARY KEY, b text)".encode())
        table = f"{quoted}.{quoted}"
        how = Captured(lab.organization, odd, name=odd, mask=("b",))
        assert install_trigger(connection, table, how, actor=ADMIN).how.key == (odd,)
    with closing(console(lab)) as owner:
        owner.execute(f"INSERT INTO {table} VALUES ($${odd}$$, 'x')".encode())
        (record,) = [one.record for one in new(lab)]
        assert (record.entity_type, record.entity_id, record.entity_name) == (odd, odd, odd)
        owner.execute(f"DROP TABLE {table}".encode())


@pytest.mark.parametrize(
    ("table", "how", "says"),
    [
        ("nowhere", Captured("", "x"), "no table 'nowhere'"),
        ("'; DROP", Captured("", "x"), "no table"),
        ("audit_record", Captured("", "x"), "FlaskTrack's own"),
        ("sample", Captured("", "x", mask=("colour",)), "no column 'colour'"),
        ("sample", Captured("", "x", exclude=("id",)), "identifies or names"),
        ("sample", Captured("", ""), "no name"),
    ],
)
def test_what_cannot_be_installed_says_why(shared_lab: Lab, table: str, how: Captured, says: str) -> None:
    if not shared_lab.organization:
        shared_lab.begin()
    how = replace(how, organization_id=shared_lab.organization)
    with pytest.raises(CaptureRefused, match=says), writing(shared_lab.outside) as connection:
        install_trigger(connection, table, how, actor=ADMIN)


def test_sqlite_and_unknown_organizations_are_refused(shared_lab: Lab, sqlite_engine: Engine) -> None:
    with pytest.raises(CaptureRefused, match="Only PostgreSQL"), sqlite_engine.connect() as connection:
        list_triggers(connection)
    with pytest.raises(UnknownOrganization), writing(shared_lab.outside) as connection:
        install_trigger(connection, "tag", Captured("nobody", "tag"), actor=ADMIN)


def test_the_command_line_and_roles(
    postgresql_url: str, url_of_role: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    """With FlaskTrack's roles: the recorded application is no owner, and its capture and the trigger agree."""
    engine = open_engine(postgresql_url)
    initialize(engine, with_roles=True)
    with writing(engine) as connection:
        create_organization(connection, "lab")
        connection.execute(text("CREATE TABLE tag (id int PRIMARY KEY, word text NOT NULL)"))
        connection.execute(text("GRANT SELECT, INSERT, UPDATE, DELETE ON tag TO PUBLIC"))

    def run(*arguments: str) -> tuple[int, str]:
        status = main(["triggers", *arguments, "--database", postgresql_url])
        out, err = capsys.readouterr()
        return status, out + err

    install = ("install", "tag", "--organization", "lab", "--entity-type", "tag", "--name", "word")
    assert run("list") == (0, "No table's changes are recorded by the database.\n")
    assert run("remove", "tag")[0] == 2
    status = main(["triggers", *install, "--database", url_of_role("flasktrack_app")])
    assert (status, "The database refuses this (" in capsys.readouterr().err) == (2, True)
    assert run(*install) == (0, "tag: tag by id, in lab\n")
    assert json.loads(run("list", "--json")[1])["triggers"][0]["sound"] is True
    recorded = create_engine(url_of_role("flasktrack_recorder"))
    capture(recorded, "lab")
    with acting(ZOE), Session(recorded) as session:
        session.add(Tag(id=1, word="cold"))
        session.commit()
    with recorded.connect() as connection, connection.begin():
        connection.connection.cursor().execute("UPDATE tag SET word = 'wet'")
    records = [checked.record for checked in Ledger(engine, machine_scope("lab")).stream()]
    assert [(one.action, one.actor_id.partition("_")[0]) for one in records] == [
        ("create", "command-line"), ("create", "u-17"), ("update", "postgresql:user"),
    ]  # fmt: skip
    assert run("remove", "tag", "--by", "user:u-1")[0] == 0
    with engine.connect() as connection:
        left = text("SELECT count(*) FROM pg_proc WHERE proname LIKE 'flasktrack_%'")
        assert connection.execute(left).scalar_one() == 1  # the one that guards the append-only tables
    recorded.dispose()
    engine.dispose()
