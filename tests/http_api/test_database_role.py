"""The HTTP interface works as the app's own PostgreSQL role, and shows a key its own organization."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flasktrack.cli_chain import trust_from
from flasktrack.seal.sealing import seal
from flasktrack.settings import Settings
from flasktrack.store.engine import initialize, open_database, open_engine
from flasktrack.store.roles import APP
from flasktrack.trust.keyring import Keyring
from tests.http_api.service import event, issue, problem, revoke, serving
from tests.store.samples import NORTHWIND, SOUTHPORT, organizations


def test_it_records_reads_and_proves_as_the_apps_role(
    postgresql_url: str, url_of_role: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASKTRACK_KEY_DIR", str(tmp_path / "keys"))
    settings = Settings.from_environment()
    Keyring.from_settings(settings).create()
    owner = open_engine(postgresql_url)
    initialize(owner, with_roles=True)
    organizations(owner, NORTHWIND, SOUTHPORT)
    owner.dispose()
    app = open_database(url_of_role(APP))
    issue(app, SOUTHPORT)
    issued = issue(app)
    with serving(app, issued.token) as client:
        assert client.record(event(1), event(2)).status in (200, 201)
        assert {one["organization_id"] for one in client.get("/v1/records")["records"]} == {NORTHWIND}
        seal(app, NORTHWIND, trust_from(settings), started_by="system:test")
        assert [one["size"] for one in client.get("/v1/checkpoints")["checkpoints"]] == [3]
        assert client.request("GET", "/v1/records/2/proof").status == 200
        revoke(app, issued)
        assert problem(client.record(event(3)))[0] in (401, 403)
    app.dispose()
