"""Databases that pages are opened on. `open_app` opens one page of one database, and nothing may go wrong unseen."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from streamlit.components.v2.component_manager import BidiComponentManager
from streamlit.runtime.scriptrunner.script_cache import ScriptCache
from streamlit.testing.v1 import app_test, local_script_runner

from flasktrack.demo import make_tampered_copy
from flasktrack.settings import Settings
from flasktrack.store.engine import open_engine, writing
from flasktrack.store.organizations import create_organization
from flasktrack.store.writer import append
from flasktrack.trust.keyring import Keyring
from tests.store.samples import event
from tests.ui.app import App, OpenApp
from tests.ui.nasty import nasty_events


@pytest.fixture(scope="session", autouse=True)
def no_search_for_components() -> Iterator[None]:
    """AppTest looks through all installed packages for components each time: that takes longer than a page, and the
    app has none."""
    with pytest.MonkeyPatch.context() as streamlit:
        streamlit.setattr(BidiComponentManager, "discover_and_register_components", lambda *_, **__: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def pages_compiled_once() -> Iterator[None]:
    """As a server does, which has one cache of compiled pages: AppTest compiles them anew for each run of each."""
    compiled = ScriptCache()
    with pytest.MonkeyPatch.context() as streamlit:
        streamlit.setattr(app_test, "ScriptCache", lambda: compiled)
        streamlit.setattr(local_script_runner, "ScriptCache", lambda: compiled)
        yield


@pytest.fixture(scope="session")
def lab_url(sample_lab_file: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The sample lab. No test writes to it: those that do take `sample_lab_url`."""
    file = tmp_path_factory.mktemp("ui") / "lab.db"
    with closing(sqlite3.connect(sample_lab_file)) as original, closing(sqlite3.connect(file)) as copy:
        original.backup(copy)
    return f"sqlite:///{file}"


@pytest.fixture(scope="session")
def tampered_url(lab_url: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The sample lab as an insider left it. No test writes to it."""
    file = tmp_path_factory.mktemp("ui") / "tampered.db"
    engine = open_engine(lab_url)
    make_tampered_copy(engine, file)
    engine.dispose()
    return f"sqlite:///{file}"


@pytest.fixture(scope="session")
def unfilled_url(tmp_path_factory: pytest.TempPathFactory, made_sqlite_file: Path) -> str:
    """A database whose one organization, `new-lab`, has no record yet."""
    return _made(made_sqlite_file, tmp_path_factory.mktemp("ui") / "unfilled.db", "new-lab")


@pytest.fixture
def small_url(tmp_path: Path, made_sqlite_file: Path) -> str:
    """A database to write to, with keys: two organizations, `small-lab` with ten records and `other-lab` with one."""
    url = _made(made_sqlite_file, tmp_path / "small.db", "small-lab", "other-lab")
    Keyring.from_settings(Settings.from_environment()).create()
    engine = open_engine(url)
    with writing(engine) as connection:
        append(connection, "small-lab", [event(number) for number in range(1, 11)])
        append(connection, "other-lab", [event(1)])
    engine.dispose()
    return url


@pytest.fixture(scope="session")
def deserted_url(tmp_path_factory: pytest.TempPathFactory, made_sqlite_file: Path) -> str:
    """A database without any organization."""
    return _made(made_sqlite_file, tmp_path_factory.mktemp("ui") / "deserted.db")


def _made(empty: Path, file: Path, *organizations: str) -> str:
    shutil.copyfile(empty, file)
    engine = open_engine(f"sqlite:///{file}")
    with writing(engine) as connection:
        for organization in organizations:
            create_organization(connection, organization, time_zone="Europe/Berlin")
    engine.dispose()
    return f"sqlite:///{file}"


@pytest.fixture
def open_app(monkeypatch: pytest.MonkeyPatch) -> OpenApp:
    """Open a page of the database at a URL: `open_app(lab_url, "records", role="qa-lead", action=["delete"])`."""

    def opened(url: str, page: str = "overview", theme: str = "light", **params: str | Sequence[str]) -> App:
        monkeypatch.setenv("FLASKTRACK_DATABASE_URL", url)
        return App(page, theme, **params)

    return opened


@pytest.fixture(scope="session")
def nasty_url(tmp_path_factory: pytest.TempPathFactory, made_sqlite_file: Path) -> str:
    """A database whose records hold what would be markup, wherever they can; one organization, `new-lab`."""
    url = _made(made_sqlite_file, tmp_path_factory.mktemp("ui") / "nasty.db", "new-lab")
    engine = open_engine(url)
    with writing(engine) as connection:
        append(connection, "new-lab", nasty_events())
    engine.dispose()
    return url
