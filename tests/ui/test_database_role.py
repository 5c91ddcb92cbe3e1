"""The app, connected as a member of its own PostgreSQL role, shows every page, and one organization on each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flasktrack.settings import Settings
from flasktrack.store.engine import initialize, open_engine
from flasktrack.store.roles import APP
from flasktrack.trust.keyring import Keyring
from flasktrack.ui.registry import PAGES
from tests.store.samples import NORTHWIND, SOUTHPORT, event, organizations, record
from tests.ui.app import OpenApp


@pytest.fixture
def app_url(
    postgresql_url: str, url_of_role: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Two organizations, with ten records and one, as the app's user sees them."""
    engine = open_engine(postgresql_url)
    initialize(engine, with_roles=True)
    Keyring.from_settings(Settings.from_environment()).create()
    organizations(engine, NORTHWIND, SOUTHPORT)
    record(engine, *(event(number) for number in range(1, 11)))
    record(engine, event(1, entity_id="S-900"), organization=SOUTHPORT)
    engine.dispose()
    monkeypatch.setenv("FLASKTRACK_ANALYTICS_URL", f"duckdb:///{tmp_path / 'copy.duckdb'}")
    return url_of_role(APP)


def test_every_page_works_for_the_apps_own_role(app_url: str, open_app: OpenApp) -> None:
    app = open_app(app_url, org=NORTHWIND)
    for page in PAGES:
        app.go(page, org=NORTHWIND)
        assert not app.test.exception
        assert app.headers == [PAGES[page].title]
        assert app.errors == []
    for organization, records in ((NORTHWIND, 10), (SOUTHPORT, 1)):
        app.go("records", org=organization, entity_type="sample")
        assert app.counted == records


def test_buttons_that_start_work_beside_the_app_work_for_its_role(app_url: str, open_app: OpenApp) -> None:
    app = open_app(app_url, "integrity", org=NORTHWIND)
    app.click("Verify now")
    app.wait_for("Verify now")
    assert "Verified" in app.text
    assert app.errors == []
